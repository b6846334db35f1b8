"""How well a model is predicted that the roofline has never seen."""

from collections.abc import Callable, Sequence

from hexsolve.instances.calibration.evaluate import Evaluation, evaluate, merged
from hexsolve.instances.calibration.roofline import default_efficiency, fit_efficiencies
from hexsolve.instances.calibration.table import Row
from hexsolve.instances.catalog import Catalog
from hexsolve.models.errors import InputError, allowed


def leave_models_out(
    rows: Sequence[Row],
    catalog: Catalog,
    names: Sequence[str],
    progress: Callable[[str], None] = lambda _: None,
) -> Evaluation:
    """Refit the roofline to the rows of all other models, then predict the named ones.

    Every named model is left out alone; nothing fitted that ships is used, neither coefficients
    nor efficiencies. A GPU type that only the left-out model uses keeps its starting values.

    Raises
    ------
    InputError
        A name is not among the models of the table, or no other model is left to fit to.
    """
    present = list(dict.fromkeys(row.llm for row in rows))
    chosen = present if list(names) == ["all"] else [_present(catalog, n, present) for n in names]
    if len(present) < 2:
        raise InputError(
            f"the table holds one model only ({present[0]}); allowed: tables of two or more",
            field="--leave-out",
        )
    results = []
    for name in chosen:
        others = [row for row in rows if row.llm != name]
        fitted = fit_efficiencies(others, catalog, f"without {name}", progress=progress)
        seen = {item.gpu for item in fitted}
        unseen = [
            default_efficiency(catalog.gpus[gpu])
            for gpu in dict.fromkeys(row.gpu for row in rows)
            if gpu not in seen
        ]
        blind = catalog.without_coefficients().extended(efficiencies=[*fitted, *unseen])
        results.append(evaluate([row for row in rows if row.llm == name], blind))
    return merged(results)


def _present(catalog: Catalog, name: str, present: Sequence[str]) -> str:
    found = catalog.llm_names.find(name)
    if found is None or found not in present:
        raise InputError(
            f"{name!r} is not in the table; allowed: {allowed([*present, 'all'])}",
            field="--leave-out",
        )
    return found
