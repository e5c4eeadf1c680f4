"""Minkowski functionals of Gaussian fields against theory, and their cost on a 128 x 128 patch.

    python benchmarks/co_minkowski.py

The script prints the largest deviation of the mean of 50 fields from theory, in percent of the
largest value of the functional, for V0, V1 and V2. It also prints CPU milliseconds a patch.
"""

import time

import numpy as np
from scipy.ndimage import gaussian_filter
from scipy.special import erfc

from skyloom.co.evaluate import minkowski

FIELDS, PIXELS, SIZE_DEG, SMOOTHING = 50, 128, 3.0, 3.0  # SMOOTHING [pixel]: a beam of 9.9 arcmin
THRESHOLDS = np.linspace(-3, 3, 25)
REPEATS = 20


def theory(u: np.ndarray, mu: float) -> np.ndarray:
    """V0, V1, V2 per unit area of a Gaussian field of unit variance.

    mu is the variance of a component of its gradient. Adler (1981); Tomita (1986), Prog. Theor.
    Phys. 76, 952.
    """
    v0, v1 = erfc(u / np.sqrt(2)) / 2, np.sqrt(mu) / 8 * np.exp(-(u**2) / 2)
    return np.array([v0, v1, mu * u * np.exp(-(u**2) / 2) / (2 * np.pi) ** 1.5])


def main() -> None:
    pixel_deg = SIZE_DEG / PIXELS
    expected = theory(THRESHOLDS, 1 / (2 * SMOOTHING**2 * pixel_deg**2))
    for side in (256, PIXELS):
        noise = np.random.default_rng(0).standard_normal((FIELDS, side, side))
        # white noise under a Gaussian of s pixels has the variance 1 / (4 pi s^2)
        fields = gaussian_filter(noise, (0, SMOOTHING, SMOOTHING), mode="wrap", truncate=6)
        fields *= np.sqrt(4 * np.pi) * SMOOTHING
        measured = minkowski.functionals(fields, THRESHOLDS, pixel_deg).mean(0)
        worst = 100 * np.abs(measured - expected).max(1) / np.abs(expected).max(1)
        text = ", ".join(f"V{k} {value:.2f} %" for k, value in enumerate(worst))
        print(f"mean of {FIELDS} fields of {side} x {side} beside theory: {text} (aim 2, 2, 3 %)")
    weight = np.ones(fields.shape)
    times = []
    for _ in range(REPEATS):
        start = time.process_time()
        minkowski.functionals(minkowski.standardised(fields, weight), THRESHOLDS, pixel_deg, weight)
        times.append((time.process_time() - start) / FIELDS)
    print(
        f"{1e3 * np.median(times):.2f} ms of CPU a patch of {PIXELS} x {PIXELS}, standardising "
        "included (aim 10 ms)"
    )


if __name__ == "__main__":
    main()
