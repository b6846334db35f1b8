"""What a planner sees: instances, promises, proof, and why the plan is not better."""

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from hexsolve.cli.screen import new_console, print_table, seconds, seconds_range
from hexsolve.models.answer import Answer, Gain
from hexsolve.models.plan import (
    BatchCycle,
    DecodeStep,
    InstanceGroup,
    MixedStep,
    OperatingPoint,
    Plan,
    SingleCalls,
)
from hexsolve.models.problem import PlanningProblem
from hexsolve.models.status import Limit, Status

OBJECTIVE = {"cost": "US$/h", "load": "× load", "slo": "SLO scale"}

CLEAR = 1.05
"""Headroom over load from which on a plan is not at the limit of its instances."""


def show_answer(problem: PlanningProblem, answer: Answer, console: Console | None = None) -> None:
    """Print an answer for people."""
    console = console or new_console()
    if answer.plan is None:
        _show_failure(answer, console)
        return
    print_table(console, _instances(problem, answer.plan))
    print_table(console, _workflows(problem, answer.plan))
    for name, text in _facts(problem, answer, answer.plan):
        console.print(Text.assemble((f"{name:<16}", "bold"), text), soft_wrap=True)
    if answer.gains:
        print_table(console, _gains(answer))
    for text in answer.warnings:
        console.print(Text(f"Warning         {text}", style="yellow"), soft_wrap=True)
    for note in _grouped(answer.extrapolated):
        console.print(Text(f"Extrapolated    {note}", style="yellow"), soft_wrap=True)


def _grouped(notes: tuple[str, ...]) -> list[str]:
    """Return a line per engine: its first note, and how many more the answer file has."""
    engines: dict[str, list[str]] = {}
    for note in notes:
        engines.setdefault(note.partition(":")[0], []).append(note)
    return [
        first + (f"; {len(others)} more notes in the answer file" if others else "")
        for first, *others in engines.values()
    ]


