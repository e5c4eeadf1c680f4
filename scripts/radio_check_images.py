"""Read what is stated of images before anything is trained, and name all that is wrong with it.

An image that is refused here holds up no other: its own search refuses it again.
"""

from pathlib import Path

from skyloom import cli
from skyloom.radio.products import catalogue
from skyloom.radio.read import read_image, read_noise, require_wider


def main() -> None:
    parser = cli.parser(__doc__)
    parser.add_argument("--config", type=cli.json_argument, required=True, help='"images"')
    parser.add_argument("--output", type=Path, required=True)
    args = parser.parse_args()

    refused = {}  # a table of many images is refused once
    for name, stated in args.config["images"].items():
        try:
            check(stated)
        except cli.BadInput as error:
            refused.setdefault(str(error), name)
    if refused:
        raise cli.BadInput("\n".join(f"image {name}: {text}" for text, name in refused.items()))
    with cli.atomic(args.output) as part:
        part.write_text(f"{len(args.config['images'])} image(s) can be read\n")


def check(stated: dict) -> None:
    image = read_image(stated["path"], stated)
    if "smooth_arcsec" in stated:
        require_wider(image, stated["smooth_arcsec"])
    if "noise" in stated:
        read_noise(stated["noise"], image)
    if "clusters" in stated:
        catalogue.clusters(stated["clusters"], stated.get("columns", {}))


if __name__ == "__main__":
    cli.run(main)
