"""What one sees of a run: history.csv, TensorBoard, and a bar on a terminal or sparse lines in a
log file.
"""

import contextlib
import math
import shutil
import sys
import time

from tensorboardX import SummaryWriter
from tqdm import tqdm

from skyloom.cli import atomic
from skyloom.training.state import Run

LINE_SECONDS = 60  # between two lines in a log file


class Log:
    """Speaks on rank 0 only. TensorBoard's files and train.log, all attempts' lines, stay in the
    state folder.
    """

    def __init__(self, run: Run, quiet: bool = False):
        self.run, self.plan, self.quiet = run, run.plan, quiet
        self.begin, self.begin_step, self.spoke = time.monotonic(), run.step, time.monotonic()
        self.bar = None
        if quiet:
            return
        board = run.folder / "tensorboard"
        if run.step == 0:
            shutil.rmtree(board, ignore_errors=True)
        self.board = SummaryWriter(str(board), purge_step=run.step + 1)
        if sys.stderr.isatty():
            batch, steps = self.plan.batch, self.plan.steps
            self.bar = tqdm(
                total=steps * batch, initial=run.step * batch, unit=" examples", unit_scale=True
            )

    def row(self, values: dict[str, float]) -> None:
        """Add one row to the history."""
        self.run.history.append(values)
        if self.quiet:
            return
        with atomic(self.run.folder / "history.csv") as part:
            part.write_text(self.run.csv())
        for name, value in values.items():
            if name != "step" and math.isfinite(value):  # a loss that had no step since has none
                self.board.add_scalar(name, value, values["step"])

    def progress(self) -> None:
        if self.quiet:
            return
        if self.bar is not None:
            self.bar.update(self.run.step * self.plan.batch - self.bar.n)
            if self.run.history:
                self.bar.set_postfix_str(self._latest(), refresh=False)
            return
        now, last = time.monotonic(), self.run.step == self.plan.steps
        if last or now - self.spoke > LINE_SECONDS:
            self.spoke = now
            rate = (self.run.step - self.begin_step) / (now - self.begin)  # steps/s
            left = tqdm.format_interval((self.plan.steps - self.run.step) / rate)
            self.say(
                f"step {self.run.step}/{self.plan.steps}  {rate * self.plan.batch:.4g} examples/s "
                f" {left} left  "
                f"{self._latest()}"
            )

    def say(self, text: str) -> None:
        """A line to stderr, and with the time to train.log: Snakemake deletes its own log when it
        tries again.
        """
        if self.quiet:
            return
        tqdm.write(text, file=sys.stderr)
        sys.stderr.flush()
        # a full disc: see close
        with contextlib.suppress(OSError), open(self.run.folder / "train.log", "a") as file:
            file.write(f"{time.strftime('%Y-%m-%d %H:%M:%S')}  {text}\n")

    def close(self) -> None:
        if not self.quiet:
            if self.bar is not None:
                self.bar.close()
            # on a full disc, which the state's own message tells
            with contextlib.suppress(OSError):
                self.board.close()

    def _latest(self) -> str:
        names = ("loss_", "valid_")
        row = self.run.history[-1] if self.run.history else {}
        return "  ".join(
            f"{name} {value:.4g}" for name, value in row.items() if name.startswith(names)
        )
