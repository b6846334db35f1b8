"""Orderings: one file per rule; smaller priorities are served first."""
