"""Do the images of two sets look alike? R/realism_<first>_<second>.csv and its figure.

Columns: `quantity`, `features`, `value` with its 68 % interval `lo`, `hi` by simulation or map;
`null95`, `p` of the permutation null; `n_first n_second`, `blocks_first blocks_second`, images and
independent ones; `by`, what blocks are.

| quantity | what | |---|---| | `accuracy`, `auc` | of a classifier of these features, on
simulations or maps that it has not seen | | `error_auc` | the chance that the second set's image is
reconstructed worse than a test image of the first | | `anomaly_auc` | the chance that its error is
farther from what is typical, to either side | | `rms_dex` | of log N in a map (median), by set;
`lo` and `hi` are the 16th and 84th percentile of maps | | `rms_ratio` | of the second set to the
first |

The first line says in words what this means.
"""

from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from skyloom import checkpoint, cli, plotting
from skyloom.scores import bootstrap, ranking
from skyloom.turbulence import realism
from skyloom.turbulence.data import examples
from skyloom.turbulence.image_statistics import power_spectrum
from skyloom.turbulence.realism import figure, two_sample

COLUMNS = ("quantity", "features", "value", "lo", "hi", "null95", "p")
COLUMNS += ("n_first", "n_second", "blocks_first", "blocks_second", "by")
SPREAD = (16, 50, 84)
# p, over the kinds of features, below which two sets are called different: from 40 permutations on
TOLD = 0.05


def main() -> None:
    parser = cli.parser(__doc__)
    about = '"first", "second", "learner", "folds", "permutations", "draws", "seed", '
    about += '"entry" (autoencoder, or null)'
    parser.add_argument("--config", type=cli.json_argument, required=True, help=about)
    parser.add_argument(
        "--patches",
        type=Path,
        nargs=2,
        required=True,
        help="patches.nc of the first and second set",
    )
    parser.add_argument(
        "--columns-first", type=Path, nargs="+", required=True, help="columns.nc of its families"
    )
    parser.add_argument("--columns-second", type=Path, nargs="+", required=True)
    parser.add_argument(
        "--checkpoint", type=Path, help="best.ckpt of an autoencoder trained on the first set"
    )
    parser.add_argument("--output", type=Path, required=True, help="CSV")
    parser.add_argument("--figure", type=Path, required=True, help=".png; the .pdf lies beside it")
    args = parser.parse_args()

    names = args.config["first"], args.config["second"]
    sets = [xr.load_dataset(path, decode_cf=False) for path in args.patches]
    realism.check(*sets, names)
    block = realism.blocks(*sets)
    rows, scores = tell_apart(sets, block, args.config)
    if args.checkpoint:
        found, seen = anomalies(args, sets, block)
        rows += found
        scores |= {"anomaly [ln error]": dict(zip(names, seen, strict=True))}
    rows += amplitudes((args.columns_first, args.columns_second), names)
    table = pd.DataFrame(rows, columns=COLUMNS)
    words = in_words(table, names)
    print(words)
    with cli.atomic(args.output) as part:
        text = table.to_csv(index=False, float_format="%.6g")
        part.write_text(f"# {' '.join(words.split())}\n{text}")

    random = np.random.default_rng(args.config["seed"])
    images = [data["image"].values for data in sets]
    k, _ = power_spectrum(images[0][:1], periodic=False)
    shown = {
        name: some[random.permutation(len(some))[: figure.SHOWN]]
        for name, some in zip(names, images, strict=True)
    }
    power = {
        name: power_spectrum(some.astype(float), periodic=False)[1]
        for name, some in zip(names, images, strict=True)
    }
    kinds = ", ".join(dict.fromkeys(data.attrs["data_kind"] for data in sets))
    plotting.save(figure.comparison(shown, k, power, scores), args.figure, kinds)


def tell_apart(sets: list[xr.Dataset], block: tuple, config: dict) -> tuple[list[dict], dict]:
    """Rows of the two-sample test of each kind of features, and the scores of the images, label ->
    set -> (n,).
    """
    names = config["first"], config["second"]
    second = np.repeat([False, True], [data.sizes["example"] for data in sets])
    tables = two_sample.features(np.concatenate([data["image"].values for data in sets]))
    rows, scores = [], {}
    for name, table in tables.items():
        found = two_sample.two_sample(table, second, np.concatenate(block[:2]), config)
        score = found.pop("score")
        scores[f"score by {name}"] = {names[of]: score[second == of] for of in (False, True)}
        about = {"features": name} | described(block)
        rows.append({"quantity": "accuracy", "value": found.pop("accuracy")} | about | found)
        rows.append({"quantity": "auc", "value": found["auc"]} | about)
    return rows, scores


