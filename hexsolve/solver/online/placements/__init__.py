"""Placements: one file per rule."""
