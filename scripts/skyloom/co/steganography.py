"""Does a CycleGAN hide what the cycle asks back in the CO that it draws? Faint noise on the way
back tells.

(dust, HI) -> CO loses information, and the cycle (dust, HI) -> CO -> (dust, HI) asks it back: a
generator that writes it into the CO as texture of low amplitude is paid for that (Chu+ 2017, arXiv
1712.02950; StegoGAN, arXiv 2403.20142). Its partner, which reads the texture, then fails as soon as
noise of that amplitude is added. The score is the error of the cycle with noise over that without.
Beside it stand two that hide nothing:

- `control`: the same generator F on the true CO with the same noise.
- `smooth`: a way back that passes noise on as it is, `sqrt(1 + (amplitude / error)^2)`.

Everything is in normalised asinh space, in which each map's standard deviation over the training
set is one.
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

    to_b : G, (n, 2, y, x) -> (n, 1, y, x); to_a : F, the other way; batches : `input`, `target`,
        `valid` as the
    examples have them; amplitudes : standard deviations of the noise, white from pixel to pixel.
    Returns the columns `amplitude`, `score`, `control`, `smooth`, and `cycle_error`,
    `control_error`, root mean squares over valid pixels.
    """
    levels, draws = [0.0, *amplitudes], torch.Generator().manual_seed(seed)
    squares, pixels = np.zeros((2, len(levels))), 0.0
    for batch in batches:
        a, b, mask = (
            batch["input"] * batch["valid"],
            batch["target"] * batch["valid"],
            batch["valid"],
        )
        noise = torch.randn(b.shape, generator=draws).to(b) * mask
        for row, start in zip(squares, (to_b(a) * mask, b), strict=True):
            row += [
                ((to_a(start + level * noise) - a).square() * mask).sum().item() for level in levels
            ]
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
