"""``hexsolve policies``: what `--policy` may be."""

import json

import click


@click.command("policies", epilog="Example: hexsolve simulate --policy llf+earliest-completion")
@click.option("--json", "as_json", is_flag=True, help="Print the list as JSON on stdout.")
def policies(as_json: bool) -> None:
    """List scheduling policies, and the orderings and placements that combine to more.

    A policy is an ordering (which call first) and a placement (on which instances): any of the
    one with any of the other is a policy, written ORDERING+PLACEMENT. docs/policies.md has the
    formulas.
    """
    from hexsolve.solver.online.registry import ORDERINGS, PLACEMENTS, PLANNED, POLICIES

    planned = "the split that the plan's flows say; needs an answer of hexsolve plan"
    if as_json:
        listed = {
            "policies": [
                {
                    "name": name,
                    "summary": entry.summary,
                    "ordering": entry.ordering,
                    "placement": entry.placement,
                    "source": entry.source,
                }
                for name, entry in POLICIES.items()
            ]
            + [
                {
                    "name": PLANNED,
                    "summary": planned,
                    "ordering": "call-fcfs",
                    "placement": None,
                    "source": "hexsolve",
                }
            ],
            "orderings": [
                {"name": name, "summary": each.summary, "source": each.source}
                for name, each in ORDERINGS.items()
            ],
            "placements": [
                {"name": name, "summary": each.summary, "source": each.source}
                for name, each in PLACEMENTS.items()
            ],
        }
        click.echo(json.dumps(listed, indent=2))
        return
    from hexsolve.cli.instance_list import add, table
    from hexsolve.cli.screen import new_console, print_table

    console = new_console()
    named = table("Policies (hexsolve simulate --policy NAME)", ("Policy", "What", "Parts"))
    for name, entry in POLICIES.items():
        parts = f"{entry.ordering}+{entry.placement}" if entry.ordering else "its own"
        add(named, name, entry.summary, parts)
    add(named, PLANNED, planned, "its own")
    print_table(console, named)
    orderings = table("Orderings", ("Ordering", "What comes first", "Source"))
    for name, each in ORDERINGS.items():
        add(orderings, name, each.summary, each.source)
    print_table(console, orderings)
    placements = table("Placements", ("Placement", "Where to", "Source"))
    for name, place in PLACEMENTS.items():
        add(placements, name, place.summary, place.source)
    print_table(console, placements)
