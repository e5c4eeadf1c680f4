"""An image with the contours of what was found, and with the truth where it is known."""

from pathlib import Path

from astropy.io import fits
from astropy.table import Table

from skyloom import cli, plotting
from skyloom.radio import figures
from skyloom.radio.data import noise
from skyloom.radio.read import read_noise, read_stated


def main() -> None:
    parser = cli.parser(__doc__)
    parser.add_argument("--config", type=cli.json_argument, required=True, help='"image"')
    parser.add_argument("--probability", type=Path, required=True)
    parser.add_argument("--sources", type=Path, required=True, help="FITS table")
    parser.add_argument("--truth", type=Path, help="FITS classes")
    parser.add_argument("--output", type=Path, required=True, help=".png; the .pdf lies beside it")
    args = parser.parse_args()

    stated = args.config["image"]
    image = read_stated(stated)
    given = read_noise(stated["noise"], image) if "noise" in stated else None
    levels = noise.levels(image.data, image.beam_pixels, given)
    with fits.open(args.probability) as file:
        probability, threshold = file[1].data, file[1].header["THRESH"]
    truth = fits.getdata(args.truth) if args.truth else None
    found = Table.read(args.sources)
    figure = figures.image(image, levels, probability, threshold, found, truth)
    plotting.save(figure, args.output, image.data_kind)


if __name__ == "__main__":
    cli.run(main)
