"""Denoised CO of a patch set, for training only: the same examples in the same order.

`nlm_patch` filters patch by patch. `nlm_sphere` cuts patches from the map of co_denoise_sphere,
with the remaining error.

--config: {"method": "nlm_patch", "h": 0.8, "patch_size": 5, "patch_distance": 6} or {"method":
"nlm_sphere"}
"""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from skyloom import cli, patchset
from skyloom.co.data.patches import LINE_NAMES, cut_planes, patch_maps
from skyloom.co.denoise.patch import denoise

CHUNK = 64  # patches that are in memory in several copies


def main() -> None:
    parser = cli.parser(__doc__)
    parser.add_argument(
        "--config", type=cli.json_argument, required=True, help="the set's denoiser, JSON"
    )
    parser.add_argument("--patches", type=Path, required=True, help="patches.nc")
    parser.add_argument(
        "--maps", type=Path, help="maps.nc that the patches were cut from; with --denoised-map"
    )
    parser.add_argument(
        "--denoised-map", type=Path, help="map of co_denoise_sphere to cut them from"
    )
    parser.add_argument("--output", type=Path, required=True, help="denoised.nc")
    args = parser.parse_args()

    patches, settings = patchset.PatchSet(args.patches), args.config
    if args.denoised_map:
        rows_of, settings = from_sphere(patches, args.maps, args.denoised_map)
    else:
        target, error = patches.array("target"), patches.array("error")

        def rows_of(rows: slice) -> dict[str, np.ndarray]:
            return {"target": denoise(target[rows], error[rows], settings)}

    planes: dict[str, np.ndarray] = {}
    shape = patches.array("target").shape
    for start in range(0, shape[0], CHUNK):
        rows = slice(start, start + CHUNK)
        for name, values in rows_of(rows).items():
            planes.setdefault(name, np.empty(shape, np.float32))[rows] = values

    dataset = xr.Dataset(
        {
            name: (("example", "y", "x"), plane, patches.attrs_of(name))
            for name, plane in planes.items()
        },
        # training compares these with those of the patches
        coords={
            name: ("example", patches.array(name), patches.attrs_of(name))
            for name in ("tile", "view")
        },
        attrs={**patches.attrs, "denoiser": json.dumps(settings, sort_keys=True)},
    )
    patchset.write(dataset, args.output)


def from_sphere(patches: patchset.PatchSet, maps: Path, denoised: Path) -> tuple[Callable, dict]:
    """A function that cuts rows of the patch set from the denoised map, and the map's settings.

    Raises BadInput where map and patches are of different lines.
    """
    source = patchset.PatchSet(denoised)
    (line,) = (key for key, name in LINE_NAMES.items() if name == patches.attrs["line"])
    if source.attrs.get("line") != patches.attrs["line"]:
        raise cli.BadInput(
            f"{denoised}: attribute line is {source.attrs.get('line')}; expected "
            f"{patches.attrs['line']}, as in {patches.path}"
        )
    planes = patch_maps(patchset.PatchSet(maps), line)
    planes |= {"target": source.array(f"co{line}"), "error": source.array(f"co{line}_error")}
    views = pd.DataFrame({name: patches.coords[name] for name in ("glon", "glat", "angle")})
    pixels = patches.array("target").shape[-1]
    size_deg = patches.attrs["pixel_arcmin"] * pixels / 60

    def rows_of(rows: slice) -> dict[str, np.ndarray]:
        cut = cut_planes(planes, views.iloc[rows], size_deg, pixels)
        return {name: cut[name] for name in ("target", "error")}

    return rows_of, {"method": "nlm_sphere"} | {
        name: source.attrs[name] for name in ("fwhm_arcmin", "alpha")
    }


if __name__ == "__main__":
    cli.run(main)
