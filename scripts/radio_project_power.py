"""Project the radio power of the shocks of one simulation output."""

from pathlib import Path

from astropy.io import fits

from skyloom import cli
from skyloom.radio.simulate.shocks import project


def main() -> None:
    parser = cli.parser(__doc__)
    parser.add_argument("--config", type=cli.json_argument, required=True, help="the output")
    parser.add_argument("--output", type=Path, required=True, help="FITS map")
    args = parser.parse_args()

    settings = args.config
    power, z = project(settings)
    header = fits.Header({"BUNIT": "erg/s/Hz", "PIXKPC": settings["cell_kpc"], "REDSHIFT": z})
    header["FREQ"] = settings["frequency_mhz"] * 1e6, "Hz, at rest"
    header["SKYKIND"] = "user-simulation"
    for name, exponent in settings["exponents"].items():
        header[f"EXP_{name[:4].upper()}"] = exponent, f"of (1 + z) in {name}"
    with cli.atomic(args.output) as part:
        fits.PrimaryHDU(power.astype("f4"), header).writeto(part)
    lit = int((power > 0).sum())
    print(f"{power.shape} pixels, {lit} with a shock, {power.sum():.3g} erg/s/Hz, z = {z:g}")


if __name__ == "__main__":
    cli.run(main)
