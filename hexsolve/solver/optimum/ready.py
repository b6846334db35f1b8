"""Compile annealing before a search counts its time."""

import numpy as np

from hexsolve.solver.optimum.annealing import anneal, energy
from hexsolve.solver.optimum.flat import FlatProblem
from hexsolve.solver.optimum.placing import ANY, place_all
from hexsolve.solver.optimum.sequences.annealing import anneal_sequences, schedule_of
from hexsolve.solver.optimum.sequences.places import layout_of, sequences_of


def compile_annealing() -> None:
    """Anneal a made-up problem of one call, so that all that anneals is compiled.

    That takes about a minute where the machine code is not on disk yet, and a fraction of
    one later: time in which nothing is solved, which the limit of a search is not about.
    """
    none, one = np.zeros(0, dtype=np.int64), np.ones(1, dtype=np.int64)
    nil, starts = np.zeros(1, dtype=np.int64), np.array([0, 1], dtype=np.int64)
    empty = np.zeros(2, dtype=np.int64)
    problem = FlatProblem(
        workflow=nil,
        release=nil,
        parent_first=empty,
        parent=none,
        delay=none,
        child_first=empty,
        child=none,
        option_first=starts,
        option_p=nil,
        source=np.full(1, -1, dtype=np.int64),
        ordered=nil,
        occupied=one,
        lead=one,
        latency=one,
        decode_first=starts,
        decode_d=nil,
        span=one,
        lag=np.zeros((1, 1, 1), dtype=np.int64),
        decode_kv=nil,
        prefill_kv=nil,
        slots=one,
        room=one,
        prompt_room=one,
        prompts_bind=False,
        arrival=np.zeros(1),
        horizon=np.ones(1),
        spare=0,
        tail=nil,
    )
    anywhere, nothing = np.full((1, 2), ANY, dtype=np.int64), np.full((1, 6), -1, dtype=np.int64)
    keys, rng = np.zeros(1), np.random.default_rng(0)
    rows = place_all(problem, keys, anywhere, nothing)
    energy(problem, rows)
    anneal(problem, keys, anywhere, rng, 0, 1, 1, 0.01, 1e-4)
    layout = layout_of(problem)
    sequences = sequences_of(problem, layout, rows)
    anneal_sequences(problem, layout, sequences, rng, 0, 1, 1, 0.01, 1e-4)
    schedule_of(problem, layout, sequences)
