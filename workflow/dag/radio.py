"""The radio study: the images that its networks search, and the sources of the mosaic."""

import functools
import glob
import hashlib
import os
import re
from pathlib import Path

from .config import BASE, read_json, read_yaml, refuse, refuse_unknown
from .study import Study, Table

MOSAIC = "mosaic"  # the simulated image of `search.images`
FIELD = "{field}"  # in the paths of an entry that stands for many images
FILES = "path", "noise", "clusters"  # keys of an entry of `images`
IMAGE = r"[\w.+-]+"  # the name of an image, which stands in file names
# keys of an image that say which part of a survey it is
SURVEY_KEYS = ("survey", "mosaic", "centre", "size_arcmin")


def given(section: dict) -> dict:
    """The values of a section that are stated."""
    return {key: value for key, value in section.items() if value is not None}


class Plan(Study):
    def check(self) -> None:
        super().check()
        models, images = self["models"], [MOSAIC, *self["images"]]
        refuse_unknown("radio.search.images", "image", self["search"]["images"], images)
        refuse_unknown("radio.search.models", "model", self["search"]["models"], models)
        refuse_unknown("radio.mosaic.set", "set", [self.mosaic_set], self["sets"])
        if MOSAIC in self["images"]:
            refuse("radio.images", f"'{MOSAIC}' is the name of the simulated image")
        for name in self["images"]:
            self.check_image(name)
        if self["search"]["images"] != [MOSAIC] and not self.searched:
            named = ", ".join(self["search"]["models"])
            refuse("radio.search.models", f"no model of {named} is in run_models")
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

    def check_image(self, name: str) -> None:
        """Refuse an image that is neither a file nor one image of a survey."""
        key, stated = f"radio.images.{name}", self.stated(name)
        sources = [source for source in ("path", "survey") if source in stated]
        if len(sources) != 1:
            found = "both path and survey" if sources else "neither path nor survey"
            refuse(key, f"{found}; expected one of them")
        parts = [part for part in ("mosaic", "size_arcmin") if part in stated]
        if "noise" in stated and "smooth_arcsec" in stated:
            why = "the map is not that of the smoothed image; leave out noise or smooth_arcsec"
            refuse(f"{key}.noise", why)
        if FIELD in stated.get("path", ""):
            if FIELD not in stated.get("noise", FIELD):
                refuse(f"{key}.noise", f"'{stated['noise']}' has no {FIELD}, as path has")
            if "truth" in stated:
                refuse(f"{key}.truth", f"of many images, {stated['path']}; expected of one")
        truth = stated.get("truth", {"mask": None})
        if ("mask" in truth) == ("level" in truth) or ("level" in truth) != ("at" in truth):
            refuse(f"{key}.truth", f"has {', '.join(truth)}; expected mask, or level and at")
        if "path" in stated:
            if parts:
                refuse(f"{key}.{parts[0]}", "of an image with path; expected one with survey")
            return
        surveys = dict.fromkeys(file.partition("_")[0] for file in self.published)
        refuse_unknown(f"{key}.survey", "survey", [stated["survey"]], surveys)
        if len(parts) != 1:
            found = "both mosaic and size_arcmin" if parts else "neither mosaic nor size_arcmin"
            refuse(key, f"{found}; expected one of them")
        if parts == ["size_arcmin"]:
            if "centre" not in stated:
                refuse(f"{key}.centre", "null; expected that of the cut-out [deg]")
            if not -90 <= stated["centre"][1] <= 90:
                refuse(f"{key}.centre", f"declination {stated['centre'][1]:g}; expected -90 to 90")
        if "path" not in self.survey_files(stated):
            why = f"no public address of those of {stated['survey']} is known"
            refuse(f"{key}.{parts[0]}", f"{why}; expected a cut-out, or path of a copy")

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

    @functools.cached_property
    def fields_of(self) -> dict[str, tuple[str, str]]:
        """Image of `search.images` -> its entry in `images` and its field, empty without one."""
        found = {}
        for entry in self["search"]["images"]:
            # neither the mosaic nor an image of a survey has a path
            path = (self["images"][entry]["path"] if entry != MOSAIC else None) or ""
            names = {entry: ""}
            if FIELD in path:
                names = {f"{entry}_{field}": field for field in matches(path)}
            if not names:
                refuse(f"radio.images.{entry}.path", f"no file matches '{path}'")
            for name, field in names.items():
                if not re.fullmatch(IMAGE, name):
                    why = f"image '{name}' of '{path}': a name that stands in file names"
                    refuse(f"radio.images.{entry}", f"{why}, expected {IMAGE}")
                if name in found:
                    both = f"'{found[name][0]}' and '{entry}'"
                    refuse("radio.search.images", f"{both} both have an image '{name}'")
                found[name] = entry, field
        return found

    @functools.cached_property
    def searched(self) -> list[tuple[str, str]]:
        """(image, model) of each search."""
        return [(image, model) for image in self.fields_of for model in self.searchers]

    @property
    def shown(self) -> list[tuple[str, str]]:
        """The searches in the report: those of first seeds, and none of an entry that stands for
        many images.
        """
        return [
            (image, name)
            for image, name in self.searched
            if not self.fields_of[image][1] and name in self["models"]
        ]

    @functools.cached_property
    def searchers(self) -> dict[str, tuple[str, int]]:
        """Name of a training that searches images -> its model and seed. The first seed has the
        name of the model.
        """
        models = [m for m in self["search"]["models"] if m in self.models()]
        found = {model: (model, seed) for model, seed in self.runs(models, first=True)}
        if self["search"]["all_seeds"]:
            runs = [run for run in self.runs(models) if run not in found.values()]
            found |= {f"{model}_seed{seed}": (model, seed) for model, seed in runs}
        return found

    @functools.cached_property
    def batches(self) -> dict[str, list[str]]:
        """The images that one job searches, by the name of the batch.

        By a hash of the name: with one image more, all others stay in their batch, or few move.
        """
        size, names = self["search"]["images_per_job"], sorted(self.fields_of)
        if size == 1:
            return {name: [name] for name in names}
        found = {}
        for name in names:
            number = bucket(name, -(-len(names) // size))
            found.setdefault(f"batch{number}", []).append(name)
        return found

    def batch(self, image: str) -> str:
        refuse_unknown("radio.search.images", "image", [image], self.fields_of)
        return self.batch_of[image]

    @functools.cached_property
    def batch_of(self) -> dict[str, str]:
        return {image: name for name, images in self.batches.items() for image in images}

    def search_status(self, batch: str, model: str) -> str:
        """Which images of a batch were searched, and the errors of the others."""
        return self.path(f"search/{batch}_{model}.json")

    def kept(self, image: str, model: str) -> str:
        """Where the products of an image stay when its job is killed: no rule's output."""
        folder, name = os.path.split(self.folder)
        return f"{folder}/state/{name}/products/{model}/{image}"

    def again(self) -> list[str]:
        """Searches in which an image failed: the next run tries it again."""
        files = [Path(self.search_status(b, m)) for b in self.batches for m in self.searchers]
        return [str(f) for f in files if f.exists() and any(read_json(f).values())]

    @functools.cached_property
    def surveys(self) -> dict[str, list[str]]:
        """Entry of `images` that stands for many -> those of them that are searched."""
        found = {}
        for image, (entry, field) in self.fields_of.items():
            if field:
                found.setdefault(entry, []).append(image)
        return found

    def survey_status(self, entry: str, model: str) -> list[str]:
        """The outcomes of the searches of a survey, batch by batch."""
        batches = dict.fromkeys(self.batch_of[image] for image in self.surveys[entry])
        return [self.search_status(batch, model) for batch in batches]

    def product(self, image: str, model: str, file: str) -> str:
        return self.path(f"products/{image}_{model}/{file}")

    def stated(self, name: str) -> dict:
        """What the config states of an image of the user's."""
        stated = given(self["images"][name])
        return stated | ({"truth": given(stated["truth"])} if "truth" in stated else {})

    @functools.cached_property
    def published(self) -> dict[str, dict]:
        """Images of surveys in data.yaml by the pattern of their names."""
        files = read_yaml(BASE / "config" / "radio" / "data.yaml")["files"]
        return {name: entry for name, entry in files.items() if "{" in name}

    def survey_files(self, stated: dict) -> dict[str, str]:
        """`path` of an image of a survey, and `noise`, where they have a public address."""
        if "mosaic" in stated:
            parts = {"mosaic": stated["mosaic"]}
            endings = {"path": "{mosaic}.fits", "noise": "{mosaic}_rms.fits"}
        else:
            ra, dec = stated["centre"]
            # 0.4", less than a pixel; a plus would be a space in an address
            parts = {"ra": f"{ra % 360:.4f}", "dec": f"{dec:.4f}"}
            parts["size"] = f"{stated['size_arcmin']:g}"
            endings = {"path": "{ra}_{dec}_{size}.fits"}
        patterns = {key: f"{stated['survey']}_{ending}" for key, ending in endings.items()}
        return {
            key: f"{self.resources}/{pattern.format(**parts)}"
            for key, pattern in patterns.items()
            if self.published.get(pattern, {}).get("urls")
        }

    def image(self, name: str) -> dict:
        """What the scripts read of an image: its files, and what the config states."""
        if name == MOSAIC:
            names = {"path": "raw/mosaic.fits", "clusters": "raw/clusters.ecsv"}
            files = {key: self.path(file) for key, file in names.items()}
            return files | {"columns": {}, "radius_arcmin": 5}
        entry, field = self.fields_of[name]
        stated = {key: value for key, value in self.stated(entry).items() if key != "truth"}
        if field:
            files = {key: stated[key] for key in FILES if key in stated}
            stated |= {key: path.replace(FIELD, field) for key, path in files.items()}
            stated["field"] = field
        if "survey" not in stated:
            return stated
        files = self.survey_files(stated)
        if "smooth_arcsec" in stated:
            files.pop("noise", None)  # it is that of the narrower beam
        return files | {key: value for key, value in stated.items() if key not in SURVEY_KEYS}

    def batch_images(self, batch: str) -> dict[str, dict]:
        """What the scripts read of the images of a batch, by name."""
        return {image: self.image(image) for image in self.batches[batch]}

    def batch_files(self, batch: str) -> list[str]:
        """The files of the images of a batch, each once."""
        files = [file for image in self.batches[batch] for file in self.image_files(image)]
        return list(dict.fromkeys(files))

    def image_files(self, name: str) -> list[str]:
        """The files of an image: itself, its noise and its clusters."""
        stated = self.image(name)
        return [stated[key] for key in FILES if key in stated]

    def truth(self, name: str) -> dict:
        """What is known of the diffuse emission of an image, empty where nothing is."""
        if name == MOSAIC:
            return {"classes": self.path("raw/mosaic_truth.fits")}
        return self.stated(self.fields_of[name][0]).get("truth", {})

    def truth_files(self, name: str) -> list[str]:
        stated = self.truth(name)
        return [stated[key] for key in ("classes", "mask", "excluded") if key in stated]

    @functools.cached_property
    def compared(self) -> dict[str, list[str]]:
        """Searched image whose diffuse emission is known -> the trainings that searched it."""
        images = dict.fromkeys(image for image, _ in self.shown if self.truth(image))
        return {image: list(self.searchers) for image in images}

    @functools.cached_property
    def tables(self) -> dict[str, Table]:
        tables = super().tables
        for image in self.compared:
            label = image.replace("_", " ")
            table = Table("agreement", "2 Maps and images", "7 Agreement with the truth", label)
            tables[f"products/agreement_{image}"] = table
        for image, model in self.shown:
            label = f"{image.replace('_', ' ')}, {self.labels([model])[model]}"
            table = Table("sources", "2 Maps and images", "5 Sources found", label)
            tables[f"products/{image}_{model}/sources"] = table
            if "clusters" in self.image(image):
                table = Table("clusters", "2 Maps and images", "6 Verdicts on clusters", label)
                tables[f"products/{image}_{model}/clusters"] = table
        return tables


def matches(pattern: str) -> list[str]:
    """The fields of the files that match a path with `{field}`, sorted."""
    parts = pattern.split(FIELD)
    first, *others = map(re.escape, parts)
    form = re.compile(first + "([^/]+)" + r"\1".join(others))
    files = glob.glob("*".join(map(glob.escape, parts)))
    return sorted(found[1] for found in map(form.fullmatch, files) if found)


def bucket(name: str, number: int) -> int:
    """One of so many buckets; with one bucket more, a name stays or moves into the new one.

    Lamping & Veach 2014 (arXiv:1406.2294).
    """
    key = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8])
    found, following = 0, 0
    while following < number:
        found = following
        key = (key * 2862933555777941757 + 1) % 2**64
        following = int((found + 1) * 2**31 / ((key >> 33) + 1))
    return found
