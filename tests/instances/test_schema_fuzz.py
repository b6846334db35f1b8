"""Any file gives a problem or one line that names the file: nothing else may come out."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hexsolve.instances.resolve import load_problem
from hexsolve.models.errors import InputError

NAMED: dict[str, Any] = {
    "schema_version": 1,
    "name": "fuzzed",
    "llm": "llama-3.1-8b",
    "cluster": {"name": "one", "pools": [{"gpu": "h100", "gpus_per_node": 2, "nodes": 2}]},
    "slo_scale": 3,
    "load": 1.5,
    "budget_per_hour": 100,
    "workload": {
        "burstiness": 1.5,
        "classes": [
            {"use": "chat", "name": "talk", "rate_per_s": 0.5, "ttft_limit_s": 2},
            {
                "name": "two-steps",
                "rate_per_s": 1,
                "calls": [
                    {"name": "first", "new_tokens": 500, "output_tokens": 20},
                    {
                        "name": "second",
                        "new_tokens": 50,
                        "cached_tokens": 500,
                        "output_tokens": 20,
                        "repeat": 2,
                        "parallel": 1.5,
                        "tool_seconds": 1,
                        "new_tokens_cv": 0.5,
                        "after": ["first"],
                    },
                ],
            },
        ],
    },
    "engines": {"tensor_parallel": [1, 2], "roles": ["prefill", "decode"]},
    "assumptions": {"max_batch": 64, "kv_fill_max": 0.8},
}

INLINE: dict[str, Any] = {
    "name": "own",
    "llm": "my-llm",
    "llms": [
        {
            "name": "my-llm",
            "layers": 16,
            "hidden_size": 2048,
            "intermediate_size": 8192,
            "attention_heads": 32,
            "kv_heads": 8,
            "head_size": 64,
            "vocabulary": 32000,
            "experts": 8,
            "active_experts": 2,
            "expert_intermediate_size": 1024,
        }
    ],
    "gpus": [
        {
            "name": "my-gpu",
            "memory_gib": 48,
            "memory_bandwidth_gb_s": 900,
            "bf16_tflops": 200,
            "price_per_hour": 1,
            "aliases": ["mine"],
            "as_of": "2026-05-01",
        }
    ],
    "cluster": {"name": "one", "pools": [{"gpu": "mine", "nodes": 2, "billing": "node"}]},
    "workload": {"classes": [{"use": "tool-calling", "rate_per_s": 0.5}]},
    "engines": {"tensor_parallel": [1]},
}

FUZZ = settings(
    deadline=None,
    derandomize=True,
    max_examples=150,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.sampled_from([0, -1, 1e300, 1e-300, -0.0, 10**400, "", "x" * 300, "a b", "h100", 2**63])
    | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=6,
)


def outcome(path: Path) -> bool:
    """Load a file; return whether it is one, and check the message if it is not."""
    try:
        load_problem(path)
    except InputError as error:
        message = str(error)
        assert path.name in message
        assert "\n" not in message
        assert len(message) < 1500
        return False
    return True


def places(value: Any) -> list[tuple[Any, Any]]:
    """Return (container, key) of everything in a document."""
    found = []
    for key, child in list(value.items() if isinstance(value, dict) else enumerate(value)):
        found.append((value, key))
        if isinstance(child, dict | list):
            found += places(child)
    return found


@pytest.mark.parametrize("base", [NAMED, INLINE], ids=["named", "inline"])
def test_the_unchanged_instances_are_valid(tmp_path: Path, base: dict[str, Any]) -> None:
    for suffix, dump in ((".yaml", yaml.safe_dump), (".json", json.dumps)):
        path = tmp_path / f"valid{suffix}"
        path.write_text(dump(base))
        assert outcome(path)


@pytest.mark.parametrize("base", [NAMED, INLINE], ids=["named", "inline"])
@given(data=st.data())
@FUZZ
def test_a_field_dropped_renamed_or_replaced(
    tmp_path: Path, base: dict[str, Any], data: st.DataObject
) -> None:
    changed = copy.deepcopy(base)
    for _ in range(data.draw(st.integers(1, 2))):
        every = places(changed)
        if not every:
            break
        holder, key = data.draw(st.sampled_from(every))
        action = data.draw(st.sampled_from(["drop", "rename", "replace", "replace", "double"]))
        if action == "drop":
            del holder[key]
        elif action == "rename" and isinstance(holder, dict):
            holder[str(key)[:-1] + data.draw(st.sampled_from(["", "x", "\n", "é"]))] = holder.pop(
                key
            )
        elif action == "double" and isinstance(holder, list):
            holder.append(copy.deepcopy(holder[key]))
        else:
            holder[key] = data.draw(VALUES)
    path = tmp_path / "fuzz.json"
    path.write_text(json.dumps(changed))
    outcome(path)


@pytest.mark.parametrize("base", [NAMED, INLINE], ids=["named", "inline"])
@given(data=st.data())
@FUZZ
def test_extreme_numbers(tmp_path: Path, base: dict[str, Any], data: st.DataObject) -> None:
    """Every number alone at the ends of what a double can hold, or just inside the limits."""
    changed = copy.deepcopy(base)
    numbers = [
        (holder, key) for holder, key in places(changed) if isinstance(holder[key], int | float)
    ]
    for _ in range(data.draw(st.integers(1, 3))):
        holder, key = data.draw(st.sampled_from(numbers))
        power = data.draw(st.sampled_from([*range(-12, 13), -300, 300]))
        value: float | int = 10.0**power
        holder[key] = int(value) if isinstance(holder[key], int) and 0 <= power < 13 else value
    path = tmp_path / "fuzz.json"
    path.write_text(json.dumps(changed))
    outcome(path)


@given(text=st.text(max_size=200) | st.text(alphabet="{}[]:,-&*!|>'\"#%@ \na1", max_size=60))
@FUZZ
def test_any_text(tmp_path: Path, text: str) -> None:
    for suffix in ("yaml", "json"):
        path = tmp_path / f"fuzz.{suffix}"
        path.write_bytes(text.encode("utf-8", "surrogatepass"))
        outcome(path)


@given(data=st.data())
@FUZZ
def test_a_damaged_file(tmp_path: Path, data: st.DataObject) -> None:
    """Cut, overwrite, repeat pieces of a valid file."""
    text = bytearray(yaml.safe_dump(NAMED).encode())
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, max(len(text) - 1, 0)))
        end = data.draw(st.integers(at, min(at + 20, len(text))))
        noise = st.sampled_from(
            [b"", b"-", b"\t", b": ", b"\n", b"*a", b"&a ", b".nan", b"{", b"\0"]
        )
        text[at:end] = data.draw(noise | st.binary(max_size=4))
    path = tmp_path / "fuzz.yaml"
    path.write_bytes(bytes(text))
    outcome(path)
