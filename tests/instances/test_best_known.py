"""The best-known table: merging, files, and that its certificates and bounds are what they say."""

import json
from collections import Counter
from dataclasses import replace

import pytest
from click.testing import CliRunner

from hexsolve.cli.main import cli
from hexsolve.instances.benchmark.best_known import (
    BestKnown,
    Claim,
    best_known,
    canonical,
    improved,
    objectives_of,
    table_path,
    with_implied_bounds,
    write_table,
)
from hexsolve.instances.benchmark.certificates import (
    certificate_text,
    certificates_folder,
    load_certificate,
)
from hexsolve.instances.benchmark.io import benchmark_names, load_scheduling_instance
from hexsolve.models import slo
from hexsolve.models.check.schedule import check_schedule
from hexsolve.models.errors import InputError
from hexsolve.models.schedule import PERCENT
from hexsolve.models.simulation.engine import Simulation
from hexsolve.models.simulation.horizon import standalone_horizons
from hexsolve.models.simulation.measures import flow_times
from hexsolve.solver.online.predictors import make_predictor
from hexsolve.solver.online.registry import PolicyOptions, make_policy
from hexsolve.solver.optimum.replay import replay

TABLE = best_known()
CERTIFIED = [row for row in TABLE.values() if row.certificate]


def claim(value: float, how: str = "someone") -> Claim:
    return Claim(value, how, "2026-01-01", "solver 1", "CPU; 2 cores", 1.5)


ROW = BestKnown("xs01", "req95", "nominal", 4, claim(3.0, "a"), "a.json", claim(1.0, "b"))


def test_the_table_is_there_and_as_written(tmp_path):
    path = tmp_path / "copy.csv"
    write_table(TABLE.values(), path)
    assert path.read_text() == table_path().read_text()
    assert {row.instance for row in TABLE.values()} <= set(benchmark_names())
    assert {row.model for row in TABLE.values()} == {"nominal", "simulator"}


@pytest.mark.parametrize("row", CERTIFIED, ids=lambda row: row.certificate)
def test_certificates_are_schedules_of_the_stated_value(row):
    schedule = load_certificate(certificates_folder() / row.certificate)
    instance = load_scheduling_instance(row.instance)
    assert check_schedule(instance.cluster, instance.workflows, schedule) == []
    assert schedule.calls
    assert schedule.instance_hash == instance.digest
    assert (schedule.instance_name, schedule.objective_kind) == (row.instance, row.objective)
    assert (schedule.times.mode, schedule.times.decode_batch) == ("nominal", row.decode_batch)
    assert schedule.objective == row.value.value


def test_every_certificate_belongs_to_a_row():
    files = Counter(path.name for path in certificates_folder().iterdir())
    assert files == Counter(row.certificate for row in CERTIFIED)


@pytest.mark.parametrize("row", TABLE.values(), ids=lambda row: "-".join(row.key))
def test_rows_are_about_canonical_objectives_and_bounds_below_values(row):
    workflows = len(load_scheduling_instance(row.instance).workflows)
    assert canonical(row.objective, workflows) == row.objective
    for each in (row.value, row.bound):
        assert each is None or (each.how and each.date and each.solver and each.machine)
    if row.value is not None and row.bound is not None:
        assert row.bound.value <= row.value.value * (1.0 + 1e-9)
    assert bool(row.certificate) == (row.model == "nominal")


def test_replayed_values_are_what_the_certificate_gives():
    replayed = [
        row
        for row in TABLE.values()
        if row.value is not None
        and row.value.how.startswith("replay")
        and row.instance.startswith("xs")
    ]
    equal = 0
    for row in replayed[:6]:
        instance = load_scheduling_instance(row.instance)
        schedule = load_certificate(
            certificates_folder() / TABLE[*row.key[:2], "nominal"].certificate
        )
        found = replay(
            instance.cluster,
            instance.workflows,
            standalone_horizons(instance.cluster, instance.workflows),
            schedule.objective_kind,
            schedule.calls,
            schedule.times,
        )
        # A later certificate may be better in its model and not in the simulator.
        equal += found.objective == row.value.value
    assert not replayed or equal


@pytest.mark.parametrize("policy", ["workflow-fcfs", "sjf", "hexgen-flow"])
def test_no_policy_beats_a_bound(policy):
    compared = 0
    for name in sorted({row.instance for row in TABLE.values() if row.instance.startswith("xs")}):
        instance = load_scheduling_instance(name)
        simulation = Simulation(
            instance.cluster,
            instance.workflows,
            make_policy(policy, PolicyOptions()),
            make_predictor("oracle", 0),
        )
        record = simulation.run()
        horizons = standalone_horizons(instance.cluster, instance.workflows)
        values = slo.slowdowns(flow_times(record), horizons)
        for objective in objectives_of(len(instance.workflows)):
            row = TABLE.get((name, objective, "simulator"))
            if row is not None and not sum(record.counts["preemptions"]):
                assert slo.required_scale(values, PERCENT[objective]) >= row.bound.value
                compared += 1
    assert compared


