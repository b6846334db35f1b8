"""Synthetic workflows calibrated to published figures."""
