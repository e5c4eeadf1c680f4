"""Make the embedded stand-in sky and write it as the three real products' files (CO Type 2, GNILC
857 GHz, HI4PI).
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
        help="what differs from the defaults (JSON)",
    )
    parser.add_argument("--co-map", type=Path, required=True)
    parser.add_argument("--dust-map", type=Path, required=True)
    parser.add_argument("--hi-map", type=Path, required=True)
    arguments = parser.parse_args()

    config = {**DEFAULTS, **arguments.config}
    sky = simulate_sky(config)
    write_co(sky, arguments.co_map, config)
    write_dust(sky, arguments.dust_map, config)
    write_hi(sky, arguments.hi_map, config)


if __name__ == "__main__":
    cli.run(main)
