"""Join the shards of a set."""

from pathlib import Path

from skyloom import cli, patchset


def main() -> None:
    parser = cli.parser(__doc__)
    parser.add_argument("--shards", type=Path, nargs="+", required=True)
    parser.add_argument("--output", type=Path, required=True, help="patches.nc")
    args = parser.parse_args()
    patchset.merge(args.shards, args.output)
    print(f"{len(patchset.PatchSet(args.output))} fields")


if __name__ == "__main__":
    cli.run(main)
