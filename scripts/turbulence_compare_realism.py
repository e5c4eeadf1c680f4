"""Compare the images of two sets: R/realism_<first>_<second>.csv and its figure.

Columns: `quantity`, `features`, `value` and its 68 % interval `lo`, `hi` over blocks (simulations
or maps); `null95` and `p` of the permutation null; `n_first n_second`, numbers of images;
`blocks_first blocks_second`, numbers of blocks; `by`, the kind of block.

| quantity | meaning |
|---|---|
| `accuracy`, `auc` | of a classifier of these features on blocks that it was not trained on |
| `error_auc` | probability that an image of the second set has a larger error (see below) |
| `anomaly_auc` | probability that its error deviates more from the typical error |
| `rms_dex` | median rms of log N in a map; `lo`, `hi`: 16th and 84th percentile of maps |
| `rms_ratio` | rms of the second set over that of the first |
| `pixels_per_beam` | median over cut-outs of observed maps, where the beam is known |

The error is the reconstruction error of the autoencoder, compared with that of a test image of the
first set. The first line of the file is a summary.
"""

from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from skyloom import checkpoint, cli, files, plotting
from skyloom.scores import bootstrap, ranking
from skyloom.turbulence import realism
from skyloom.turbulence.data import examples
from skyloom.turbulence.figures import realism as figures
from skyloom.turbulence.image_statistics import power_spectrum
from skyloom.turbulence.realism import two_sample

COLUMNS = ("quantity", "features", "value", "lo", "hi", "null95", "p")
COLUMNS += ("n_first", "n_second", "blocks_first", "blocks_second", "by")
SPREAD = (16, 50, 84)
BEAM = "pixels_per_beam"
# kind of block -> what a classifier is tested on
HELD_OUT = {
    "simulation": "new simulations",
    "map": "new maps",
    "cut-out": "other cut-outs of the map that it was trained on",
}
# p over all kinds of features below which two sets differ; it needs at least 40 permutations
SIGNIFICANT = 0.05


def main() -> None:
    parser = cli.parser(__doc__)
    keys = '"first", "second", "learner", "folds", "permutations", "draws", "seed", '
    keys += '"entry" (autoencoder, or null), "labels" of both sets'
    parser.add_argument("--config", type=cli.json_argument, required=True, help=keys)
    parser.add_argument(
        "--patches",
        type=Path,
        nargs=2,
        required=True,
        help="patches.nc of the first and second set",
    )
    parser.add_argument(
        "--columns-first",
        type=Path,
        nargs="+",
        required=True,
        help="columns.nc of the families of the first set",
    )
    parser.add_argument("--columns-second", type=Path, nargs="+", required=True)
    parser.add_argument(
        "--checkpoint", type=Path, help="best.ckpt of an autoencoder trained on the first set"
    )
    parser.add_argument("--output", type=Path, required=True, help="CSV")
    parser.add_argument("--verdict", type=Path, required=True, help=".txt, the result in words")
    parser.add_argument(
        "--figure", type=Path, required=True, help=".png; the .pdf is written next to it"
    )
    args = parser.parse_args()

    names = args.config["first"], args.config["second"]
    sets = [files.load_dataset(path, decode_cf=False) for path in args.patches]
    realism.check(*sets, names)
    block = realism.blocks(*sets)
    rows, scores = classify(sets, block, args.config)
    if args.checkpoint:
        anomaly_rows, anomaly_scores = anomalies(args, sets, block)
        rows += anomaly_rows
        scores |= {"anomaly [ln error]": dict(zip(names, anomaly_scores, strict=True))}
    rows += amplitudes((args.columns_first, args.columns_second), names)
    rows += beams((args.columns_first, args.columns_second), names)
    table = pd.DataFrame(rows, columns=COLUMNS)
    text = summary(table, names)
    print(text)
    with cli.atomic(args.output) as part:
        table.to_csv(part, index=False, float_format="%.6g")
    with cli.atomic(args.verdict) as part:
        part.write_text(f"{text}\n")

    random = np.random.default_rng(args.config["seed"])
    images = [data["image"].values for data in sets]
    k, _ = power_spectrum(images[0][:1], periodic=False)
    figure_images = {
        name: set_images[random.permutation(len(set_images))[: figures.EXAMPLES]]
        for name, set_images in zip(names, images, strict=True)
    }
    power = {
        name: power_spectrum(set_images.astype(float), periodic=False)[1]
        for name, set_images in zip(names, images, strict=True)
    }
    kinds = {name: data.attrs["data_kind"] for name, data in zip(names, sets, strict=True)}
    looks = figures.set_looks(args.config["labels"], kinds)
    figure = figures.comparison(figure_images, k, power, scores, looks)
    plotting.save(figure, args.figure, ", ".join(dict.fromkeys(kinds.values())))


