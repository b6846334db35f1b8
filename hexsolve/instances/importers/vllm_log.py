"""A request log of a vLLM run: token counts and arrival times, one row a request.

Columns as in the logs of LLMServingSim (https://github.com/casys-kaist/LLMServingSim, MIT);
the measured service times in further columns are not part of the workload and are ignored.
"""

from pathlib import Path

from hexsolve.instances.importers.csv_rows import in_order, number, rows, tokens
from hexsolve.instances.importers.trace import ImportedTrace
from hexsolve.instances.reading.limits import Limits
from hexsolve.models.workflow import Call, Workflow

COLUMNS = ("request_id", "input_toks", "output_toks", "arrival_s")


def read(path: Path, limits: Limits) -> ImportedTrace:
    """Return one workflow per row; arrivals as in the log.

    Raises
    ------
    InputError
        Wrong columns, token counts or times.
    """
    workflows: list[Workflow] = []
    previous = 0.0
    for place, (name, prompt, output, time) in rows(path, COLUMNS, limits):
        arrival = number(time, place, "arrival_s")
        in_order(previous, arrival, time, place, "arrival_s")
        previous = arrival
        call = Call(
            prompt_tokens=tokens(prompt, place, "input_toks", least=1),
            output_tokens=tokens(output, place, "output_toks"),
            name="request",
        )
        workflows.append(Workflow(name[:80] or "request", arrival, (call,), "request"))
    notes = ("every request is a workflow of one call; the log has no prefix information",)
    return ImportedTrace(workflows, "vllm-log", notes, has_arrivals=True)
