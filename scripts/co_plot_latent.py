"""The latent space of a network: bottleneck features of test tiles, and physical quantities.

Each point is a tile of the test split. The axes are the first two principal components of its
features, the colours are physical quantities. The table has R2 of each quantity from the features,
and from mean dust and N(HI) alone.
"""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.figure import Figure
from sklearn.decomposition import PCA
from sklearn.preprocessing import StandardScaler

from skyloom import checkpoint, cli, plotting
from skyloom.co.data import examples
from skyloom.co.explain import latent
from skyloom.patchset import flag_names

LABELS = {
    "dust": "ln of mean dust [MJy/sr]",
    "hi": r"ln of mean N(HI) [10$^{20}$ cm$^{-2}$]",
    "co": "asinh of mean W(CO) / noise",
    "glat": r"$|b|$ [deg]",
}


def main() -> None:
    parser = cli.parser(__doc__)
    help = '{"entry": {...}} of the model'
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
    with xr.open_dataset(patches.path, decode_cf=False) as file:
        names = flag_names(file["complex"])
    complexes = np.array([names[value] for value in patches.coords["complex"][rows]])
    sheet = figure(features, quantities, complexes, table, trained["model"])
    plotting.save(sheet, args.output, patches.attrs["data_kind"])


def figure(
    features: np.ndarray,
    quantities: pd.DataFrame,
    complexes: np.ndarray,
    table: pd.DataFrame,
    model: str,
) -> Figure:
    """Five views of one plane: four quantities by colour, complexes by marker; R2 in the titles."""
    pca = PCA(2).fit(StandardScaler().fit_transform(features))
    x, y = pca.transform(StandardScaler().fit_transform(features)).T
    share = pca.explained_variance_ratio_
    with plotting.style():
        fig, axes = plt.subplots(2, 3, figsize=(10.5, 6.4), sharex=True, sharey=True)
        for ax, (name, label) in zip(axes.flat, LABELS.items(), strict=False):
            row = table[table.quantity == latent.QUANTITIES[name]].iloc[0]
            points = ax.scatter(x, y, c=quantities[name], s=9, linewidth=0, cmap=plotting.MAP)
            fig.colorbar(points, label=label)
            ax.set_title(
                f"$R^2$ {row.r2_features:.2f}, from the mean maps {row.r2_means:.2f}", loc="left"
            )
        ax = axes.flat[4]
        names = sorted(set(complexes) - {"none"})
        ax.scatter(
            *(v[complexes == "none"] for v in (x, y)),
            s=6,
            color="0.75",
            linewidth=0,
            label="no complex",
        )
        for name, colour, marker in zip(names, plotting.LINES, "osD^vP", strict=False):
            inside = complexes == name
            ax.scatter(
                x[inside],
                y[inside],
                s=16,
                color=colour,
                marker=marker,
                linewidth=0,
                label=name.replace("_", "-"),
            )
        ax.set_title("held-out complexes", loc="left")
        axes.flat[5].set_axis_off()
        axes.flat[5].legend(*ax.get_legend_handles_labels(), loc="center left", title="complex")
        for ax in axes[1, :2]:
            ax.set_xlabel(f"first component ({share[0]:.0%} of variance)")
        for ax in axes[:, 0]:
            ax.set_ylabel(f"second component ({share[1]:.0%})")
        fig.suptitle(
            f"Bottleneck of {model.replace('_', ' ')}: one point a test tile (n = {len(x)})"
        )
    return fig


if __name__ == "__main__":
    cli.run(main)
