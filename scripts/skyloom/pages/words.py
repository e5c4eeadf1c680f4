"""Words of tables: labels, units and sentences about columns, scores and subsets.

They stand in `columns.yaml` of workflow/report/ and of its folder of a study, which is read last:

- `columns`: name -> `label`, and where there are such `unit`, `better`, `about`;
- `subsets`: pattern of the name -> words, with the groups of the pattern;
- `tables`: name of a table -> what `pages.csv_table` reads.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from skyloom.cli import BadInput
from skyloom.pages.table import Column

KEYS = {"label", "unit", "better", "about"}


@dataclass
class Words:
    columns: dict[str, dict] = field(default_factory=dict)
    subsets: dict[str, str] = field(default_factory=dict)
    tables: dict[str, dict] = field(default_factory=dict)

    def column(self, name: str) -> Column:
        """The column of this name: one of the file, a score with a subset, or the bare name."""
        if name in self.columns:
            return Column(name, **self.columns[name])
        scores = [score for score in self.columns if name.startswith(f"{score}_")]
        if scores:
            score = max(scores, key=len)
            subset = name.removeprefix(f"{score}_")
            below = "" if subset == "all" else self.subset(subset)
            return Column(name, **self.columns[score], below=below)
        return Column(name, plain(name))

    def subset(self, name: str) -> str:
        """The words for a subset of the test examples."""
        for pattern, words in self.subsets.items():
            if match := re.fullmatch(pattern, name):
                return match.expand(words)
        return plain(name)


def plain(name: str) -> str:
    """A name of the code as words."""
    return name.replace("_", " ")


def read(paths: Iterable[Path]) -> Words:
    """The words of several files, those of later ones first where they repeat a name."""
    words = Words()
    for path in paths:
        content = yaml.safe_load(path.read_text()) or {}
        for name, column in content.get("columns", {}).items():
            if unknown := column.keys() - KEYS:
                raise BadInput(
                    f"{path}: columns.{name}: unknown {', '.join(sorted(unknown))}; expected "
                    f"{', '.join(sorted(KEYS))}"
                )
        for part in ("columns", "tables"):
            getattr(words, part).update(content.get(part, {}))
        words.subsets = content.get("subsets", {}) | words.subsets
    return words
