"""A finished training: its files are kept in its state folder, and put in place from there.

Snakemake deletes the outputs of a job before it starts the job again. It also does so after the
training has finished, where its driver was killed or lost the job before it recorded the end. A job
whose training has finished puts the kept files in place and trains nothing.
"""

import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from skyloom.cli import atomic
from skyloom.provenance import file_checksum


@dataclass(frozen=True)
class Finished:
    """The files of a training in `folder`, which has those of one training at a time.

    identity : stands for all that they are trained from
    files : where they are published, the checkpoint last: where it lies, the others do too
    """

    folder: Path
    identity: str
    files: tuple[Path, ...]

    def kept(self, file: Path) -> Path:
        """Where a published file is kept."""
        return self.folder / file.name

    def seal(self) -> None:
        """Record that the kept files are complete, and of this training."""
        with atomic(self.folder / "record.json") as part:
            part.write_text(json.dumps(self._record()))

    def exists(self) -> bool:
        """Whether the kept files are of this training, and as they were when it finished."""
        try:
            return json.loads((self.folder / "record.json").read_text()) == self._record()
        except (OSError, ValueError):  # there is none, or it is cut short
            return False

    def publish(self) -> None:
        """Put hard links in place, which cost no space, or copies where links are refused."""
        for file in self.files:
            with atomic(file) as part:
                try:
                    os.link(self.kept(file), part)
                except OSError:
                    shutil.copyfile(self.kept(file), part)
            os.utime(file)  # an output must not be older than its inputs

    def _record(self) -> dict:
        checksums = {file.name: file_checksum(self.kept(file)) for file in self.files}
        return {"identity": self.identity, "checksums": checksums}
