"""The turbulence study: families of simulations, transfer, and which figures there are."""

import sys
from functools import cached_property
from pathlib import Path

from .config import BASE, refuse, refuse_names, refuse_unknown
from .study import Study, pick

OWN = ("simulated", "early")  # sources that this repository makes itself
# Keys of a family that each script reads.
CLOUDS = ("simulations", "seed", "index", "mach", "time_myr", "box_pc", "mass_msun", "mu")
CLOUDS += ("temperature_k", "grid", "initial_kmax", "order", "courant", "backend", "precision")
CLOUDS += ("batch",)
MAPS = ("box_pc", "mass_msun", "pixels", "refine")
READ = (*MAPS, "source", "mu", "temperature_k", "isothermal", "density", "velocity", "axes")
READ += ("assume", "distance_pc")
EXPLAIN = ("images", "steps", "bands", "tested", "seed")
REALISM = ("first", "second", "learner", "folds", "permutations", "draws", "seed")


class Plan(Study):
    own = OWN

    # --- checks -----------------------------------------------------------------------------------

    def check(self) -> None:
        super().check()
        sets, models = self["sets"], self["models"]
        refuse_names("turbulence.families", self["families"])
        for name in sets:
            self.check_set(name)
        for model, entry in models.items():
            for trained in self.learned(entry.get("start")) if entry["set"] in sets else ():
                self.check_split(f"turbulence.models.{model}.start", entry["set"], trained)
        for model, names in self["transfer"].items():
            for name in names:
                for trained in self.learned(model):
                    self.check_split(f"turbulence.transfer.{model}", name, trained)
        for number, pair in enumerate(self["realism"]["pairs"]):
            self.check_pair(f"turbulence.realism.pairs.{number}", pair)
        for model in self.models():
            if self.entry(model)["module"] == "autoencoder":
                why = f"'{model}' predicts no index; name it in `realism`, or as a model's `start`"
                refuse("turbulence.run_models", why)
        self.check_figures()

    def check_set(self, name: str) -> None:
        """Refuse a set of unknown families, of one simulation twice, of shares above 1."""
        entry, key = self["sets"][name], f"turbulence.sets.{name}"
        refuse_unknown(f"{key}.families", "family", entry["families"], self["families"])
        if shared := self.overlap(entry["families"]):
            why = f"'{shared[0]}' and '{shared[1]}' share seeds, which are the same velocity fields"
            refuse(f"{key}.families", why)
        if entry["valid_share"] + entry["test_share"] > 1:
            refuse(key, "valid_share and test_share are more than 1 together")

    def check_split(self, key: str, tested: str, trained: str) -> None:
        """Refuse to test on one set what was trained on another where a test seed may be in it."""
        a, b = self["sets"][tested], self["sets"][trained]
        pairs = [(f, g) for f in a["families"] for g in b["families"]]
        shared = any(f == g or self.overlap([f, g]) for f, g in pairs)
        if shared and any(a[name] != b[name] for name in ("seed", "valid_share", "test_share")):
            why = f"sets '{tested}' and '{trained}' share simulations, but not seed, valid_share "
            refuse(key, f"{why}and test_share: test would be seen in training")

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

    def check_figures(self) -> None:
        """Refuse figures of unknown models and sets."""
        shown = {"explain.models": self["explain"]["models"], "schemes": self["schemes"] or []}
        for key, names in shown.items():
            refuse_unknown(f"turbulence.{key}", "model", names, self["models"])
        refuse_unknown("turbulence.images.sets", "set", self["images"]["sets"] or [], self["sets"])

    # --- families of simulations ------------------------------------------------------------------

    def family(self, name: str, file: str) -> str:
        return self.path("simulations", name, file)

    def families(self, *sources: str) -> str:
        """A pattern of the families of these sources, which no name fits where there are none."""
        families = self["families"]
        return "|".join(f for f in families if families[f]["source"] in sources) or "(?!)"

    def family_seeds(self, name: str) -> range:
        """The seeds of a family that is made here: one for each simulation."""
        entry = self["families"][name]
        count = entry["simulations"] if entry["source"] in OWN else 0
        return range(entry["seed"], entry["seed"] + count)

    def overlap(self, families: list[str]) -> tuple[str, str] | None:
        """Two of these families that share a seed, which is the same velocity field."""
        seeds = {f: self.family_seeds(f) for f in families}
        spans = sorted((span.start, span.stop, f) for f, span in seeds.items() if span)
        pairs = zip(spans, spans[1:], strict=False)
        return next(((a[2], b[2]) for a, b in pairs if b[0] < a[1]), None)

    def clouds(self, name: str) -> dict:
        """The plan of a family's simulations, as turbulence_simulate_clouds.py reads it."""
        entry = self["families"][name]
        early = {"backend": "early"} if entry["source"] == "early" else {}
        return pick(entry, *CLOUDS) | early

    def maps(self, name: str) -> dict:
        """What turbulence_project_columns.py reads of a family."""
        return pick(self["families"][name], *MAPS)

    def reading(self, name: str) -> dict:
        """What turbulence_read_outputs.py reads of a family."""
        entry = self["families"][name]
        return {"simulations": entry["outputs"], **pick(entry, *READ)}

    def simulation_mb(self, name: str) -> int:
        """Memory of a shard's job [MB]: libraries, and per cell and simulation some 190 bytes."""
        entry = self["families"][name]
        return 2000 + 400 * entry["grid"] ** 3 * entry["batch"] // 10**6

    def maps_mb(self, *families: str) -> int:
        """Memory of a job on column maps [MB]: three copies of two fields in three views."""
        entries = [self["families"][name] for name in families]
        pixels = sum((e["pixels"] or e["grid"]) ** 2 * e["simulations"] for e in entries)
        return 4000 + 3 * 2 * 3 * 4 * pixels // 10**6

    def shards(self, name: str) -> list[str]:
        """The shards of a family's simulations."""
        return [
            self.family(name, f"shards/{shard}.nc")
            for shard in range(self["families"][name]["shards"])
        ]

    def outputs(self, name: str) -> list[str]:
        """The user's outputs of a family, in the order of their names."""
        folder = Path(self.resources) / name
        paths = sorted(str(path) for path in folder.glob("*") if not path.name.startswith("."))
        if not paths:
            why = f"no output in {folder}/: expected folders output_NNNNN, cubes or maps"
            refuse(f"turbulence.families.{name}", why)
        return paths

    def columns(self, name: str) -> list[str]:
        """The column maps of the families of set `name`."""
        return [self.family(family, "columns.nc") for family in self["sets"][name]["families"]]

    # --- sets -------------------------------------------------------------------------------------

    def learned(self, model: str | None) -> list[str]:
        """The sets that a model has learned from, by itself and by the models it starts from."""
        line = []
        while model in self["models"] and model not in line:
            line.append(model)
            model = self.entry(model).get("start")
        names = dict.fromkeys(self.entry(m)["set"] for m in line)
        return [name for name in names if name in self["sets"]]

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

    # --- figures ----------------------------------------------------------------------------------

    def highlight(self, models: list[str]) -> list[str]:
        """The networks to draw in colour, those that the comparison highlights; and HOG."""
        chosen = self["comparison"]["highlight"] or []
        networks = [m for m in models if self.entry(m)["kind"] == "network"]
        networks = [m for m in networks if m in chosen] or networks
        return networks + [m for m in models if self.entry(m)["module"] == "hog"]

    @cached_property
    def shown(self) -> list[str]:
        """Sets whose images are drawn: those stated, or that of the first model."""
        stated = [name for name in self["images"]["sets"] or [] if name in self.sets]
        return stated or [self.entry(self.models()[0])["set"]]

    @cached_property
    def drawn(self) -> list[str]:
        """Networks whose layers are drawn: those stated, or the first of each module."""
        networks = self.models(kind="network")
        first = {self.entry(model)["module"]: model for model in reversed(networks)}
        return [m for m in self["schemes"] or [] if m in networks] or [*first.values()]

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

    def continuous(self, name: str) -> bool:
        """Whether the simulations of set `name` have more than two indices."""
        indices = set()
        for family in (self["families"][f] for f in self["sets"][name]["families"]):
            index = family["index"]
            if family["source"] not in OWN:
                outputs = family["outputs"] or []
                indices |= {output["index"] for output in outputs if "index" in output}
            elif isinstance(index, dict):
                indices |= {*index.values()}
                if index["low"] < index["high"]:
                    return True
            else:
                indices |= {*index} if isinstance(index, list) else {index}
        return len(indices) > 2

    def continuum(self, name: str) -> list[str]:
        """curves.nc on a continuous set: of class models tested there, then of its index models."""
        classes = [m for m in self.transfers if self.entry(m)["learns"] == "class"]
        crossed = [m for m in classes if name in self.transfers[m]]
        curves = [self.transfer(m, seed, name, "curves.nc") for m, seed in self.runs(crossed)]
        return curves and curves + self.tests("curves.nc", self.learning(name, "index"))

    @property
    def continua(self) -> list[str]:
        return [s for s in self["sets"] if self.continuous(s) and self.continuum(s)]

    # --- explanations and realism -----------------------------------------------------------------

    def explained(self, name: str | None = None, kind: str | None = None) -> list[str]:
        """Models that are explained: of set `name`, networks or baselines, where one is stated."""
        return [model for model in self["explain"]["models"] if model in self.models(name, kind)]

    def explaining(self) -> dict:
        """What turbulence_explain_model.py reads of its section."""
        return pick(self["explain"], *EXPLAIN)

    @property
    def embedded_sets(self) -> list[str]:
        return list(dict.fromkeys(self.entry(m)["set"] for m in self.explained(kind="network")))

    def embedded(self, name: str) -> str:
        """The network whose features stand for set `name`: the first that is explained."""
        return self.explained(name, "network")[0]

    def grid(self, name: str) -> int | None:
        """Cells along a side of the coarsest grid of a set; None where a family is the user's."""
        families = [self["families"][family] for family in self["sets"][name]["families"]]
        own = all(entry["source"] in OWN for entry in families)
        return min(entry["grid"] for entry in families) if own else None

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
        return pick(pair, *REALISM) | {"entry": self.science(model) if model else None}

    def autoencoder(self, first: str, second: str) -> list[str]:
        """The first seed of the autoencoder that a comparison names."""
        model = self.pair(first, second).get("autoencoder")
        return self.checkpoints([model], first=True) if model else []

    # --- estimate ---------------------------------------------------------------------------------

    def image_pixels(self, model: str) -> int:
        used = self["sets"][self.entry(model)["set"]]
        family = self["families"][used["families"][0]]
        return (family["pixels"] or family["grid"]) // used["parts"]

    def training_examples(self, model: str) -> int:
        """The parts of three views of each simulation."""
        used = self["sets"][self.entry(model)["set"]]
        simulations = sum(self["families"][f]["simulations"] for f in used["families"])
        share = 1 - used["valid_share"] - used["test_share"]
        return (used["train_simulations"] or round(simulations * share)) * 3 * used["parts"] ** 2

    def estimate(self) -> list[str]:
        """What networks cost, then what the simulations cost that are still to be made."""
        sys.path.insert(0, str(BASE / "scripts"))
        from skyloom.turbulence.simulate.cost import cost
        from skyloom.turbulence.simulate.plan import simulations

        used = [*self.sets, *(s for names in self.transfers.values() for s in names)]
        used += [name for pair in self.pairs for name in pair]
        lines, hours = (
            ["Estimate: turbulence, simulations still to be made"],
            {"GPU": 0.0, "core": 0.0},
        )
        for family in dict.fromkeys(f for name in used for f in self["sets"][name]["families"]):
            entry, plan = self["families"][family], self.clouds(family)
            if entry["source"] not in OWN or Path(self.family(family, "columns.nc")).exists():
                continue
            needed = cost(plan, simulations(plan))
            unit = "GPU" if plan["backend"] == "torch" and entry["gpus"] else "core"
            spent = needed.gpu_hours if unit == "GPU" else needed.core_seconds / 3600
            hours[unit] += spent
            size = f"{needed.simulations} x {entry['grid']}^3 in {entry['shards']} jobs"
            lines.append(
                f"  {family:20s} {size:28s} {spent:8.2f} {unit}-hours, "
                f"{needed.memory_gib:5.1f} GiB of memory, {needed.disk_gib:6.1f} GiB on disk"
            )
        total = f"{hours['GPU']:8.2f} GPU-hours, {hours['core']:.2f} core-hours"
        return [*super().estimate(), *lines, f"  {'sum':20s} {'':28s} {total}"]
