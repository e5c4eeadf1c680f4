"""How every network of the study learns: an encoder of the image, a head that answers, perhaps an
adversary.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from skyloom.cli import BadInput
from skyloom.training import Task, adamw, one_cycle
from skyloom.turbulence.models.answers import ANSWERS
from skyloom.turbulence.models.blocks import random_view, reverse_gradient, views


@torch.no_grad()
def predict(task: "TurbulenceTask", batch: dict[str, Tensor]) -> dict[str, Tensor]:
    """What the eight views of an image say together, (n, 1) each.

    learns `class`: `prediction`, the probability of the steeper index; `balanced`, moved so that
    0.5 is the threshold of the best balanced accuracy on validation. learns `index`: `prediction`,
    and `spread`, its 1-sigma.
    """
    return task.answer.predict(task.seen(batch["input"]))


@torch.no_grad()
def features(task: "TurbulenceTask", batch: dict[str, Tensor]) -> Tensor:
    """What the head is given, the mean of the eight views, (n, feature)."""
    return torch.stack(task.features_seen(batch["input"])).mean(0)


class TurbulenceTask(Task):
    """One optimiser, `net`: AdamW under OneCycle (Smith & Topin 2018).

    entry : `learns`, `dropout` (of the features), `weight_decay`, `adversarial`: the weight with
        which the encoder
        forgets which family of simulations an image is from (0: it need not).
    """

    def __init__(self, entry: dict, meta: dict, encoder: nn.Module, width: int):
        """`encoder` : images (n, 1, y, x) to features (n, width)."""
        super().__init__()
        self.entry = entry
        self.answer = ANSWERS[entry["learns"]](meta)
        self.encoder = encoder
        self.head = nn.Sequential(
            nn.Dropout(entry["dropout"]), nn.Linear(width, self.answer.outputs)
        )
        self.adversary = None
        if entry["adversarial"] > 0:
            families = len(meta["families"])
            if families < 2:
                raise BadInput(
                    "adversarial: the set has one family of simulations; expected at least two "
                    "to confuse"
                )
            self.adversary = nn.Sequential(
                nn.Linear(width, width), nn.SiLU(), nn.Linear(width, families)
            )

    def forward(self, x: Tensor) -> Tensor:
        """Images (n, 1, y, x) -> outputs (n, 1 or 2) that `answer` reads."""
        return self.head(self.encoder(x)).float()

    def features_seen(self, x: Tensor) -> list[Tensor]:
        """Features of the eight views of each image, (n, feature) each."""
        return [self.encoder(view).float() for view in views(x)]

    def seen(self, x: Tensor) -> Tensor:
        """Outputs for the eight views of each image, (8, n, output)."""
        return torch.stack([self.head(features).float() for features in self.features_seen(x)])

    def optimisers(self) -> dict[str, torch.optim.Optimizer]:
        return {
            "net": adamw(
                self.parameters(), self.plan.learning_rate, weight_decay=self.entry["weight_decay"]
            )
        }

    def schedules(self, optimisers):
        return {"net": one_cycle(optimisers["net"], self.plan.steps)}

    def losses(self, batch: dict[str, Tensor], step: int):
        features = self.encoder(random_view(batch["input"]))
        loss = self.answer.loss(self.head(features).float(), batch).mean()
        if self.adversary is not None:
            # the encoder is left alone until the adversary has learned something (Ganin+ 2016,
            # section 5.2.2)
            weight = self.entry["adversarial"] * math.tanh(5 * step / self.plan.steps)
            loss = loss + cross_entropy(
                self.adversary(reverse_gradient(features, weight)).float(), batch["family"]
            )
        yield "net", loss

    def score(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        return self.answer.score(self(batch["input"]), batch)

    def calibrate(self, batches) -> None:
        outputs, known = [], []
        for batch in batches:
            outputs.append(self.seen(batch["input"]))
            known.append({name: batch[name] for name in ("label", "index")})
        self.answer.calibrate(
            torch.cat(outputs, 1),
            {name: torch.cat([part[name] for part in known]) for name in known[0]},
        )
