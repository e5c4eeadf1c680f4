"""Write the 3D cube of a region from predicted profiles of its sightlines.

A FITS file with axes l, b and distance, and the same by pixels of HEALPix as netCDF.
"""

from pathlib import Path

from skyloom import cli


def main() -> None:
    parser = cli.parser(__doc__)
    parser.add_argument(
        "--config", type=cli.json_argument, default={}, help='"nside" of the pixels, or null'
    )
    parser.add_argument(
        "--predictions", type=Path, required=True, help="as extinction/products/profiles.py states"
    )
    parser.add_argument("--output", type=Path, required=True, help="cube, FITS")
    parser.add_argument("--output-healpix", type=Path, help="the same by pixels, netCDF")
    args = parser.parse_args()

    from skyloom.extinction.products import cube, profiles

    found = cube.of_profiles(profiles.read_profiles(args.predictions))
    cube.write_fits(found, args.output)
    if args.output_healpix:
        cube.write_healpix(found, args.output_healpix, args.config.get("nside"))
    print(f"{args.output}: {found.describe()}")


if __name__ == "__main__":
    cli.run(main)
