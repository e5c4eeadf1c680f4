"""What the networks share: losses of a segmentation, augmentation, choice of a threshold."""

from collections.abc import Iterable, Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import affine_grid, cross_entropy, grid_sample

from skyloom.examples import Batch
from skyloom.networks import symmetries
from skyloom.networks.devices import to_device
from skyloom.radio.data.beams import nearest
from skyloom.radio.data.noise import SOFTENING, signal_to_noise
from skyloom.radio.simulate.field import DIFFUSE, GALAXY
from skyloom.training import Task, adamw, one_cycle

BINS = 200  # of the probability, for the choice of the threshold
HIGHEST = 0.95  # threshold
SMOOTHING = 100.0  # pixels that the overlap of a batch begins with


class Detector(Task):
    """A network that gives each pixel a probability of diffuse emission.

    A subclass has `probability`: (n, 2, y, x) -> that of each class (n, class, y, x).

    entry : `beam_jitter`, least and most factor on the beam of a training image; `weight_decay`;
        `confused`, the most of the galaxies' pixels that the threshold may call diffuse, with their
        standard error
    """

    def __init__(self, entry: dict, meta: dict, net: nn.Module):
        super().__init__()
        self.entry, self.invalid, self.net = entry, meta["invalid"], net
        self.beams = meta["beams"]
        # probability from which on a pixel is called diffuse, at each beam; chosen on validation
        self.register_buffer("thresholds", torch.full((len(self.beams),), 0.5))

    def forward(self, image: Tensor) -> Tensor:
        """(n, 2, y, x) -> (n, channel, y, x), in single precision."""
        return self.net(image).float()

    def optimisers(self) -> dict[str, torch.optim.Optimizer]:
        rate, decay = self.plan.learning_rate, self.entry["weight_decay"]
        return {"net": adamw(self.parameters(), rate, weight_decay=decay)}

    def schedules(self, optimisers: dict) -> dict:
        return {"net": one_cycle(optimisers["net"], self.plan.steps)}

    def calibrate(self, batches: Iterable[Batch]) -> None:
        """Choose the threshold of the largest overlap (IoU) on validation at each beam, among those
        at which few pixels of galaxies are called diffuse.
        """
        counts, beams = [], []
        for batch in batches:
            found = self.probability(batch["input"])[:, DIFFUSE].cpu()
            label = batch["label"][:, 0].cpu()
            beams.append(nearest(batch["beam_arcsec"].cpu(), self.beams))
            for probability, true in zip(found.float(), label, strict=True):
                kinds = (true != DIFFUSE) & (true != self.invalid), true == DIFFUSE, true == GALAXY
                histograms = [torch.histc(probability[pixels], BINS, 0, 1) for pixels in kinds]
                counts.append(torch.stack(histograms))
        counts, beams = torch.stack(counts).double(), torch.from_numpy(np.concatenate(beams))
        for k in range(len(self.beams)):
            own = counts[beams == k] if (beams == k).any() else counts
            self.thresholds[k] = best_threshold(own, self.entry["confused"])

    def threshold(self, arcsec: np.ndarray) -> Tensor:
        """The thresholds of images of these beams ["]."""
        return self.thresholds[torch.as_tensor(nearest(arcsec, self.beams))]