def anomalies(args, sets: list[xr.Dataset], block: tuple) -> tuple[list[dict], list[np.ndarray]]:
    """Rows of the autoencoder's reconstruction error and anomaly, second set beside test images of
    the first.
    """
    entry = args.config["entry"]
    own = examples.load([args.patches[0]], entry)
    trained = checkpoint.load(
        args.checkpoint, {"study": "turbulence", "entry": entry, "meta": own.meta}
    )
    if not len(own.test):
        raise cli.BadInput(
            f"{args.patches[0]}: no test image; expected some that the autoencoder has not seen"
        )
    other = examples.load([args.patches[1]], entry, trained["meta"])
    every = examples.Split(
        other.test.patches, np.arange(sets[1].sizes["example"]), own.test.image_scale, np.nan
    )
    # a velocity field that the autoencoder was trained on is no new image in the second set either
    known = np.isin(block[1], block[0][np.r_[own.train.rows, own.valid.rows]])
    if known.all():
        raise cli.BadInput(
            f"{args.patches[1]}: all images are of fields that the autoencoder was trained on"
        )
    seen = [
        checkpoint.predict(trained, own.test),
        checkpoint.predict(trained, every, np.flatnonzero(~known)),
    ]
    blocks = [block[0][own.test.rows], block[1][~known]]
    second = np.repeat([False, True], [len(part["error"]) for part in seen])
    drawn = two_sample.multiplicities(
        second, np.concatenate(blocks), args.config["draws"], args.config["seed"]
    )
    fewest = min(blocks, key=lambda labels: len(np.unique(labels)))
    rows = []
    for name in ("error", "anomaly"):
        score = np.concatenate([part[name][:, 0] for part in seen])
        value, lo, hi = bootstrap.bracket(ranking.auc(score, second, drawn), fewest)
        row = {
            "quantity": f"{name}_auc",
            "features": "autoencoder",
            "value": float(value),
            "lo": float(lo),
        }
        rows.append(row | {"hi": float(hi)} | described((*blocks, block[2])))
    return rows, [part["anomaly"][:, 0] for part in seen]


def described(block: tuple) -> dict:
    """How many images and blocks there are, and what a block is."""
    first, second, kinds = block
    counts = {"n_first": len(first), "n_second": len(second)}
    counts |= {"blocks_first": len(np.unique(first)), "blocks_second": len(np.unique(second))}
    return counts | {"by": ", ".join(dict.fromkeys(kinds))}


def amplitudes(columns: tuple[list[Path], list[Path]], names: tuple[str, str]) -> list[dict]:
    """Rows of the rms of log N [dex], which standardised images leave out."""
    rows, middles = [], []
    for name, paths in zip(names, columns, strict=True):
        maps = []
        for path in paths:
            with xr.open_dataset(path, decode_cf=False) as file:
                maps.append(file["column"].values[file["ok"].values == 1])
        rms = np.concatenate(
            [np.log10(1 + found.astype(np.float64)).std((2, 3)).ravel() for found in maps]
        )
        lo, value, hi = np.percentile(rms, SPREAD)
        middles.append(value)
        place = "first" if name == names[0] else "second"
        row = {
            "quantity": "rms_dex",
            "features": name,
            "value": value,
            "lo": lo,
            "hi": hi,
            "by": "map",
        }
        rows.append(row | {f"n_{place}": len(rms)})
    return [*rows, {"quantity": "rms_ratio", "features": "log N", "value": middles[1] / middles[0]}]


def in_words(table: pd.DataFrame, names: tuple[str, str]) -> str:
    """What the table says, for a person."""
    first, second = names
    tests = table[table["quantity"] == "accuracy"]
    best = tests.loc[tests["value"].idxmax()]
    verb = "are told apart" if best.p * len(tests) < TOLD else "are not told apart with certainty"
    words = [
        f"Images of {first} and {second} {verb}: by their {best.features} a classifier is right in"
        f" {100 * best.value:.0f} % of images of simulations or maps that it has not seen (chance "
        "50 %, 95 % of"
        f" permutations below"
        f" {100 * best.null95:.0f} %)."
    ]
    odd = table[table["quantity"] == "anomaly_auc"]
    if len(odd):
        words.append(
            f"The autoencoder of {first} finds {second} the stranger in "
            f"{100 * odd.value.iloc[0]:.0f} % of pairs."
        )
    rms = table[table["quantity"] == "rms_dex"].value.to_numpy()
    ratio = max(rms) / min(rms)
    less, more = (first, second) if rms[0] < rms[1] else (second, first)
    words.append(
        f"log N has an rms of {rms[0]:.2g} dex in {first} and {rms[1]:.2g} dex in {second}."
    )
    if ratio > 2:
        words.append(
            f"That of {less} is {ratio:.0f} times below that of {more}: only standardised images "
            "can be compared."
        )
    return " ".join(words)


if __name__ == "__main__":
    cli.run(main)
