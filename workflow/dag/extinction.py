"""The extinction study: the stars that its sets are drawn from, and what they may ask for."""

import functools

from .config import refuse, refuse_names, refuse_unknown
from .study import Study, Table

GROUPS = "trained", "unseen", "beyond"
PIXELS = 64  # of a diagram
# survey of the bands of a diagram; one of two catalogues needs a cross-match, which nothing does
CATALOGUES = {"2mass": "2mass", "2mass_h": "2mass", "gaia": "gaia", "panstarrs": "panstarrs"}
# keys in which the set of a model agrees with that of a region
ALIKE = "diagrams", "bins", "step", "law", "limits"
KEPT_BYTES = 6e9  # of diagrams that a training keeps, two bytes a pixel


class Plan(Study):
    profile_figures = {  # of extinction_plot_profiles
        "profiles": "1 Predicted and true profiles",
        "scatter": "2 Predicted against true A_V",
    }
    cube_figures = {  # of extinction_plot_cube
        "sky": "3 A_V of the cube on the sky",
        "face": "4 The cube from above",
        "reach": "5 Reliable distance of the cube",
        "profile": "6 Mean profile of the cube",
    }

    def check(self) -> None:
        super().check()
        for name, entry in self["fields"].items():
            self.check_fields(name, entry)
        for name, entry in self["sets"].items():
            self.check_set(name, entry)
        maps = self["maps"]
        refuse_unknown("extinction.maps.regions", "region", maps["regions"], self["regions"])
        refuse_unknown("extinction.maps.models", "model", maps["models"], self["models"])
        refuse_names("extinction.regions", self["regions"])
        for name, entry in self["regions"].items():
            self.check_region(name, entry)
        for name, model in self.mapped:
            self.check_map(name, model)
        for key in ("dust", "hii_regions", "published"):
            if maps[key] and not any(self.surveyed(name) for name in maps["regions"]):
                why = "no region of source survey in maps.regions; expected one to compare with it"
                refuse(f"extinction.maps.{key}", why)

    def check_region(self, name: str, entry: dict) -> None:
        key = f"extinction.regions.{name}"
        refuse_unknown(f"{key}.set", "set", [entry["set"]], self["sets"])
        for axis in ("longitude", "latitude"):
            low, high = entry[axis]
            if not low < high:
                refuse(f"{key}.{axis}", f"{low:g} is not below {high:g}")
            number = (high - low) / entry["spacing"]
            if self.surveyed(name) and not abs(number - round(number)) < 1e-6:
                why = f"{number:g} fields of spacing {entry['spacing']:g}; expected a whole number"
                refuse(f"{key}.{axis}", why)
        crossed = [d for d in self["sets"][entry["set"]]["diagrams"] if d not in CATALOGUES]
        if self.surveyed(name) and crossed:
            why = f"diagram {crossed[0]} needs a cross-match; expected {', '.join(CATALOGUES)}"
            refuse(f"{key}.set", why)

    def check_map(self, name: str, model: str) -> None:
        """Refuse a region whose diagrams are others than those that a model is trained on."""
        sets, own = self["sets"], self["regions"][name]["set"]
        trained = self.entry(model)["set"]
        key = f"extinction.regions.{name}.set"
        for part in ALIKE:
            if sets[own][part] != sets[trained][part]:
                why = f"{part} of {own} and of {trained}, of model {model}, differ"
                refuse(key, f"{why}; expected the same")
        fields = [self["fields"][sets[n]["fields"]] for n in (own, trained)]
        if fields[0]["area"] != fields[1]["area"]:
            why = f"area {fields[0]['area']:g} deg2; model {model} has {fields[1]['area']:g}"
            refuse(key, f"{why}; expected the same")
        if any(entry["source"] == "besancon" for entry in fields):
            why = "fields of source besancon; a region has stars of the embedded model"
            refuse(key, f"{why}; expected fields of source simulated")

    def check_fields(self, name: str, entry: dict) -> None:
        key = f"extinction.fields.{name}"
        besancon = entry["source"] == "besancon"
        if besancon and not entry["files"]["trained"]:
            refuse(f"{key}.files.trained", "no file; expected one at least of source besancon")
        if not besancon and any(entry["files"].values()):
            refuse(f"{key}.files", "of source simulated; expected source besancon")
        if not besancon and not all(entry["trained"].values()):
            refuse(f"{key}.trained", "no direction; expected longitudes and latitudes")

    def check_set(self, name: str, entry: dict) -> None:
        key = f"extinction.sets.{name}"
        refuse_unknown(f"{key}.fields", "fields", [entry["fields"]], self["fields"])
        if entry["given"] is not None:
            refuse_unknown(f"{key}.given", "diagram", entry["given"], entry["diagrams"])
            if not entry["given"]:
                refuse(f"{key}.given", "no diagram; expected one at least, or null for all")
        if not entry["missing"] < 1:
            refuse(f"{key}.missing", f"{entry['missing']:g}; expected less than 1")
        for part in ("slope", "spread"):
            low, high = entry["profiles"][part]
            if not low <= high:
                refuse(f"{key}.profiles.{part}", f"{low:g} is above {high:g}")
        fields = self["fields"][entry["fields"]]
        for group in GROUPS[1:]:
            if fields["source"] == "besancon":
                found = fields["files"][group]
            else:
                found = all(fields[group].values())
            if entry[group] and not found:
                refuse(f"{key}.{group}", f"{entry[group]} diagrams of no direction; expected 0")
        kept = 2 * PIXELS**2 * len(entry["diagrams"]) * entry["train"]
        if entry["shown"] > 1 and kept > KEPT_BYTES:
            most = int(KEPT_BYTES / (kept / entry["train"]))
            why = f"{entry['train']} diagrams would be kept; expected {most} at most, or shown: 1"
            refuse(f"{key}.train", why)

    def stars(self, name: str) -> str:
        """The stars of these fields."""
        return self.path(f"raw/stars_{name}.nc")

    def training_set(self, model: str) -> list[str]:
        name = self.entry(model)["set"]
        return [self.patches(name), self.stars(self["sets"][name]["fields"])]

    @property
    def mapped(self) -> list[tuple[str, str]]:
        """(region, model) of each map: networks that run."""
        models = [m for m in self["maps"]["models"] if m in self.models(kind="network")]
        return [(region, model) for region in self["maps"]["regions"] for model in models]

    def surveyed(self, region: str) -> bool:
        """Whether a region has star tables, and no truth."""
        return self["regions"][region]["source"] == "survey"

    def surveys(self, region: str) -> list[str]:
        """Surveys whose star tables a region has."""
        if not self.surveyed(region):
            return []
        entry = self["sets"][self["regions"][region]["set"]]
        return list(dict.fromkeys(CATALOGUES[n] for n in entry["given"] or entry["diagrams"]))

    def star_lists(self, region: str) -> list[str]:
        """Lists of the star tables of a region, one a survey."""
        stated = self["regions"][region]["stars"]
        return [stated[s]["list"] or self.star_list(region, s) for s in self.surveys(region)]

    def star_list(self, region: str, survey: str) -> str:
        """List of the star tables that are downloaded."""
        return f"{self.resources}/stars/{region}_{survey}.csv"

    def download(self, region: str, survey: str) -> dict:
        """The fields and the server of a download."""
        entry = self["regions"][region]
        area = self["fields"][self["sets"][entry["set"]]["fields"]]["area"]
        place = {"l": entry["longitude"], "b": entry["latitude"], "spacing_deg": entry["spacing"]}
        stated = {key: value for key, value in entry["stars"][survey].items() if key != "list"}
        return {"survey": survey, "side_deg": area**0.5, **place, **stated}

    def region(self, name: str) -> dict:
        """The sightlines of a region, and the sets of models that they are checked for."""
        entry = {key: value for key, value in self["regions"][name].items() if key != "stars"}
        settings = self["sets"][entry["set"]]
        trained = dict.fromkeys(self.entry(model)["set"] for _, model in self.mapped)
        return {
            "region": entry,
            "set": settings,
            "fields": self["fields"][settings["fields"]],
            "checks": {other: self["sets"][other] for other in trained},
            "surveys": self.surveys(name),
        }

    def truth(self, region: str) -> list[str]:
        """The true profiles of a mock sky."""
        return [] if self.surveyed(region) else [self.path(f"raw/region_{region}.nc")]

    def shown(self, region: str) -> dict:
        """Section `maps` for the figures of a cube: those of a mock sky have no real maps."""
        other = ("dust", "hii_regions") if self.surveyed(region) else ()
        return {key: self["maps"][key] for key in ("reach", *other)}

    def shown_files(self, region: str) -> list[str]:
        """The user's files in the figures of a cube."""
        shown = self.shown(region)
        dust = shown.get("dust") or {}
        return [path for path in (dust.get("path"), shown.get("hii_regions")) if path]

    @property
    def figures_of_cubes(self) -> list[str]:
        """Every figure of each cube."""
        cubes = ["_".join(pair) for pair in self.mapped]
        return [path for name in self.cube_figures for path in self.figures(f"cube_{name}", cubes)]

    @functools.cached_property
    def tables(self) -> dict[str, Table]:
        tables = super().tables
        maps = "2 Maps and images"
        for region in dict.fromkeys(region for region, _ in self.mapped):
            words = region.replace("_", " ")
            table = Table("sightlines", maps, "9 Check of star counts", words)
            tables[f"products/sightlines_{region}"] = table
        for region, model in self.mapped:
            words = f"{region.replace('_', ' ')}, {self.labels([model])[model]}"
            folder = f"products/{region}_{model}"
            if not self.surveyed(region):
                table = Table("artefacts", maps, "7 Artefacts of the cube", words)
                tables[f"{folder}/artefacts"] = table
            elif self["maps"]["published"]:
                table = Table("published_maps", maps, "8 Published maps", words)
                tables[f"{folder}/published"] = table
        return tables

    def product(self, region: str, model: str, file: str) -> str:
        return self.path(f"products/{region}_{model}/{file}")

    def image_pixels(self, model: str) -> int:
        return PIXELS

    def training_examples(self, model: str) -> int:
        return self["sets"][self.entry(model)["set"]]["train"]
