"""Figure of the denoisers: gain on both kinds of noise, and loss of resolution."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from skyloom import plotting

PLAIN, HATCHED = "", "////"
NAMES = {
    "gaussian": "Gaussian",
    "nlm_patch": "non-local means, by patch",
    "nlm_sphere": "non-local means, sphere",
}


def denoisers(table: pd.DataFrame, curves: xr.Dataset) -> Figure:
    """Gain in PSNR (left) and share of the sky's structure that is kept (right), a row a noise.

    table, curves : of `compare.compare`. Bars and bands are its 68 % intervals
    """
    styles = plotting.line_styles(NAMES) | {"raw": {"color": "0.5", "linestyle": "-"}}
    noises = list(dict.fromkeys(table["noise"]))
    with plotting.style():
        size = (9, 2.7 * len(noises))
        figure, axes = plt.subplots(
            len(noises), 2, figsize=size, sharex="col", width_ratios=(3, 2), squeeze=False
        )
        for (gain, curve), noise in zip(axes, noises, strict=True):
            part = table[(table["noise"] == noise) & (table["denoiser"] != "raw")]
            height = np.arange(len(part))[::-1]
            colours = [styles[denoiser]["color"] for denoiser in part["denoiser"]]
            for offset, column, hatch in (
                (0.19, "gain_db", PLAIN),
                (-0.19, "gain_bright_db", HATCHED),
            ):
                ends = np.abs([part[f"{column}{end}"] - part[column] for end in ("_lo", "_hi")])
                style = {"color": colours, "hatch": hatch, "edgecolor": "white"}
                gain.barh(
                    height + offset,
                    part[column],
                    0.34,
                    xerr=ends,
                    error_kw={"elinewidth": 1},
                    **style,
                )
            gain.axvline(0, color="0.3", linewidth=0.8)
            labels = [
                f"{NAMES[row.denoiser]}\n{row.parameters}\nbeam "
                f"{row.effective_fwhm_arcmin:.1f} arcmin"
                for row in part.itertuples()
            ]
            gain.set_yticks(height, labels, fontsize=7)
            gain.set_title(f"{noise} noise", loc="left")
            if curve is not axes[0, 1]:
                curve.sharey(axes[0, 1])
            for denoiser in curves.denoiser.values:
                curves_of_denoiser = curves.sel(noise=noise, denoiser=denoiser)
                curve.plot(
                    curves.l,
                    curves_of_denoiser.transfer,
                    marker=".",
                    label=NAMES.get(denoiser, "none"),
                    **styles[denoiser],
                )
                colour = styles[denoiser]["color"]
                curve.fill_between(
                    curves.l,
                    curves_of_denoiser.transfer_lo,
                    curves_of_denoiser.transfer_hi,
                    color=colour,
                    alpha=0.15,
                    linewidth=0,
                )
            curve.axhline(1, color="0.7", linewidth=0.6, zorder=0)
            curve.set_ylabel("share of structure kept")
        kinds = {"whole tiles": PLAIN, "where the sky is bright": HATCHED}
        bars = [
            Patch(facecolor="0.5", edgecolor="white", hatch=hatch, label=name)
            for name, hatch in kinds.items()
        ]
        lines, _ = axes[0, 1].get_legend_handles_labels()
        figure.legend(handles=[*bars, *lines], loc="outside upper center", ncols=3)
        axes[-1, 0].set_xlabel("gain in PSNR [dB]")
        axes[-1, 1].set_xlabel(r"multipole $\ell$")
    return figure
