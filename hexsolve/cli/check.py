"""``hexsolve check``: verify that an answer keeps every rule of the planning model."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
from rich.table import Table
from rich.text import Text

from hexsolve.cli.screen import new_console, print_table
from hexsolve.instances.files import read_data
from hexsolve.instances.overrides import overrides_of
from hexsolve.instances.resolve import load_problem
from hexsolve.instances.validation import validated
from hexsolve.models.answer import Answer
from hexsolve.models.check import (
    ANSWER_RULES,
    MODEL_RULES,
    STRUCTURE_RULES,
    Violation,
    check_answer,
    unverified,
)

VIOLATED = 1


@click.command("check", epilog="Example: hexsolve check my.yaml plan.json")
@click.argument(
    "files",
    nargs=-1,
    metavar="[INSTANCE] ANSWER",
    type=click.Path(path_type=Path),
)
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON on stdout.")
@click.pass_context
def check(ctx: click.Context, files: tuple[Path, ...], as_json: bool) -> None:
    """Verify an answer with a checker that shares no code with the solver.

    INSTANCE is the file that was planned (left out: the default instance), ANSWER the file that
    `hexsolve plan -o` wrote; targets that it was given in place of the instance's are applied. Or
    a scheduling instance (left out: the benchmark's by its name) and the schedule that `hexsolve
    optimum -o` wrote, or a certificate of the benchmark. Exit code 0: every rule is kept, and
    fields that no rule proves (bound, gains …) are named; 1: the broken ones are listed; 2: a file
    is wrong.
    """
    if not 1 <= len(files) <= 2:
        raise click.UsageError("give one or two files: [INSTANCE] ANSWER")
    instance = files[0] if len(files) == 2 else None
    data = read_data(files[-1])
    if isinstance(data, dict) and data.get("kind") in ("schedule", "schedule-table"):
        _check_schedule(ctx, instance, data, str(files[-1]), as_json)
        return
    answer = validated(Answer, data, str(files[-1]))
    problem = overrides_of(answer, str(files[-1])).applied(load_problem(instance))
    violations = check_answer(problem, answer)
    rules = len(ANSWER_RULES)
    groups = 0
    if answer.plan is not None:
        rules += len(STRUCTURE_RULES) + len(MODEL_RULES)
        groups = len(answer.plan.groups)
    if as_json:
        report = {
            "ok": not violations,
            "rules": rules,
            "groups": groups,
            "not_verified": unverified(answer),
            "violations": [violation.model_dump() for violation in violations],
        }
        click.echo(json.dumps(report, indent=2, ensure_ascii=False))
    elif violations:
        print_table(new_console(), _table(violations))
    else:
        note = "" if answer.plan is not None else "; the answer holds no plan"
        click.echo(f"ok: {rules} rules over {groups} groups checked{note}")
        _tell_unverified(unverified(answer))
    if violations:
        ctx.exit(VIOLATED)


def _check_schedule(
    ctx: click.Context, instance: Path | None, data: Any, source: str, as_json: bool
) -> None:
    from hexsolve.instances.benchmark.certificates import schedule_from
    from hexsolve.instances.benchmark.io import load_scheduling_instance
    from hexsolve.models.check.schedule import SCHEDULE_RULES, check_schedule
    from hexsolve.models.check.schedule_answer import HEADER_RULES
    from hexsolve.models.check.schedule_answer import unverified as unverified_in

    schedule = schedule_from(data, source)
    loaded = load_scheduling_instance(instance or schedule.instance_name)
    violations = check_schedule(loaded.cluster, loaded.workflows, schedule)
    rules = len(HEADER_RULES) + (len(SCHEDULE_RULES) if schedule.calls else 0)
    if as_json:
        report = {
            "ok": not violations,
            "rules": rules,
            "calls": len(schedule.calls),
            "not_verified": unverified_in(schedule),
            "violations": [violation.model_dump() for violation in violations],
        }
        click.echo(json.dumps(report, indent=2, ensure_ascii=False))
    elif violations:
        print_table(new_console(), _table(violations))
    else:
        click.echo(f"ok: {rules} rules over {len(schedule.calls)} calls checked")
        _tell_unverified(unverified_in(schedule))
    if violations:
        ctx.exit(VIOLATED)


def _tell_unverified(fields: Sequence[str]) -> None:
    """Say what the answer claims beyond what rules can show."""
    if fields:
        click.echo(f"not proven by a rule: {', '.join(fields)}")


def _table(violations: Sequence[Violation]) -> Table:
    number = len(violations)
    title = f"{number} rule{'s' if number > 1 else ''} broken"
    table = Table(title=title, title_justify="left")
    for column in ("Rule", "Where", "What"):
        table.add_column(column)
    for violation in violations:
        # Text, not str: names may hold what rich would take for markup.
        table.add_row(Text(violation.rule), Text(violation.place), Text(violation.message))
    return table
