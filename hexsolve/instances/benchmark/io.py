"""Scheduling instances as JSON: engines once, a line per instance and per workflow.

A call is a list in the order of `CALL_FIELDS`, its name an index into ``call_names``. An engine
holds its coefficients in full, so that a file never changes with the catalog.
"""

import json
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError

from hexsolve.instances.files import parse_data, read_text
from hexsolve.instances.reading.fields import SECONDS_LIMIT, TOKEN_LIMIT
from hexsolve.instances.validation import input_error, validated
from hexsolve.models.base import Record
from hexsolve.models.errors import InputError, allowed
from hexsolve.models.hardware import Name
from hexsolve.models.latency import EnginePerformance
from hexsolve.models.scheduling import SchedulingInstance
from hexsolve.models.workflow import Call, Workflow

SCHEMA_VERSION = 1
SUFFIX = ".json"
CALL_FIELDS = (
    "prompt_tokens", "output_tokens", "parents", "tool_seconds", "prefix_call", "prefix_tokens",
    "name",
)  # fmt: skip

_Tokens = Annotated[int, Field(ge=0, le=TOKEN_LIMIT, strict=True)]
_Index = Annotated[int, Field(ge=0, strict=True)]
_Seconds = Annotated[float, Field(ge=0.0, le=SECONDS_LIMIT)]
_Origin = Annotated[int, Field(ge=-1, strict=True)]
_Call = tuple[_Tokens, _Tokens, tuple[_Index, ...], _Seconds, _Origin, _Tokens, _Index]


class _Workflow(Record):
    name: str = Field(max_length=200)
    arrival_s: _Seconds
    workflow_class: str = Field(default="workflow", max_length=200)
    prefix_group: str = Field(default="", max_length=200)
    metadata: dict[str, str] = Field(default_factory=dict)
    calls: tuple[_Call, ...] = Field(min_length=1)


class _File(Record):
    schema_version: Literal[1]
    name: Name
    description: str = ""
    shape: str = ""
    load: str = ""
    llm: str = ""
    engines: dict[str, EnginePerformance] = Field(min_length=1)
    cluster: dict[str, Any]
    instances: tuple[dict[str, Any], ...] = Field(min_length=1)
    call_fields: tuple[str, ...]
    call_names: tuple[str, ...]
    workflows: tuple[_Workflow, ...] = Field(min_length=1)


def data_folder() -> Path:
    """Return the folder of the instances that ship."""
    return Path(str(resources.files("hexsolve.instances.benchmark"))) / "data"


@lru_cache(maxsize=1)
def benchmark_names() -> tuple[str, ...]:
    """Return the names of the instances that ship, sorted."""
    return tuple(sorted(path.stem for path in data_folder().glob(f"*{SUFFIX}")))


def load_scheduling_instance(name_or_path: str | Path) -> SchedulingInstance:
    """Return an instance that ships by its name, or that of a file.

    Raises
    ------
    InputError
        There is neither, or the file is not a sound instance; names file, field and value.
    """
    text = str(name_or_path)
    if text in benchmark_names():
        return read_scheduling_instance(data_folder() / (text + SUFFIX))
    path = Path(name_or_path)
    if not path.exists() and path.suffix.lower() != SUFFIX:
        raise InputError(
            f"is no scheduling instance; allowed: a JSON file, or one of "
            f"{allowed(benchmark_names(), 3)}; `hexsolve instance list --benchmark` shows them",
            source=text,
        )
    return read_scheduling_instance(path)


def read_scheduling_instance(path: Path) -> SchedulingInstance:
    """Return the instance of a file; raises as `load_scheduling_instance`."""
    source = str(path)
    return parse_scheduling_instance(read_text(path), source)


def parse_scheduling_instance(text: str, source: str) -> SchedulingInstance:
    """Return the instance of a JSON text; `source` names it in messages.

    Raises
    ------
    InputError
        The text is not a sound instance; names field and value.
    """
    file = validated(_File, parse_data(text, source, is_json=True), source)
    if file.call_fields != CALL_FIELDS:
        raise InputError(
            f"is {list(file.call_fields)}; allowed: {list(CALL_FIELDS)}",
            source=source,
            field="call_fields",
        )
    data = {
        "name": file.name,
        "description": file.description,
        "shape": file.shape,
        "load": file.load,
        "llm": file.llm,
        "cluster": {**file.cluster, "instances": _instances(file, source)},
        "workflows": [_workflow(file, index, source) for index in range(len(file.workflows))],
    }
    try:
        return SchedulingInstance.model_validate(data)
    except ValidationError as error:
        raise input_error(error, data, source, SchedulingInstance) from None
    except InputError as error:
        raise error.at(source) from None


