"""Overhead of the training engine over a bare torch loop, on steps of some 10 ms.

    python benchmarks/training_overhead.py

Both train the same network on the same batches with the same optimiser, on one thread, in
alternating blocks of one run. The bare loop has no weight average, no exact seeding, no history, no
lock, no check of time and loss. The engine has all of them. The script compares the CPU time
between the starts of two steps: medians over all blocks.

The overhead does not depend on the size of the images. On a busy machine the noise of 10 ms steps
exceeds it. The same network is therefore timed on small images, too, which resolve it to 0.01 ms.
"""

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
SIZES = {32: "steps of some 10 ms", 4: "small images"}  # pixels on a side
PLAN = Plan(steps=STEPS, batch=32, valid_every=STEPS)


class Data:
    """Two planes of size x size as input, one as target."""

    def __init__(self, n: int, size: int):
        draw = torch.Generator().manual_seed(n)
        self.x, self.y = (torch.randn(n, planes, size, size, generator=draw) for planes in (2, 1))

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, index: np.ndarray) -> dict[str, torch.Tensor]:
        return {"x": self.x[index], "y": self.y[index]}


def network() -> nn.Module:
    layers = [
        nn.Conv2d(2, 16, 3, padding=1),
        nn.SiLU(),
        nn.Conv2d(16, 16, 3, padding=1, stride=2),
        nn.SiLU(),
    ]
    layers += [
        nn.Conv2d(16, 16, 3, padding=1),
        nn.SiLU(),
        nn.Upsample(scale_factor=2),
        nn.Conv2d(16, 1, 3, padding=1),
    ]
    return nn.Sequential(*layers)


class Timed(Task):
    """A task that records the CPU time at the start of each step."""

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


def compare(size: int) -> tuple[float, float]:
    """Print the CPU time of a step for images of `size` pixels.

    Returns the times of bare loop and engine [ms].
    """
    data, valid = Data(512, size), Data(1, size)
    times = {"bare loop": [], "engine": []}
    for block in range(BLOCKS + 1):
        runs = [("bare loop", lambda: bare_loop(data)), ("engine", lambda: engine(data, valid))]
        for name, run in runs if block % 2 else reversed(runs):
            steps = 1e3 * np.diff(run())[WARM_UP:]
            # the first block warms torch up
            if block:
                times[name].append(steps)
    medians = {name: float(np.median(np.concatenate(steps))) for name, steps in times.items()}
    print(f"{SIZES[size]} ({size} x {size} pixels)")
    for name, steps in times.items():
        blocks = " ".join(f"{np.median(block):.2f}" for block in steps)
        print(
            f"  {name:10s} {medians[name]:7.3f} ms of CPU a step (medians of the blocks: {blocks})"
        )
    extra = medians["engine"] - medians["bare loop"]
    print(f"  difference {extra:7.3f} ms, {100 * extra / medians['bare loop']:.1f} %")
    return medians["bare loop"], medians["engine"]


def main() -> None:
    torch.set_num_threads(1)
    bare, engine = [compare(size) for size in SIZES][-1]
    print(
        f"overhead at 10 ms steps, from the small images: {10 * (engine - bare):.1f} % (aim: at "
        "most 5 %)"
    )


if __name__ == "__main__":
    main()
