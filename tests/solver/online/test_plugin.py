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
    ],
)
def test_what_is_no_policy_is_refused(tmp_path, text, name, message):
    path = tmp_path / "theirs.py"
    if text is not None:
        path.write_text(text)
    with pytest.raises(InputError, match=message):
        check_policy(f"{path}:{name}")
