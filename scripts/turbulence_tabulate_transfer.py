"""What is left of each model's scores on simulations and images of another kind than it was trained
on.

A row a model and set: the model's own set first, then the others. Scores are means over seeds, with
the mean of their 68 % intervals, which are bootstrapped by simulation. The first line goes by
balanced accuracy, of which 0.5 is chance whatever share of the images is steep.
"""

from pathlib import Path

import pandas as pd

from skyloom import cli, metrics

SCORES = ("accuracy", "balanced_accuracy", "auc", "mse", "bias", "coverage68")
FIRST = (
    "model",
    "kind",
    "learns",
    "trained_on",
    "tested_on",
    "seeds",
    "images",
    "simulations",
    "data",
)


def main() -> None:
    parser = cli.parser(__doc__)
    parser.add_argument(
        "--config", type=cli.json_argument, required=True, help='{"trained_on": {model: set}}'
    )
    parser.add_argument(
        "--metrics", type=Path, nargs="+", required=True, help="metrics.json of each model and set"
    )
    parser.add_argument("--output", type=Path, required=True, help="CSV")
    args = parser.parse_args()

    table = transfers(metrics.read(args.metrics), args.config["trained_on"])
    words = in_words(table)
    print(words)
    with cli.atomic(args.output) as part:
        metrics.write_csv(table, part, words)


def transfers(records: pd.DataFrame, trained_on: dict[str, str]) -> pd.DataFrame:
    """A row a model and set; of the scores those that a model has.

    records : `metrics.read`, of which those of all images together count; trained_on : model -> its
        own set
    """
    unknown = sorted(set(records.model) - trained_on.keys())
    if unknown:
        raise cli.BadInput(
            f"--metrics: models {', '.join(unknown)} found, expected {', '.join(trained_on)}"
        )
    rows = []
    for (model, name), group in records[records.subset == "all"].groupby(
        ["model", "set"], sort=False
    ):
        row = {
            "model": model,
            "kind": group.kind.iloc[0],
            "learns": "index" if "mse" in set(group["name"]) else "class",
        }
        row |= {"trained_on": trained_on[model], "tested_on": name, "seeds": group.seed.nunique()}
        row |= {
            "images": group.n.max(),
            "simulations": group.blocks.max(),
            "data": group.data.iloc[0],
        }
        mean = group.groupby("name")[["value", "lo", "hi"]].mean()
        for score in SCORES:
            if score in mean.index:
                row |= dict(
                    zip((score, f"{score}_lo", f"{score}_hi"), mean.loc[score], strict=True)
                )
        rows.append(row)
    table = pd.DataFrame(rows)
    own = table.trained_on == table.tested_on
    order = table.assign(place=pd.Categorical(table.model, list(trained_on)), other=~own)
    table = order.sort_values(["place", "other"], kind="stable").drop(columns=["place", "other"])
    return table[[*FIRST, *(name for name in table if name not in FIRST)]].reset_index(drop=True)


def in_words(table: pd.DataFrame) -> str:
    """A sentence a model: where its balanced accuracy is above chance, and where it is not."""
    sentences = []
    for model, rows in table.groupby("model", sort=False) if "balanced_accuracy" in table else ():
        others = rows[(rows.trained_on != rows.tested_on) & rows.balanced_accuracy.notna()]
        if others.empty:
            continue
        known = others.balanced_accuracy_lo > 0.5
        above, chance = (
            [f"{row.tested_on} ({row.balanced_accuracy:.2f})" for row in some.itertuples()]
            for some in (others[known], others[~known])
        )
        parts = [f"is above chance on {', '.join(above)}"] * bool(above)
        parts += [
            f"not on {', '.join(chance)}"
            if above
            else f"is nowhere above chance: {', '.join(chance)}"
        ] * bool(chance)
        sentences.append(f"{model}, trained on {rows.trained_on.iloc[0]}, {', '.join(parts)}.")
    return " ".join(sentences) or "No model of the classes was tested on another set."


if __name__ == "__main__":
    cli.run(main)
