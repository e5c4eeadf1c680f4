"""A study of a run: its files, its models and sets, and what its rules ask of them.

A study with needs of its own states them in `workflow/dag/<study>.py`, as `class Plan(Study)`.
"""

import functools
import importlib
import json
import os
import sys
from collections import Counter
from collections.abc import Callable, Iterable
from typing import NamedTuple

from . import estimate
from .code import closure, module_file
from .config import BASE, read_schema, refuse, refuse_unknown

# Keys of a model that say where and how long it runs and how it is drawn: no reason to train again.
NOT_SCIENCE = {"seeds", "gpus", "threads", "runtime", "mem_mb", "readers"}
NOT_SCIENCE |= {"label", "about", "colour", "marker"}
REPORTING = "--report" in sys.argv


def as_json(**sections) -> str:
    """Science parameters as one JSON text, the `--config` of a script.

    The report, which runs no job, gets the names of the sections: it shows them with each figure.
    """
    return ", ".join(sections) if REPORTING else json.dumps(sections, sort_keys=True)


def pick(section: dict, *keys: str) -> dict:
    """These keys of a section: a rule runs again where one that it reads has changed."""
    return {key: section[key] for key in keys}


class Table(NamedTuple):
    """A CSV of the report: the name of its caption and of its entry in columns.yaml, and where the
    report lists it.
    """

    name: str
    section: str
    label: str
    of: str = ""


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

    def transfer(self, model: str, seed: int | str, name: str, file: str) -> str:
        """A test of a model on set `name`, which is not its own."""
        return self.path("transfer", model, f"seed{seed}", name, file)

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
        """Refuse what a schema cannot; a `Plan` adds its own checks."""
        models, sets = self["models"], self["sets"]
        sizes, variants = self.section("training_size"), self.section("variants")
        for model, names in self.section("transfer").items():
            key = f"{self.name}.transfer.{model}"
            refuse_unknown(key, "model", [model], models)
            refuse_unknown(key, "set", names, sets)
        for key, section in (("training_size", sizes), ("variants", variants)):
            refuse_unknown(f"{self.name}.{key}.models", "model", section.get("models", []), models)
        refuse_unknown(f"{self.name}.schemes", "model", self.settings.get("schemes") or [], models)
        if variants.get("models"):
            refuse_unknown(f"{self.name}.variants.base", "model", [variants["base"]], models)
            names = {models[model]["set"] for model in self.variant_rows}
            if variants["split"] == "validation" and len(names) > 1:
                why = "models of several sets; expected one, whose validation chooses among them"
                refuse(f"{self.name}.variants.models", why)
        if not self.alike(sizes.get("key"), [models[m]["set"] for m in sizes.get("models", [])]):
            why = f"their sets differ in more than {sizes['key']}"
            refuse(f"{self.name}.training_size.models", why)

    def section(self, name: str) -> dict:
        """A section of the config that a study need not have."""
        return self.settings.get(name) or {}

    # --- models and sets --------------------------------------------------------------------------

    def entry(self, model: str) -> dict:
        return self["models"][model]

    def science(self, model: str) -> dict:
        """A model's entry without what is no reason to train it again."""
        return {k: v for k, v in self.entry(model).items() if k not in NOT_SCIENCE}

    def prediction(self, model: str) -> dict:
        """The entry for a job that predicts: one GPU at most, and its share of threads and memory.

        A network on several GPUs is trained by as many processes, and predicts in one.
        """
        entry = self.entry(model)
        share = max(entry["gpus"], 1)
        parts = {key: max(1, entry[key] // share) for key in ("threads", "mem_mb")}
        return entry | parts | {"gpus": min(entry["gpus"], 1)}

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

    def alike(self, key: str | None, names: list[str]) -> bool:
        """Whether these sets differ in nothing but `key`."""
        entries = [{k: v for k, v in self["sets"][name].items() if k != key} for name in names]
        return all(entry == entries[0] for entry in entries)

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

    def again(self) -> list[str]:
        """Files of a run that ended badly which its next run makes again; a `Plan` lists them."""
        return []

    # --- words of the report ----------------------------------------------------------------------

    @property
    def title(self) -> str:
        return self.section("report").get("title") or self.name

    @property
    def set_labels(self) -> dict[str, str]:
        """Names of the sets for people."""
        stated = self.section("report").get("sets", {})
        return {name: stated.get(name) or name.replace("_", " ") for name in self["sets"]}

    def labels(self, models: Iterable[str]) -> dict[str, str]:
        """Names of these models in tables and figures: a label that two share has their names in
        the config added.
        """
        labels = {model: self.entry(model).get("label") or model for model in models}
        often = Counter(labels.values())
        return {m: f"{name} ({m})" if often[name] > 1 else name for m, name in labels.items()}

    def looks(self, models: Iterable[str]) -> dict[str, dict]:
        """What figures draw these models by: `models` of a script's config."""
        keys = ("kind", "module", "colour", "marker")
        return {
            model: {key: self.entry(model).get(key) for key in keys} | {"label": label}
            for model, label in self.labels(models).items()
        }

    def names(self) -> dict[str, dict]:
        """What pages call models, references and sets, and sentences about the models."""
        definitions = read_schema(self.name).get("$defs", {})
        abouts = {}
        for model in self.models():
            entry = self.entry(model)
            described = definitions.get(entry["module"], {}).get("description", "")
            abouts[model] = entry.get("about") or described
        labels = self.comparison("labels")["labels"]
        return {"labels": labels, "abouts": abouts, "sets": self.set_labels}

    def titled(self, label: str | dict[str, str]) -> Callable:
        """The labels of an item of the report, as a function of its wildcards; those of a rule with
        the wildcard `figure` by its value.
        """
        return lambda w: {
            "result": label if isinstance(label, str) else label[w.figure],
            "of": self.subject(w),
        }

    def subject(self, w) -> str:
        """What an item shows, by its wildcards: sets and models by their labels."""
        words = self.set_labels | self.comparison("labels")["labels"]
        values = [value for key, value in w.items() if key not in ("study", "figure")]
        return ", ".join(words.get(value) or value.replace("_", " ") for value in values)

    @property
    def words(self) -> list[str]:
        """Files with the words of tables, those of all studies first."""
        folder = BASE / "workflow" / "report"
        paths = [folder / "columns.yaml", folder / self.name / "columns.yaml"]
        return [os.path.relpath(path) for path in paths if path.exists()]

    @property
    def tables(self) -> dict[str, Table]:
        """The CSVs of the report by their path below the study's folder, without the ending."""
        label = "3 Differences to the baselines, table"
        tables = {
            f"pairs_{name}": Table("pairs", "1 Result", label, self.set_labels[name])
            for name in self.paired_sets
        }
        if self.transfers:
            tables["transfer"] = Table("transfer", "3 Scores", "8 Transfer to other sets")
        if self.variants:
            tables["variants"] = Table("variants", "4 Why", "1 Variants of a model")
        return tables | {"training": Table("training", "5 Data and training", "8 Cost of training")}

    def table_title(self, name: str) -> str:
        """The heading of a table's page."""
        table = self.tables[name]
        words = table.label.split(maxsplit=1)[1].removesuffix(", table")
        return f"{words}: {table.of}" if table.of else words

    # --- tables and figures of scores -------------------------------------------------------------

    def comparison(self, *keys: str) -> dict:
        """Section `comparison`, or these keys of it, with the names of models for people."""
        section = self["comparison"] | {"labels": dict(self["comparison"].get("labels", {}))}
        for name in self.sets:
            section["labels"] |= self.labels(self.models(name))
        return pick(section, *keys) if keys else section

    @functools.cached_property
    def paired_sets(self) -> list[str]:
        """Sets in which a network can be compared with a baseline."""
        return [s for s in self.sets if self.models(s, "network") and self.models(s, "baseline")]

    @property
    def has_subsets(self) -> bool:
        """Whether scores are listed by subset."""
        return bool(self.section("comparison").get("by_subset"))

    @functools.cached_property
    def transfers(self) -> dict[str, list[str]]:
        """Model -> sets that it is tested on besides its own."""
        return {m: names for m, names in self.section("transfer").items() if m in self.models()}

    def transfer_tests(self, file: str) -> list[str]:
        """Of each transfer, after those of the same training on the model's own set."""
        return [
            path
            for model, seed in self.runs(self.transfers)
            for path in (
                self.test(model, seed, file),
                *(self.transfer(model, seed, name, file) for name in self.transfers[model]),
            )
        ]

    @property
    def variant_rows(self) -> list[str]:
        """Models of the table of variants that the config names, the base first."""
        section = self.section("variants")
        return [section["base"], *section["models"]] if section.get("models") else []

    @functools.cached_property
    def variants(self) -> list[str]:
        """Those that run; none where no model runs that differs from the base."""
        rows = [model for model in self.variant_rows if model in self.models()]
        return rows if set(rows) - set(self.variant_rows[:1]) else []

    def variant_config(self) -> dict:
        """What tabulate_variants.py reads: entries of the rows and of the base."""
        section = self.section("variants")
        entries = {model: self.science(model) for model in self.variants}
        section = pick(section, "split", "subset", "scores")
        section |= {"base": self.science(self.variant_rows[0]), "entries": entries}
        return section | {"chosen_by": self["comparison"]["chosen_by"]}

    def variant_columns(self) -> list[str]:
        """Tables by model and seed, whose columns are added to the table of variants."""
        return []

    @functools.cached_property
    def sizes(self) -> list[str]:
        """Models of the figure of training sizes."""
        return [m for m in self.section("training_size").get("models", []) if m in self.models()]

    def size_config(self) -> dict:
        """What plot_training_size.py reads: a line a module, which is drawn as its first model."""
        section, headline = self.section("training_size"), self["comparison"]["headline"]
        items = {item["name"]: item for item in reversed(headline)}
        first = {self.entry(model)["module"]: model for model in reversed(self.sizes)}
        lines = {model: first[self.entry(model)["module"]] for model in self.sizes}
        return pick(section, "source", "label") | {
            "items": [items[name] for name in section["scores"] if name in items],
            "lines": lines,
            "models": self.looks(dict.fromkeys(lines.values())),
        }

    @functools.cached_property
    def drawn(self) -> list[str]:
        """Networks whose layers are drawn: those that the config names, or one of each module.

        A study without the key `schemes` draws none.
        """
        if "schemes" not in self.settings:
            return []
        networks = self.models(kind="network")
        first = {self.entry(model)["module"]: model for model in reversed(networks)}
        return [m for m in self["schemes"] or [] if m in networks] or [*first.values()]

    def set_patches(self, models: Iterable[str]) -> list[str]:
        """The patches of the sets of these models, each once."""
        return [self.patches(s) for s in dict.fromkeys(self.entry(m)["set"] for m in models)]

    @property
    def results(self) -> list[str]:
        """Tables and figures that every study has, where its models give them."""
        figures = {"history": self.models(kind="network"), "training_size": self.sizes}
        return [
            self.path("comparison.html"),
            *[self.path("subsets.html")] * self.has_subsets,
            *(self.path(f"{name}.html") for name in self.tables),
            *(self.path(f"figures/{name}.png") for name, models in figures.items() if models),
            *self.figures("scheme", self.drawn),
            *self.figures("pairs", self.paired_sets),
            *(self.path(f"tiles_{name}.html") for name in self.paired_sets),
        ]

    # --- estimate ---------------------------------------------------------------------------------

    def training_examples(self, model: str) -> int | None:
        """Examples that an epoch of a model sees, where the config says."""

    def image_pixels(self, model: str) -> int | None:
        """Pixels along a side of the images of a model, where the config says."""

    def estimate(self) -> list[str]:
        """What the run still costs, in lines for people."""
        return estimate.networks(self)


def make(name: str, run: dict) -> Study:
    """The study `name` of a run, by its own `Plan` where it has one."""
    own = (BASE / "workflow" / "dag" / f"{name}.py").exists()
    plan = importlib.import_module(f"{__package__}.{name}").Plan if own else Study
    return plan(name, run[name], run)
