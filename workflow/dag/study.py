"""A study of a run: its files, its models and sets, and what its rules ask of them.

A study with needs of its own states them in `workflow/dag/<study>.py`, as `class Plan(Study)`.
"""

import functools
import importlib
import importlib.util
import json
from collections.abc import Iterable

from . import estimate
from .code import closure, module_file
from .config import BASE

# Keys of a model that say where and how long it runs and how it is drawn: no reason to train again.
NOT_SCIENCE = {"seeds", "gpus", "threads", "runtime", "mem_mb", "readers"}
NOT_SCIENCE |= {"label", "about", "colour", "marker"}


def as_json(**sections) -> str:
    """Science parameters as one JSON text, the `--config` of a script."""
    return json.dumps(sections, sort_keys=True)


def pick(section: dict, *keys: str) -> dict:
    """These keys of a section: a rule runs again where one that it reads has changed."""
    return {key: section[key] for key in keys}


class Files:
    """Names of the files below a study's folder; wildcards in braces stay as they are."""

    def __init__(self, folder: str):
        self.folder = folder

    def path(self, *parts: str) -> str:
        return "/".join([self.folder, *parts])

    def log(self, rule: str, *parts: str) -> str:
        return self.path("logs", rule, *parts) + ".log"

    def benchmark(self, rule: str, *parts: str) -> str:
        return self.path("benchmarks", rule, *parts) + ".tsv"

    def patches(self, name: str) -> str:
        """The patches of set `name`."""
        return self.path("sets", name, "patches.nc")

    def training(self, model: str, seed: int | str, file: str) -> str:
        return self.path("models", model, f"seed{seed}", file)

    def checkpoint(self, model: str, seed: int | str) -> str:
        return self.training(model, seed, "best.ckpt")

    def test(self, model: str, seed: int | str, file: str) -> str:
        return self.path("test", model, f"seed{seed}", file)

    def figures(self, name: str, subjects: Iterable[str]) -> list[str]:
        """A figure of each subject: a set, a model."""
        return [self.path("figures", f"{name}_{subject}.png") for subject in subjects]


class Study(Files):
    """The study `name` with its completed config; `run` is the config of the whole run."""

    def __init__(self, name: str, settings: dict, run: dict):
        super().__init__(f"{run['paths']['results']}/{run['run']}/{name}")
        self.name, self.settings = name, settings
        self.resources = f"{run['paths']['resources']}/raw/{name}"
        self.check()

    def __getitem__(self, section: str):
        return self.settings[section]

    def check(self) -> None:
        """Refuse what a schema cannot: of a `Plan`."""

    # --- models and sets --------------------------------------------------------------------------

    def entry(self, model: str) -> dict:
        return self["models"][model]

    def science(self, model: str) -> dict:
        """A model's entry without what is no reason to train it again."""
        return {k: v for k, v in self.entry(model).items() if k not in NOT_SCIENCE}

    def seeds(self, model: str) -> list[int]:
        """The model's own seeds, or the study's; a baseline has no random start and runs once."""
        entry = self.entry(model)
        seeds = entry.get("seeds") or self["seeds"]
        return seeds if entry["kind"] == "network" else seeds[:1]

    def models(self, name: str | None = None, kind: str | None = None) -> list[str]:
        """The models of this run: of set `name`, networks or baselines, where one is stated."""
        return [
            model
            for model in self["run_models"]
            if name in (None, self.entry(model)["set"])
            and kind in (None, self.entry(model)["kind"])
        ]

    @functools.cached_property
    def sets(self) -> list[str]:
        """The sets that the models of this run use."""
        return sorted({self.entry(model)["set"] for model in self["run_models"]})

    # --- files of several trainings ---------------------------------------------------------------

    def runs(self, models: Iterable[str] | None = None, first: bool = False):
        """(model, seed) of each training, or of each model's first seed; None: all models."""
        models = self.models() if models is None else models
        return [(m, seed) for m in models for seed in self.seeds(m)[: 1 if first else None]]

    def trainings(self, file: str, models=None, first=False) -> list[str]:
        return [self.training(m, seed, file) for m, seed in self.runs(models, first)]

    def checkpoints(self, models=None, first=False) -> list[str]:
        return self.trainings("best.ckpt", models, first)

    def tests(self, file: str, models=None, first=False) -> list[str]:
        return [self.test(m, seed, file) for m, seed in self.runs(models, first)]

    # --- inputs of a training ---------------------------------------------------------------------

    def code(self, script: str, model: str, *modules: str) -> list[str]:
        """Code of a script that imports by name the examples, the model, these modules."""
        entry = self.entry(model)
        learner = f"models/{entry['module']}" if entry["kind"] == "network" else "baselines"
        names = (learner, "data/examples", *modules)
        return closure(script, *(module_file(f"skyloom/{self.name}/{name}") for name in names))

    def training_set(self, model: str) -> list[str]:
        """The files that a model learns from."""
        return [self.patches(self.entry(model)["set"])]

    def start(self, model: str, seed: int) -> list[str]:
        """The checkpoint that a model starts from: of its own seed, or of the other's first."""
        start = self.entry(model).get("start")
        seeds = self.seeds(start) if start else []
        return [self.checkpoint(start, seed if seed in seeds else seeds[0])] if start else []

    # --- estimate ---------------------------------------------------------------------------------

    def training_examples(self, model: str) -> int | None:
        """Examples that an epoch of a model sees, as far as the config tells."""

    def estimate(self) -> list[str]:
        """What the run still costs, in lines for people."""
        return estimate.networks(self)


def make(name: str, run: dict) -> Study:
    """The study `name` of a run, by its own `Plan` where it has one."""
    own = (BASE / "workflow" / "dag" / f"{name}.py").exists()
    plan = importlib.import_module(f"{__package__}.{name}").Plan if own else Study
    return plan(name, run[name], run)
