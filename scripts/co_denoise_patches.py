"""Denoise the CO target of a patch set, for training only: the same examples in the same order.

--config: {"method": "nlm_patch", "h": 0.8, "patch_size": 5, "patch_distance": 6}
"""

import json
from pathlib import Path

import numpy as np
import xarray as xr

from skyloom import cli, patchset
from skyloom.co.denoise import denoise

CHUNK = 64  # patches held in memory in two copies


def main() -> None:
    parser = cli.parser(__doc__)
    parser.add_argument("--config", type=cli.json_argument, required=True, help="the set's denoiser, JSON")
    parser.add_argument("--patches", type=Path, required=True, help="patches.nc")
    parser.add_argument("--output", type=Path, required=True, help="denoised.nc")
    arguments = parser.parse_args()

    patches = patchset.PatchSet(arguments.patches)
    target, error = patches.array("target"), patches.array("error")
    smooth = np.empty(target.shape, np.float32)
    for start in range(0, len(target), CHUNK):
        rows = slice(start, start + CHUNK)
        smooth[rows] = denoise(target[rows], error[rows], arguments.config)

    dataset = xr.Dataset(
        {"target": (("example", "y", "x"), smooth, patches.attrs_of("target"))},
        # training compares these with the patches' own
        coords={name: ("example", patches.array(name), patches.attrs_of(name)) for name in ("tile", "view")},
        attrs={**patches.attrs, "denoiser": json.dumps(arguments.config, sort_keys=True)},
    )
    patchset.write(dataset, arguments.output)


if __name__ == "__main__":
    cli.run(main)
