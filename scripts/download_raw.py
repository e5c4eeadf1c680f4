"""Download one raw file of a study's data.yaml, or link a local copy of it.

The file is verified and read-only. Its sha256 is written next to it.
"""

import os
from pathlib import Path

from skyloom import cli


def main() -> None:
    parser = cli.parser(__doc__)
    parser.add_argument("--name", required=True, help="name of the file in the manifest")
    parser.add_argument("--manifest", required=True, type=Path, help="config/<study>/data.yaml")
    parser.add_argument("--output", required=True, type=Path)
    parser.add_argument("--mirror", help="base URL that is tried first, as MIRROR/NAME")
    parser.add_argument(
        "--local", action="append", default=[], metavar="NAME=PATH", help="a copy on this machine"
    )
    args = parser.parse_args()

    from skyloom import download

    file = download.read_manifest(args.manifest, args.name)
    copies = dict(text.split("=", 1) for text in args.local)
    local = Path(copies[args.name]) if args.name in copies else None
    sha256 = download.fetch(file, args.output, mirror=args.mirror, local=local)
    print(f"{args.output}: {os.path.getsize(args.output)} bytes, sha256 {sha256}")


if __name__ == "__main__":
    cli.run(main)