def _instances(problem: PlanningProblem, plan: Plan) -> Table:
    table = Table(title=f"Plan for {problem.llm.name} on {problem.cluster.name}", box=box.SIMPLE)
    table.title_justify = "left"
    table.add_column("Role", no_wrap=True)
    table.add_column("GPU", no_wrap=True)
    for name in ("Instances", "tp", "pp", "GPUs", "US$/h"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("Runs at")
    for group in plan.groups:
        cost = group.gpus * problem.price_per_hour(group.gpu)
        table.add_row(
            group.role,
            Text(group.gpu),
            str(group.count),
            str(group.tp),
            str(group.pp),
            str(group.gpus),
            f"{cost:,.2f}",
            _point(group.operating_point),
        )
    return table


def _point(point: OperatingPoint) -> str:
    match point:
        case SingleCalls():
            return f"one call at a time, mean wait {seconds(point.wait_s)}"
        case BatchCycle():
            return f"batches of {seconds(point.cycle_s)}, mean wait {seconds(point.wait_s)} more"
        case DecodeStep():
            return f"{seconds(point.step_s)} per token"
        case MixedStep():
            share = f"{point.prefill_share:.0%} of the time on prefill"
            return f"{seconds(point.step_s)} per token, {share}"


def _workflows(problem: PlanningProblem, plan: Plan) -> Table:
    table = Table(title="Mean latency of each workflow class", box=box.SIMPLE)
    table.title_justify = "left"
    table.add_column("Class", no_wrap=True)
    for name in ("Per s", "Alone", "Promised", "Scale", "Wait", "Per token"):
        table.add_column(name, justify="right", no_wrap=True)
    for workflow in problem.workload.classes:
        latency, horizon = plan.latency_s[workflow.name], plan.horizon_s[workflow.name]
        groups = [
            group
            for group in plan.groups
            if any(flow.workflow == workflow.name for flow in group.flows)
        ]
        table.add_row(
            Text(workflow.name),
            f"{workflow.rate_per_s * plan.load:.3g}",
            seconds(horizon),
            seconds(latency),
            f"{latency / horizon:.2f}",
            _waits(problem, groups),
            _steps(groups),
        )
    return table


def _waits(problem: PlanningProblem, groups: list[InstanceGroup]) -> str:
    """Return the range of queueing delays before prefill that the class may meet."""
    waits = []
    for group in groups:
        match group.operating_point:
            case SingleCalls() | MixedStep():
                waits.append(group.operating_point.wait_s)
            case BatchCycle():
                point = group.operating_point
                waits.append(problem.workload.burstiness * point.cycle_s / 2.0 + point.wait_s)
    return _range(waits)


def _steps(groups: list[InstanceGroup]) -> str:
    return _range(
        [
            group.operating_point.step_s
            for group in groups
            if isinstance(group.operating_point, DecodeStep | MixedStep)
        ]
    )


def _range(values: list[float]) -> str:
    if not values:
        return "–"
    return seconds_range(min(values), max(values))


def _facts(problem: PlanningProblem, answer: Answer, plan: Plan) -> list[tuple[str, str]]:
    used = sum(group.gpus for group in plan.groups)
    facts = [
        ("Load", f"{plan.load:.4g} × the stated rates"),
        ("Cost", f"{plan.cost_per_hour:,.2f} US$/h for {used:,} of {problem.cluster.gpus:,} GPUs"),
        ("SLO scale", _scale(problem, answer, plan)),
        ("Proof", _proof(answer)),
    ]
    if answer.bottleneck:
        facts.append(("Why not better", answer.bottleneck))
    if answer.load_headroom is not None and answer.objective_kind != "load":
        text = f"these instances could carry {answer.load_headroom:.3g} × load"
        if answer.load_headroom > CLEAR * plan.load:
            text += "; only from there on are they limited as said above"
        facts.append(("Headroom", text))
    facts.append(("Disaggregate", _roles(plan)))
    return facts


def _scale(problem: PlanningProblem, answer: Answer, plan: Plan) -> str:
    text = f"{plan.slo_scale:.3f} (mean workflow latency over its time alone on the cluster)"
    if problem.slo_scale is not None and answer.objective_kind != "slo":
        text += f", allowed {problem.slo_scale:g}"
    return text


def _proof(answer: Answer) -> str:
    assert answer.objective is not None
    unit = OBJECTIVE[answer.objective_kind]
    word = "carries more than" if answer.objective_kind == "load" else "gets below"
    text = f"{answer.status.value}: {answer.objective:.6g} {unit}"
    if answer.bound is not None and answer.gap is not None:
        text += f"; no plan on the grid {word} {answer.bound:.6g}; gap {answer.gap:.3%}"
    if answer.limit is not Limit.NONE:
        text += f" (stopped {_stop(answer.limit)})"
    return f"{text}; {answer.solver}, {answer.runtime_s:.1f} s"


def _stop(limit: Limit) -> str:
    return "by Ctrl-C" if limit is Limit.INTERRUPT else f"at the {limit.value} limit"


def _roles(plan: Plan) -> str:
    roles = {group.role for group in plan.groups}
    if not roles:
        return "no instance at all: nothing is served"
    if roles == {"mixed"}:
        return "no: both phases run best on the same instances here"
    if "mixed" in roles:
        return "partly: see the roles above"
    return "yes: prefill and decode on separate instances"


def _gains(answer: Answer) -> Table:
    exact = all(gain.exact for gain in answer.gains)
    how = "solved again" if exact else "from dual prices; --what-if solves again"
    table = Table(title="What more hardware would bring", caption=how, box=box.SIMPLE)
    table.caption_justify = "left"
    table.title_justify = "left"
    table.add_column("GPU", no_wrap=True)
    table.add_column("one GPU more", justify="right")
    table.add_column("one node more", justify="right")
    for gain in answer.gains:
        table.add_row(
            Text(gain.gpu),
            _gain(answer.objective_kind, gain.one_gpu, gain),
            _gain(answer.objective_kind, gain.one_node, gain),
        )
    return table


def _gain(kind: str, value: float | None, gain: Gain) -> str:
    if value is None:
        return "not known in time"
    if value < 5e-5:
        return "nothing"
    about = "" if gain.exact else "about "
    return {
        "load": f"{about}+{value:.3g} × load",
        "cost": f"{about}−{value:,.2f} US$/h",
        "slo": f"{about}−{value:.3g} SLO scale",
    }[kind]


def _show_failure(answer: Answer, console: Console) -> None:
    if answer.status is not Status.INFEASIBLE:
        console.print(Text(f"{answer.status.value}: {answer.bottleneck}"), soft_wrap=True)
        if answer.bound is not None:
            unit = OBJECTIVE[answer.objective_kind]
            console.print(f"no plan on the grid can be better than {answer.bound:.6g} {unit}")
        console.print("try a longer --time-limit or a wider --gap")
        return
    console.print(Text(f"infeasible: {answer.bottleneck}"), soft_wrap=True)
    console.print(
        f"proven for a grid of operating points (--grid {answer.parameters['grid']}); see "
        "docs/planning-model.md",
        style="dim",
    )
    if answer.changes:
        console.print("Each of these alone would make it feasible:")
    # The fewest GPUs of any types may be those of one type.
    for text in dict.fromkeys(change.text for change in answer.changes):
        console.print(Text(f"  • {text}"), soft_wrap=True)
