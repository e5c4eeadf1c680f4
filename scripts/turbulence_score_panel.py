"""How well a person told the images of a panel apart.

    python scripts/turbulence_score_panel.py --key results/.../panel_keys/<first>_<second>.csv
        --answers answers.csv

answers.csv has the columns `image` and `answer`, the name of a set; an image without an answer does
not count.
"""

from pathlib import Path

import pandas as pd

from skyloom import cli
from skyloom.turbulence.realism import panel


def main() -> None:
    parser = cli.parser(__doc__)
    parser.add_argument("--key", type=Path, required=True)
    parser.add_argument("--answers", type=Path, required=True)
    args = parser.parse_args()

    found = panel.score(read(args.key), read(args.answers))
    print(
        f"{found['right']} of {found['n']} right: {found['accuracy']:.3f} [{found['lo']:.3f}, "
        f"{found['hi']:.3f}]"
        f" (68 %, binomial); as good by guessing with probability {found['p']:.2g}"
    )


def read(path: Path) -> pd.DataFrame:
    try:
        return pd.read_csv(path, comment="#", skipinitialspace=True)
    except (OSError, ValueError) as error:
        raise cli.BadInput(
            f"{path}: not a readable CSV ({error}); expected one with a line of column names"
        ) from None


if __name__ == "__main__":
    cli.run(main)
