"""Denoise a CO map on the sphere, near bright CO.

Its two parameters are chosen by cross-validation on the null map.
"""

import json
from pathlib import Path

import healpy as hp
import numpy as np
import xarray as xr

from skyloom import cli, patchset
from skyloom.co.data.patches import LINE_NAMES
from skyloom.co.data.regions import labels_at
from skyloom.co.denoise import choose, sphere
from skyloom.gpus import claim


def main() -> None:
    parser = cli.parser(__doc__)
    parser.add_argument(
        "--config", type=cli.json_argument, required=True, help="line, nlm_sphere, split, snr"
    )
    parser.add_argument("--maps", type=Path, required=True, help="maps.nc")
    parser.add_argument(
        "--output",
        type=Path,
        required=True,
        help="the denoised map, its error and null map (netCDF)",
    )
    parser.add_argument(
        "--scores", type=Path, required=True, help="scores of the cross-validation (CSV)"
    )
    parser.add_argument("--gpus", type=int, default=0, help="GPUs of the job")
    args = parser.parse_args()
    claim(args.gpus)
    config, settings = args.config, args.config["nlm_sphere"]

    maps, line = patchset.PatchSet(args.maps), f"co{config['line']}"
    null = choose.read_null(maps, line)
    signal, error = maps.array(line), maps.array(f"{line}_error")
    with np.errstate(divide="ignore", invalid="ignore"):
        area = sphere.bright_area(signal / error, config["snr"], settings["margin_deg"])
    region = labels_at(hp.npix2nside(signal.size), config["split"])

    eligible = choose.eligible_pixels(signal, null, error, area, region)
    choose.require_eligible(args.maps, eligible)
    pixels = choose.drawn_pixels(eligible, settings["pixels"], settings["seed"])
    scores = choose.score_sphere(signal, null, error, pixels, settings, region)
    best = choose.best(scores)
    border = choose.on_border(scores, "fwhm_arcmin", "alpha")
    print(
        f"{len(pixels)} training pixels, mse in units of "
        f"error^2:\n{scores.to_string(index=False)}\nchosen: {best}"
    )
    if border[scores["mse"].idxmin()]:
        print(
            f"warning: FWHM {best['fwhm_arcmin']:g} arcmin, alpha {best['alpha']:g} lie on the "
            "border of their grid: a better pair may lie beyond; extend "
            "co.denoisers.nlm_sphere.fwhm_arcmin and alpha"
        )

    out, remaining_null, features = sphere.denoise_sky(signal, null, area, settings | best, region)
    dataset = xr.Dataset(
        {
            line: (
                "pixel",
                out,
                {"units": "K km/s", "long_name": "denoised; the raw value where not filtered"},
            ),
            f"{line}_error": (
                "pixel",
                sphere.error_left(error, null, remaining_null),
                {
                    "units": "K km/s",
                    "long_name": "remaining noise, from the null map; without lost signal",
                },
            ),
            f"{line}_null": (
                "pixel",
                remaining_null,
                {"units": "K km/s", "long_name": "null map with the same weights"},
            ),
            "filtered": (
                "pixel",
                area.astype(np.int8),
                {"long_name": "1 where denoised, 0 where the raw value stays"},
            ),
        },
        attrs={name: maps.attrs[name] for name in ("nside", "data_kind", "beam_arcmin")}
        | {name: best[name] for name in ("fwhm_arcmin", "alpha", "gain_db")}
        | {
            "line": LINE_NAMES[config["line"]],
            "sigma": features.sigma,
            "rho": features.rho,
            "radius_deg": np.degrees(
                sphere.disc_radius(maps.attrs["nside"], best["fwhm_arcmin"], settings["reach"])
            ),
            "margin_deg": settings["margin_deg"],
            "judged_pixels": len(pixels),
            "cross_validation": json.dumps(scores.to_dict("records")),
        },
    )
    patchset.write(dataset, args.output)
    table = scores.assign(
        line=LINE_NAMES[config["line"]],
        chosen=scores.index == scores["mse"].idxmin(),
        border=border,
    )
    with cli.atomic(args.scores) as part:
        table.to_csv(part, index=False, float_format="%.4g")


if __name__ == "__main__":
    cli.run(main, gpus=True)
