"""Draw the validation and test images of a set. Its training images are a stream."""

from pathlib import Path

from skyloom import cli, patchset
from skyloom.shapes.data.images import patches


def main() -> None:
    parser = cli.parser(__doc__)
    parser.add_argument("--config", type=cli.json_argument, required=True, help="the set")
    parser.add_argument("--output", type=Path, required=True, help="patches.nc")
    args = parser.parse_args()

    drawn = patches(args.config)
    patchset.write(drawn, args.output)
    print(f"{drawn.sizes['example']} images of {args.config['pixels']} pixels a side")


if __name__ == "__main__":
    cli.run(main)
