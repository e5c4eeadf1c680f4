"""Toy tasks for the tests of the training engine; as a script it trains one of them.

    toy_training.py KIND FOLDER [--stream READERS] [KILL_AT]

The supervised net has batch norm, dropout and noise, the adversarial one (WGAN-GP) two optimisers
at different rates: all that could make a resumed run differ.
"""

import math
import os
import signal
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import nn

from skyloom.cli import BadInput
from skyloom.examples import Stream
from skyloom.training import Plan, Task, adamw, fit

TRAIN, VALID = 50, 20  # examples; with batches of 8 an epoch is 6 steps
PLAN = Plan(steps=40, batch=8, seed=3, ema=0.9, clip=1.0, valid_every=7)


class Data:
    """(n, 1, 8, 8) noise and the same smoothed; a fixed draw."""

    def __init__(self, n: int, seed: int):
        self.x = torch.randn(n, 1, 8, 8, generator=torch.Generator().manual_seed(seed))
        self.y = nn.functional.avg_pool2d(self.x, 3, 1, 1)

    def __len__(self):
        return len(self.x)

    def __getitem__(self, index):
        return {"x": self.x[index], "y": self.y[index]}


class Noise(Stream):
    """As `Data`, drawn anew in each epoch; refuses to draw the example `broken`."""

    def __init__(self, broken: int = -1):
        self.broken = broken

    def __len__(self):
        return TRAIN

    def draw(self, epoch, index):
        if self.broken in index:
            raise BadInput(f"noise.nc: example {self.broken} is not a number")
        x = np.stack([draw.normal(size=(1, 8, 8)) for draw in self.generators(epoch, index)])
        x = torch.from_numpy(x.astype(np.float32))
        return {"x": x, "y": nn.functional.avg_pool2d(x, 3, 1, 1)}


class Toy(Task):
    """What all toys share: a score, and what they do at one step (a test's kill, NaN or signal)."""

    at_step = staticmethod(lambda step: None)

    def score(self, batch):
        return {"mse": (self.net(batch["x"]) - batch["y"]).square().mean((1, 2, 3))}


class Supervised(Toy):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(
            nn.Conv2d(1, 4, 3, padding=1),
            nn.BatchNorm2d(4),
            nn.SiLU(),
            nn.Dropout(0.2),
            nn.Conv2d(4, 1, 3, padding=1),
        )

    def optimisers(self):
        return {"net": adamw(self.net.parameters(), 1e-2)}

    def schedules(self, optimisers):
        return {
            "net": torch.optim.lr_scheduler.OneCycleLR(
                optimisers["net"], 1e-2, total_steps=self.plan.steps
            )
        }

    def losses(self, batch, step):
        self.at_step(step)
        x = batch["x"] + 0.1 * torch.randn_like(batch["x"])
        yield "net", (self.net(x) - batch["y"]).square().mean()


class Slow(Supervised):
    """Takes its time, so that a test can interrupt it."""

    at_step = staticmethod(lambda step: time.sleep(0.1))


class Plain(Toy):
    """No batch norm, no dropout, no noise, plain descent: what one and two processes must
    agree on.
    """

    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(
            nn.Conv2d(1, 4, 3, padding=1), nn.Tanh(), nn.Conv2d(4, 1, 3, padding=1)
        )

    def optimisers(self):
        return {"net": torch.optim.SGD(self.net.parameters(), 0.1)}

    def losses(self, batch, step):
        yield "net", (self.net(batch["x"]) - batch["y"]).square().mean()


class Adversarial(Toy):
    """WGAN-GP (Gulrajani+ 2017) with one step of the generator in three."""

    def __init__(self):
        super().__init__()
        self.net = nn.Conv2d(1, 1, 3, padding=1)
        self.critic = nn.Sequential(
            nn.Conv2d(1, 4, 3, 2), nn.SiLU(), nn.Flatten(), nn.Linear(36, 1)
        )

    def optimisers(self):
        return {
            "critic": adamw(self.critic.parameters(), 1e-3),
            "generator": adamw(self.net.parameters(), 1e-3),
        }

    def losses(self, batch, step):
        self.at_step(step)
        real, fake = batch["y"], self.net(batch["x"] + torch.randn_like(batch["x"])).detach()
        between = torch.lerp(real, fake, torch.rand(len(real), 1, 1, 1)).requires_grad_()
        slope = (
            torch.autograd.grad(self.critic(between).sum(), between, create_graph=True)[0]
            .flatten(1)
            .norm(dim=1)
        )
        yield (
            "critic",
            (self.critic(fake) - self.critic(real)).mean() + 10 * (slope - 1).square().mean(),
        )
        if step % 3 == 2:
            yield (
                "generator",
                -self.critic(self.net(batch["x"] + torch.randn_like(batch["x"]))).mean(),
            )


def train(
    kind: type[Toy],
    folder: Path,
    plan: Plan = PLAN,
    at_step=None,
    examples: Data | Noise | None = None,
    **options,
) -> list[Toy]:
    """Train a toy; history.csv, best.ckpt and the summary's text go to `folder`.

    Returns the task, in a list.
    """
    examples = examples or Data(TRAIN, 1)
    tasks = []

    def make_task():
        tasks.append(kind())
        if at_step:
            tasks[0].at_step = at_step
        return tasks[0]

    def publish(result):
        (folder / "history.csv").write_text(result.history)
        (folder / "summary.txt").write_text(repr(result.summary))
        torch.save(result.weights, folder / "best.ckpt")

    fit(make_task, examples, Data(VALID, 2), plan, folder / "state", publish, **options)
    return tasks


def kill_at(step: int):
    return lambda now: os.kill(os.getpid(), signal.SIGKILL) if now == step else None


if __name__ == "__main__":
    torch.set_num_threads(1)
    kind, folder, *rest = globals()[sys.argv[1]], Path(sys.argv[2]), *sys.argv[3:]
    examples, plan = Data(TRAIN, 1), PLAN
    if rest[:1] == ["--stream"]:
        examples, plan, rest = Noise(), replace(PLAN, readers=int(rest[1])), rest[2:]
    at_step = kill_at(int(rest[0])) if rest else None
    task = train(kind, folder, plan, at_step=at_step, examples=examples)[0]
    rank = os.environ.get("RANK", "0")
    (folder / f"weights{rank}.txt").write_text(
        repr([float(value.double().sum()) for value in task.state_dict().values()])
    )
    assert math.isfinite(sum(float(value.double().sum()) for value in task.state_dict().values()))
