"""Proven plans and schedules for LLM agents on mixed GPU clusters."""

from hexsolve.native import activate

__version__ = "0.1.0"

activate()
