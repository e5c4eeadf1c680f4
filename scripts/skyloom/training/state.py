"""What survives a kill: the whole state of a run in one file, replaced atomically.

The file is named by a digest of configuration, data, code and number of processes. A changed
configuration therefore starts anew, and one that was changed back goes on. Rank 0 writes; the ranks
are replicas.
"""

import hashlib
import io
import json
import math
import time
from dataclasses import asdict
from pathlib import Path

import torch
from torch import Tensor

from skyloom.cli import BadInput, atomic
from skyloom.training.task import Plan
from skyloom.training.team import Team

# of the time, may go into saving at each row of the history, besides every `plan.save_minutes`
SAVING_SHARE = 0.01


class Diverged(ArithmeticError):
    """A loss or a score is not finite: the message says which one, and at which step."""


class Run:
    """Position, history, best weights and all parts of one training run.

    Parts are networks, optimisers, schedules and what the task remembers.
    """

    ASIDE = "readers", "save_minutes"  # fields of a plan that do not change what is learned
    KEPT = "step", "history", "sums", "best", "best_step", "best_weights"
    KEPT += "seconds", "resumes", "device"

    def __init__(self, folder: Path, plan: Plan, digest: str, team: Team, parts: dict):
        self.folder, self.plan, self.team, self.parts = folder, plan, team, parts
        learned = {key: v for key, v in asdict(plan).items() if key not in self.ASIDE}
        key = json.dumps([digest, learned, team.world], sort_keys=True)
        self.path = folder / f"state-{hashlib.sha256(key.encode()).hexdigest()[:16]}.pt"
        self.step, self.history, self.sums = 0, [], {}
        self.best, self.best_step, self.best_weights = math.inf, 0, None
        self.seconds, self.resumes, self.device = 0.0, 0, team.device.type
        self.since = self.saved = time.monotonic()
        # at which step the file was written, and how long that took [s]
        self.saved_step, self.saving = None, 0.0
        # (step, name, [loss, stop flag]) not read back yet
        self.pending: list[tuple[int, str, Tensor]] = []
        self.told_to_stop = False

    def load(self) -> None:
        """Take the saved state up, where there is one of this very configuration."""
        if not self.path.exists():
            return
        state = torch.load(self.path, map_location="cpu", weights_only=True)
        for name, part in self.parts.items():
            part.load_state_dict(state["parts"][name])
        for key in self.KEPT:
            setattr(self, key, state[key])
        self.resumes += 1
        self.saved_step = self.step

    def others(self) -> list[Path]:
        """States of other configurations in the same folder."""
        return [path for path in self.folder.glob("state-*.pt") if path != self.path]

    def save(self) -> None:
        """Write the state; where the disc is full, the one before stays and `BadInput` says so.

        Raises `Diverged` instead of replacing a good state by weights that are not finite.
        """
        if self.team.rank:
            return
        # a finite loss can have a gradient that is not
        for name, value in self.parts["task"].named_parameters():
            if not value.isfinite().all():
                raise Diverged(f"the weight '{name}' is not finite after step {self.step}")
        begin = time.monotonic()
        self.seconds, self.since = self.seconds + begin - self.since, begin
        state = {key: getattr(self, key) for key in self.KEPT}
        state["parts"] = {name: part.state_dict() for name, part in self.parts.items()}
        buffer = io.BytesIO()  # torch's own writer hides the operating system's error
        torch.save(state, buffer)
        try:
            with atomic(self.path) as part:
                part.write_bytes(buffer.getbuffer())
        except OSError as error:
            raise BadInput(
                f"{self.path}: {error.strerror}; {self.kept()}. Free some space and run the same "
                "command again"
            ) from error
        self.saved, self.saved_step = time.monotonic(), self.step
        self.saving = self.saved - begin

    def note_stop(self) -> None:
        """Note a stop with a saved state, which asks for no more memory in the next attempt."""
        if self.team.rank == 0:
            with open(self.folder / "stops", "a") as file:
                file.write(f"{time.time():.3f}\n")

    def due(self, row: bool) -> bool:
        """Time to save: each row of the history as long as that is cheap, and every `save_minutes`
        in any case.
        """
        elapsed = time.monotonic() - self.saved
        return elapsed > 60 * self.plan.save_minutes or (
            row and elapsed * SAVING_SHARE > self.saving
        )

    def kept(self) -> str:
        """What a person finds after a failure."""
        return (
            f"the state of step {self.saved_step} is kept"
            if self.saved_step is not None
            else "no state was saved yet"
        )

    def note(self, name: str, record: Tensor) -> None:
        """Keep [loss, stop flag] of one optimiser's step, without waiting for the device."""
        self.pending.append((self.step, name, record))

    def take_stock(self) -> None:
        """Read the noted losses back. Raises `Diverged` at the first that is not finite."""
        if not self.pending:
            return
        for (step, name, _), (value, stop) in zip(
            self.pending, torch.stack([record for *_, record in self.pending]).tolist(), strict=True
        ):
            if not math.isfinite(value):
                raise Diverged(f"the loss '{name}' is {value} at step {step}")
            total, count = self.sums.get(name, (0.0, 0))
            self.sums[name] = total + value, count + 1
            self.told_to_stop |= stop > 0
        self.pending.clear()

    def means(self) -> dict[str, float]:
        """Mean losses since the last call."""
        means, self.sums = {name: total / count for name, (total, count) in self.sums.items()}, {}
        return means

    def keep_if_best(self, name: str, score: float, module: torch.nn.Module) -> None:
        if not math.isfinite(score):
            raise Diverged(f"the validation score '{name}' is {score} at step {self.step}")
        if score < self.best:
            self.best, self.best_step = score, self.step
            self.best_weights = {
                key: value.detach().cpu().clone() for key, value in module.state_dict().items()
            }

    def csv(self) -> str:
        """The history as CSV text; numbers in full, so that equal histories are equal files."""
        names = list(self.history[0]) if self.history else ["step"]
        return (
            "\n".join(
                [
                    ",".join(names),
                    *(",".join(repr(row[name]) for name in names) for row in self.history),
                ]
            )
            + "\n"
        )

    def forget(self) -> None:
        """Remove the states, so that the next run trains anew."""
        others = (self.folder / name for name in ("history.csv", "stops"))
        for path in [*self.folder.glob("state-*.pt"), *others]:
            path.unlink(missing_ok=True)
