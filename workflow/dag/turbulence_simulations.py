"""Simulations of the turbulence study: families of clouds, made here or brought by the user."""

import sys
from pathlib import Path

from .config import BASE, refuse, refuse_names, refuse_unknown
from .study import Study, pick

OWN = ("simulated", "early")  # sources that this repository makes itself
# Keys of a family that each script reads.
CLOUDS = ("simulations", "seed", "index", "mach", "time_myr", "box_pc", "mass_msun", "mu")
CLOUDS += ("temperature_k", "grid", "initial_kmax", "order", "courant", "backend", "precision")
CLOUDS += ("compile", "batch")
MAPS = ("box_pc", "mass_msun", "pixels", "refine")
READ = (*MAPS, "source", "outputs", "mu", "temperature_k", "isothermal", "density", "velocity")
READ += ("column", "axes", "assume", "distance_pc", "beam_arcsec", "rebin")


class Simulations(Study):
    """What the study's `Plan` has of families and of sets cut from them."""

    # --- checks -----------------------------------------------------------------------------------

    def check(self) -> None:
        super().check()
        sets = self["sets"]
        refuse_names("turbulence.families", self["families"])
        for name, family in self["families"].items():
            for key, of_torch in (("precision", "float32"), ("compile", True)):
                if family[key] == of_torch and family["backend"] != "torch":
                    why = f"{family[key]} is of the backend torch, this family has numba"
                    refuse(f"turbulence.families.{name}.{key}", why)
        for name in sets:
            self.check_set(name)
        for model in self.models():
            self.check_scales(model)
        for model, entry in self["models"].items():
            for trained in self.learned(entry.get("start")) if entry["set"] in sets else ():
                self.check_split(f"turbulence.models.{model}.start", entry["set"], trained)
        for model, names in self["transfer"].items():
            for name in names:
                for trained in self.learned(model):
                    self.check_split(f"turbulence.transfer.{model}", name, trained)

    def check_set(self, name: str) -> None:
        """Refuse a set of unknown families, of one simulation twice, of shares above 1."""
        entry, key = self["sets"][name], f"turbulence.sets.{name}"
        refuse_unknown(f"{key}.families", "family", entry["families"], self["families"])
        if shared := self.overlap(entry["families"]):
            why = f"'{shared[0]}' and '{shared[1]}' share seeds, which are the same velocity fields"
            refuse(f"{key}.families", why)
        if entry["valid_share"] + entry["test_share"] > 1:
            refuse(key, "valid_share and test_share are more than 1 together")

    def check_scales(self, model: str) -> None:
        """Refuse wavelets that are wider than the images, where the config states these."""
        entry = self.entry(model)
        family = self["families"][self["sets"][entry["set"]]["families"][0]]
        stated = family["pixels"] or family["source"] in OWN
        if "scales" in entry and stated and 2 ** entry["scales"] > self.image_pixels(model):
            why = f"wavelets of 2^{entry['scales']} pixels, images of {self.image_pixels(model)}"
            refuse(f"turbulence.models.{model}.scales", why)

    def check_split(self, key: str, tested: str, trained: str) -> None:
        """Refuse to test on one set what was trained on another where a test seed may be in it."""
        a, b = self["sets"][tested], self["sets"][trained]
        pairs = [(f, g) for f in a["families"] for g in b["families"]]
        shared = any(f == g or self.overlap([f, g]) for f, g in pairs)
        if shared and any(a[name] != b[name] for name in ("seed", "valid_share", "test_share")):
            why = f"sets '{tested}' and '{trained}' share simulations, but not seed, valid_share "
            refuse(key, f"{why}and test_share: test would be seen in training")

    def learned(self, model: str | None) -> list[str]:
        """The sets that a model has learned from, by itself and by the models it starts from."""
        line = []
        while model in self["models"] and model not in line:
            line.append(model)
            model = self.entry(model).get("start")
        names = dict.fromkeys(self.entry(m)["set"] for m in line)
        return [name for name in names if name in self["sets"]]

    # --- families ---------------------------------------------------------------------------------

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
        return pick(self["families"][name], *READ)

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
        """The files and folders of a family that the user brings; outputs may lie in folders."""
        folder, key = Path(self.resources) / name, f"turbulence.families.{name}"
        paths = sorted(path for path in folder.glob("*") if not path.name.startswith("."))
        if not paths:
            refuse(key, f"no output in {folder}/: expected folders output_NNNNN, cubes or maps")
        labels = self["families"][name]["outputs"]
        if isinstance(labels, dict):
            tops = [label.partition("/")[0] for label in labels]
            refuse_unknown(f"{key}.outputs", "output", tops, [path.name for path in paths])
        return list(map(str, paths))

    # --- sets -------------------------------------------------------------------------------------

    def columns(self, name: str) -> list[str]:
        """The column maps of the families of set `name`."""
        return [self.family(family, "columns.nc") for family in self["sets"][name]["families"]]

    def grid(self, name: str) -> int | None:
        """Cells along a side of the coarsest grid of a set; None where a family is the user's."""
        families = [self["families"][family] for family in self["sets"][name]["families"]]
        own = all(entry["source"] in OWN for entry in families)
        return min(entry["grid"] for entry in families) if own else None

    def continuous(self, name: str) -> bool:
        """Whether the simulations of set `name` have more than two indices."""
        indices = set()
        for family in (self["families"][f] for f in self["sets"][name]["families"]):
            index = family["index"]
            if family["source"] not in OWN:
                labels = family["outputs"] or []
                labels = labels.values() if isinstance(labels, dict) else labels
                indices |= {facts["index"] for facts in labels if "index" in facts}
            elif isinstance(index, dict):
                indices |= {*index.values()}
                if index["low"] < index["high"]:
                    return True
            else:
                indices |= {*index} if isinstance(index, list) else {index}
        return len(indices) > 2

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
