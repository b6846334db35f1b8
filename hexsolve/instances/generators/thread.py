"""Building a workflow call by call, with prefixes that follow the growing context."""

from hexsolve.models.workflow import Call, Workflow


class WorkflowBuilder:
    """Calls of one workflow while it is being generated."""

    def __init__(self) -> None:
        self.calls: list[Call] = []

    def add(
        self,
        name: str,
        new: int,
        output: int,
        *,
        parents: tuple[int, ...] = (),
        tool_seconds: float = 0.0,
        continues: int = -1,
        shared: int | None = None,
    ) -> int:
        """Append a call and return its index.

        Parameters
        ----------
        name : str
            Step name.
        new, output : int
            Prompt tokens beyond the prefix, and tokens generated.
        parents : tuple of int
            Calls that must end first.
        tool_seconds : float
            Delay after the last parent, s.
        continues : int
            Call whose tokens the prompt starts with; -1 for a fresh prompt.
        shared : int, optional
            How many of its tokens; all of its prompt and output if left out.
        """
        prefix = 0
        if continues >= 0:
            origin = self.calls[continues]
            whole = origin.prompt_tokens + origin.output_tokens
            prefix = whole if shared is None else min(shared, whole)
        self.calls.append(
            Call(
                prompt_tokens=prefix + max(int(new), 0 if prefix else 1),
                output_tokens=int(output),
                parents=parents,
                tool_seconds=float(tool_seconds),
                prefix_call=continues if prefix else -1,
                prefix_tokens=prefix,
                name=name,
            )
        )
        return len(self.calls) - 1

    def workflow(self, shape: str, number: int) -> Workflow:
        """Return the finished workflow, arriving at 0."""
        return Workflow(f"{shape}-{number + 1}", 0.0, tuple(self.calls), workflow_class=shape)
