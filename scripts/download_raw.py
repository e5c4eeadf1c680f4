"""Fetch one raw file of a study's data.yaml, or take a local copy of it; verified, read-only,
sha256 beside it.
"""

import os
from pathlib import Path

from skyloom import cli


def main() -> None:
    parser = cli.parser(__doc__)
    parser.add_argument("--name", required=True, help="the file's name in the manifest")
    parser.add_argument("--manifest", required=True, type=Path, help="config/<study>/data.yaml")
    parser.add_argument("--output", required=True, type=Path)
    parser.add_argument("--mirror", help="base URL that is tried first, as MIRROR/NAME")
    parser.add_argument(
        "--local", action="append", default=[], metavar="NAME=PATH", help="a copy on this machine"
    )
    arguments = parser.parse_args()

    from skyloom import download

    file = download.read_manifest(arguments.manifest, arguments.name)
    copies = dict(text.split("=", 1) for text in arguments.local)
    local = Path(copies[arguments.name]) if arguments.name in copies else None
    sha256 = download.fetch(file, arguments.output, mirror=arguments.mirror, local=local)
    print(f"{arguments.output}: {os.path.getsize(arguments.output)} bytes, sha256 {sha256}")


if __name__ == "__main__":
    cli.run(main)
