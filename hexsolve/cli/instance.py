"""``hexsolve instance``: make, import, show and validate the files that are planned."""

import json
from pathlib import Path

import click

from hexsolve.cli.instance_freeze import freeze
from hexsolve.cli.instance_generate import generate
from hexsolve.cli.instance_import import import_trace
from hexsolve.models.errors import InputError

INVALID = 2


@click.group("instance", epilog="Example: hexsolve instance generate coding-agent -o my.yaml")
def instance() -> None:
    """Make, import, show and validate the files that `hexsolve plan` and `optimum` read."""


instance.add_command(freeze)
instance.add_command(generate)
instance.add_command(import_trace)


@instance.command("list", epilog="Example: hexsolve instance list --json")
@click.option("--benchmark", is_flag=True, help="List the stored benchmark instead.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON on stdout.")
def list_names(benchmark: bool, as_json: bool) -> None:
    """List what an instance can name: shapes, workflow classes, LLMs, GPU types, clusters.

    With --benchmark, the stored scheduling instances, which `hexsolve optimum`, `hexsolve
    simulate` and studies take by name.
    """
    from hexsolve.cli.instance_list import catalog_data, show_catalog

    if benchmark:
        from hexsolve.cli.benchmark_list import benchmark_data, show_benchmark

        data = benchmark_data()
        if as_json:
            click.echo(json.dumps(data, indent=2, ensure_ascii=False))
        else:
            show_benchmark(data)
    elif as_json:
        click.echo(json.dumps(catalog_data(), indent=2, ensure_ascii=False))
    else:
        show_catalog()


@instance.command("show", epilog="Example: hexsolve instance show my.yaml")
@click.argument("file", metavar="[INSTANCE]", required=False, type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print the resolved problem as JSON.")
def show(file: Path | None, as_json: bool) -> None:
    """Show cluster, LLM, engines that fit and workload; left out, of the default instance."""
    from hexsolve.cli.instance_show import show_problem
    from hexsolve.instances.resolve import load_problem

    problem = load_problem(file)
    if as_json:
        click.echo(problem.model_dump_json(indent=2))
    else:
        show_problem(problem)


@instance.command("validate", epilog="Example: hexsolve instance validate a.yaml b.yaml")
@click.argument("files", metavar="INSTANCE...", nargs=-1, type=click.Path(path_type=Path))
@click.option("--schema", is_flag=True, help="Print the JSON Schema of instance files.")
@click.pass_context
def validate(ctx: click.Context, files: tuple[Path, ...], schema: bool) -> None:
    """Check files: ok, or the first mistake of each with what is allowed (exit code 2)."""
    from hexsolve.instances.resolve import load_problem
    from hexsolve.instances.schema import Instance

    if schema:
        click.echo(json.dumps(Instance.model_json_schema(), indent=2, ensure_ascii=False))
    elif not files:
        raise click.UsageError("give at least one file, or --schema")
    wrong = 0
    for file in files:
        try:
            problem = load_problem(file)
        except InputError as error:
            wrong += 1
            click.echo(f"error: {error}", err=True)
        else:
            click.echo(
                f"{file}: ok, {problem.llm.name} on {problem.cluster.gpus:,} GPUs, "
                f"{len(problem.workload.classes)} workflow classes, {len(problem.engines)} engines"
            )
    if wrong:
        ctx.exit(INVALID)
