"""Score the answers of a person to a panel of images of two sets.

    python scripts/turbulence_score_panel.py --key results/.../panel_keys/<first>_<second>.csv
        --answers answers.csv

answers.csv has the columns `image` and `answer`, the name of a set. An image without an answer does
not count.
"""

from pathlib import Path

import pandas as pd

from skyloom import cli
from skyloom.turbulence.realism import panel


def main() -> None:
    parser = cli.parser(__doc__)
    parser.add_argument("--key", type=Path, required=True, help="key of the panel, CSV")
    parser.add_argument("--answers", type=Path, required=True, help="answers, CSV")
    args = parser.parse_args()

    result = panel.score(read(args.key), read(args.answers))
    print(
        f"{result['right']} of {result['n']} right: {result['accuracy']:.3f} "
        f"[{result['lo']:.3f}, {result['hi']:.3f}] (68 %, binomial); probability of this score "
        f"by guessing: {result['p']:.2g}"
    )


def read(path: Path) -> pd.DataFrame:
    """A table of a CSV file. Raises BadInput where the file is none."""
    try:
        return pd.read_csv(path, comment="#", skipinitialspace=True)
    except (OSError, ValueError) as error:
        raise cli.BadInput(
            f"{path}: not a readable CSV ({error}); expected one with a line of column names"
        ) from None


if __name__ == "__main__":
    cli.run(main)
