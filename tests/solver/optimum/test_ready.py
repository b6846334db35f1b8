"""What is compiled beforehand is all that a search needs."""

import subprocess
import sys

SEARCH = """
from hexsolve.solver.optimum import annealing, placing, profiles
from hexsolve.solver.optimum.annealing import Annealer
from hexsolve.solver.optimum.ready import compile_annealing
from hexsolve.solver.optimum.sequences import annealing as sequences, moves, places, timing
from hexsolve.solver.optimum.sequences.annealing import SequenceAnnealer
from hexsolve.solver.optimum.start import Incumbent, first_schedules
from hexsolve.solver.optimum.windows import Windows
from tests.solver.optimum.instances import problem_of, random_instance

modules = annealing, placing, profiles, sequences, moves, places, timing
modules = [vars(module).values() for module in modules]
functions = [each for names in modules for each in names if hasattr(each, "signatures")]
made = lambda: {each.__name__: each.signatures for each in functions}
compile_annealing()
before = made()
assert before["anneal"] and before["place_all"] and before["energy"]
assert before["anneal_sequences"] and before["schedule_of"]
for seed in range(3):
    incumbent = Incumbent(Windows(problem_of(*random_instance(seed, workflows=8))))
    first_schedules(incumbent)
    Annealer(incumbent, seed).rounds(20)
    SequenceAnnealer(incumbent, seed, 1.0).rounds(20)
assert made() == before
"""


def test_nothing_is_left_to_compile() -> None:
    """In a process of its own: in this one others may have compiled it all."""
    subprocess.run([sys.executable, "-c", SEARCH], check=True, timeout=300)
