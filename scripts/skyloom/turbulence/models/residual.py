"""A small residual network; features are averages over the image, which may have any size."""

from torch import Tensor, nn

from skyloom.networks.blocks import ResidualBlock, conv, norm
from skyloom.turbulence.models.task import TurbulenceTask, features, predict, scheme

__all__ = ["features", "make_task", "predict", "scheme"]

EDGE = "reflect"  # a frame of zeros beyond an image would be an edge that turbulence lacks


def make_task(entry: dict, meta: dict) -> TurbulenceTask:
    """entry : `width`, channels at full resolution; `depth`, halvings, each with twice the
    channels; and those of the task.
    """
    encoder = ResidualEncoder(entry["width"], entry["depth"], entry["dropout"])
    return TurbulenceTask(entry, meta, encoder, encoder.features)


class ResidualEncoder(nn.Module):
    """Images (n, 1, y, x) -> features (n, width * 2**depth)."""

    def __init__(self, width: int, depth: int, dropout: float):
        super().__init__()
        channels = [width * 2**level for level in range(depth + 1)]
        self.stem = conv(1, width, padding_mode=EDGE)
        layers = [ResidualBlock(width, width, dropout, EDGE)]
        for n_in, n_out in zip(channels[:-1], channels[1:], strict=True):
            layers += [nn.AvgPool2d(2), ResidualBlock(n_in, n_out, dropout, EDGE)]
        self.levels = nn.Sequential(*layers)
        self.norm = nn.Sequential(norm(channels[-1]), nn.SiLU())
        self.features = channels[-1]

    def map(self, x: Tensor) -> Tensor:
        """Features by place, (n, features, y / 2**depth, x / 2**depth)."""
        return self.norm(self.levels(self.stem(x)))

    def forward(self, x: Tensor) -> Tensor:
        return self.map(x).mean((-2, -1))
