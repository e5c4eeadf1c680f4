"""The radio study: the images that its networks search, and the sources of the mosaic."""

from .config import refuse, refuse_unknown
from .study import Study, Table

MOSAIC = "mosaic"  # the simulated image of `search.images`


class Plan(Study):
    def check(self) -> None:
        super().check()
        models, images = self["models"], [MOSAIC, *self["images"]]
        refuse_unknown("radio.search.images", "image", self["search"]["images"], images)
        refuse_unknown("radio.search.models", "model", self["search"]["models"], models)
        refuse_unknown("radio.mosaic.set", "set", [self.mosaic_set], self["sets"])
        if MOSAIC in self["images"]:
            refuse("radio.images", f"'{MOSAIC}' is the name of the simulated image")
        if self["search"]["images"] != [MOSAIC] and not self.searched:
            named = ", ".join(self["search"]["models"])
            refuse("radio.search.models", f"no network of {named} is in run_models")
        for name, entry in self["outputs"].items():
            if (entry["conversion"] is None) != (entry["exponents"] is None):
                refuse(f"radio.outputs.{name}", "conversion and exponents are stated together")
        for name, entry in self["sets"].items():
            known = [*self["maps"], *self["outputs"]]
            refuse_unknown(f"radio.sets.{name}.maps", "map", entry["maps"], known)
            for key in ("beam_pixels", "peak", "noise_ujy", "redshift"):
                low, high = entry[key]
                if not low <= high:
                    refuse(f"radio.sets.{name}.{key}", f"{low:g} is above {high:g}")

    def image_pixels(self, model: str) -> int:
        return self["sets"][self.entry(model)["set"]]["pixels"]

    def training_examples(self, model: str) -> int:
        return self["sets"][self.entry(model)["set"]]["train"]

    def fields(self, name: str) -> dict:
        """What the fields of a set are drawn by, its maps in full."""
        entry = self["sets"][name]
        return entry | {"maps": [self.map(name) for name in entry["maps"]]}

    def map(self, name: str) -> dict:
        """What is stated of a map; one of an output states itself, and has its density."""
        if name in self["maps"]:
            return self["maps"][name]
        path = self.path(f"raw/power_{name}.fits")
        nothing = dict.fromkeys(("unit", "pixel_kpc", "distance_mpc"))
        return {"path": path, "density": path} | nothing

    def output_files(self, name: str) -> list[str]:
        """The files of a simulation output."""
        stated = self["outputs"][name]
        own = [*stated["files"].values(), stated["conversion"], stated["psi_table"]]
        return list(dict.fromkeys(filter(None, own)))

    def map_files(self, name: str) -> list[str]:
        """The files of a set's maps, each once: an output has its density in the same file."""
        stated = [entry[key] for entry in self.fields(name)["maps"] for key in ("path", "density")]
        return list(dict.fromkeys(filter(None, stated)))

    @property
    def mosaic_set(self) -> str:
        return self["mosaic"]["set"] or self.entry(self.models()[0])["set"]

    @property
    def searched(self) -> list[tuple[str, str]]:
        """(image, model) of each search: networks that run."""
        models = [m for m in self["search"]["models"] if m in self.models(kind="network")]
        return [(image, model) for image in self["search"]["images"] for model in models]

    def product(self, image: str, model: str, file: str) -> str:
        return self.path(f"products/{image}_{model}/{file}")

    def image(self, name: str) -> dict:
        """What the config states of an image, and its clusters."""
        if name != MOSAIC:
            return {k: v for k, v in self["images"][name].items() if v is not None}
        found = {"path": self.path("raw/mosaic.fits"), "clusters": self.path("raw/clusters.ecsv")}
        return found | {"columns": {}, "radius_arcmin": 5}

    def image_files(self, name: str) -> list[str]:
        """The files of an image: itself, its noise and its clusters."""
        stated = self.image(name)
        return [stated[key] for key in ("path", "noise", "clusters") if key in stated]

    @property
    def tables(self) -> dict[str, Table]:
        tables = super().tables
        for image, model in self.searched:
            label = f"{image.replace('_', ' ')}, {self.labels([model])[model]}"
            table = Table("sources", "2 Maps and images", "5 Sources found", label)
            tables[f"products/{image}_{model}/sources"] = table
            if "clusters" in self.image(image):
                table = Table("clusters", "2 Maps and images", "6 Verdicts on clusters", label)
                tables[f"products/{image}_{model}/clusters"] = table
        return tables
