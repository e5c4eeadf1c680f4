"""A shuffled, numbered panel of images of two sets, and a separate key with their sets.

Look at the figure, write a CSV with the columns `image,answer` (the name of a set), then:

    python scripts/turbulence_score_panel.py --key results/.../panel_keys/<first>_<second>.csv
        --answers answers.csv
"""

from pathlib import Path

import numpy as np

from skyloom import cli, files, plotting
from skyloom.turbulence import realism
from skyloom.turbulence.figures.realism import panel as draw
from skyloom.turbulence.realism import panel


def main() -> None:
    parser = cli.parser(__doc__)
    parser.add_argument(
        "--config",
        type=cli.json_argument,
        required=True,
        help='"first", "second", "panel" (images of each set), "seed"',
    )
    parser.add_argument(
        "--patches",
        type=Path,
        nargs=2,
        required=True,
        help="patches.nc of the first and second set",
    )
    parser.add_argument(
        "--output", type=Path, required=True, help=".png; the .pdf is written next to it"
    )
    parser.add_argument("--key", type=Path, required=True, help="CSV: image, set, row")
    args = parser.parse_args()

    names = args.config["first"], args.config["second"]
    patches = [files.load_dataset(path, decode_cf=False) for path in args.patches]
    sets = dict(zip(names, patches, strict=True))
    realism.check(*sets.values(), names)
    *blocks, _ = realism.blocks(*sets.values())
    key = panel.draw(
        dict(zip(names, blocks, strict=True)), args.config["panel"], args.config["seed"]
    )
    images = np.stack([sets[row.set]["image"].values[row.row] for row in key.itertuples()])
    kinds = " and ".join(dict.fromkeys(data.attrs["data_kind"] for data in sets.values()))
    plotting.save(draw(images), args.output, kinds)
    with cli.atomic(args.key) as part:
        key.to_csv(part, index=False)


if __name__ == "__main__":
    cli.run(main)
