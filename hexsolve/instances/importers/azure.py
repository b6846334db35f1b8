"""Azure LLM inference traces: one row a request, each a workflow of one call.

Format and data: https://github.com/Azure/AzurePublicDataset (AzureLLMInferenceDataset2023 and
2024, CC-BY 4.0). The trace says nothing about conversations, so every request stands alone and
shares no prefix.
"""

from pathlib import Path

from hexsolve.instances.importers.csv_rows import in_order, rows, tokens
from hexsolve.instances.importers.trace import ImportedTrace
from hexsolve.instances.reading.fields import timestamp
from hexsolve.instances.reading.limits import Limits
from hexsolve.models.workflow import Call, Workflow

COLUMNS = ("TIMESTAMP", "ContextTokens", "GeneratedTokens")


def read(path: Path, limits: Limits) -> ImportedTrace:
    """Return one workflow per row; arrivals are seconds after the first row.

    Raises
    ------
    InputError
        Wrong columns; a time that does not parse or goes back; token counts that are no
        integers, a prompt below 1 or an output below 0.
    """
    workflows: list[Workflow] = []
    start = previous = 0.0
    for place, (time, prompt, output) in rows(path, COLUMNS, limits):
        now = timestamp(time, place, COLUMNS[0])
        if not workflows:
            start = previous = now
        in_order(previous, now, time, place, COLUMNS[0])
        previous = now
        call = Call(
            prompt_tokens=tokens(prompt, place, COLUMNS[1], least=1),
            output_tokens=tokens(output, place, COLUMNS[2]),
            name="request",
        )
        workflows.append(
            Workflow(
                name=f"request-{len(workflows) + 1}",
                arrival_s=now - start,
                calls=(call,),
                workflow_class="request",
            )
        )
    notes = ("every request is a workflow of one call; the trace has no prefix information",)
    return ImportedTrace(workflows, "azure", notes, has_arrivals=True)
