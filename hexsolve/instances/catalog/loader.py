"""The catalog: GPUs, LLMs, clusters, coefficients and efficiencies that ship, plus the user's."""

from collections.abc import Iterable
from functools import cached_property, lru_cache
from importlib.resources import files
from pathlib import Path

import yaml
from pydantic import Field

from hexsolve.instances.catalog.names import Names
from hexsolve.instances.files import read_data
from hexsolve.instances.validation import validated
from hexsolve.models.base import Record
from hexsolve.models.errors import InputError
from hexsolve.models.fitted import FittedCoefficients
from hexsolve.models.hardware import GPU, Cluster
from hexsolve.models.llm import LLM
from hexsolve.models.memory import MemoryModel
from hexsolve.models.roofline import GPUEfficiency

# The C loader is about ten times as fast; it is absent where PyYAML was built without libyaml.
_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class CatalogFile(Record):
    """What a catalog file may hold; every section may be left out."""

    about: str = ""
    gpus: tuple[GPU, ...] = ()
    llms: tuple[LLM, ...] = ()
    clusters: tuple[Cluster, ...] = ()
    coefficients: tuple[FittedCoefficients, ...] = ()
    efficiencies: tuple[GPUEfficiency, ...] = ()
    memory: tuple[MemoryModel, ...] = ()


class Catalog(Record):
    """Everything that can be referred to by name.

    `coefficients` are fitted to tables of a certain (LLM, GPU, tp); `efficiencies` feed the
    roofline for all other combinations. Later entries replace earlier ones of the same name.
    """

    gpus: dict[str, GPU] = Field(default_factory=dict)
    llms: dict[str, LLM] = Field(default_factory=dict)
    clusters: dict[str, Cluster] = Field(default_factory=dict)
    coefficients: dict[tuple[str, str, int], FittedCoefficients] = Field(default_factory=dict)
    efficiencies: dict[str, GPUEfficiency] = Field(default_factory=dict)
    memory: dict[str, MemoryModel] = Field(default_factory=dict)

    def extended(
        self,
        *,
        gpus: Iterable[GPU] = (),
        llms: Iterable[LLM] = (),
        clusters: Iterable[Cluster] = (),
        coefficients: Iterable[FittedCoefficients] = (),
        efficiencies: Iterable[GPUEfficiency] = (),
        memory: Iterable[MemoryModel] = (),
    ) -> "Catalog":
        """Return a catalog with further entries; they replace those of the same name.

        An LLM or GPU that is redefined loses the coefficients fitted to the one it replaces.
        """
        gpus, llms = list(gpus), list(llms)
        redefined_llms = [llm.name for llm in llms if self.llms.get(llm.name, llm) != llm]
        redefined_gpus = [
            gpu.name
            for gpu in gpus
            if gpu.name in self.gpus and _performance(gpu) != _performance(self.gpus[gpu.name])
        ]
        kept = {
            name: item
            for name, item in self.coefficients.items()
            if item.llm not in redefined_llms and item.gpu not in redefined_gpus
        }
        extended = Catalog(
            gpus=self.gpus | {gpu.name: gpu for gpu in gpus},
            llms=self.llms | {llm.name: llm for llm in llms},
            clusters=self.clusters | {cluster.name: cluster for cluster in clusters},
            efficiencies=self.efficiencies | {item.gpu: item for item in efficiencies},
            memory=self.memory | {item.gpu: item for item in memory},
        )
        own = {
            (named.llm, named.gpu, named.tp): named
            for item in coefficients
            for named in [extended._with_canonical_names(item)]
        }
        return extended.model_copy(update={"coefficients": kept | own})

    def without_coefficients(self) -> "Catalog":
        """Return a catalog whose every step time comes from the roofline."""
        return self.model_copy(update={"coefficients": {}})

    def _with_canonical_names(self, item: FittedCoefficients) -> FittedCoefficients:
        return item.model_copy(
            update={
                "llm": self.llm_names.resolve(item.llm, field="coefficients.llm"),
                "gpu": self.gpu_names.resolve(item.gpu, field="coefficients.gpu"),
            }
        )

    def extended_from(self, path: Path) -> "Catalog":
        """Return a catalog with the entries of a YAML file.

        The file has the sections of `CatalogFile`, each a list.

        Raises
        ------
        InputError
            The file cannot be read, or an entry is wrong or refers to an unknown name.
        """
        try:
            return self._with(validated(CatalogFile, read_data(path), str(path)))
        except InputError as error:
            raise error if error.source else error.at(str(path)) from None

    def _with(self, file: CatalogFile) -> "Catalog":
        return self.extended(
            gpus=file.gpus,
            llms=file.llms,
            clusters=file.clusters,
            coefficients=file.coefficients,
            efficiencies=file.efficiencies,
            memory=file.memory,
        )

    @cached_property
    def gpu_names(self) -> Names:
        """GPU types by name or alias."""
        return Names("GPU type", [(gpu.name, gpu.aliases) for gpu in self.gpus.values()])

    @cached_property
    def llm_names(self) -> Names:
        """LLMs by name or alias."""
        return Names("LLM", [(llm.name, llm.aliases) for llm in self.llms.values()])

    @cached_property
    def cluster_names(self) -> Names:
        """Clusters by name."""
        return Names("cluster", [(name, ()) for name in self.clusters])

    def gpu(self, name: str, *, source: str | None = None, field: str | None = None) -> GPU:
        """Return a GPU type by name or alias; `InputError` lists what exists."""
        return self.gpus[self.gpu_names.resolve(name, source=source, field=field)]

    def llm(self, name: str, *, source: str | None = None, field: str | None = None) -> LLM:
        """Return an LLM by name or alias; `InputError` lists what exists."""
        return self.llms[self.llm_names.resolve(name, source=source, field=field)]

    def cluster(self, name: str, *, source: str | None = None, field: str | None = None) -> Cluster:
        """Return a cluster by name; `InputError` lists what exists."""
        return self.clusters[self.cluster_names.resolve(name, source=source, field=field)]


def _performance(gpu: GPU) -> GPU:
    return gpu.model_copy(
        update={
            "price_per_hour": 0.0,
            "price_source": "",
            "source": "",
            "as_of": None,
            "aliases": (),
            "nic_gb_s": 1.0,
            "tdp_watts": None,
        }
    )


@lru_cache(maxsize=1)
def load_catalog() -> Catalog:
    """Return the catalog that ships with the package; read once per process."""
    catalog = Catalog()
    folder = files("hexsolve.instances.catalog")
    for name in ("gpus", "llms", "clusters", "memory", "efficiencies", "coefficients"):
        text = folder.joinpath(f"{name}.yaml").read_text(encoding="utf-8")
        data = yaml.load(text, Loader=_Loader)
        catalog = catalog._with(CatalogFile.model_validate(data))
    return catalog
