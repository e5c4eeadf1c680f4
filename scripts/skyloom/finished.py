"""Finished work, as a training: its files are kept in a folder, and put in place from there.

Snakemake deletes the outputs of a job before it starts the job again. It also does so after the
work has finished, where its driver was killed or lost the job before it recorded the end. A job
whose work has finished puts the kept files in place and repeats nothing.
"""

import json
from dataclasses import dataclass
from pathlib import Path

from skyloom import cli
from skyloom.provenance import file_checksum


@dataclass(frozen=True)
class Finished:
    """The files of a training or a search in `folder`, which has those of one at a time.

    identity : stands for all that they are made from
    files : where they are published, the checkpoint last: where it lies, the others do too
    """

    folder: Path
    identity: str
    files: tuple[Path, ...]

    def kept(self, file: Path) -> Path:
        """Where a published file is kept."""
        return self.folder / file.name

    def seal(self) -> None:
        """Record that the kept files are complete, and of this work."""
        with cli.atomic(self.folder / "record.json") as part:
            part.write_text(json.dumps(self._record()))

    def exists(self) -> bool:
        """Whether the kept files are of this work, and as they were when it finished."""
        try:
            return json.loads((self.folder / "record.json").read_text()) == self._record()
        except (OSError, ValueError):  # there is none, or it is cut short
            return False

    def publish(self) -> None:
        """Put the kept files in place."""
        for file in self.files:
            cli.link(self.kept(file), file)

    def _record(self) -> dict:
        checksums = {file.name: file_checksum(self.kept(file)) for file in self.files}
        return {"identity": self.identity, "checksums": checksums}
