"""The stored benchmark: files, sizes, loading, mistakes, and that they are made again alike."""

import json
from dataclasses import replace

import pytest

from hexsolve.instances.benchmark import build
from hexsolve.instances.benchmark.io import (
    CALL_FIELDS,
    SUFFIX,
    benchmark_names,
    data_folder,
    load_scheduling_instance,
    parse_scheduling_instance,
    scheduling_instance_text,
)
from hexsolve.instances.benchmark.specs import BANDS, SPECS
from hexsolve.models.errors import InputError
from hexsolve.models.simulation.cluster import SimulatedCluster

FIRST = SPECS[0].name


@pytest.fixture(scope="module")
def instances():
    return {name: load_scheduling_instance(name) for name in benchmark_names()}


@pytest.fixture
def data():
    return json.loads((data_folder() / (FIRST + SUFFIX)).read_text())


def test_there_is_a_file_for_every_spec():
    assert sorted(benchmark_names()) == sorted(spec.name for spec in SPECS)
    assert len(set(benchmark_names())) == len(SPECS)


def test_files_are_small_and_as_written(instances):
    for name, instance in instances.items():
        path = data_folder() / (name + SUFFIX)
        assert path.stat().st_size <= 300_000
        assert instance.name == name
        assert scheduling_instance_text(instance) == path.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "spec",
    [pytest.param(s, id=s.name, marks=[pytest.mark.slow] if s.band == "l" else []) for s in SPECS],
)
def test_the_builder_makes_the_same_file(spec, instances):
    path = data_folder() / (spec.name + SUFFIX)
    engines = build.stored_engines(path)
    assert scheduling_instance_text(build.build_instance(spec, engines)) == path.read_text()
    instance = instances[spec.name]
    assert instance.calls <= BANDS[spec.band]
    assert (instance.shape, instance.load) == (spec.shape, spec.load)
    assert len(instance.workflows) == spec.workflows


def test_digest_is_of_cluster_and_workflows(instances):
    instance = instances[FIRST]
    relabelled = instance.model_copy(update={"description": "another", "load": "x"})
    assert type(instance).model_validate(dict(relabelled)).digest == instance.digest
    assert len({each.digest for each in instances.values()}) == len(instances)
    later = replace(instance.workflows[-1], arrival_s=instance.workflows[-1].arrival_s + 1.0)
    changed = {**dict(instance), "workflows": (*instance.workflows[:-1], later)}
    assert type(instance).model_validate(changed).digest != instance.digest
    slower = instance.cluster.model_copy(update={"transfer_latency_s": 0.006})
    assert (
        type(instance).model_validate({**dict(instance), "cluster": slower}).digest
        != instance.digest
    )


def test_engines_of_one_name_stay_apart(instances):
    instance = instances[FIRST]
    first, *others = instance.cluster.instances
    engine = first.performance.model_copy(update={"kv_capacity_tokens": 123_456})
    cluster = SimulatedCluster(
        instances=(first.model_copy(update={"performance": engine}), *others)
    )
    changed = type(instance).model_validate({**dict(instance), "cluster": cluster})
    text = scheduling_instance_text(changed)
    assert parse_scheduling_instance(text, "text") == changed
    assert len(json.loads(text)["engines"]) == len(json.loads(scheduling_instance_text(instance))[
        "engines"]) + 1  # fmt: skip


def test_by_path_and_by_name(tmp_path, instances):
    path = tmp_path / "mine.json"
    path.write_text(scheduling_instance_text(instances[FIRST]))
    assert load_scheduling_instance(path) == instances[FIRST]
    with pytest.raises(InputError, match="no scheduling instance; allowed: a JSON file, or one of"):
        load_scheduling_instance("chat-on-mars")
    with pytest.raises(InputError, match="does not exist"):
        load_scheduling_instance(tmp_path / "none.json")


def _call(data, field, value):
    data["workflows"][0]["calls"][0][CALL_FIELDS.index(field)] = value


MISTAKES = {
    "no JSON": (None, "allowed: JSON"),
    "version": (lambda d: d.update(schema_version=2), "schema_version: is 2"),
    "unknown field": (lambda d: d.update(extra=1), "extra: is not a known field"),
    "no workflows": (lambda d: d.update(workflows=[]), "workflows"),
    "fields": (lambda d: d.update(call_fields=["x"]), "call_fields: is"),
    "tokens": (lambda d: _call(d, "prompt_tokens", -1), r"workflows\[0\]\.calls\[0\]"),
    "true": (lambda d: _call(d, "output_tokens", True), r"workflows\[0\]\.calls\[0\]"),
    "no prompt": (lambda d: _call(d, "prompt_tokens", 0), "prompt_tokens is 0; allowed: ≥ 1"),
    "parent": (lambda d: _call(d, "parents", [3]), "parents holds 3; allowed"),
    "name": (lambda d: _call(d, "name", 99), "has the name 99; allowed: 0…"),
    "short call": (lambda d: d["workflows"][0]["calls"][0].pop(), r"workflows\[0\]\.calls\[0\]"),
    "engine": (lambda d: d["instances"][0].update(engine="x"), "engine: is 'x'; allowed"),
    "no engine": (lambda d: d["instances"][0].pop("engine"), r"instances\[0\].engine: is None"),
    "role": (lambda d: d["instances"][0].update(role="cook"), "role: is 'cook'; allowed"),
    "one role": (lambda d: d.update(instances=d["instances"][:1]), "instances have the roles"),
    "order": (lambda d: d["workflows"].reverse(), "arrives before the one it follows"),
    "twice": (
        lambda d: d["workflows"].__setitem__(1, d["workflows"][0]), "'w0' is used twice",
    ),
    "too long": (lambda d: _call(d, "prompt_tokens", 99_000_000), "the largest KV pool"),
    "coefficients": (
        lambda d: next(iter(d["engines"].values())).update(kv_capacity_tokens=0),
        "kv_capacity_tokens",
    ),
}  # fmt: skip


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes_are_one_line_with_the_file(mistake, data, tmp_path):
    change, message = MISTAKES[mistake]
    path = tmp_path / "wrong.json"
    if change is None:
        path.write_text("{")
    else:
        change(data)
        path.write_text(json.dumps(data))
    with pytest.raises(InputError, match=message) as caught:
        load_scheduling_instance(path)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)
