"""The cluster as a discrete-event model; what a run means is fixed in docs/simulation.md."""
