"""The classes of a whole mosaic, tile by tile.

A network whose classes depend on a bounded surrounding is applied to tiles of a core and a halo:
the result is that of the whole mosaic, whatever the tiles. Other networks get tiles of their
training's size, which overlap by a half and are blended.
"""

import math
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from skyloom import cli
from skyloom.networks import symmetries
from skyloom.radio.data.noise import Levels, network_input
from skyloom.radio.simulate.field import CLASSES, DIFFUSE
from skyloom.training.account import Counter

CORE = 320  # pixels of a tile without its halo, a multiple of every network's coarsest pixel
BATCH_PIXELS = 2**20  # of a batch on a GPU or a CPU
COUNTED = 128  # pixels along a side of the image whose operations are counted
CORE_RATE, A100_RATE = 9e10, 5e13  # [FLOP/s] of a core in fp32 and of an A100 in bf16, estimates
BYTES_PER_PIXEL = 4 + 4 + 1 + 1  # of the products in memory: probability, its weight, class, mask


class Tile(NamedTuple):
    """Part of a mosaic: the first pixel and side of what a network sees, and of what is kept."""

    y: int
    x: int
    side: int
    margin: int


class Plan(NamedTuple):
    """Tiles of a mosaic; halo : of a tile [pixel], None where tiles are blended."""

    shape: tuple[int, int]
    side: int
    halo: int | None

    def tiles(self) -> Iterator[Tile]:
        step = self.side // 2 if self.halo is None else self.side - 2 * self.halo
        begin = -step if self.halo is None else -self.halo
        for y in range(begin, self.shape[0] - (self.halo or 0), step):
            for x in range(begin, self.shape[1] - (self.halo or 0), step):
                yield Tile(y, x, self.side, self.halo or 0)

    @property
    def number(self) -> int:
        return sum(1 for _ in self.tiles())

    def describe(self, flop_per_pixel: float) -> str:
        """What the mosaic costs, before anything is computed."""
        flop = self.number * self.side**2 * flop_per_pixel
        memory = BYTES_PER_PIXEL * math.prod(self.shape) / 2**30
        how = "blended" if self.halo is None else f"with a halo of {self.halo} pixels"
        return (
            f"{self.shape[0]} x {self.shape[1]} pixels in {self.number} tiles of {self.side},"
            f" {how}: {memory:.2f} GiB of products in memory, {flop / 1e12:.3g} TFLOP,"
            f" some {flop / CORE_RATE / 60:.3g} core-minutes or {flop / A100_RATE:.2g} s of an A100"
        )


@torch.no_grad()
def operations(apply: Callable[[Tensor], Tensor]) -> float:
    """Floating-point operations of a network for one pixel."""
    with Counter() as counter:
        apply(torch.zeros(1, 2, COUNTED, COUNTED))
    return counter.flop / COUNTED**2


def plan(shape: tuple[int, int], trained_pixels: int, halo: int | None, core: int = CORE) -> Plan:
    return Plan(shape, trained_pixels if halo is None else core + 2 * halo, halo)


class Classes(NamedTuple):
    """Of each pixel (y, x): probability of diffuse emission, NaN where unobserved; the most
    probable other class; with several views the deviation of the probability among them.
    """

    diffuse: np.ndarray
    other: np.ndarray
    spread: np.ndarray | None


def of_views(probability: Callable[[Tensor], Tensor], number: int) -> Callable[[Tensor], Tensor]:
    """Mean probabilities (n, class, y, x) over the first `number` symmetries of a tile, and with
    several of them the deviation of that of diffuse emission as one plane more.
    """
    if number == 1:
        return probability

    def apply(image: Tensor) -> Tensor:
        found = torch.stack(
            [
                symmetries.turned(
                    probability(symmetries.turned(image, element)), symmetries.inverse(element)
                )
                for element in symmetries.VIEWS[:number]
            ]
        )
        return torch.cat([found.mean(0), found[:, :, DIFFUSE, None].std(0)], 1)

    return apply


@torch.no_grad()
def classify(
    image: np.ndarray,
    levels: Levels,
    plan: Plan,
    apply: Callable[[Tensor], Tensor],
    quiet: bool = True,
) -> Classes:
    """The classes of a mosaic.

    apply : input (n, 2, y, x) -> probabilities (n, class, y, x), and a plane more of `of_views`
    """
    blended = plan.halo is None
    window = _window(plan.side) if blended else None
    weight = np.zeros(plan.shape, np.float32) if blended else None
    other, planes, total = np.zeros(plan.shape, np.uint8), None, None
    batches = _batches(plan)
    for batch in batches if quiet else cli.progress(batches, "tiles"):
        views = np.stack([_view(image, levels, tile) for tile in batch])
        found = apply(torch.from_numpy(views)).float().cpu().numpy()
        if planes is None:
            # diffuse emission and its spread, where there is one
            kept = [DIFFUSE, *range(len(CLASSES), found.shape[1])]
            planes = np.full((len(kept), *plan.shape), np.nan, np.float32)
            total = np.zeros((found.shape[1], *plan.shape), np.float32) if blended else None
        for tile, observed, classes in zip(batch, views[:, 1] > 0, found, strict=True):
            target, part = _overlap(tile, plan.shape, tile.margin)
            if blended:
                total[:, *target] += (classes * window)[:, *part]
                weight[target] += window[part]
            else:
                planes[:, *target] = np.where(observed, classes[kept], np.nan)[:, *part]
                other[target] = _others(classes[: len(CLASSES)])[part]
    if blended:
        total /= weight.clip(1e-12)
        observed = np.isfinite(image)
        planes[:, observed] = total[kept][:, observed]
        other = _others(total[: len(CLASSES)])
    return Classes(planes[0], other, planes[1] if len(planes) > 1 else None)


def _others(classes: np.ndarray) -> np.ndarray:
    classes = classes.copy()
    classes[DIFFUSE] = -1
    return classes.argmax(0).astype(np.uint8)


def _batches(plan: Plan) -> list[list[Tile]]:
    size, tiles = max(1, BATCH_PIXELS // plan.side**2), list(plan.tiles())
    return [tiles[k : k + size] for k in range(0, len(tiles), size)]


def _view(image: np.ndarray, levels: Levels, tile: Tile) -> np.ndarray:
    """What a network sees of a tile (2, y, x); beyond the mosaic nothing is observed."""
    values = np.full((tile.side, tile.side), np.nan, np.float32)
    target, part = _overlap(tile, image.shape, 0)
    values[part] = image[target]
    rows, columns = (slice(at, at + tile.side) for at in (tile.y, tile.x))
    return network_input(values, *levels.on(rows, columns))


def _overlap(tile: Tile, shape: tuple[int, int], margin: int) -> tuple[tuple, tuple]:
    """Slices of the mosaic and of the tile that a tile without its margin covers."""
    target, part = [], []
    for first, n in zip((tile.y, tile.x), shape, strict=True):
        low, high = max(0, first + margin), min(n, first + tile.side - margin)
        target.append(slice(low, high))
        part.append(slice(low - first, high - first))
    return tuple(target), tuple(part)


def _window(side: int) -> np.ndarray:
    """Cosine weights (y, x) of a blended tile, of sum 1 over tiles at half a side."""
    one = np.sin(np.pi * (np.arange(side) + 0.5) / side) ** 2
    return (one[:, None] * one).astype(np.float32)
