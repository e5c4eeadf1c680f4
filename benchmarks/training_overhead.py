"""Overhead of the training engine over a bare torch loop, on steps of some 10 ms.

    python benchmarks/training_overhead.py

Both train the same network on the same batches with the same optimiser, one thread, in alternating blocks of one run.
The bare loop has no weight average, no exact seeding, no history, no lock, no check of time and loss; the engine has
all of them. Compared is the CPU time from one step's beginning to the next one's: medians over all blocks.
"""

import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts"))

import numpy as np
import torch
from torch import nn

from skyloom.training import Plan, Task, adamw, fit

BLOCKS, STEPS, WARM_UP = 6, 100, 10
PLAN = Plan(steps=STEPS, batch=32, valid_every=STEPS)


class Data:
    """Two planes of 32 x 32 to one; as many pixels as make a step of some 10 ms."""

    def __init__(self, n: int):
        draw = torch.Generator().manual_seed(n)
        self.x, self.y = torch.randn(n, 2, 32, 32, generator=draw), torch.randn(n, 1, 32, 32, generator=draw)

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, index: np.ndarray) -> dict[str, torch.Tensor]:
        return {"x": self.x[index], "y": self.y[index]}


def network() -> nn.Module:
    layers = [nn.Conv2d(2, 16, 3, padding=1), nn.SiLU(), nn.Conv2d(16, 16, 3, padding=1, stride=2), nn.SiLU()]
    layers += [nn.Conv2d(16, 16, 3, padding=1), nn.SiLU(), nn.Upsample(scale_factor=2), nn.Conv2d(16, 1, 3, padding=1)]
    return nn.Sequential(*layers)


class Timed(Task):
    """Notes the CPU time at which each step begins."""

    def __init__(self, stamps: list[float]):
        super().__init__()
        self.net, self.stamps = network(), stamps

    def optimisers(self):
        return {"net": adamw(self.net.parameters(), 1e-3)}

    def losses(self, batch, step):
        self.stamps.append(time.process_time())
        yield "net", (self.net(batch["x"]) - batch["y"]).square().mean()

    def score(self, batch):
        return {"mse": (self.net(batch["x"]) - batch["y"]).square().mean((1, 2, 3))}


def engine(data: Data, valid: Data) -> list[float]:
    stamps = []
    with tempfile.TemporaryDirectory() as folder:
        fit(lambda: Timed(stamps), data, valid, PLAN, Path(folder), lambda result: None)
    return stamps


def bare_loop(data: Data) -> list[float]:
    stamps, net = [], network().to(memory_format=torch.channels_last)
    optimiser = adamw(net.parameters(), 1e-3)
    for _ in range(STEPS):
        batch = data[np.random.default_rng(0).permutation(len(data))[: PLAN.batch]]
        stamps.append(time.process_time())
        optimiser.zero_grad()
        loss = (net(batch["x"]) - batch["y"]).square().mean()
        loss.backward()
        optimiser.step()
        loss.item()
    return stamps


def main() -> None:
    torch.set_num_threads(1)
    data, valid = Data(512), Data(1)
    times = {"bare loop": [], "engine": []}
    for block in range(BLOCKS + 1):
        runs = [("bare loop", lambda: bare_loop(data)), ("engine", lambda: engine(data, valid))]
        for name, run in runs if block % 2 else reversed(runs):
            steps = np.diff(run())[WARM_UP:]
            if block:  # the first one warms torch up
                times[name].append(steps)
    medians = {name: statistics.median(np.concatenate(steps)) for name, steps in times.items()}
    for name, steps in times.items():
        blocks = " ".join(f"{1e3 * np.median(block):.2f}" for block in steps)
        print(f"{name:10s} {1e3 * medians[name]:7.3f} ms of CPU a step (blocks: {blocks})")
    extra = medians["engine"] - medians["bare loop"]
    print(f"overhead   {100 * extra / medians['bare loop']:6.1f} % = {1e3 * extra:.3f} ms a step (aim: at most 5 %)")


if __name__ == "__main__":
    main()
