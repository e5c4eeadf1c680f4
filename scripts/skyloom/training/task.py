"""What a study and its config tell the engine: the `Task` (what is learned) and the `Plan` (for how
long).
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields, replace
from typing import Protocol

import torch
from torch import Tensor, nn

from skyloom.cli import BadInput
from skyloom.examples import Batch, Split, Stream

WARM_UP = (
    0.15  # share of the steps in which the learning rate rises, where it goes through one cycle
)


class Memory(Protocol):
    """Anything whose state is tensors and plain Python."""

    def state_dict(self) -> dict: ...

    def load_state_dict(self, state: dict) -> None: ...


@dataclass(frozen=True)
class Plan:
    """How long and how to train; each field may stand in a model's config entry under the same
    name.
    """

    epochs: float = 50
    steps: int | None = None  # where given, it goes before `epochs`
    batch: int = 32  # over all processes together, so that 1 and 4 GPUs train on the same batches
    learning_rate: float = 1e-3
    ema: float = (
        0.999  # decay of the weight average, which is what is scored and published; 0: no average
    )
    clip: float | None = None  # largest norm of one optimiser's gradient
    valid_every: int | None = None  # steps from one row of the history to the next; None: one epoch
    save_minutes: float = 10  # a kill loses at most this much
    readers: int = 0  # worker processes that draw or read batches ahead
    compile: str | None = None  # mode of torch.compile; None: not compiled
    precision: str | None = None  # of products and convolutions; None: as `Team.autocast`
    seed: int = 0

    @classmethod
    def from_entry(cls, entry: dict, seed: int) -> "Plan":
        """The plan in a model's config entry; what is missing or null there takes its default."""
        names = {field.name for field in fields(cls)} - {"seed"}
        return cls(
            seed=seed,
            **{key: value for key, value in entry.items() if key in names and value is not None},
        )

    def resolved(self, n_train: int, n_processes: int) -> "Plan":
        """The same plan with `steps`, `batch` and `valid_every` as numbers, for `n_train`
        examples.
        """
        batch = min(self.batch, n_train)
        if batch < 1 or batch % n_processes:
            raise BadInput(
                f"batch: {batch} examples cannot be shared evenly by {n_processes} processes"
            )
        epoch = n_train // batch
        steps = self.steps or max(1, round(self.epochs * epoch))
        return replace(self, steps=steps, batch=batch, valid_every=self.valid_every or epoch)


class Task(nn.Module, ABC):
    """Networks, and how they learn. A supervised one is:

        class Denoise(Task):
            def __init__(self):
                super().__init__()
                self.net = UNet(3, 1)

            def optimisers(self):
                return {"net": adamw(self.net.parameters(), self.plan.learning_rate)}

            def losses(self, batch, step):
                yield "net", mse_loss(self.net(batch["x"]), batch["y"])

            def score(self, batch):
                return {"mse": (self.net(batch["x"]) - batch["y"]).square().mean((1, 2, 3))}

    An adversarial one yields ("critic", ...) and then ("generator", ...): the engine takes the
    named optimiser's step between two yields, so that what follows a yield sees the stepped
    weights. Draw random numbers from torch's default generators only: the engine seeds them before
    each step, which is what makes a resumed run exact.
    """

    plan: Plan  # set by the engine before it calls `optimisers`, with `steps` as a number
    # step before which no weights are published, where a part begins to learn later than others
    judged_from: int = 0

    @abstractmethod
    def optimisers(self) -> dict[str, torch.optim.Optimizer]:
        """One optimiser a name; each owns the parameters that its loss trains."""

    def schedules(
        self, optimisers: dict[str, torch.optim.Optimizer]
    ) -> dict[str, torch.optim.lr_scheduler.LRScheduler]:
        """Schedules of the learning rate by their optimiser's name, stepped after each step of it;
        none by default.
        """
        return {}

    def memory(self) -> dict[str, Memory]:
        """What the training remembers beside weights, by name: resumed with them, never averaged or
        published.

        Every process must hold the same; a batch-norm statistic or another part of the model is a
        torch buffer instead.
        """
        return {}

    @abstractmethod
    def losses(self, batch: Batch, step: int) -> Iterator[tuple[str, Tensor]]:
        """Yield (name of an optimiser, scalar mean loss over the batch), in the order in which the
        steps are taken.
        """

    @abstractmethod
    def score(self, batch: Batch) -> dict[str, Tensor]:
        """Scores (example,) in evaluation mode; lower is better, and the first one chooses the
        published weights.
        """

    def prepare(self, train: Split | Stream) -> None:
        """Set what the training split tells in closed form (a normalisation, a linear answer); by
        default nothing.

        Called before the first step, on the CPU.
        """

    def invariants(self, batch: Batch) -> Batch:
        """Tensors (example, ...) that no random symmetry of the losses changes; by default none.

        They are computed once for each example of a fixed set and added to its batches, where these
        are not read ahead.
        """
        return {}

    def calibrate(self, batches: Iterable[Batch]) -> None:
        """Fit to the validation split what stands in buffers beside the weights (a spread's scale);
        by default nothing.

        Called once, in evaluation mode on the best weights, before they are published; `batches`
        are all of the split.
        """


def adamw(parameters: Iterable[nn.Parameter], learning_rate: float, **options) -> torch.optim.AdamW:
    """AdamW in its fused form: a quarter of the time for small networks on the CPU, and the fast
    one on CUDA.
    """
    return torch.optim.AdamW(parameters, learning_rate, fused=True, **options)


def one_cycle(optimiser: torch.optim.Optimizer, steps: int) -> torch.optim.lr_scheduler.OneCycleLR:
    """The learning rate up to the optimiser's own and down again (Smith & Topin 2018)."""
    rate = optimiser.param_groups[0]["lr"]
    return torch.optim.lr_scheduler.OneCycleLR(
        optimiser, rate, total_steps=steps, pct_start=WARM_UP
    )
