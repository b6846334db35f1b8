"""Compiled code runs only where it is that of the sources, and gives what they give."""

import json
import os
import pickle
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import hexsolve
from hexsolve import native
from hexsolve.models.simulation.engine import Simulation
from hexsolve.native import build
from tests.simulation.scenarios import Guess, Scripted, random_scenario

ROOT = Path(hexsolve.__file__).parents[1]
ENGINE = "hexsolve.models.simulation.engine"


@pytest.fixture
def library(tmp_path, monkeypatch):
    """An empty library, looked at anew."""
    monkeypatch.setattr(native, "LIBRARY", tmp_path)
    monkeypatch.setattr(native, "MANIFEST", tmp_path / "manifest.json")
    monkeypatch.delenv("HEXSOLVE_NATIVE", raising=False)
    native._examine.cache_clear()
    yield tmp_path
    native._examine.cache_clear()


def write(library: Path, mark: str) -> None:
    text = json.dumps({"fingerprint": mark, "files": {ENGINE: "engine.so"}})
    (library / "manifest.json").write_text(text)


def test_without_a_build_python_runs(library):
    assert native.state() == "python (not compiled)"
    assert native._Finder().find_spec(ENGINE, None) is None


def test_a_build_of_these_sources_is_used(library):
    write(library, native.fingerprint())
    assert native.state() == "compiled"
    spec = native._Finder().find_spec(ENGINE, None)
    assert spec is not None
    assert spec.origin == str(library / "engine.so")
    assert native._Finder().find_spec("hexsolve.models.simulation.policy", None) is None
    assert native._Finder().find_spec("json", None) is None


def test_a_build_of_other_sources_is_not(library):
    write(library, native.fingerprint()[:-1] + "x")
    assert native.state() == "python (compiled code is out of date)"
    assert native._Finder().find_spec(ENGINE, None) is None


def test_a_damaged_manifest_counts_as_none(library):
    (library / "manifest.json").write_text('{"fingerprint": ')
    assert native.state() == "python (not compiled)"


def test_it_can_be_switched_off(library, monkeypatch):
    write(library, native.fingerprint())
    monkeypatch.setenv("HEXSOLVE_NATIVE", "0")
    assert native.state() == "python (switched off)"


def test_the_fingerprint_sees_every_edit(tmp_path, monkeypatch):
    before = native.fingerprint()
    files = list(native.sources())
    assert {native.source(module) for module in native.MODULES} <= set(files)
    for path in files:
        copy = tmp_path / path.name
        copy.write_text(path.read_text() + "# an edit\n")
        edited = [copy if each == path else each for each in files]
        with monkeypatch.context() as patch:
            patch.setattr(native, "sources", lambda edited=edited: iter(edited))
            assert native.fingerprint() != before


def test_a_missing_compiler_is_named(library, monkeypatch, capsys):
    monkeypatch.setenv("CC", "no-such-compiler -pthread")
    assert build.main() == 1
    assert capsys.readouterr().err == (
        "not compiled, the simulator runs as Python: there is no C compiler (no-such-compiler)\n"
    )


def simulate(root: Path, compiled: bool, *arguments: str) -> dict[str, object]:
    """The summary of a run in another process."""
    environment = {**os.environ, "PYTHONPATH": str(root)}
    if not compiled:
        environment["HEXSOLVE_NATIVE"] = "0"
    command = [sys.executable, "-m", "hexsolve", "simulate", "--json", *arguments]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=300, cwd=root, env=environment, check=True
    )
    summary: dict[str, object] = json.loads(done.stdout)
    del summary["wall_s"]
    return summary


@pytest.mark.parametrize("policy", ["round-robin", "workflow-fcfs"])
def test_compiled_and_python_runs_are_equal_in_every_digit(policy):
    if native.state() != "compiled":
        pytest.skip(f"the simulator runs as {native.state()}; try: make compile")
    # A stored instance: nothing has to be planned first.
    stored = "m05-map-reduce-2p2d-70b-overload"
    arguments = (stored, "--policy", policy, "--predictor", "noise-0.5")
    assert simulate(ROOT, True, *arguments) == simulate(ROOT, False, *arguments)


def test_records_can_be_pickled(tmp_path):
    cluster, workflows = random_scenario(1)
    record = Simulation(cluster, workflows, Scripted(1), Guess(1)).run()
    twin = pickle.loads(pickle.dumps(record))
    assert twin.times == record.times
    assert twin.counts == record.counts
    assert twin.instances == record.instances


@pytest.mark.slow
def test_a_fresh_build_passes_the_exactness_suite_until_an_edit(tmp_path):
    if build.obstacle():
        pytest.skip(build.obstacle())
    for name in ("hexsolve", "tests"):
        ignore = shutil.ignore_patterns("lib", "__pycache__")
        shutil.copytree(ROOT / name, tmp_path / name, ignore=ignore)
    environment = {**os.environ, "PYTHONPATH": str(tmp_path), "HEXSOLVE_NATIVE": "1"}

    def run(*arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", *arguments],
            capture_output=True,
            text=True,
            timeout=900,
            cwd=tmp_path,
            env=environment,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    run("hexsolve.native.build")
    assert run("hexsolve", "--version").endswith("simulator: compiled\n")
    suite = ("tests/simulation/test_exactness.py", "tests/simulation/test_clone.py")
    assert "simulator: compiled" in run("pytest", "-p", "no:cacheprovider", *suite)
    with (tmp_path / "hexsolve" / "models" / "simulation" / "pool.py").open("a") as stream:
        stream.write("# an edit\n")
    assert run("hexsolve", "--version").endswith("python (compiled code is out of date)\n")
