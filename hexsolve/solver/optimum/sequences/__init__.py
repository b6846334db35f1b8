"""Schedules as sequences: what each prefill instance and each decode slot serves, one by one.

A list (`hexsolve.solver.optimum.placing`) says in which order calls take what is best for them, and
one change moves all that come after. A sequence says what follows what on one place, and a change
moves only what waits for it: the disjunctive graph of job shops (Roy and Sussmann 1964; Balas 1969,
doi 10.1287/opre.17.6.941), in which a move of what is on a critical path is a small step.
"""
