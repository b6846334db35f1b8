"""What ships: GPU types, LLMs, clusters and the coefficients of their latency model."""

from hexsolve.instances.catalog.loader import Catalog, load_catalog

__all__ = ["Catalog", "load_catalog"]
