"""What the models see: whole maps of log N with their rms, and the images that are cut
from them.
"""

import matplotlib.pyplot as plt
import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from skyloom import plotting
from skyloom.cli import BadInput
from skyloom.patchset import flag_names
from skyloom.turbulence.data.images import simulations_of

CLIP = 3.0  # deviations at which the colours of standardised images end
PARTS = 4  # images shown of a map, at most
FIRST_AXIS = 0  # of the three views of a simulation, the one that is shown
BARS_PC = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50)  # lengths of a scale bar


def chosen_simulations(patches: xr.Dataset, count: int) -> list[int]:
    """Numbers of the simulations that are shown: of each class, the shallower first, the first
    `count` test simulations whose index is closest to the class's, by a rule and not by their
    looks.
    """
    splits = {name: code for code, name in flag_names(patches["split"]).items()}
    test = patches["split"].values == splits["test"]
    numbers, first = np.unique(patches["simulation"].values[test], return_index=True)
    index = patches["target"].values[test][first]
    off = np.round(np.abs(index[:, None] - np.sort(patches.attrs["classes"])), 3)
    shown = []
    for of in range(off.shape[1]):
        mine = np.flatnonzero(off.argmin(1) == of)
        shown += numbers[mine[np.argsort(off[mine, of], kind="stable")]][:count].tolist()
    return shown


def whole_map(patches: xr.Dataset, families: dict[str, xr.Dataset], number: int) -> np.ndarray:
    """log10(N / <N>) [dex], (y, x), of simulation `number` of the set, from the column maps of its
    family.
    """
    row = int(np.flatnonzero(patches["simulation"].values == number)[0])
    name = flag_names(patches["family"])[int(patches["family"].values[row])]
    if name not in families:
        raise BadInput(f"--columns: no maps of the family {name} (found {', '.join(families)})")
    columns, known = families[name], simulations_of(name, families[name])
    found = known["row"][known["seed"] == patches["seed"].values[row]]
    if len(found) != 1:
        raise BadInput(
            f"column maps of {name}: {len(found)} of the seed {patches['seed'].values[row]}; "
            "expected one, of which the"
            " set's images were cut"
        )
    return np.log10(1 + columns["column"][int(found[0])].values[FIRST_AXIS].astype(np.float64))


def panels(patches: xr.Dataset, families: dict[str, xr.Dataset], count: int) -> Figure:
    """A row a simulation: its whole map, then its images as the models get them.

    Maps, and images of the variant `raw`, share one scale, so that amplitudes can be compared;
    standardised images have one of their own. Lines on a map are where it is cut. families : name
    -> maps of `skyloom.turbulence.read.columns`.
    """
    numbers = chosen_simulations(patches, count)
    maps = [whole_map(patches, families, number) for number in numbers]
    limit = CLIP * float(np.median([m.std() for m in maps]))
    standard = patches.attrs["variant"] == "standardised"
    is_column = patches.attrs["field"] == "column"
    parts = int(patches.attrs["parts"])
    shown = min(parts**2, PARTS)
    rows = {number: rows_of(patches, number)[:shown] for number in numbers}
    unit = "deviations of the image" if standard else patches["image"].attrs["units"]
    part_limit = (
        CLIP
        if standard
        else limit
        if is_column
        else CLIP * float(patches["image"].attrs.get("scale", 1))
    )
    with plotting.style():
        size = (1.75 * (1 + shown) + 0.9, 1.95 * len(numbers) + 1.0)
        figure, axes = plt.subplots(len(numbers), 1 + shown, figsize=size, squeeze=False)
        for line, number, image in zip(axes, numbers, maps, strict=True):
            index = patches["target"].values[rows[number][0]]
            whole = line[0].imshow(image, origin="lower", vmin=-limit, vmax=limit)
            # of N itself a deviation of log N of 0.002 dex is half a percent
            line[0].set_title(f"index {index:.2f}: rms {image.std():.4f} dex", loc="left")
            cut = image.shape[-1] / parts
            for k in range(1, parts):
                line[0].axhline(k * cut - 0.5, color="white", linewidth=0.6)
                line[0].axvline(k * cut - 0.5, color="white", linewidth=0.6)
            for row in rows[number]:
                y, x = divmod(int(patches["part"].values[row]), parts)
                box = {"facecolor": "white", "alpha": 0.7, "linewidth": 0, "pad": 1}
                place = {"fontsize": 7, "ha": "right", "va": "top", "bbox": box}
                line[0].text((x + 0.97) * cut, (y + 0.95) * cut, str(y * parts + x + 1), **place)
            scale_bar(line[0], image.shape[-1], float(patches.attrs["pixel_pc"]))
            for ax, row in zip(line[1:], rows[number], strict=True):
                part = ax.imshow(
                    patches["image"].values[row], origin="lower", vmin=-part_limit, vmax=part_limit
                )
                zoom = (
                    patches["zoom"].values[row]
                    if "zoom" in patches.coords
                    else float(patches.attrs.get("zoom", 1))
                )
                scale_bar(ax, patches.sizes["x"], float(patches.attrs["pixel_pc"]) / zoom)
        for k, ax in enumerate(axes[0, 1:]):
            ax.set_title(f"image {k + 1}", loc="left")
        for ax in axes.flat:
            ax.set(xticks=[], yticks=[])
            ax.spines[:].set_visible(False)
        ends = {"location": "bottom", "extend": "both", "aspect": 40, "pad": 0.02}
        figure.colorbar(
            whole,
            ax=axes[:, 0],
            label=r"$\log_{10} N/\langle N\rangle$ [dex]",
            **ends | {"aspect": 12},
        )
        name = r"$\log_{10} N$" if is_column else "line-of-sight velocity"
        figure.colorbar(part, ax=axes[:, 1:], label=f"{name} [{unit}]", **ends)
    return figure


def rows_of(patches: xr.Dataset, number: int) -> np.ndarray:
    """Rows of the images of one simulation's first view, in the order of its parts."""
    mine = (patches["simulation"].values == number) & (patches["axis"].values == FIRST_AXIS)
    rows = np.flatnonzero(mine)
    return rows[np.argsort(patches["part"].values[rows], kind="stable")]


def scale_bar(ax, pixels: int, pixel_pc: float) -> None:
    """A bar of a round length, about a quarter of the image wide."""
    length = min(BARS_PC, key=lambda bar: abs(np.log(bar / (pixels * pixel_pc / 4))))
    start, height = 0.06 * pixels, 0.07 * pixels
    for width, colour in ((3.5, "black"), (1.8, "white")):
        ax.plot([start, start + length / pixel_pc], [height, height], color=colour, linewidth=width)
    box = {"facecolor": "black", "alpha": 0.55, "linewidth": 0, "pad": 1}
    ax.text(start, 1.7 * height, f"{length:g} pc", color="white", fontsize=7, va="bottom", bbox=box)
