"""A shuffled panel of images of two sets for a person to classify, and the score of the answers."""

import numpy as np
import pandas as pd
from scipy.stats import binomtest

from skyloom.cli import BadInput, require
from skyloom.scores.forecasts import NOMINAL

COLUMNS = ("image", "set", "row")  # of the key


def draw(blocks: dict[str, np.ndarray], each: int, seed: int) -> pd.DataFrame:
    """The key of a panel: `image`, a number from 1, its `set`, and its `row` in the set.

    blocks : set -> label (n,) of each of its images
    each : number of images of each set, which come from as many blocks as possible

    Raises BadInput where a set has fewer images.
    """
    random = np.random.default_rng(seed)
    selection = []
    for name, block in blocks.items():
        if len(block) < each:
            raise BadInput(
                f"panel: {len(block)} images in set {name}; expected {each}, the key `panel`"
            )
        shuffled = random.permutation(len(block))
        # number of earlier images of the same block: first images of all blocks come first
        turn = pd.Series(block[shuffled]).groupby(block[shuffled]).cumcount().to_numpy()
        selection += [(name, int(row)) for row in shuffled[np.argsort(turn, kind="stable")][:each]]
    order = random.permutation(len(selection))
    rows = [(number + 1, *selection[index]) for number, index in enumerate(order)]
    return pd.DataFrame(rows, columns=COLUMNS)


def score(key: pd.DataFrame, answers: pd.DataFrame) -> dict[str, float]:
    """Accuracy of the answers: `right`, `n`, `accuracy`, its 68 % interval `lo`, `hi`, and `p`.

    The interval is that of Clopper & Pearson 1934. `p` is the probability that guesses score as
    high.

    answers : `image`, `answer`, the name of a set; images without an answer do not count

    Raises BadInput for an unknown image or set, an image with two answers, or no answer.
    """
    require(key, COLUMNS[:2], "key", "column")
    require(answers, ["image", "answer"], "answers", "column")
    answered = answers.dropna(subset=["answer"])
    answered = answered.assign(answer=answered["answer"].astype(str).str.strip())
    sets = sorted(key["set"].unique())
    for fault, bad in (
        ("image", answered.loc[~answered["image"].isin(key["image"]), "image"]),
        ("answer", answered.loc[~answered["answer"].isin(sets), "answer"]),
        ("image given twice", answered.loc[answered["image"].duplicated(), "image"]),
    ):
        if len(bad):
            raise BadInput(
                f"answers: {fault} '{bad.iloc[0]}'; expected each image of the key once, as "
                f"{' or '.join(sets)}"
            )
    if answered.empty:
        raise BadInput("answers: none given; expected one for each image that was judged")
    truth = key.set_index("image")["set"].loc[answered["image"]].to_numpy()
    right, n = int((truth == answered["answer"].to_numpy()).sum()), len(answered)
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
