"""Denoisers side by side: what each gains on both kinds of noise, and what it costs in
resolution.
"""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from skyloom import plotting
from skyloom.plotting import Look

PLAIN, HATCHED = "", "////"
NAMES = {
    "gaussian": "Gaussian",
    "nlm_patch": "non-local means, by patch",
    "nlm_sphere": "non-local means, sphere",
}


def denoisers(table: pd.DataFrame, curves: xr.Dataset) -> Figure:
    """Gain in PSNR (left) and share of the structure that is kept (right), a row a kind of noise.

    table, curves : of `compare.compare`; bars and bands are its 68 % intervals.
    """
    looks = plotting.light_looks(NAMES) | {"raw": Look("none", "0.5", "x")}
    noises = list(dict.fromkeys(table["noise"]))
    with plotting.style():
        size = (plotting.PAGE, 2.4 * len(noises) + 0.4)
        figure, axes = plt.subplots(
            len(noises), 2, figsize=size, sharex="col", width_ratios=(3, 2), squeeze=False
        )
        for (gain, kept), noise in zip(axes, noises, strict=True):
            part = table[(table["noise"] == noise) & (table["denoiser"] != "raw")]
            _draw_gains(gain, part, [looks[name].colour for name in part["denoiser"]])
            gain.set_title(f"{noise} noise", loc="left")
            if kept is not axes[0, 1]:
                kept.sharey(axes[0, 1])
            for name in curves.denoiser.values:
                curve = curves.sel(noise=noise, denoiser=name)
                label, look = NAMES.get(name, "none"), looks[name]
                bracket = curve.transfer, curve.transfer_lo, curve.transfer_hi
                line = look.line(marker=look.marker, markersize=4, label=label)
                plotting.band(kept, curves.l, bracket, line)
            kept.axhline(1, color="0.7", linewidth=0.6, zorder=0)
            kept.set_ylabel("share of structure kept")
        areas = {"whole tiles": PLAIN, "where the sky is bright": HATCHED}
        bars = [
            Patch(facecolor="0.5", edgecolor="white", hatch=hatch, label=name)
            for name, hatch in areas.items()
        ]
        lines, _ = axes[0, 1].get_legend_handles_labels()
        figure.legend(handles=[*bars, *lines], loc="outside upper left", ncols=3)
        axes[-1, 0].set_xlabel("gain in PSNR [dB]")
        axes[-1, 1].set_xlabel(r"multipole $\ell$")
    return figure


def _draw_gains(ax, table: pd.DataFrame, colours: list[str]) -> None:
    """Two bars a denoiser: whole tiles, and bright sky."""
    place = np.arange(len(table))[::-1]
    for offset, column, hatch in ((0.19, "gain_db", PLAIN), (-0.19, "gain_bright_db", HATCHED)):
        ends = np.abs([table[f"{column}{end}"] - table[column] for end in ("_lo", "_hi")])
        look = {"color": colours, "hatch": hatch, "edgecolor": "white"}
        error = {"elinewidth": 1, "ecolor": "0.2"}
        ax.barh(place + offset, table[column], 0.34, xerr=ends, error_kw=error, **look)
    ax.axvline(0, color="0.3", linewidth=0.8)
    labels = [
        f"{NAMES[row.denoiser]}\n{row.parameters}\nbeam {row.effective_fwhm_arcmin:.1f}\N{PRIME}"
        for row in table.itertuples()
    ]
    ax.set_yticks(place, labels, fontsize=7)
