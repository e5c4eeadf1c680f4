"""Make the embedded stand-in sky and write it in the files of the three real products.

These are Planck CO Type 2, GNILC dust at 857 GHz and HI4PI.
"""

from pathlib import Path

from skyloom import cli
from skyloom.co.simulate import DEFAULTS, simulate_sky
from skyloom.co.simulate.write import write_co, write_dust, write_hi


def main() -> None:
    parser = cli.parser(__doc__)
    parser.add_argument(
        "--config",
        type=cli.json_argument,
        required=True,
        help="parameters that differ from the defaults",
    )
    parser.add_argument("--co-map", type=Path, required=True)
    parser.add_argument("--dust-map", type=Path, required=True)
    parser.add_argument("--hi-map", type=Path, required=True)
    args = parser.parse_args()

    config = {**DEFAULTS, **args.config}
    sky = simulate_sky(config)
    write_co(sky, args.co_map, config)
    write_dust(sky, args.dust_map, config)
    write_hi(sky, args.hi_map, config)


if __name__ == "__main__":
    cli.run(main)
