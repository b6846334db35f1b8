"""Where it comes from: files, catalog, generators, importers, calibration."""