def classify(sets: list[xr.Dataset], block: tuple, config: dict) -> tuple[list[dict], dict]:
    """Rows of the two-sample test of each kind of features, and scores: label -> set -> (n,)."""
    names = config["first"], config["second"]
    second = np.repeat([False, True], [data.sizes["example"] for data in sets])
    tables = two_sample.features(np.concatenate([data["image"].values for data in sets]))
    rows, scores = [], {}
    for name, table in tables.items():
        result = two_sample.two_sample(table, second, np.concatenate(block[:2]), config)
        score = result.pop("score")
        scores[f"score by {name}"] = {
            names[label]: score[second == label] for label in (False, True)
        }
        columns = {"features": name} | counts_of(block)
        rows.append({"quantity": "accuracy", "value": result.pop("accuracy")} | columns | result)
        rows.append({"quantity": "auc", "value": result["auc"]} | columns)
    return rows, scores


def anomalies(args, sets: list[xr.Dataset], block: tuple) -> tuple[list[dict], list[np.ndarray]]:
    """Rows of the autoencoder's error and anomaly, second set against test images of the first.

    The second value has the anomalies of the images of both sets. Raises BadInput where a set has
    no image of a velocity field that the autoencoder was not trained on.
    """
    entry = args.config["entry"]
    data_first = examples.load([args.patches[0]], entry)
    trained = checkpoint.load(
        args.checkpoint, {"study": "turbulence", "entry": entry, "meta": data_first.meta}
    )
    if not len(data_first.test):
        raise cli.BadInput(
            f"{args.patches[0]}: no test image; expected some, which the autoencoder is not "
            "trained on"
        )
    data_second = examples.load([args.patches[1]], entry, trained["meta"])
    every = examples.Split(
        data_second.test.patches,
        np.arange(sets[1].sizes["example"]),
        data_first.test.image_scale,
        np.nan,
    )
    # an image of the second set is not new, either, if its velocity field was trained on
    trained_on = np.isin(block[1], block[0][np.r_[data_first.train.rows, data_first.valid.rows]])
    if trained_on.all():
        raise cli.BadInput(
            f"{args.patches[1]}: all images are of fields that the autoencoder was trained on"
        )
    predictions = [
        checkpoint.predict(trained, data_first.test),
        checkpoint.predict(trained, every, np.flatnonzero(~trained_on)),
    ]
    blocks = [block[0][data_first.test.rows], block[1][~trained_on]]
    second = np.repeat([False, True], [len(part["error"]) for part in predictions])
    counts = two_sample.multiplicities(
        second, np.concatenate(blocks), args.config["draws"], args.config["seed"]
    )
    fewest = min(blocks, key=lambda labels: len(np.unique(labels)))
    rows = []
    for name in ("error", "anomaly"):
        score = np.concatenate([part[name][:, 0] for part in predictions])
        value, lo, hi = bootstrap.bracket(ranking.auc(score, second, counts), fewest)
        row = {
            "quantity": f"{name}_auc",
            "features": "autoencoder",
            "value": float(value),
            "lo": float(lo),
        }
        rows.append(row | {"hi": float(hi)} | counts_of((*blocks, block[2])))
    return rows, [part["anomaly"][:, 0] for part in predictions]


