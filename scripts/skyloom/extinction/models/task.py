"""The task of every network of the study: quantiles of A_V(d), monotone in distance.

A network gives one number for each quantile and bin of distance. Its softplus is an increment of
A_V, whose cumulative sum rises with distance. The quantiles of a distance are sorted, which keeps
each of them monotone.

The loss is the pinball loss of all quantiles (Koenker & Bassett 1978) and, for the shape of the
profile, a Huber loss of the median's increments.

Intervals are made to cover on validation by a factor for each level (split conformal: Romano,
Patterson & Candes 2019, arXiv:1905.03222). It stands in the checkpoint.
"""

from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.nn.functional import smooth_l1_loss, softplus

from skyloom.examples import Batch
from skyloom.extinction.models.intervals import LEVELS, QUANTILES, factors, named, widened
from skyloom.extinction.simulate.diagrams import running_sum
from skyloom.networks.devices import to_device
from skyloom.training import Task, adamw, one_cycle

MEDIAN = QUANTILES.index(0.5)
# of all outputs: softplus(-2.5) = 0.08 mag in 100 pc, the median of random profiles
START, STEP = -2.5, 100.0
BEND = 0.2  # [mag in 100 pc] from which on an error of an increment counts linearly


class Profiles(Task):
    """One optimiser, `net`: AdamW under OneCycle (Smith & Topin 2018).

    entry : `weight_decay`, `shape_weight` of the loss of increments, `passes` of MC dropout
    """

    def __init__(self, entry: dict, meta: dict, encoder: nn.Module, width: int):
        """encoder : diagrams (n, 2 diagram, y, x) to features (n, width)."""
        super().__init__()
        self.entry, self.bins, self.wide = entry, meta["bins"], meta["step"] / STEP
        self.encoder = encoder
        self.head = nn.Linear(width, len(QUANTILES) * self.bins)
        self.register_buffer("factors", torch.ones(len(LEVELS)))
        self.register_buffer("quantiles", torch.tensor(QUANTILES)[:, None], persistent=False)

    def increments(self, x: Tensor) -> Tensor:
        """A_V of each bin (n, quantile, bin) [mag], not sorted."""
        output = self.head(self.encoder(x)).float()
        return self.wide * softplus(output.view(-1, len(QUANTILES), self.bins) + START)

    def forward(self, x: Tensor) -> Tensor:
        """Quantiles of A_V up to each distance (n, quantile, bin) [mag]."""
        return running_sum(self.increments(x)).sort(1).values

    def optimisers(self) -> dict[str, torch.optim.Optimizer]:
        rate, decay = self.plan.learning_rate, self.entry["weight_decay"]
        return {"net": adamw(self.parameters(), rate, weight_decay=decay)}

    def schedules(self, optimisers):
        return {"net": one_cycle(optimisers["net"], self.plan.steps)}

    def losses(self, batch: Batch, step: int):
        increments, target = self.increments(batch["input"]), batch["target"]
        loss = pinball(running_sum(increments), target, self.quantiles).mean()
        true = torch.diff(target, dim=1, prepend=torch.zeros_like(target[:, :1]))
        shape = smooth_l1_loss(increments[:, MEDIAN], true, beta=BEND * self.wide)
        yield "net", loss + self.entry["shape_weight"] * shape

    def score(self, batch: Batch) -> dict[str, Tensor]:
        predicted, target = self(batch["input"]), batch["target"]
        error = predicted[:, MEDIAN] - target
        loss = pinball(predicted, target, self.quantiles).mean((1, 2))
        return {"pinball": loss, "square": error.square().mean(1), "absolute": error.abs().mean(1)}

    def calibrate(self, batches: Iterable[Batch]) -> None:
        rows = [(self(batch["input"]), batch["target"]) for batch in batches]
        predicted, target = (torch.cat(part) for part in zip(*rows, strict=True))
        self.factors.copy_(to_device(factors(predicted.cpu(), target.cpu()), self.factors.device))


def pinball(predicted: Tensor, target: Tensor, quantiles: Tensor) -> Tensor:
    """The loss whose least mean is the quantile (n, quantile, bin) [mag].

    predicted (n, quantile, bin), target (n, bin), quantiles (quantile, 1)
    """
    short = target[:, None] - predicted
    return torch.maximum(quantiles * short, (quantiles - 1) * short)


@torch.no_grad()
def predict(task: Profiles, batch: Batch) -> dict[str, Tensor]:
    """`prediction`, the median, and `lower68`, `upper68`, `lower95`, `upper95` (n, bin) [mag].

    With `passes`, `dropout_lower68` and so on: quantiles of the median over passes with dropout.
    """
    predicted = task(batch["input"])
    found = named(widened(predicted, task.factors))
    if task.entry["passes"]:
        found |= dropout_intervals(task, batch["input"])
    return found


def dropout_intervals(task: Profiles, x: Tensor) -> dict[str, Tensor]:
    """MC dropout (Gal & Ghahramani 2016, arXiv:1506.02142), as the reference study has it."""
    layers = [module for module in task.modules() if isinstance(module, nn.Dropout)]
    for layer in layers:
        layer.train()
    medians = torch.stack([task(x)[:, MEDIAN] for _ in range(task.entry["passes"])])
    for layer in layers:
        layer.eval()
    # a normal distribution: a few passes have no quantile of 2.5 %
    mean, spread = medians.mean(0), medians.std(0)
    ends = {"lower68": -1.0, "upper68": 1.0, "lower95": -1.96, "upper95": 1.96}
    return {f"dropout_{name}": mean + z * spread for name, z in ends.items()}


def scheme(task: Profiles, meta: dict) -> tuple[nn.Module, tuple[int, ...]]:
    """The layers of the network, and the shape of their input."""
    shape = 2 * len(meta["diagrams"]), meta["pixels"], meta["pixels"]
    return nn.Sequential(*task.encoder, task.head), shape
