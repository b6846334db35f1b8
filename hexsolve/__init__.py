"""Proven plans and schedules for LLM agents on mixed GPU clusters."""

__version__ = "0.1.0"
