"""Bring the raw CO, dust and HI maps to RING order, physical units and one beam (maps.nc)."""

from pathlib import Path

from skyloom import cli


def main() -> None:
    parser = cli.parser(__doc__)
    parser.add_argument(
        "--config",
        required=True,
        type=cli.json_argument,
        help="section `maps` of the config",
    )
    parser.add_argument(
        "--co-map", required=True, type=Path, help="Planck CO Type 2 (NESTED, K_RJ km/s)"
    )
    parser.add_argument(
        "--dust-map", required=True, type=Path, help="GNILC dust at 857 GHz (MJy/sr)"
    )
    parser.add_argument("--hi-map", required=True, type=Path, help="HI4PI N(HI) (cm-2)")
    parser.add_argument("--output", required=True, type=Path, help="maps.nc")
    args = parser.parse_args()

    from skyloom import patchset
    from skyloom.co.data import maps

    dataset = maps.prepare(args.co_map, args.dust_map, args.hi_map, args.config)
    patchset.write(dataset, args.output)
    print(
        f"{args.output}: {dataset.attrs['data_kind']} sky at NSIDE {dataset.attrs['nside']}, "
        f"median CO(1-0) error {float(dataset['co10_error'].median()):.3f} K km/s (Type 2 at 15 "
        "arcmin: about 0.45)"
    )


if __name__ == "__main__":
    cli.run(main)
