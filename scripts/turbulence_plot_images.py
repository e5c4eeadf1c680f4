"""Maps of log N of both classes, the images that a set cuts from them, their power and structure
functions.
"""

import contextlib
from pathlib import Path

import numpy as np
import xarray as xr

from skyloom import cli, files, plotting
from skyloom.turbulence.figures import images
from skyloom.turbulence.figures.images import Statistic
from skyloom.turbulence.image_statistics import power_spectrum
from skyloom.turbulence.physics import converged

LONGEST_LAG = 0.5  # of the side of an image


def main() -> None:
    parser = cli.parser(__doc__)
    parser.add_argument(
        "--config",
        type=cli.json_argument,
        required=True,
        help='"families", "count" of simulations of a class, "grid" or null, "set", its label',
    )
    parser.add_argument("--patches", type=Path, required=True, help="patches.nc of the set")
    parser.add_argument(
        "--columns", type=Path, nargs="+", required=True, help="columns.nc of each family in order"
    )
    parser.add_argument(
        "--output", type=Path, required=True, help=".png; the .pdf is written next to it"
    )
    args = parser.parse_args()

    config = args.config
    with contextlib.ExitStack() as stack:
        patches, *columns = [
            stack.enter_context(files.open_dataset(path, decode_cf=False))
            for path in (args.patches, *args.columns)
        ]
        families = dict(zip(config["families"], columns, strict=True))
        curves = statistics(patches, config["grid"])
        figure = images.panels(patches, families, config["count"], curves, config["set"])
        plotting.save(figure, args.output, patches.attrs["data_kind"])


def statistics(patches: xr.Dataset, grid: int | None) -> tuple[Statistic, Statistic]:
    """Power per ln k as a share of the variance, and the second-order structure function, of each
    simulation, means over its images.

    grid : cells along a side of the simulations' box; None: unknown, then nothing is marked as not
    converged.
    """
    pixels, box = patches.sizes["x"], float(patches.attrs["box_pc"])
    zoom = patches["zoom"].values.mean() if "zoom" in patches else float(patches.attrs["zoom"])
    pixel = float(patches.attrs["pixel_pc"]) / zoom
    periodic = patches.attrs["parts"] == 1 and patches.attrs.get("source") != "maps" and zoom == 1
    lags = np.arange(1, int(pixels * LONGEST_LAG) + 1)
    classes, simulation = images.classes_of(patches), patches["simulation"].values
    power, structure = ([], []), ([], [])
    for number in np.unique(simulation):
        rows = np.flatnonzero(simulation == number)
        values = patches["image"][rows].values.astype(np.float64)
        waves, log_power = power_spectrum(values, periodic)
        power[classes[rows[0]]].append(images.share_of_variance(waves, log_power).mean(0))
        structure[classes[rows[0]]].append([structure_function(values, lag) for lag in lags])
    limits = converged(grid) if grid else {}
    # a difference over a lag is largest for waves of twice its length
    lengths = {name: box / wave / 2 for name, wave in limits.items()}
    return (
        Statistic(waves * box / (pixel * pixels), list(map(np.array, power)), limits),
        Statistic(lags * pixel, list(map(np.array, structure)), lengths),
    )


def structure_function(images: np.ndarray, lag: int) -> float:
    """Mean squared difference of pixels at a distance of `lag` along either axis."""
    along_y, along_x = images[:, lag:] - images[:, :-lag], images[..., lag:] - images[..., :-lag]
    return (np.square(along_y).mean() + np.square(along_x).mean()) / 2


if __name__ == "__main__":
    cli.run(main)
