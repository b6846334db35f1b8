"""From tables of measured step times to coefficients, and back to an error per group."""
