"""The hyper-parameters of a network: a row an entry of the sweep, what differs from the base, and
what validation says.

Scores are those of the validation split, means over seeds with the mean of their 68 % intervals
(bootstrapped by simulation): what is chosen here has not seen the test split, of which no column
tells. `chosen` marks the best by the score of `chosen_by`; neighbours within its interval are as
good.
"""

from pathlib import Path

import pandas as pd

from skyloom import cli, metrics, variants


def main() -> None:
    parser = cli.parser(__doc__)
    parser.add_argument(
        "--config",
        type=cli.json_argument,
        required=True,
        help='"base", "models", their "entries", "chosen_by"',
    )
    parser.add_argument(
        "--metrics", type=Path, nargs="+", required=True, help="metrics.json of each entry and seed"
    )
    parser.add_argument("--output", type=Path, required=True, help="CSV")
    args = parser.parse_args()

    config = args.config
    entries = {model: config["entries"][model] for model in config["models"]}
    table, by = sweep(
        metrics.read(args.metrics, "validation"), config["base"], entries, config["chosen_by"]
    )
    words = in_words(table, by)
    print(words)
    with cli.atomic(args.output) as part:
        metrics.write_csv(table, part, words)


def sweep(
    validation: pd.DataFrame, base: str, entries: dict[str, dict], chosen_by: list[str]
) -> tuple[pd.DataFrame, str]:
    """A row an entry, in their order, and the score that chooses.

    validation : `metrics.read` of the validation split; entries : model -> its section of the
        config
    """
    validation = validation[validation.subset == "all"]
    if lost := [model for model in entries if model not in set(validation.model)]:
        raise cli.BadInput(
            f"--metrics: no validation scores of {', '.join(lost)}; expected a set with "
            "validation images"
        )
    name = validation["set"].iloc[0]
    best, by = (
        metrics.choose(validation, chosen_by)[name][0],
        metrics.judges(validation, chosen_by)[name],
    )
    rows = []
    for model, entry in entries.items():
        mine = validation[validation.model == model]
        row = {
            "model": model,
            "changed": variants.changes(entry, entries[base]),
            "seeds": mine.seed.nunique(),
        }
        row |= {"chosen": model == best, "simulations": mine.blocks.max()}
        means = mine.groupby("name", sort=False)[["value", "lo", "hi"]].mean()
        for score in sorted(means.index, key=lambda score: score != by):
            row |= dict(zip((score, f"{score}_lo", f"{score}_hi"), means.loc[score], strict=True))
        rows.append(row)
    return pd.DataFrame(rows), by


def in_words(table: pd.DataFrame, by: str) -> str:
    """The chosen entry, and which others its interval does not tell from it."""
    chosen = table[table.chosen].iloc[0]
    others = table[~table.chosen & table[by].between(chosen[f"{by}_lo"], chosen[f"{by}_hi"])]
    changed = f" ({chosen.changed})" if chosen.changed else ", the base"
    interval = (
        f" ({chosen[f'{by}_lo']:.4g} to {chosen[f'{by}_hi']:.4g})"
        if len(chosen[[f"{by}_lo"]].dropna())
        else ""
    )
    said = f"{chosen.model}{changed} is best on validation: {by} {chosen[by]:.4g}{interval}."
    return said + (f" Within its interval: {', '.join(others.model)}." if len(others) else "")


if __name__ == "__main__":
    cli.run(main)
