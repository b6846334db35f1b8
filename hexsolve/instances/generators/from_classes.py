"""Workflows from planning classes: what a plan was made for, made concrete."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.random import Generator

from hexsolve.models.workflow import Call, Workflow
from hexsolve.models.workload import CallClass, WorkflowClass


def generate_from_class(
    workflow_class: WorkflowClass, count: int, rng: Generator
) -> list[Workflow]:
    """Return `count` workflows of a planning class that arrive at 0.

    Repetitions and siblings are whole numbers with the class's means. New tokens are lognormal with
    its coefficient of variation, output tokens the mean. Cached tokens are the shared text of
    the class (one prefix group), so that they are found wherever a call of it ran before.
    """
    return [_workflow(workflow_class, number, rng) for number in range(count)]


def draw_workflows(classes: Sequence[WorkflowClass], count: int, rng: Generator) -> list[Workflow]:
    """Return `count` workflows of several classes in the proportion of their rates."""
    rates = np.array([each.rate_per_s for each in classes])
    picks = rng.choice(len(classes), size=count, p=rates / rates.sum())
    pools = [
        generate_from_class(each, int((picks == index).sum()), rng)
        for index, each in enumerate(classes)
    ]
    return [pools[index].pop() for index in picks.tolist()]


def _workflow(workflow_class: WorkflowClass, number: int, rng: Generator) -> Workflow:
    calls: list[Call] = []
    last: dict[str, tuple[int, ...]] = {}
    done: set[str] = set()
    waiting = list(workflow_class.calls)
    while waiting:
        step = next(call for call in waiting if done.issuperset(call.after))
        waiting.remove(step)
        parents = tuple(sorted({p for name in step.after for p in last[name]}))
        for _ in range(_whole(step.repeat, rng)):
            first = len(calls)
            calls += [_call(step, parents, rng) for _ in range(_whole(step.parallel, rng))]
            parents = tuple(range(first, len(calls))) or parents
        last[step.name] = parents
        done.add(step.name)
    if not calls:
        calls = [_call(workflow_class.calls[0], (), rng)]
    return Workflow(
        f"{workflow_class.name}-{number}",
        0.0,
        tuple(calls),
        workflow_class.name,
        workflow_class.name,
    )


def _whole(mean: float, rng: Generator) -> int:
    """Return one of the two whole numbers around `mean`, on average `mean`."""
    floor = math.floor(mean)
    return floor + int(rng.random() < mean - floor)


def _call(step: CallClass, parents: Sequence[int], rng: Generator) -> Call:
    new = step.new_tokens
    if step.new_tokens_cv:
        variance = math.log1p(step.new_tokens_cv**2)
        new *= math.exp(rng.normal(-variance / 2.0, math.sqrt(variance)))
    cached = round(step.cached_tokens)
    return Call(
        prompt_tokens=cached + max(1, round(new)),
        output_tokens=max(1, round(step.output_tokens)),
        parents=tuple(parents),
        tool_seconds=step.tool_seconds,
        prefix_tokens=cached,
        name=step.name,
    )
