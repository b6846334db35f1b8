"""The rolling-horizon planner: each epoch a CP-SAT model of what has not begun."""
