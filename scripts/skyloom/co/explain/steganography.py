"""A test of hidden texture in the CO of a CycleGAN, by faint noise on the way back.

(dust, HI) -> CO loses information that the cycle (dust, HI) -> CO -> (dust, HI) needs. A generator
that writes it into the CO as texture of low amplitude lowers its loss (Chu+ 2017, arXiv:1712.02950;
StegoGAN, arXiv:2403.20142). The other generator reads the texture, and fails as soon as noise of
that amplitude is added. The score is the error of the cycle with noise over that without. Two
references hide nothing:

- `control`: generator F on the true CO with the same noise;
- `smooth`: a way back that passes noise unchanged, `sqrt(1 + (amplitude / error)^2)`.

All maps are in normalised asinh space, with a standard deviation of one over the training set.
"""

from collections.abc import Callable, Iterable

import numpy as np
import pandas as pd
import torch
from torch import Tensor

Generator = Callable[[Tensor], Tensor]


@torch.no_grad()
def scores(
    to_b: Generator,
    to_a: Generator,
    batches: Iterable[dict[str, Tensor]],
    amplitudes: list[float],
    seed: int,
) -> pd.DataFrame:
    """Rise of the cycle's error with the noise on the way back; one row an amplitude.

    to_b, to_a : G, (n, 2, y, x) -> (n, 1, y, x), and F, the other way
    batches : `input`, `target`, `valid` of the examples
    amplitudes : standard deviations of white noise

    Columns: `amplitude`, `score`, `control`, `smooth`, and `cycle_error`, `control_error`, root
    mean squares over valid pixels.
    """
    levels, draws = [0.0, *amplitudes], torch.Generator().manual_seed(seed)
    squares, pixels = np.zeros((2, len(levels))), 0.0
    for batch in batches:
        mask = batch["valid"]
        a, b = batch["input"] * mask, batch["target"] * mask
        noise = torch.randn(b.shape, generator=draws).to(b) * mask
        for row, start in zip(squares, (to_b(a) * mask, b), strict=True):
            errors = (to_a(start + level * noise) - a for level in levels)
            row += [(error.square() * mask).sum().item() for error in errors]
        pixels += mask.sum().item() * a.shape[1]
    error, control = np.sqrt(squares / pixels)
    return pd.DataFrame(
        {
            "amplitude": amplitudes,
            "score": error[1:] / error[0],
            "control": control[1:] / control[0],
            "smooth": np.hypot(1, np.array(amplitudes) / error[0]),
            "cycle_error": error[1:],
            "control_error": control[1:],
        }
    )
