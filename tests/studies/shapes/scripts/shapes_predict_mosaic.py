"""Predict the classes of a mosaic that is larger than a training image: FITS, and a figure.

The FITS file has the extensions IMAGE, TARGET (true class), CLASS (the most probable class) and
PROBABILITY (class, y, x). The header of CLASS names its values.
"""

from pathlib import Path

import numpy as np
import torch
from astropy.io import fits

from skyloom import checkpoint, cli, plotting
from skyloom.shapes import figures
from skyloom.shapes.data.images import CLASSES, draw, generator


def main() -> None:
    parser = cli.parser(__doc__)
    parser.add_argument(
        "--config", type=cli.json_argument, required=True, help='"mosaic", "set", "entry"'
    )
    parser.add_argument("--checkpoint", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True, help=".fits")
    parser.add_argument("--output-figure", type=Path, required=True, help=".png and .pdf")
    args = parser.parse_args()

    mosaic, settings = args.config["mosaic"], args.config["set"]
    image, target = draw(settings | {"pixels": mosaic["pixels"]}, generator(mosaic["seed"], 0))
    trained = checkpoint.load(args.checkpoint, {"study": "shapes", "entry": args.config["entry"]})
    with torch.no_grad():
        batch = {"input": torch.from_numpy(image)[None, None]}
        probability = checkpoint.predictor(trained)(batch)["prediction"][0].float().numpy()
    predicted = probability.argmax(0).astype(np.uint8)

    write(args.output, image, target, predicted, probability, trained)
    classes = {"true class": target, "predicted class": predicted}
    plotting.save(figures.mosaic(image, classes, CLASSES), args.output_figure, "simulated")


def write(path: Path, image, target, predicted, probability, trained: dict) -> None:
    header = fits.Header({"SKYKIND": "simulated", "MODEL": trained["model"]})
    header["DIGEST"] = trained["digest"]  # of config, code and data of the training
    names = fits.Header({f"CLASS{k}": name for k, name in enumerate(CLASSES)})
    hdus = fits.HDUList(
        [
            fits.PrimaryHDU(header=header),
            fits.ImageHDU(image, name="IMAGE"),
            fits.ImageHDU(target.astype(np.uint8), names, name="TARGET"),
            fits.ImageHDU(predicted, names, name="CLASS"),
            fits.ImageHDU(probability, names, name="PROBABILITY"),
        ]
    )
    with cli.atomic(path) as part:
        hdus.writeto(part)


if __name__ == "__main__":
    cli.run(main)