def test_the_better_claim_is_kept():
    better = replace(ROW, value=claim(2.0, "c"), certificate="c.json", bound=claim(0.5, "d"))
    made = improved(ROW, better)
    assert (made.value.how, made.certificate, made.bound.how) == ("c", "c.json", "b")
    worse = replace(ROW, value=claim(3.0, "e"), certificate="e.json", bound=claim(1.25, "f"))
    made = improved(ROW, worse)
    assert (made.value.how, made.certificate, made.bound.how) == ("a", "a.json", "f")
    nothing = BestKnown(*ROW.key, 4)
    assert improved(ROW, nothing) == ROW == improved(None, ROW) == improved(nothing, ROW)


def test_another_decode_batch_is_another_model():
    other = replace(ROW, decode_batch=8, value=claim(2.5), bound=claim(0.1))
    assert improved(ROW, other) == other
    assert improved(other, ROW) == other


def test_bounds_carry_over_to_larger_q_and_from_the_simulator_to_nominal():
    def row(objective, model, bound, how="energy", batch=None):
        return BestKnown("xs01", objective, model, batch, None, "", claim(bound, how))

    rows = [
        row("req95", "nominal", 1.0, batch=4),
        row("req100", "nominal", 1.1, batch=8),
        row("req95", "simulator", 1.4),
        row("req99", "simulator", 1.2),
        row("req100", "simulator", 1.5, "optimistic CP-SAT"),
    ]
    made = with_implied_bounds({each.key: each for each in rows})
    assert [made[each.key].bound.value for each in rows] == [1.4, 1.4, 1.4, 1.4, 1.5]
    assert with_implied_bounds(made) == made
    nominal = row("req95", "nominal", 1.3, batch=4), row("req100", "nominal", 1.1, batch=4)
    made = with_implied_bounds({each.key: each for each in nominal})
    assert [made[each.key].bound.value for each in nominal] == [1.3, 1.3]


def test_the_table_has_what_its_rows_imply():
    assert with_implied_bounds(TABLE) == TABLE


def test_a_bound_above_the_value_is_refused():
    with pytest.raises(ValueError, match=r"bound 3\.5 exceeds value 3\.0"):
        improved(ROW, replace(ROW, bound=claim(3.5)))


def test_proven():
    assert not ROW.proven
    assert not replace(ROW, value=None).proven
    assert replace(ROW, bound=claim(3.0)).proven


@pytest.mark.parametrize(
    ("workflows", "names"),
    [
        (1, ("req100",)),
        (19, ("req100",)),
        (20, ("req95", "req100")),
        (99, ("req95", "req100")),
        (100, ("req95", "req99", "req100")),
    ],
)
def test_objectives_that_differ(workflows, names):
    assert objectives_of(workflows) == names


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (",nominal,", ",guess,", "allowed"),
        (",req95,", ",req90,", "allowed"),
        ("3.0", "three", "could not convert"),
        ("decode_batch", "batch", "decode_batch"),
    ],
)
def test_mistakes_in_the_table(old, new, message, tmp_path):
    path = tmp_path / "table.csv"
    write_table([ROW], path)
    assert best_known(path) == {ROW.key: ROW}
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(InputError, match=message):
        best_known(path)


@pytest.fixture
def certificate(tmp_path):
    made = certificates_folder() / CERTIFIED[0].certificate
    path = tmp_path / "certificate.json"
    path.write_text(made.read_text())
    return path


def test_certificates_survive_reading_and_writing(certificate):
    assert certificate_text(load_certificate(certificate)) == certificate.read_text()


def test_hexsolve_check_verifies_certificates(certificate):
    done = CliRunner().invoke(cli, ["check", str(certificate)])
    assert done.exit_code == 0, done.output
    assert done.output.startswith("ok: ")
    data = json.loads(certificate.read_text())
    data["calls"][0][-1] += 1
    data["objective"] *= 0.5
    certificate.write_text(json.dumps(data))
    done = CliRunner().invoke(cli, ["check", "--json", str(certificate)])
    assert done.exit_code == 1
    assert "objective" in {each["rule"] for each in json.loads(done.output)["violations"]}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda data: data["call_fields"].pop(), "call_fields"),
        (lambda data: data.update(calls=3), "calls"),
        (lambda data: data.update(instances=3), "instances"),
        (lambda data: data["calls"][0].pop(), r"calls\[0\]"),
        (lambda data: data["calls"][1].__setitem__(2, 99), r"calls\[1\].*99"),
        (lambda data: data["calls"][1].__setitem__(4, -3), "cached_tokens"),
        (lambda data: data.update(kind="other"), "kind"),
    ],
)
def test_mistakes_in_certificates(change, message, certificate):
    data = json.loads(certificate.read_text())
    change(data)
    certificate.write_text(json.dumps(data))
    with pytest.raises(InputError, match=message):
        load_certificate(certificate)
