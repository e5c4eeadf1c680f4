"""A U-Net that predicts the probability of each class in each pixel."""

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from skyloom.examples import Batch
from skyloom.networks.unet import ResUNet, require_multiple
from skyloom.training import Task, adamw, one_cycle


class Segmentation(Task):
    def __init__(self, entry: dict, meta: dict):
        super().__init__()
        require_multiple(meta["pixels"], 2 ** entry["depth"], "unet", "depth")
        self.net = ResUNet(1, len(meta["classes"]), entry["width"], entry["depth"])

    def forward(self, image: Tensor) -> Tensor:
        return self.net(image).float()  # logits (n, class, y, x)

    def optimisers(self) -> dict:
        return {"net": adamw(self.parameters(), self.plan.learning_rate)}

    def schedules(self, optimisers: dict) -> dict:
        return {"net": one_cycle(optimisers["net"], self.plan.steps)}

    def losses(self, batch: Batch, step: int):
        yield "net", cross_entropy(self(batch["input"]), batch["label"])

    def score(self, batch: Batch) -> dict[str, Tensor]:
        loss = cross_entropy(self(batch["input"]), batch["label"], reduction="none")
        return {"log_loss": loss.mean((1, 2))}


def make_task(entry: dict, meta: dict) -> Task:
    return Segmentation(entry, meta)


@torch.no_grad()
def predict(task: Task, batch: Batch) -> dict[str, Tensor]:
    """`prediction` (n, class, y, x), the probabilities."""
    return {"prediction": task(batch["input"]).softmax(1)}
