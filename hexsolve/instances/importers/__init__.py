"""Real traces in: one file per format, and a registry that recognises them."""

from hexsolve.instances.importers.registry import (
    FORMATS,
    TraceFormat,
    detect_format,
    read_trace,
)
from hexsolve.instances.importers.trace import ImportedTrace
from hexsolve.instances.reading.limits import DEFAULT_LIMITS, Limits

__all__ = [
    "DEFAULT_LIMITS",
    "FORMATS",
    "ImportedTrace",
    "Limits",
    "TraceFormat",
    "detect_format",
    "read_trace",
]