def _instances(file: _File, source: str) -> list[dict[str, Any]]:
    made = []
    for index, stated in enumerate(file.instances):
        engine = stated.get("engine")
        if not isinstance(engine, str) or engine not in file.engines:
            raise InputError(
                f"is {engine!r}; allowed: {allowed(file.engines)}",
                source=source,
                field=f"instances[{index}].engine",
            )
        rest = {name: value for name, value in stated.items() if name != "engine"}
        made.append({**rest, "performance": file.engines[engine]})
    return made


def _workflow(file: _File, index: int, source: str) -> Workflow:
    stated = file.workflows[index]
    for number, call in enumerate(stated.calls):
        if call[6] >= len(file.call_names):
            raise InputError(
                f"has the name {call[6]}; allowed: 0…{len(file.call_names) - 1}, an index into "
                "call_names",
                source=source,
                field=f"workflows[{index}].calls[{number}]",
            )
    return Workflow(
        name=stated.name,
        arrival_s=stated.arrival_s,
        calls=tuple(Call(*call[:6], file.call_names[call[6]]) for call in stated.calls),
        workflow_class=stated.workflow_class,
        prefix_group=stated.prefix_group,
        metadata=stated.metadata,
    )


def scheduling_instance_text(instance: SchedulingInstance) -> str:
    """Return the file of an instance; equal instances give equal bytes."""
    engines: dict[str, EnginePerformance] = {}
    instances = []
    for each in instance.cluster.instances:
        performance = each.performance
        name = f"{performance.llm}/{performance.gpu}/tp{performance.tp}"
        name += f"/pp{performance.pp}" if performance.pp > 1 else ""
        # Two engines of one name and different coefficients stay apart.
        while engines.setdefault(name, performance) != performance:
            name += "'"
        fields = each.model_dump(mode="json", exclude_defaults=True, exclude={"performance"})
        instances.append({**fields, "engine": name})
    names: dict[str, int] = {}
    for workflow in instance.workflows:
        for call in workflow.calls:
            names.setdefault(call.name, len(names))
    cluster = instance.cluster.model_dump(mode="json", exclude_defaults=True, exclude={"instances"})
    labels = ("name", "description", "shape", "load", "llm")
    parts = [f'"schema_version": {SCHEMA_VERSION}']
    parts += [f'"{label}": {_compact(getattr(instance, label))}' for label in labels]
    parts.append(f'"cluster": {_compact(cluster)}')
    parts.append(
        '"engines": {\n'
        + ",\n".join(
            f"{_compact(name)}: {_compact(engine.model_dump(mode='json', exclude_defaults=True))}"
            for name, engine in engines.items()
        )
        + "\n}"
    )
    parts.append(f'"instances": {_lines(instances)}')
    parts.append(f'"call_fields": {_compact(list(CALL_FIELDS))}')
    parts.append(f'"call_names": {_compact(list(names))}')
    parts.append(f'"workflows": {_lines([_stated(w, names) for w in instance.workflows])}')
    return "{\n" + ",\n".join(parts) + "\n}\n"


def _stated(workflow: Workflow, names: dict[str, int]) -> dict[str, Any]:
    stated: dict[str, Any] = {"name": workflow.name, "arrival_s": workflow.arrival_s}
    for field, default in (("workflow_class", "workflow"), ("prefix_group", ""), ("metadata", {})):
        if getattr(workflow, field) != default:
            stated[field] = getattr(workflow, field)
    stated["calls"] = [
        [call.prompt_tokens, call.output_tokens, list(call.parents), call.tool_seconds,
         call.prefix_call, call.prefix_tokens, names[call.name]]
        for call in workflow.calls
    ]  # fmt: skip
    return stated


def _compact(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def _lines(values: list[Any]) -> str:
    return "[\n" + ",\n".join(_compact(value) for value in values) + "\n]"
