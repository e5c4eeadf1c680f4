"""The extinction from the Sun to one place, or to those of a table, from a cube.

    python scripts/extinction_query.py cube.fits 284.3 -0.2 2.5
    python scripts/extinction_query.py cube.fits 284.3 -0.2 2500pc
    python scripts/extinction_query.py cube.fits --table stars.fits --output stars_av.ecsv

l and b are Galactic [deg]. A distance without a unit is in kpc. A table has the columns l, b and
distance; rows outside of the cube have no value.
"""

from pathlib import Path

from astropy import units as u

from skyloom import cli


def main() -> None:
    parser = cli.parser(__doc__)
    parser.add_argument("cube", type=Path, help="FITS, of extinction_write_cube")
    parser.add_argument("place", nargs="*", help="l [deg], b [deg], distance [kpc]")
    parser.add_argument("--table", type=Path, help="FITS, VOTable, parquet or CSV")
    parser.add_argument("--output", type=Path, help="of a table: .fits, .ecsv or .csv")
    args = parser.parse_args()
    if (len(args.place) != 3) == (args.table is None) or (args.table is None) != (
        args.output is None
    ):
        parser.error("expected l b d, or --table and --output")

    from skyloom.extinction.products import cube, query

    sky = cube.read_cube(args.cube)
    if args.table is not None:
        query.fill_table(sky, args.table, args.output)
        return
    lon, lat = (query.quantity(text, u.deg) for text in args.place[:2])
    found = query.extinction_at(sky, lon, lat, query.quantity(args.place[2], u.kpc))
    print(query.describe(found, sky))


if __name__ == "__main__":
    cli.run(main)
