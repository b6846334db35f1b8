"""What to do: every decision, offline and online."""
