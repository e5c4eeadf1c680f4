"""Denoisers side by side: what each gains on both kinds of noise, and what it costs in resolution."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from skyloom import plotting

PLAIN, HATCHED = "", "////"
NAMES = {
    "raw": "none",
    "gaussian": "Gaussian",
    "nlm_patch": "non-local means,\nby patch",
    "nlm_sphere": "non-local means,\non the sphere",
}


def denoisers(table: pd.DataFrame, transfer: xr.DataArray, beam_arcmin: float) -> Figure:
    """Gain in PSNR (left) and transfer of the sky's structure (right), a row a kind of noise.

    table, transfer : of `compare.compare`.
    """
    looks = plotting.line_styles(NAMES)
    noises = list(dict.fromkeys(table["noise"]))
    with plotting.style():
        figure, axes = plt.subplots(
            len(noises), 2, figsize=(9, 2.7 * len(noises)), sharex="col", width_ratios=(3, 2), squeeze=False
        )
        for (gain, curve), noise in zip(axes, noises, strict=True):
            part = table[(table["noise"] == noise) & (table["denoiser"] != "raw")].reset_index(drop=True)
            place = np.arange(len(part))[::-1]
            colours = [looks[denoiser]["color"] for denoiser in part["denoiser"]]
            for offset, column, hatch in ((0.19, "gain_db", PLAIN), (-0.19, "gain_bright_db", HATCHED)):
                gain.barh(place + offset, part[column], 0.34, color=colours, hatch=hatch, edgecolor="white")
            gain.axvline(0, color="0.3", linewidth=0.8)
            rows = zip(part["denoiser"], part["parameters"], strict=True)
            gain.set_yticks(place, [f"{NAMES[denoiser]}\n({words})" for denoiser, words in rows], fontsize=7)
            gain.set_title(f"{noise} noise", loc="left")
            for denoiser in transfer.denoiser.values:
                row = table[(table["noise"] == noise) & (table["denoiser"] == denoiser)].iloc[0]
                label = f"{NAMES[denoiser]}: {row['effective_fwhm_arcmin']:.1f}'".replace("\n", " ")
                values = transfer.sel(noise=noise, denoiser=denoiser)
                curve.plot(transfer.l, values, marker=".", label=label, **looks[denoiser])
            curve.axhline(1, color="0.7", linewidth=0.6, zorder=0)
            curve.set_ylabel("structure kept")
            curve.legend(title=f"beam of the result ({beam_arcmin:g}' before)", title_fontsize=7, fontsize=7)
        kinds = {"whole tiles": PLAIN, "where the sky is bright": HATCHED}
        axes[0, 0].legend(
            handles=[
                Patch(facecolor="0.5", edgecolor="white", hatch=hatch, label=name) for name, hatch in kinds.items()
            ],
            loc="lower right",
        )
        axes[-1, 0].set_xlabel("gain in PSNR [dB]")
        axes[-1, 1].set_xlabel(r"multipole $\ell$")
    return figure