def counts_of(block: tuple) -> dict:
    """Numbers of images and blocks, and the kind of block."""
    first, second, kinds = block
    counts = {"n_first": len(first), "n_second": len(second)}
    counts |= {"blocks_first": len(np.unique(first)), "blocks_second": len(np.unique(second))}
    return counts | {"by": ", ".join(dict.fromkeys(kinds))}


def amplitudes(columns: tuple[list[Path], list[Path]], names: tuple[str, str]) -> list[dict]:
    """Rows of the rms of log N [dex], which standardised images do not have."""
    rows, medians = [], []
    for name, paths in zip(names, columns, strict=True):
        maps = []
        for path in paths:
            with files.open_dataset(path, decode_cf=False) as file:
                maps.append(file["column"].values[file["ok"].values == 1])
        rms = np.concatenate(
            [np.log10(1 + column.astype(np.float64)).std((2, 3)).ravel() for column in maps]
        )
        lo, value, hi = np.percentile(rms, SPREAD)
        medians.append(value)
        position = "first" if name == names[0] else "second"
        row = {
            "quantity": "rms_dex",
            "features": name,
            "value": value,
            "lo": lo,
            "hi": hi,
            "by": "map",
        }
        rows.append(row | {f"n_{position}": len(rms)})
    return [*rows, {"quantity": "rms_ratio", "features": "log N", "value": medians[1] / medians[0]}]


def beams(columns: tuple[list[Path], list[Path]], names: tuple[str, str]) -> list[dict]:
    """Rows of the pixels a beam of each set that has them."""
    rows = []
    for name, paths in zip(names, columns, strict=True):
        numbers = []
        for path in paths:
            with files.open_dataset(path, decode_cf=False) as file:
                numbers += file[BEAM].values.tolist() if BEAM in file else []
        numbers = np.array(numbers)
        if np.isfinite(numbers).any():
            lo, value, hi = np.nanpercentile(numbers, SPREAD)
            row = {"quantity": BEAM, "features": name, "value": value, "lo": lo, "hi": hi}
            rows.append(row | {"by": "map"})
    return rows


def summary(table: pd.DataFrame, names: tuple[str, str]) -> str:
    """The summary of the table, for the first line of the file."""
    first, second = names
    tests = table[table["quantity"] == "accuracy"]
    best = tests.loc[tests["value"].idxmax()]
    significant = best.p * len(tests) < SIGNIFICANT
    held_out = " and ".join(HELD_OUT[kind] for kind in best.by.split(", "))
    sentences = [
        f"Images of {first} and {second} {'differ' if significant else 'do not differ'} "
        f"significantly: a classifier of their {best.features} has an accuracy of "
        f"{100 * best.value:.0f} % on {held_out} (chance 50 %, 95 % of permutations "
        f"below {100 * best.null95:.0f} %)."
    ]
    anomaly = table[table["quantity"] == "anomaly_auc"]
    if len(anomaly):
        sentences.append(
            f"The anomaly by the autoencoder of {first} is higher for {second} in "
            f"{100 * anomaly.value.iloc[0]:.0f} % of pairs."
        )
    rms = table[table["quantity"] == "rms_dex"].value.to_numpy()
    ratio = max(rms) / min(rms)
    less, more = (first, second) if rms[0] < rms[1] else (second, first)
    sentences.append(
        f"log N has an rms of {rms[0]:.2g} dex in {first} and {rms[1]:.2g} dex in {second}."
    )
    if ratio > 2:
        sentences.append(
            f"The rms of {less} is {ratio:.0f} times below that of {more}: only standardised "
            "images can be compared."
        )
    return " ".join(sentences)


if __name__ == "__main__":
    cli.run(main)
