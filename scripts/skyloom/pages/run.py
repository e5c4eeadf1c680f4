"""A run as its files tell it: run.json of the run and of its trainings, benchmarks, verdicts."""

import csv
import functools
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from skyloom import files
from skyloom.cli import BadInput
from skyloom.provenance import duration
from skyloom.scores.verdict import DATA

TRAINING = (
    "study",
    "model",
    "seed",
    "data_kind",
    "device",
    "device_seconds",
    "wall_seconds",
    "git",
)
MADE_AGAIN = ("raw", "simulations", "sets", "denoised", "sky", "explain")


@dataclass(frozen=True)
class Run:
    """The run in `folder`; `about` is its run.json, which the workflow writes at its end."""

    folder: Path
    about: dict

    @property
    def studies(self) -> dict[str, dict]:
        return self.about["studies"]

    @property
    def started(self) -> datetime:
        return datetime.fromisoformat(self.about["started"])

    @property
    def ended(self) -> datetime:
        return datetime.fromisoformat(self.about["ended"])

    @property
    def report(self) -> Path:
        return self.folder / "report.html"

    def items(self, study: str) -> list[dict]:
        """The items of the report of a study that exist."""
        return [i for i in self.about["items"] if i["study"] == study and Path(i["file"]).exists()]

    def verdict(self, study: str) -> dict | None:
        """The verdict of a study, None where this run has not come to one."""
        path = self.folder / study / "verdict.json"
        if self.studies[study]["verdict"] == "old" or not path.exists():
            return None
        return files.read_json(path, ["sets"])

    def earlier(self, study: str) -> str:
        """A line on a verdict that this run did not check; empty where it made or checked it."""
        if self.studies[study]["verdict"] == "current":
            return ""
        path = self.folder / study / "verdict.json"
        made = datetime.fromtimestamp(path.stat().st_mtime, UTC)
        return (
            f"This run did not compare the models. An earlier run did, {made:%Y-%m-%d %H:%M} UTC:"
        )

    @functools.cached_property
    def trainings(self) -> list[dict]:
        """run.json of each training and fit, with the `study`."""
        paths = sorted(
            p for s in self.studies for p in self.folder.glob(f"{s}/models/*/*/run.json")
        )
        return [files.read_json(path, TRAINING) for path in paths]

    @functools.cached_property
    def rules(self) -> dict[str, dict]:
        """Rule -> `jobs`, `seconds` and `memory_mb`, the largest, of its benchmarks."""
        rules: dict[str, dict] = {}
        for study in self.studies:
            folder = self.folder / study / "benchmarks"
            for path in sorted(folder.rglob("*.tsv")):
                name = path.relative_to(folder).parts[0].removesuffix(".tsv")
                with path.open() as file:
                    row = next(csv.DictReader(file, delimiter="\t"), None)
                if row:
                    rule = rules.setdefault(name, {"jobs": 0, "seconds": 0.0, "memory_mb": 0.0})
                    rule["jobs"] += 1
                    rule["seconds"] += float(row["s"])
                    rule["memory_mb"] = max(rule["memory_mb"], _float(row["max_rss"]))
        return rules

    @property
    def data(self) -> str:
        """Kinds of the data, of all studies."""
        kinds = dict.fromkeys(training["data_kind"] for training in self.trainings)
        return ", ".join(DATA.get(kind, kind) for kind in kinds)

    @property
    def commit(self) -> str:
        """The commit, marked where files differ from it, and those of trainings of another one."""
        git = self.about["git"]
        if not git["commit"]:
            return "unknown"
        text = git["commit"][:7] + " with local changes" * bool(git["dirty"])
        commits = {t["git"]["commit"] for t in self.trainings} - {git["commit"], None}
        others = ", ".join(sorted(commit[:7] for commit in commits))
        return f"{text}; trained at {others}" if others else text

    @property
    def device_hours(self) -> float:
        return sum(training["device_seconds"] for training in self.trainings) / 3600

    def facts(self) -> dict[str, str]:
        """What ran, when, where, and how long, in words."""
        machine = self.about["machine"]
        devices = ", ".join(dict.fromkeys(t["device"] for t in self.trainings)) or "none"
        seconds = sum(rule["seconds"] for rule in self.rules.values())
        return {
            "data": self.data or "none",
            "size": self.about["size"],
            "ended": f"{self.ended:%Y-%m-%d %H:%M} UTC",
            "wall time": duration(self.about["seconds"]),
            "time of all jobs": duration(seconds),
            "device time of trainings": f"{self.device_hours:.2g} h on {devices}",
            "machine": f"{machine['cpu']}, {machine['cores']} cores, {machine['memory_gb']:g} GB",
            "commit": self.commit,
            "versions": self.versions,
        }

    @property
    def versions(self) -> str:
        """Of Python and the packages that a number can depend on."""
        packages = self.trainings[0]["packages"] if self.trainings else {}
        return ", ".join(f"{name} {version}" for name, version in packages.items())

    def sizes(self) -> dict[str, int]:
        """Folder or file below a study -> bytes, and `state`."""
        entries = [p for study in self.studies for p in sorted((self.folder / study).glob("*"))]
        counted: set[int] = set()
        return {
            str(p.relative_to(self.folder)): size(p, counted)
            for p in [*entries, self.folder / "state"]
        }


def read(folder: Path) -> Run:
    path = folder / "run.json"
    if not path.exists():
        raise BadInput(f"{path} not found; expected that of a run that has ended")
    return Run(folder, files.read_json(path, ["run", "status", "studies"]))


def size(path: Path, counted: set[int]) -> int:
    """Bytes of a file, or of all files of a folder, less hard links to files that are `counted`."""
    entries = path.rglob("*") if path.is_dir() else [path]
    stats = [file.stat() for file in entries if file.is_file() and not file.is_symlink()]
    sizes = {stat.st_ino: stat.st_size for stat in stats if stat.st_ino not in counted}
    counted.update(sizes)
    return sum(sizes.values())


def _float(text: str) -> float:
    """A number of a benchmark, 0 where none was measured."""
    try:
        return float(text)
    except ValueError:
        return 0.0
