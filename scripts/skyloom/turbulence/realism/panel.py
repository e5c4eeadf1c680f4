"""A shuffled panel of images of two sets for a person to tell apart, and how well that was done."""

import numpy as np
import pandas as pd
from scipy.stats import binomtest

from skyloom.cli import BadInput, require
from skyloom.scores.forecasts import NOMINAL

COLUMNS = ("image", "set", "row")  # of the key


def draw(blocks: dict[str, np.ndarray], each: int, seed: int) -> pd.DataFrame:
    """The key of a panel: `image`, a number from 1, the `set` that it is from, its `row` there.

    blocks : set -> label (n,) of each of its images. Of each set `each` images, of as many blocks
        as there are.
    Raises BadInput where a set has fewer images.
    """
    random = np.random.default_rng(seed)
    chosen = []
    for name, block in blocks.items():
        if len(block) < each:
            raise BadInput(
                f"panel: {len(block)} images in set {name}; expected {each}, the key `panel`"
            )
        shuffled = random.permutation(len(block))
        # how often its block came before: first an image of every block, then the second of each
        turn = pd.Series(block[shuffled]).groupby(block[shuffled]).cumcount().to_numpy()
        chosen += [(name, int(row)) for row in shuffled[np.argsort(turn, kind="stable")][:each]]
    order = random.permutation(len(chosen))
    rows = [(number + 1, *chosen[place]) for number, place in enumerate(order)]
    return pd.DataFrame(rows, columns=COLUMNS)


def score(key: pd.DataFrame, answers: pd.DataFrame) -> dict[str, float]:
    """What share of the answers is right: `right`, `n`, `accuracy`, its 68 % interval `lo`, `hi`
    (Clopper & Pearson 1934), and `p`, the chance of guessing as well or better.

    answers : `image`, `answer`, the name of a set; images without an answer do not count.
    Raises BadInput for an unknown image or set, an image answered twice, or no answer.
    """
    require(key, COLUMNS[:2], "key", "column")
    require(answers, ["image", "answer"], "answers", "column")
    given = answers.dropna(subset=["answer"])
    given = given.assign(answer=given["answer"].astype(str).str.strip())
    sets = sorted(key["set"].unique())
    for what, bad in (
        ("image", given.loc[~given["image"].isin(key["image"]), "image"]),
        ("answer", given.loc[~given["answer"].isin(sets), "answer"]),
        ("image given twice", given.loc[given["image"].duplicated(), "image"]),
    ):
        if len(bad):
            raise BadInput(
                f"answers: {what} '{bad.iloc[0]}'; expected each image of the key once, as "
                f"{' or '.join(sets)}"
            )
    if given.empty:
        raise BadInput("answers: none given; expected one for each image that was judged")
    truth = key.set_index("image")["set"].loc[given["image"]].to_numpy()
    right, n = int((truth == given["answer"].to_numpy()).sum()), len(given)
    interval = binomtest(right, n).proportion_ci(NOMINAL, "exact")
    chance = binomtest(right, n, 1 / len(sets), alternative="greater").pvalue
    return {
        "right": right,
        "n": n,
        "accuracy": right / n,
        "lo": interval.low,
        "hi": interval.high,
        "p": chance,
    }
