"""Star counts and colours of the population model against a real field of 2MASS.

    SKYLOOM_REALDATA=<folder> PYTHONPATH=scripts python benchmarks/extinction_field.py

The field is the control field of PNICER (l 231.9 to 234.6, b -20.6 to -18.2 deg). Its foreground
has A_V = 0.07 mag. Counts are of stars with errors in J and K. The limits of the field are stated:
they are where its counts fall to half of the model's, whose normalisation is that at 13 to 14.5.
"""

import os
from pathlib import Path

import numpy as np

from skyloom.extinction.read.catalogue import read_catalogue
from skyloom.extinction.simulate.population import sightline
from skyloom.extinction.simulate.survey import observe

CENTRE, AREA, FOREGROUND = (233.2, -19.37), 3.9, 0.07
LIMITS = {"J": 16.95, "H": 16.35, "K": 15.75}
DEPTH = {band: limit + 1.0 for band, limit in LIMITS.items()}  # of the stars drawn
REPEATS = 8


def real(folder: Path) -> dict[str, np.ndarray]:
    """Magnitudes by band, NaN without an error: an upper limit."""
    path = folder / "extinction" / "pnicer" / "CF_2mass.fits"
    return read_catalogue(path, "2mass").magnitudes


def model(seed: int = 0) -> dict[str, np.ndarray]:
    """The same of `REPEATS` fields of the model."""
    rng = np.random.default_rng(seed)
    stars = sightline(*CENTRE, AREA, DEPTH, rng, REPEATS)
    measured = observe(stars, np.full(len(stars), FOREGROUND), "wang2019", rng, LIMITS)
    return {band: measured[band][0] for band in "JHK"}


def compare(field: dict[str, np.ndarray], drawn: dict[str, np.ndarray], edges) -> list[dict]:
    """Counts and quantiles of J - K, and medians of H - K, in bins of K."""
    rows = []
    for low, high in zip(edges[:-1], edges[1:], strict=True):
        row = {"low": low, "high": high}
        for name, catalogue, number in (("real", field, 1), ("model", drawn, REPEATS)):
            k, jk = catalogue["K"], catalogue["J"] - catalogue["K"]
            inside = (k >= low) & (k < high) & np.isfinite(jk)
            quantiles = np.quantile(jk[inside], [0.16, 0.5, 0.84])
            hk = np.nanmedian((catalogue["H"] - k)[inside])
            row[name] = inside.sum() / number, *quantiles, hk
        rows.append(row)
    return rows


def main() -> None:
    field, drawn = real(Path(os.environ["SKYLOOM_REALDATA"])), model()
    print("K          counts: real  model  ratio   J-K 16, 50, 84 %: real      model       H-K")
    for row in compare(field, drawn, np.arange(7.0, 17.0)):
        (n, *jk, hk), (m, *jk_model, hk_model) = row["real"], row["model"]
        texts = [" ".join(f"{v:.2f}" for v in values) for values in (jk, jk_model)]
        place = f"{row['low']:.0f} to {row['high']:.0f}"
        print(f"{place:9}{n:14.0f}{m:7.0f}{m / n:7.2f}   {texts[0]:>22}{texts[1]:>16}", end="")
        print(f"{hk:9.2f}{hk_model:6.2f}")


if __name__ == "__main__":
    main()
