"""The task of every network of the study: an encoder of the image, a head, perhaps an adversary."""

import math
from collections import OrderedDict
from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from skyloom.cli import BadInput
from skyloom.networks import symmetries
from skyloom.networks.adversary import reverse_gradient
from skyloom.training import Task, adamw, one_cycle
from skyloom.turbulence.models.likelihoods import LIKELIHOODS

COINS = torch.tensor([[symmetries.FLIP_X], [symmetries.FLIP_Y], [symmetries.SWAP]])


@torch.no_grad()
def predict(task: "TurbulenceTask", batch: dict[str, Tensor]) -> dict[str, Tensor]:
    """The prediction from the eight views of an image, (n, 1) each.

    learns `class`: `prediction`, the probability of the steeper index; `balanced`, moved so that
    0.5 is the threshold of the best balanced accuracy on validation. learns `index`: `prediction`,
    and `spread`, its 1-sigma.
    """
    return task.likelihood.predict(task.outputs(batch["input"]))


@torch.no_grad()
def features(task: "TurbulenceTask", batch: dict[str, Tensor]) -> Tensor:
    """The input of the head, the mean over the eight views, (n, feature)."""
    return torch.stack(task.features(batch["input"])).mean(0)


def scheme(task: "TurbulenceTask", meta: dict) -> tuple[nn.Module, tuple[int, ...]]:
    """The layers of the network, and the shape of their input."""
    layers = nn.Sequential(OrderedDict(encoder=task.encoder, head=task.head))
    return layers, (1, meta["pixels"], meta["pixels"])


def random_view(x: Tensor) -> Tensor:
    """Each image (n, c, y, x) under a random symmetry of the square.

    Three coins an image: another way to draw would change every history.
    """
    elements = (torch.randint(2, (3, len(x))) * COINS).sum(0)
    return symmetries.apply({"x": x}, elements)["x"]


class TurbulenceTask(Task):
    """One optimiser, `net`: AdamW under OneCycle (Smith & Topin 2018).

    entry : `learns`, `dropout` (of the features), `weight_decay`, `adversarial`, the weight of the
        loss that removes the family of simulations from the features (0: none)
    """

    def __init__(self, entry: dict, meta: dict, encoder: nn.Module, width: int):
        """`encoder` : images (n, 1, y, x) to features (n, width)."""
        super().__init__()
        self.entry = entry
        self.likelihood = LIKELIHOODS[entry["learns"]](meta)
        self.encoder = encoder
        self.head = nn.Sequential(
            nn.Dropout(entry["dropout"]), nn.Linear(width, self.likelihood.outputs)
        )
        self.adversary = None
        if entry["adversarial"] > 0:
            families = len(meta["families"])
            if families < 2:
                raise BadInput(
                    "adversarial: the set has one family of simulations; expected at least two to"
                    " confuse"
                )
            self.adversary = nn.Sequential(
                nn.Linear(width, width), nn.SiLU(), nn.Linear(width, families)
            )

    def forward(self, x: Tensor) -> Tensor:
        """Images (n, 1, y, x) -> outputs (n, 1 or 2) of which the likelihood is made."""
        return self.head(self.encoder(x)).float()

    def encoded(self, x: Tensor, batch: dict[str, Tensor]) -> Tensor:
        """Features of one view `x` of the images of a batch, (n, feature)."""
        return self.encoder(x)

    def features(self, x: Tensor) -> list[Tensor]:
        """Features of the eight views of each image, (n, feature) each."""
        return [self.encoder(view).float() for view in symmetries.views(x)]

    def outputs(self, x: Tensor) -> Tensor:
        """Outputs of the eight views of each image, (8, n, output)."""
        return torch.stack([self.head(features).float() for features in self.features(x)])

    def optimisers(self) -> dict[str, torch.optim.Optimizer]:
        rate, decay = self.plan.learning_rate, self.entry["weight_decay"]
        return {"net": adamw(self.parameters(), rate, weight_decay=decay)}

    def schedules(self, optimisers):
        return {"net": one_cycle(optimisers["net"], self.plan.steps)}

    def losses(self, batch: dict[str, Tensor], step: int):
        features = self.encoded(random_view(batch["input"]), batch)
        loss = self.likelihood.loss(self.head(features).float(), batch).mean()
        if self.adversary is not None:
            # rises from 0, so that the adversary learns first (Ganin+ 2016, section 5.2.2)
            weight = self.entry["adversarial"] * math.tanh(5 * step / self.plan.steps)
            families = self.adversary(reverse_gradient(features, weight)).float()
            loss = loss + cross_entropy(families, batch["family"])
        yield "net", loss

    def score(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        output = self.head(self.encoded(batch["input"], batch)).float()
        return self.likelihood.score(output, batch)

    def calibrate(self, batches: Iterable[dict[str, Tensor]]) -> None:
        outputs, labels, indices = [], [], []
        for batch in batches:
            outputs.append(self.outputs(batch["input"]))
            labels.append(batch["label"])
            indices.append(batch["index"])
        truth = {"label": torch.cat(labels), "index": torch.cat(indices)}
        self.likelihood.calibrate(torch.cat(outputs, 1), truth)
