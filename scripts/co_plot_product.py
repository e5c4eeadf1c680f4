"""Figures of a product: the whole sky, views at high latitude, angular power.

Angular power is compared before and after blending.
"""

from pathlib import Path

import healpy as hp
import matplotlib.pyplot as plt
import numpy as np

from skyloom import cli, files, plotting
from skyloom.co.products import figures, power
from skyloom.co.products.area import depth
from skyloom.co.products.write import read_product
from skyloom.patchset import PatchSet

LMAX = 1500  # a 15 arcmin beam leaves no power beyond


def main() -> None:
    parser = cli.parser(__doc__)
    parser.add_argument(
        "--config",
        type=cli.json_argument,
        required=True,
        help="area, plane_deg, views, models: {name: how it is drawn}",
    )
    parser.add_argument("--maps", type=Path, required=True, help="maps.nc of co_prepare_maps")
    parser.add_argument("--product", type=Path, required=True)
    parser.add_argument(
        "--skies", type=Path, nargs="+", required=True, help="of co_predict_sky, one a line"
    )
    parser.add_argument(
        "--output-sky",
        type=Path,
        required=True,
        help=".png; the .pdf is written next to it, as for the others",
    )
    parser.add_argument("--output-zooms", type=Path, required=True)
    parser.add_argument("--output-power", type=Path, required=True)
    args = parser.parse_args()

    lines, header = read_product(args.product)
    maps = PatchSet(args.maps)
    kind = maps.attrs["data_kind"]
    observed = {line: np.asarray(maps.array(f"co{line}")) for line in lines}
    skies = {sky.attrs["line"]: sky for sky in map(files.load_dataset, args.skies)}
    models = plotting.model_looks(args.config["models"])
    looks = {line: models[sky.attrs["model"]] for line, sky in skies.items()}
    first = next(iter(lines))
    beam = float(header[f"BEAM{first}"])
    sky = figures.whole_sky(lines, observed, args.config["area"], looks, beam)
    plotting.save(sky, args.output_sky, kind)

    dust = np.asarray(maps.array("dust"))
    views = figures.zooms(
        lines[first], observed[first], dust, first, looks[first], beam, args.config["views"]
    )
    plotting.save(
        views or empty(f"no sky of the product lies at |b| > {figures.HIGH_LATITUDE:g} deg"),
        args.output_zooms,
        kind,
    )

    curves = {}
    for line, letters in lines.items():
        fields = {"predicted": letters["I"], "observed": observed[line]}
        if "R" in letters:
            fields["realisation"] = letters["R"]
        fields["null map"] = np.asarray(maps.array(f"co{line}_null"))
        for region, spectra in regional_power(fields, args.config).items():
            curves[line, region] = spectra
    plotting.save(figures.power(curves, skies, looks), args.output_power, kind)


def regional_power(fields: dict[str, np.ndarray], config: dict) -> dict[str, dict]:
    """Banded C_l of maps outside and inside the Galactic plane, for each region of the product."""
    nside = hp.get_nside(next(iter(fields.values())))
    lmax = min(2 * nside, LMAX)
    lonlat = hp.pix2ang(nside, np.arange(hp.nside2npix(nside)), lonlat=True)
    inside = power.rise(depth(*lonlat, config["area"]))
    spectra = {}
    for outside in (True, False):
        window = power.latitude_window(nside, config["plane_deg"], outside) * inside
        share = float(np.mean(window**2))
        if share > 1e-4:
            side, border = ">" if outside else "<", plotting.degrees(config["plane_deg"])
            name = rf"$|b|$ {side} {border} ($f_\mathrm{{sky}}$ = {share:.2g})"
            spectra[name] = {
                k: power.banded(power.power(v, v, window, lmax)) for k, v in fields.items()
            }
    return spectra


def empty(text: str) -> plt.Figure:
    """A figure with a text that explains its absence."""
    with plotting.style():
        figure = plt.figure(figsize=(plotting.PAGE, 1))
        figure.text(0.5, 0.5, text, ha="center", va="center")
    return figure


if __name__ == "__main__":
    cli.run(main)
