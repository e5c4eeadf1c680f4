"""The extinction study: the stars that its sets are drawn from, and what they may ask for."""

from .config import refuse, refuse_unknown
from .study import Study

GROUPS = "trained", "unseen", "beyond"
PIXELS = 64  # of a diagram
KEPT_BYTES = 6e9  # of diagrams that a training keeps, two bytes a pixel


class Plan(Study):
    def check(self) -> None:
        super().check()
        for name, entry in self["fields"].items():
            self.check_fields(name, entry)
        for name, entry in self["sets"].items():
            self.check_set(name, entry)
        maps = self["maps"]
        refuse_unknown("extinction.maps.regions", "region", maps["regions"], self["regions"])
        refuse_unknown("extinction.maps.models", "model", maps["models"], self["models"])
        for name, entry in self["regions"].items():
            key = f"extinction.regions.{name}"
            refuse_unknown(f"{key}.set", "set", [entry["set"]], self["sets"])
            for axis in ("longitude", "latitude"):
                low, high = entry[axis]
                if not low < high:
                    refuse(f"{key}.{axis}", f"{low:g} is not below {high:g}")

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

    def region(self, name: str) -> dict:
        """What the sightlines of a region are drawn by."""
        entry = self["regions"][name]
        settings = self["sets"][entry["set"]]
        return {"region": entry, "set": settings, "fields": self["fields"][settings["fields"]]}

    def product(self, region: str, model: str, file: str) -> str:
        return self.path(f"products/{region}_{model}/{file}")

    def image_pixels(self, model: str) -> int:
        return PIXELS

    def training_examples(self, model: str) -> int:
        return self["sets"][self.entry(model)["set"]]["train"]
