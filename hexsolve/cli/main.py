"""The `hexsolve` command: commands are loaded when used, errors end in one line."""

import importlib
import os
import sys
from collections.abc import Sequence

import click

from hexsolve import __version__, native
from hexsolve.models.errors import HexsolveError, InputError, UnsupportedError

BAD_INPUT = 2
INTERNAL_ERROR = 70

# name → (module, attribute, line in the overview)
_COMMANDS = {
    "calibrate": ("hexsolve.cli.calibrate", "calibrate", "Fit or test the latency model."),
    "check": ("hexsolve.cli.check", "check", "Verify an answer independently of the solver."),
    "compare": ("hexsolve.cli.compare", "compare", "Compare policies in a study."),
    "instance": ("hexsolve.cli.instance", "instance", "Make, import, show or validate instances."),
    "optimum": ("hexsolve.cli.optimum", "optimum", "Find and prove the best schedule."),
    "pareto": ("hexsolve.cli.pareto", "pareto", "Show what a tighter SLO scale costs."),
    "plan": ("hexsolve.cli.plan", "plan", "Plan prefill, decode and mixed instances."),
    "policies": ("hexsolve.cli.policies", "policies", "List scheduling policies."),
    "simulate": ("hexsolve.cli.simulate", "simulate", "Run workflows on a planned cluster."),
}


class _LazyGroup(click.Group):
    """Imports a command only when it runs: `--help` stays instant, solvers load on demand."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 (click's signature)
        return sorted(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in _COMMANDS:
            return None
        module, attribute, _ = _COMMANDS[cmd_name]
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """List the commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, _, text) in sorted(_COMMANDS.items())])


def _show_version(context: click.Context, _: click.Parameter, wanted: bool) -> None:
    if wanted:
        click.echo(f"hexsolve, version {__version__}\nsimulator: {native.state()}")
        context.exit()


@click.group(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_show_version,
    help="Show the version, and whether the simulator is compiled.",
)
def cli() -> None:
    """Proven plans and schedules for LLM agents on mixed GPU clusters.

    \b
    Start here:
      hexsolve plan                      plan the embedded example
      hexsolve instance generate chat    write an instance to edit
      hexsolve plan my.yaml              plan your own
    """  # noqa: D301 (\b is click's mark for lines to keep)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line.

    Exits 0 done, also where the reader of a pipe is gone; 2 bad input; 3 infeasible; 4 nothing
    found in time; 70 a defect; 130 given up by Ctrl-C.
    """
    try:
        result = cli.main(args=arguments, prog_name="hexsolve", standalone_mode=False)
        sys.exit(result if isinstance(result, int) else 0)
    except click.ClickException as error:
        error.show()
        sys.exit(BAD_INPUT)
    except click.Abort:
        click.echo("interrupted", err=True)
        sys.exit(130)
    except (InputError, UnsupportedError) as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(BAD_INPUT)
    except BrokenPipeError:
        # the reader of our output is gone, as with `| head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except (OSError, MemoryError) as error:
        # whoever knew the file has named it; this is stdout on a full disk, or the like
        reason = getattr(error, "strerror", None) or "not enough memory"
        click.echo(f"error: cannot go on: {reason}", err=True)
        sys.exit(BAD_INPUT)
    except HexsolveError as error:
        click.echo(f"error: {error}\nThis is a bug in hexsolve, please report it.", err=True)
        sys.exit(INTERNAL_ERROR)


if __name__ == "__main__":
    main()
