"""The CO study: raw maps, denoised CO, products."""

import csv
from functools import cached_property
from pathlib import Path

from .config import refuse, refuse_names, refuse_unknown
from .study import Study, Table

RAW_FILES = {
    "co": "HFI_CompMap_CO-Type2_2048_R1.10.fits",
    "dust": "COM_CompMap_Dust-GNILC-F857_2048_R2.00.fits",
    "hi": "NHI_HPX.fits",
}
COMPRESSED = ("", ".gz", ".bz2", ".xz")  # endings of copies of one's own, in any case
# columns that `maps.columns` and `maps.units` may state
COLUMNS = [f"{letter}{line}" for line in ("10", "21") for letter in "IENM"]
COLUMNS += ["I", "FWHM", "NHI", "HPXINDEX", "GLON", "GLAT"]
# Training tiles of a set before they are chosen, for the estimate, by `selection`. The presentation
# has 10,488 training images chosen after denoising, which are flipped three times; and 5,650 chosen
# before it, with half as many faint tiles again.
TRAINING_TILES = {"weighted": 2825, "published": 3496}


def line_label(line: str) -> str:
    """`CO 1-0` of line 10."""
    return f"CO {line[0]}-{line[1]}"


class Plan(Study):
    score_figures = {  # of co_plot_scores
        "plane": "2 Correlation against power, one point a model",
        "pdf": "3 Histogram of the brightness",
        "minkowski": "4 Shapes (Minkowski functionals)",
        "latitude": "5 Residual against latitude",
        "calibration": "6 Are stated uncertainties right?",
    }

    # --- checks -----------------------------------------------------------------------------------

    def check(self) -> None:
        super().check()
        split = self["split"]
        known = split["complexes"]
        refuse_unknown("co.split.held_out", "complex", split["held_out"], known)
        for model in self.models():
            entry = self.entry(model)
            if entry.get("target") == "denoised" and not self.denoised(entry["set"]):
                refuse(f"co.models.{model}.target", "'denoised', but its set has no denoiser")
        for key in ("columns", "units"):
            refuse_unknown(f"co.maps.{key}", "column", self["maps"][key], COLUMNS)
        refuse_unknown("co.run_products", "product", self["run_products"], self["products"])
        refuse_names("co.products", self["products"])
        for name in self["products"]:
            self.check_product(name)

    def check_product(self, name: str) -> None:
        """Refuse a product of unknown models, or of models that learn another line."""
        key, lines = f"co.products.{name}.lines", self["products"][name]["lines"]
        if not lines:
            refuse(key, "empty; expected a model for line 10, 21 or both")
        for line, model in lines.items():
            refuse_unknown(f"{key}.{line}", "model", [model], self["models"])
            used = self.entry(model)["set"]
            learned = self["sets"].get(used, {}).get("line")
            if learned != line:
                why = f"model '{model}' learns line {learned} from set '{used}'; expected {line}"
                refuse(f"{key}.{line}", why)

    # --- raw maps and sets ------------------------------------------------------------------------

    @property
    def surveyed(self) -> bool:
        return self["train"]["source"] == "survey"

    @property
    def simulated(self) -> dict[str, str]:
        """The raw maps of the stand-in sky."""
        return {name: self.path("raw", file) for name, file in RAW_FILES.items()}

    @property
    def surveys(self) -> dict[str, str]:
        """The raw maps of the real sky: a copy of the user's own, else what is downloaded."""
        there = sorted(path.name for path in Path(self.resources).glob("*"))

        def file(name: str) -> str:
            spellings = [(name + end).lower() for end in COMPRESSED]
            own = (n for spelling in spellings for n in there if n.lower() == spelling)
            return name if name in there else next(own, name)

        return {kind: f"{self.resources}/{file(name)}" for kind, name in RAW_FILES.items()}

    @property
    def split(self) -> dict:
        """Section `split` with the boxes of the complexes that this run holds out."""
        split = {key: value for key, value in self["split"].items() if key != "held_out"}
        boxes = self["split"]["complexes"]
        return split | {"complexes": {name: boxes[name] for name in self["split"]["held_out"]}}

    def snr_map(self, name: str) -> str:
        """The map whose signal-to-noise chooses the tiles of set `name`."""
        entry = self["sets"][name]
        denoised = entry["snr_from"] == "denoised"
        return self.denoised_map(entry["line"]) if denoised else self.path("maps.nc")

    @property
    def second_sets(self) -> list[str]:
        """Sets of the line that the second CO map shows."""
        second = self["second_map"]
        return [s for s in self.sets if second and self["sets"][s]["line"] == second["line"]]

    # --- denoised CO ------------------------------------------------------------------------------

    def denoised_map(self, line: str) -> str:
        return self.path("denoised", f"co{line}_nlm_sphere.nc")

    @property
    def denoised_lines(self) -> list[str]:
        """Lines that are denoised on the sphere for a set of this run."""
        sets = [self["sets"][name] for name in self.sets]
        return sorted({entry["line"] for entry in sets if entry["denoiser"] == "nlm_sphere"})

    def denoised(self, name: str) -> list[str]:
        """The denoised patches of set `name`, where it has a denoiser."""
        denoiser = self["sets"][name]["denoiser"]
        return [] if denoiser == "none" else [self.path("sets", name, "denoised.nc")]

    @property
    def denoisers(self) -> dict:
        """Section `denoisers` without what is no reason to denoise again."""
        sphere = {k: v for k, v in self["denoisers"]["nlm_sphere"].items() if k != "gpus"}
        return self["denoisers"] | {"nlm_sphere": sphere}

    def denoiser_maps(self, name: str) -> dict[str, str]:
        """Maps that the denoiser of set `name` reads: one on the sphere, and the raw one."""
        entry = self["sets"][name]
        if entry["denoiser"] != "nlm_sphere":
            return {}
        return {"maps": self.path("maps.nc"), "denoised_map": self.denoised_map(entry["line"])}

    def denoiser(self, name: str) -> dict:
        """The method of set `name`, with the parameters that it has of its own."""
        method = self["sets"][name]["denoiser"]
        own = self["denoisers"]["nlm_patch"] if method == "nlm_patch" else {}
        return {"method": method, **own}

    def training_set(self, model: str) -> list[str]:
        entry = self.entry(model)
        denoised = self.denoised(entry["set"]) if entry.get("target") == "denoised" else []
        return [*super().training_set(model), *denoised]

    # --- models and products ----------------------------------------------------------------------

    @cached_property
    def cyclegans(self) -> list[str]:
        return [model for model in self.models() if self.entry(model)["module"] == "cyclegan"]

    def variant_columns(self) -> list[str]:
        return [self.path("failures.csv")]

    @property
    def tables(self) -> dict[str, Table]:
        data, scores = "5 Data and training", "3 Scores"
        tables = super().tables | {"bands": Table("bands", scores, "7 Band by band")}
        if not self.surveyed:
            tables["raw/anchors"] = Table("anchors", data, "2 Stand-in sky and the real one")
        if self.denoised_lines:
            tables["patch_counts"] = Table("patch_counts", data, "3 Bright tiles and denoising")
            tables["denoisers"] = Table("denoisers", data, "4 Denoisers compared, table")
        for line in self.denoised_lines:
            chosen = Table("denoiser_scores", data, "5 Choice of the denoiser", line_label(line))
            tables[f"denoised/co{line}_scores"] = chosen
        for name in self.second_sets:
            label = self.set_labels[name]
            tables[f"second_map_{name}"] = Table("second_map", scores, "9 A second CO map", label)
        for name in self["run_products"]:
            label = "5 CO where CMB surveys observe"
            table = Table("footprints", "2 Maps and images", label, name.replace("_", " "))
            tables[f"products/{name}_footprints"] = table
        for model in self.bottlenecks:
            label = self.labels([model]).get(model, model)
            table = Table("latent_table", "4 Why", "2 Bottleneck features, table", label)
            tables[f"figures/latent_{model}"] = table
        return tables

    @property
    def bottlenecks(self) -> list[str]:
        """Networks whose bottleneck is shown."""
        return [model for model in self["latent"] if model in self.models()]

    def product(self, name: str) -> str:
        return self.path("products", f"{name}.fits")

    def sky(self, product: str, model: str, seed: int | str) -> str:
        return self.path("sky", product, model, f"seed{seed}.nc")

    def skies(self, product: str, first: bool = False) -> list[str]:
        """The predicted skies of a product: of each line every seed of its model, or the first."""
        models = self["products"][product]["lines"].values()
        return [self.sky(product, model, seed) for model, seed in self.runs(models, first)]

    def product_line(self, product: str, model: str) -> str:
        """The line that a model predicts in a product."""
        lines = self["products"][product]["lines"]
        return next(line for line in lines if lines[line] == model)

    def product_sets(self, product: str) -> dict[str, str]:
        """Line -> set of the model that predicts it."""
        lines = self["products"][product]["lines"]
        return {line: self.entry(model)["set"] for line, model in lines.items()}

    # --- estimate ---------------------------------------------------------------------------------

    def image_pixels(self, model: str) -> int:
        return self["tiles"]["pixels"]

    def training_examples(self, model: str) -> int:
        """Counted where the tiles of the model's set are chosen, else those of the presentation."""
        name = self.entry(model)["set"]
        used, table = self["sets"][name], Path(self.path("sets", name, "tiles.csv"))
        if not table.exists():
            return TRAINING_TILES[used["selection"]] * used["views"]
        with open(table, newline="", encoding="utf-8") as file:
            rows = [row.get("split") for row in csv.DictReader(file)]
        return rows.count("train") * used["views"]