class Segmentation(Detector):
    """Class logits: cross entropy over the observed pixels, and the overlap of diffuse emission
    (Dice).

    entry : `class_weights`, of the classes in the cross entropy; `dice`, weight of the overlap;
        `noise_jitter`, least and most factor on the noise of a training image; and those of
        `Detector`
    """

    def __init__(self, entry: dict, meta: dict, net: nn.Module):
        super().__init__(entry, meta, net)
        weights = torch.tensor([float(w) for w in entry["class_weights"]])
        self.register_buffer("class_weights", weights, persistent=False)

    def probability(self, image: Tensor) -> Tensor:
        return self(image).softmax(1)

    def losses(self, batch: Batch, step: int):
        batch = augmented(
            batch, self.invalid, self.entry["beam_jitter"], self.entry["noise_jitter"]
        )
        logits, true, observed = self.classified(batch)
        pixels = cross_entropy(logits, true, self.class_weights, reduction="none") * observed
        entropy = pixels.sum() / observed.sum().clamp(min=1)
        yield "net", entropy + self.entry["dice"] * missed_overlap(logits, true, observed)

    def score(self, batch: Batch) -> dict[str, Tensor]:
        """The loss of each image, its missed overlap, and its cross entropy without weights."""
        logits, true, observed = self.classified(batch)
        number = observed.sum((1, 2)).clamp(min=1)
        weighted, plain = (
            (cross_entropy(logits, true, weights, reduction="none") * observed).sum((1, 2)) / number
            for weights in (self.class_weights, None)
        )
        dice = missed_overlap(logits, true, observed, (1, 2))
        return {"loss": weighted + self.entry["dice"] * dice, "dice": dice, "log_loss": plain}

    def classified(self, batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
        """Logits (n, class, y, x), true classes and what is observed (n, y, x)."""
        observed = (batch["label"] != self.invalid).float()
        true = (batch["label"] * observed).long()
        return self(batch["input"]), true[:, 0], observed[:, 0]


def best_threshold(counts: Tensor, confused: float) -> float:
    """Probability with the largest IoU at which at most `confused` of the galaxies are diffuse.

    counts : (image, 3, bin), pixels of other classes, diffuse ones and galaxies by their
        probability of diffuse emission. The share of the galaxies is taken one standard error
        above its value: few images have most of these pixels. Where no threshold up to `HIGHEST`
        is so good, it is that one.
    """
    above = counts.flip(2).cumsum(2).flip(2)  # called diffuse from the lower edge of a bin on
    other, diffuse, galaxies = above.sum(0)
    overlap = diffuse / (diffuse[0] + other).clamp(min=1)
    number = galaxies[0].clamp(min=1)
    share = galaxies / number
    # of a ratio of sums over images
    error = (above[:, 2] - share * above[:, 2, :1]).square().sum(0).sqrt() / number
    edges = torch.arange(counts.shape[2]) / counts.shape[2]
    allowed = (share + error <= confused) & (edges > 0) & (edges <= HIGHEST)
    if not allowed.any():
        return HIGHEST
    return float(edges[torch.where(allowed, overlap, -1).argmax()])


def missed_overlap(
    logits: Tensor, true: Tensor, observed: Tensor, over: tuple[int, ...] = (0, 1, 2)
) -> Tensor:
    """One less the Dice overlap of diffuse emission, over a batch or over each image."""
    found, wanted = logits.softmax(1)[:, DIFFUSE] * observed, (true == DIFFUSE) * observed
    both, sums = (found * wanted).sum(over), (found + wanted).sum(over)
    return 1 - (2 * both + SMOOTHING) / (sums + SMOOTHING)


def augmented(
    batch: Batch, invalid: int, beam: Sequence[float], noise: Sequence[float] = (1.0, 1.0)
) -> Batch:
    """The batch under random symmetries of the square, each image with another beam and noise.

    beam, noise : least and most factor
    """
    batch = symmetries.apply(batch, symmetries.draw(len(batch["input"])))
    noise, beam = (_factors(ends, batch) for ends in (noise, beam))
    image, observed = batch["input"][:, :1], batch["input"][:, 1:]
    scaled = signal_to_noise(image) / (SOFTENING * noise)
    batch = batch | {"input": torch.cat([scaled.asinh(), observed], 1)}
    return magnified(batch, beam, invalid)


def _factors(ends: tuple[float, float], batch: Batch) -> Tensor:
    """A random factor for each image (n, 1, 1, 1)."""
    low, high = ends
    factors = low + (high - low) * torch.rand(len(batch["input"]), 1, 1, 1)
    return to_device(factors, batch["input"].device)


def magnified(batch: Batch, factor: Tensor, invalid: int) -> Batch:
    """The batch with pixels smaller by a factor (n, 1, 1, 1): a beam has so many more of them.

    What lies beyond the image is unobserved.
    """
    images, label = torch.cat([batch["input"], batch["diffuse"]], 1), batch["label"]
    steps = torch.eye(2, 3, device=label.device) / factor[:, 0]
    grid = affine_grid(steps, label.shape, align_corners=False)
    between = grid_sample(images, grid, align_corners=False)
    # the nearest label; 0 is what lies beyond
    nearest = grid_sample(label + 1, grid, "nearest", align_corners=False) - 1
    nearest = torch.where(nearest < 0, invalid, nearest)
    seen = (nearest != invalid).float()
    found = torch.cat([between[:, :1] * seen, seen], 1)
    return batch | {"input": found, "diffuse": between[:, 2:], "label": nearest}


@torch.no_grad()
def predict(task: Detector, batch: Batch) -> Batch:
    """`prediction` (n, class, y, x), the probabilities, and `threshold` (n,) of diffuse ones."""
    found = task.probability(batch["input"])
    return {"prediction": found, "threshold": task.threshold(batch["beam_arcsec"].cpu())}


def scheme(task: Detector, meta: dict) -> tuple[nn.Module, tuple[int, ...]]:
    """The layers of the network, and the shape of their input."""
    return task.net, (2, meta["pixels"], meta["pixels"])
