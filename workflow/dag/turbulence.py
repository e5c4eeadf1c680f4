"""The turbulence study: which models and sets its figures show, explanations and realism."""

from collections import Counter
from collections.abc import Iterable
from functools import cached_property

from .config import refuse, refuse_unknown
from .study import Table, pick
from .turbulence_simulations import Simulations

# Keys that turbulence_compare_realism.py reads.
REALISM = ("first", "second", "learner", "folds", "permutations", "draws", "seed")


class Plan(Simulations):
    # of turbulence_plot_scores, turbulence_plot_transfer and turbulence_plot_explanation
    score_figures = {
        "roc": "1 ROC curves",
        "confusion": "2 Confusion matrices",
        "reliability": "3 Are stated probabilities right?",
    }
    transfer_figures = {
        "matrix": "8 Transfer to other sets, figure",
        "nuisances": "8 Transfer against the strength of a nuisance",
    }
    explanation_figures = {
        "bands": "2 What each band of wave numbers is worth",
        "controls": "3 Phases or amplitudes?",
        "saliency": "4 Which pixels matter",
        "embedding": "5 Feature space (t-SNE)",
    }

    # --- checks -----------------------------------------------------------------------------------

    def check(self) -> None:
        super().check()
        for number, pair in enumerate(self["realism"]["pairs"]):
            self.check_pair(f"turbulence.realism.pairs.{number}", pair)
        for model in self.models():
            if self.entry(model)["module"] == "autoencoder":
                why = f"'{model}' predicts no index; name it in `realism`, or as a model's `start`"
                refuse("turbulence.run_models", why)
        explained = self["explain"]["models"]
        refuse_unknown("turbulence.explain.models", "model", explained, self["models"])
        refuse_unknown("turbulence.images.sets", "set", self["images"]["sets"] or [], self["sets"])

    def check_pair(self, key: str, pair: dict) -> None:
        """Refuse unknown sets, one set twice, and an autoencoder that is none or of another set."""
        models, model = self["models"], pair.get("autoencoder")
        for place in ("first", "second"):
            refuse_unknown(f"{key}.{place}", "set", [pair[place]], self["sets"])
        if pair["first"] == pair["second"]:
            refuse(key, f"'{pair['first']}' twice; expected two sets")
        known = [name for name in models if models[name]["module"] == "autoencoder"]
        if model and model not in known:
            why = f"'{model}' is no autoencoder; known: {', '.join(known) or 'none'}"
            refuse(f"{key}.autoencoder", why)
        if model and models[model]["set"] != pair["first"]:
            why = f"'{model}' learns from '{models[model]['set']}'; expected the first set"
            refuse(f"{key}.autoencoder", why)

    # --- tested sets ------------------------------------------------------------------------------

    def learning(self, name: str, learns: str) -> list[str]:
        """The models of set `name` that learn the `class`, or the `index`."""
        return [model for model in self.models(name) if self.entry(model)["learns"] == learns]

    @cached_property
    def ladders(self) -> list[dict]:
        """Nuisances in which alone some tested sets differ: `key`, and its `values` by set."""
        ladders, sets = [], self["sets"]
        tested = [s for m, names in self.transfers.items() for s in (self.entry(m)["set"], *names)]
        for key in ("zoom", "blur_pixels", "noise"):
            left = [s for s in dict.fromkeys(tested) if not isinstance(sets[s][key], dict)]
            while left:
                values = {s: sets[s][key] for s in left if self.alike(key, [left[0], s])}
                left = [s for s in left if s not in values]
                if len(set(values.values())) > 1:
                    ladders.append({"key": key, "values": values})
        return ladders

    # --- figures and tables -----------------------------------------------------------------------

    @property
    def tables(self) -> dict[str, Table]:
        tables = super().tables
        for a, b in self.pairs:
            label = "6 Do two sets look alike? Table"
            of = ", ".join(name.replace("_", " ") for name in (a, b))
            tables[f"realism_{a}_{b}"] = Table("realism", "4 Why", label, of)
        return tables

    @property
    def has_subsets(self) -> bool:
        """Subsets are the families of a set."""
        return any(len(self["sets"][name]["families"]) > 1 for name in self.sets)

    @property
    def set_labels(self) -> dict[str, str]:
        """Names of the sets for people."""
        stated = self.section("report").get("sets", {})
        return {name: stated.get(name) or name.replace("_", " ") for name in self["sets"]}

    def looks_across_sets(self, models: Iterable[str]) -> dict[str, dict]:
        """The looks of models of several sets, with the labels that they have within their set; the
        set is added where two are equal.
        """
        looks, labels = self.looks(models), self.comparison("labels")["labels"]
        often = Counter(labels[model] for model in looks)
        for model, look in looks.items():
            name = self.set_labels[self.entry(model)["set"]]
            look["label"] = labels[model] + (f" ({name})" if often[labels[model]] > 1 else "")
        return looks

    @cached_property
    def shown(self) -> list[str]:
        """Sets whose images are drawn: those stated, or that of the first model."""
        stated = [name for name in self["images"]["sets"] or [] if name in self.sets]
        return stated or [self.entry(self.models()[0])["set"]]

    @cached_property
    def classified(self) -> list[str]:
        """Sets of class models; not those that are nothing but a training size."""
        return [
            name
            for name in self.sets
            if self.learning(name, "class")
            and (
                self["sets"][name]["train_simulations"] is None
                or {*self.models(name)} - {*self.sizes}
            )
        ]

    @property
    def regressed(self) -> list[str]:
        """Sets of models that predict the index."""
        return [name for name in self.sets if self.learning(name, "index")]

    def continuum(self, name: str) -> list[str]:
        """curves.nc on a continuous set: of class models tested there, then of its index models."""
        crossed = self.crossed(name)
        curves = [self.transfer(m, seed, name, "curves.nc") for m, seed in self.runs(crossed)]
        return curves and curves + self.tests("curves.nc", self.learning(name, "index"))

    def crossed(self, name: str) -> list[str]:
        """The class models that are tested on set `name`, which is another than their own."""
        tested = [m for m, names in self.transfers.items() if name in names]
        return [m for m in tested if self.entry(m)["learns"] == "class"]

    @property
    def continua(self) -> list[str]:
        return [s for s in self["sets"] if self.continuous(s) and self.continuum(s)]

    # --- explanations and realism -----------------------------------------------------------------

    def explained(self, name: str | None = None, kind: str | None = None) -> list[str]:
        """Models that are explained: of set `name`, networks or baselines, where one is stated."""
        return [model for model in self["explain"]["models"] if model in self.models(name, kind)]

    @property
    def embedded_sets(self) -> list[str]:
        return list(dict.fromkeys(self.entry(m)["set"] for m in self.explained(kind="network")))

    def embedded(self, name: str) -> str:
        """The network whose features stand for set `name`: the first that is explained."""
        return self.explained(name, "network")[0]

    def explanations(self, figure: str, of: str) -> list[str]:
        """Files of a figure: a model's, those of a set's models, or a set's embedding."""
        names = {"embedding": [f"embedding_{of}"], "controls": self.explained(of)}
        return [self.path("explain", f"{name}.nc") for name in names.get(figure, [of])]

    @property
    def pairs(self) -> list[tuple[str, str]]:
        """Pairs of sets that are compared for realism."""
        return [(pair["first"], pair["second"]) for pair in self["realism"]["pairs"]]

    def pair(self, first: str, second: str) -> dict:
        """The config of the comparison of two sets."""
        realism = self["realism"]
        return realism | dict(zip(self.pairs, realism["pairs"], strict=True))[first, second]

    @property
    def panels(self) -> list[tuple[str, str]]:
        return self.pairs if self["realism"]["panel"] else []

    def pair_patterns(self) -> dict[str, str]:
        """Patterns of `{first}` and `{second}`: the underscore between them is in names too."""
        places = {"first": 0, "second": 1}
        return {p: "|".join({pair[k] for pair in self.pairs}) or "(?!)" for p, k in places.items()}

    def realism(self, first: str, second: str) -> dict:
        """What turbulence_compare_realism.py reads."""
        pair = self.pair(first, second)
        model = pair.get("autoencoder")
        labels = {name: self.set_labels[name] for name in (first, second)}
        entry = self.science(model) if model else None
        return pick(pair, *REALISM) | {"entry": entry, "labels": labels}

    def autoencoder(self, first: str, second: str) -> list[str]:
        """The first seed of the autoencoder that a comparison names."""
        model = self.pair(first, second).get("autoencoder")
        return self.checkpoints([model], first=True) if model else []
