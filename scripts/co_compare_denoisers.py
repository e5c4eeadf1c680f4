"""Compare denoisers on a seeded lognormal sky whose truth is known.

The noise is white, or correlated over the beam.
"""

from pathlib import Path

from skyloom import cli, plotting
from skyloom.co.denoise import compare, figure


def main() -> None:
    parser = cli.parser(__doc__)
    parser.add_argument(
        "--config",
        type=cli.json_argument,
        required=True,
        help="compare_denoisers, denoisers, pixels",
    )
    parser.add_argument("--output", type=Path, required=True, help="table, CSV")
    parser.add_argument(
        "--figure", type=Path, required=True, help=".png; the .pdf is written next to it"
    )
    args = parser.parse_args()
    config = args.config

    table, curves = compare.compare(
        config["compare_denoisers"] | {"pixels": config["pixels"]}, config["denoisers"]
    )
    print(table.to_string(index=False, float_format=lambda value: f"{value:.3f}"))
    with cli.atomic(args.output) as part:
        table.to_csv(part, index=False, float_format="%.4g")
    plotting.save(figure.denoisers(table, curves), args.figure, "simulated")


if __name__ == "__main__":
    cli.run(main)
