"""Project the radio power of the shocks of one simulation output, and its density."""

from pathlib import Path

from astropy.io import fits

from skyloom import cli
from skyloom.radio.simulate.maps import DENSITY
from skyloom.radio.simulate.outputs import project


def main() -> None:
    parser = cli.parser(__doc__)
    parser.add_argument("--config", type=cli.json_argument, required=True, help="the output")
    parser.add_argument("--output", type=Path, required=True, help="FITS, power and density")
    args = parser.parse_args()

    settings = args.config
    found = project(settings)
    pixel = fits.Header({"PIXKPC": found.cell_kpc, "REDSHIFT": found.redshift})
    pixel["AXIS"], pixel["SKYKIND"] = settings["axis"], "user-simulation"
    header = pixel + fits.Header({"BUNIT": "erg/s/Hz"})
    header["FREQ"] = settings["frequency_mhz"] * 1e6, "Hz, at rest"
    for name, exponent in (settings["exponents"] or {}).items():
        header[f"EXP_{name[:4].upper()}"] = exponent, f"of (1 + z) in {name}"
    hdus = fits.HDUList(
        [
            fits.PrimaryHDU(found.power.astype("f4"), header),
            fits.ImageHDU(
                found.column.astype("f4"), pixel + fits.Header({"BUNIT": "g/cm2"}), DENSITY
            ),
        ]
    )
    with cli.atomic(args.output) as part:
        hdus.writeto(part)
    lit = int((found.power > 0).sum())
    print(
        f"{found.power.shape} pixels, {lit} with a shock, {found.power.sum():.3g} erg/s/Hz,"
        f" {found.column.mean():.3g} g/cm2, z = {found.redshift:g}"
    )


if __name__ == "__main__":
    cli.run(main)
