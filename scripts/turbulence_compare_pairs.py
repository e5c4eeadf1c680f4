"""Each network against each baseline of one set, image by image: R/pairs_<set>.csv.

Columns: `network`, `baseline`, their seeds; `metric`, `better`; the scores `first` (network) and
`second` (baseline), their `difference` with its 68 % interval `lo`, `hi` by simulation; `won`, the
share of bootstrap draws that the network wins; `n` images or simulations, `simulations`. The first
line says what this means in words.
"""

from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from skyloom import cli, metrics
from skyloom.predictions import rows_of
from skyloom.turbulence.evaluate.pairs import paired

VIEW = ("simulation", "axis", "part")  # tell an image of a set from any other
COLUMNS = (
    "network",
    "baseline",
    "seeds_network",
    "seeds_baseline",
    "metric",
    "better",
    "first",
    "second",
)
COLUMNS += ("difference", "lo", "hi", "won", "n", "simulations")
TOLD = ("accuracy", "mse")  # in words


def main() -> None:
    parser = cli.parser(__doc__)
    parser.add_argument(
        "--config",
        type=cli.json_argument,
        required=True,
        help='"highlight": networks told in words, of a set without them or null: all; "evaluate"',
    )
    parser.add_argument("--patches", type=Path, required=True, help="sets/<set>/patches.nc")
    parser.add_argument(
        "--predictions",
        type=Path,
        nargs="+",
        required=True,
        help="test/<model>/seed<k>/predictions.nc of this set",
    )
    parser.add_argument("--output", type=Path, required=True, help="CSV")
    args = parser.parse_args()

    patches = rows_of(args.patches, "test", drop=["image"])
    models = {"network": {}, "baseline": {}}
    for path in args.predictions:
        read = read_predictions(path, patches)
        models[read.attrs["kind"]].setdefault(read.attrs["model"], []).append(read)
    rows = [
        {
            "network": network,
            "baseline": baseline,
            "seeds_network": len(first),
            "seeds_baseline": len(second),
        }
        | row
        for network, first in models["network"].items()
        for baseline, second in models["baseline"].items()
        for row in paired(patches, first, second, args.config["evaluate"])
    ]
    table = pd.DataFrame(rows, columns=COLUMNS)
    words = in_words(table, args.config["highlight"])
    print(words)
    with cli.atomic(args.output) as part:
        metrics.write_csv(table, part, words)


def read_predictions(path: Path, patches: xr.Dataset) -> xr.Dataset:
    """Predictions of exactly these images, in this order; refused where they are of others."""
    with xr.open_dataset(path, decode_cf=False) as file:
        read = file.load()
    for name in VIEW:
        if name not in read or not np.array_equal(read[name].values, patches[name].values):
            raise cli.BadInput(
                f"{path}: {name} is not that of the set's test images; expected predictions of "
                "this set"
            )
    if read.attrs.get("kind") not in ("network", "baseline"):
        raise cli.BadInput(
            f"{path}: attribute kind is {read.attrs.get('kind')!r}; expected network or baseline"
        )
    return read


def in_words(table: pd.DataFrame, networks: list[str] | None) -> str:
    """A sentence a network, against the baseline hardest for it; of all where `networks` names none
    of them.
    """
    told = set(table["network"]) & set(networks or ()) or set(table["network"])
    sentences = []
    for (network, metric), group in table[table["metric"].isin(TOLD)].groupby(
        ["network", "metric"], sort=False
    ):
        if network not in told:
            continue
        sign = 1 if group.better.iloc[0] == "higher" else -1
        gain, beaten = sign * group.difference, np.minimum(sign * group.lo, sign * group.hi) > 0
        row = group.loc[(gain if beaten.all() else gain[~beaten]).idxmin()]
        if beaten.all():
            verb = (
                "beats every baseline, the hardest of them"
                if len(group) > 1
                else "beats the baseline"
            )
        else:
            verb = (
                "is level with the baseline" if row.lo <= 0 <= row.hi else "loses to the baseline"
            )
        sentences.append(
            f"{network} {verb} {row.baseline}: {metric} {row['first']:.3g} against "
            f"{row['second']:.3g},"
            f" difference {row.difference:+.3f} [{row.lo:+.3f}, {row.hi:+.3f}]."
        )
    return (
        " ".join(sentences)
        or "No network and baseline of this set learn the same; nothing is compared."
    )


if __name__ == "__main__":
    cli.run(main)
