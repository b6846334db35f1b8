"""The policy that the documentation shows runs; others are refused in one line."""

import re
from pathlib import Path

import pytest

from hexsolve.models.errors import InputError
from hexsolve.models.workflow import Call
from hexsolve.solver.online.registry import check_policy, make_policy
from tests.simulation.engines import cluster
from tests.solver.online.probe import simulate, workflow

PAGE = Path(__file__).parents[3] / "docs" / "your-own-policy.md"


BARE = """class Policy:
    def start(self, view): pass
    def place(self, view, ready): return ()
    def plan(self, view): pass
    def rank(self, view, instance, queued): return []
    def completed(self, view, call): pass
"""
BARE_ATTRIBUTES = """    name = "bare"
    epoch_s = None
    epoch_on_change = ranks_batches = False
"""


@pytest.fixture
def mine(tmp_path):
    code = re.search(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.S)
    assert code is not None
    assert len([line for line in code[1].splitlines() if line]) <= 30
    path = tmp_path / "mine.py"
    path.write_text(code[1])
    return path


def test_the_documented_policy_follows_the_cache(mine):
    flow = workflow(
        Call(100, 11), Call(150, 2, parents=(0,), prefix_call=0, prefix_tokens=110), name="w"
    )
    other = workflow(Call(500, 5), arrival=0.01, name="other")
    policy = make_policy(f"{mine}:StickyPrefix")
    record = simulate(cluster(prefills=2, decodes=2), [flow, other], policy)
    assert record.counts["cached"][1] == 100
    assert record.counts["prefill"][0] == record.counts["prefill"][1]


@pytest.mark.parametrize(
    ("text", "name", "message"),
    [
        (None, "Policy", "cannot be imported"),
        ("x = 1", "Policy", "no class 'Policy'"),
        ("def f(:", "Policy", "cannot be imported"),
        ("class Policy:\n    pass", "Policy", "derive it from BasePolicy"),
        ("class Policy:\n    def __init__(self, x): pass", "Policy", "without arguments"),
        ("x = undefined", "Policy", "NameError: name 'undefined'"),
        ("import sys; sys.exit(3)", "Policy", "SystemExit: 3"),
        (
            "class Policy:\n    def __init__(self): raise ValueError('two\\nlines')",
            "Policy",
            "ValueError: two lines$",
        ),
        (BARE, "Policy", "it has no name, epoch_s, epoch_on_change, ranks_batches; derive"),
        (BARE + BARE_ATTRIBUTES + "    epoch_s = 'often'\n", "Policy", "epoch_s .* 'often'"),
    ],
)
def test_what_is_no_policy_is_refused(tmp_path, text, name, message):
    path = tmp_path / "theirs.py"
    if text is not None:
        path.write_text(text)
    with pytest.raises(InputError, match=message):
        check_policy(f"{path}:{name}")


def test_a_class_with_all_hooks_and_attributes_needs_no_base(tmp_path):
    path = tmp_path / "bare.py"
    path.write_text(BARE + BARE_ATTRIBUTES)
    assert make_policy(f"{path}:Policy").name == "bare"


def test_a_dataclass_with_annotations_as_strings_loads(tmp_path):
    path = tmp_path / "data.py"
    path.write_text(
        "from __future__ import annotations\n"
        "from dataclasses import dataclass\n"
        "from hexsolve.models.simulation.policy import BasePolicy\n"
        "@dataclass\n"
        "class Policy(BasePolicy):\n"
        "    weight: int = 3\n"
    )
    assert make_policy(f"{path}:Policy").weight == 3


def test_files_of_one_name_do_not_mix(tmp_path):
    made = []
    for folder in ("a", "b"):
        path = tmp_path / folder / "mine.py"
        path.parent.mkdir()
        path.write_text(
            f"{BARE}{BARE_ATTRIBUTES}    def mark(self): return sys.modules[__name__].MARK\n"
            f"import sys\nMARK = {folder!r}\n"
        )
        made.append(make_policy(f"{path}:Policy"))
    assert [policy.mark() for policy in made] == ["a", "b"]
