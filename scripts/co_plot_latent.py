"""The latent space of a network: its bottleneck features of tiles, coloured by physical quantities.

Each point is a tile of the test split; the axes are the first two principal components of its
features. The table has R2 of each quantity from the features, and from mean dust and N(HI) alone.
"""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from sklearn.decomposition import PCA
from sklearn.preprocessing import StandardScaler

from skyloom import checkpoint, cli, files, plotting
from skyloom.co import figures
from skyloom.co.data import examples
from skyloom.co.explain import latent
from skyloom.patchset import flag_names

COLOURED = {  # quantity -> its name, label of the colour bar
    "dust": ("dust", "ln of dust [MJy/sr]"),
    "hi": ("N(HI)", r"ln of N(HI) [10$^{20}$ cm$^{-2}$]"),
    "co": ("W(CO) / noise", "asinh(W / noise)"),
    "glat": (r"$|b|$", r"$|b|$ [deg]"),
}


def main() -> None:
    parser = cli.parser(__doc__)
    help = "entry of the model, models: {name: look}"
    parser.add_argument("--config", type=cli.json_argument, required=True, help=help)
    help = "patches.nc, and denoised.nc if trained on"
    parser.add_argument("--data", type=Path, nargs="+", required=True, help=help)
    parser.add_argument("--checkpoint", type=Path, required=True, help="best.ckpt")
    parser.add_argument("--output-table", type=Path, required=True, help=".csv")
    help = ".png; the .pdf is written next to it"
    parser.add_argument("--output", type=Path, required=True, help=help)
    args = parser.parse_args()

    data = examples.load(args.data, args.config["entry"])
    trained = checkpoint.load(args.checkpoint, {"entry": args.config["entry"], "meta": data.meta})
    patches, rows = data.test.patches, data.test.rows
    features = latent.bottleneck_features(trained, data.test)
    quantities = latent.physical_quantities(patches, rows)
    glon, glat = patches.coords["glon"][rows], patches.coords["glat"][rows]
    table = latent.regress(features, quantities, glon, glat)
    with cli.atomic(args.output_table) as part:
        table.to_csv(part, index=False, float_format="%.4g")
    with files.open_dataset(patches.path, decode_cf=False) as file:
        names = flag_names(file["complex"])
    complexes = np.array([names[value] for value in patches.coords["complex"][rows]])
    look = plotting.model_looks(args.config["models"])[trained["model"]]
    sheet = figure(features, quantities, complexes, table, look.label)
    plotting.save(sheet, args.output, patches.attrs["data_kind"])


def figure(
    features: np.ndarray,
    quantities: pd.DataFrame,
    complexes: np.ndarray,
    table: pd.DataFrame,
    label: str,
) -> Figure:
    """Five views of one plane: four quantities by colour, complexes by marker; R2 in the titles.

    label : of the model.
    """
    pca = PCA(2).fit(StandardScaler().fit_transform(features))
    x, y = pca.transform(StandardScaler().fit_transform(features)).T
    share = 100 * pca.explained_variance_ratio_
    with plotting.style():
        size = (plotting.PAGE, 4.4)
        fig, axes = plt.subplots(2, 3, figsize=size, sharex=True, sharey=True)
        for ax, (quantity, (name, bar)) in zip(axes.flat, COLOURED.items(), strict=False):
            row = table[table.quantity == latent.QUANTITIES[quantity]].iloc[0]
            points = ax.scatter(x, y, c=quantities[quantity], s=7, linewidth=0, cmap=plotting.MAP)
            plotting.colour_bar(fig, points, bar, ax=ax)
            ax.set_title(f"{name}: $R^2$ {row.r2_features:.3f} ({row.r2_means:.2f})")
        _draw_complexes(axes.flat[4], x, y, complexes)
        axes.flat[5].set_axis_off()
        axes.flat[5].legend(*axes.flat[4].get_legend_handles_labels(), loc="center left")
        for ax in axes[1, :2]:
            ax.set_xlabel(f"1st component ({share[0]:.0f} % of variance)")
        for ax in axes[:, 0]:
            ax.set_ylabel(f"2nd component ({share[1]:.0f} %)")
        title = f"Bottleneck features of {label}, means of {len(x)} test tiles"
        title += "; $R^2$ from them (from mean dust and N(HI) alone)"
        fig.suptitle(title, fontsize=plotting.STYLE["axes.titlesize"])
    return fig


def _draw_complexes(ax, x: np.ndarray, y: np.ndarray, complexes: np.ndarray) -> None:
    outside = complexes == "none"
    ax.scatter(x[outside], y[outside], s=5, color="0.75", linewidth=0, label="no complex")
    names = sorted(set(complexes) - {"none"})
    for name, look in plotting.light_looks(names).items():
        inside = complexes == name
        style = {"marker": look.marker, "edgecolor": "0.15", "linewidth": 0.3}
        label = figures.complex_label(name)
        ax.scatter(x[inside], y[inside], s=14, color=look.colour, label=label, **style)
    ax.set_title("held-out complexes")


if __name__ == "__main__":
    cli.run(main)
