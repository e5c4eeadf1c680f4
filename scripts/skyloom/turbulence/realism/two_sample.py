"""A classifier two-sample test (Lopez-Paz & Oquab 2017, arXiv:1610.06545) of images from two sets.

If a classifier does not separate the images of the sets better than chance, then a model that is
trained on these features does not either. Every image is classified by a model that was trained
without its block (simulation or map). The accuracy is the mean of the recalls of the two sets, so
that chance is 0.5 for any sizes. The null distribution is that of the same test with whole blocks
assigned to the other set at random.
"""

import numpy as np
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skyloom.cli import BadInput
from skyloom.scores import bootstrap, ranking
from skyloom.turbulence import image_statistics

SCALES, ANGLES = 3, 4  # octaves and directions of the wavelets of the baselines
LEARNERS = {
    "lda": lambda: LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto", priors=[0.5, 0.5]),
    "logistic": lambda: LogisticRegression(C=1.0, class_weight="balanced", max_iter=1000),
}


def features(images: np.ndarray) -> dict[str, np.ndarray]:
    """Name -> statistics (n, feature) of the study's baselines, of images (n, y, x).

    Scattering is averaged over two orientations, a quarter turn apart. The orientation of a set
    then does not separate it.
    """
    images = images.astype(np.float64)
    orientations = [
        image_statistics.scattering(np.rot90(images, quarter, (1, 2)).copy(), SCALES, ANGLES)
        for quarter in (0, 1)
    ]
    return {
        "power": image_statistics.power_spectrum(images, periodic=False)[1],
        "scattering": np.mean(orientations, axis=0, dtype=np.float64),
    }


def two_sample(table: np.ndarray, second: np.ndarray, block: np.ndarray, settings: dict) -> dict:
    """The test of one kind of features.

    Parameters
    ----------
    table : (n, feature)
    second : (n,) bool, whether an image is in the second set
    block : (n,) labels
    settings : `learner`, lda or logistic; `folds` (fewer where a set has fewer blocks);
        `permutations` of the null; `draws` of the bootstrap of blocks; `seed`. Sets that share no
        block are drawn separately

    Returns
    -------
    `accuracy`; `lo` and `hi`, its 68 % interval (NaN below four blocks in a set); `null95`, the
    95th percentile of the null; `p`, the probability that the null is as high; `auc`; `score` (n,),
    positive for the second set.

    Raises
    ------
    BadInput : a set has fewer than two blocks
    """
    learn = LEARNERS[settings["learner"]]
    counts = [len(np.unique(block[second == label])) for label in (False, True)]
    if min(counts) < 2:
        raise BadInput(
            f"two-sample test: {counts[0]} and {counts[1]} simulations or maps; expected two in "
            "each set"
        )
    random = np.random.default_rng(settings["seed"])
    score = held_out(table, second, block, learn, settings["folds"], random)
    null = []
    for _ in range(settings["permutations"]):
        swapped = permuted(second, block, random)
        null.append(
            balanced(held_out(table, swapped, block, learn, settings["folds"], random), swapped)
        )
    accuracy = balanced(score, second)
    counts_of_draws = multiplicities(second, block, settings["draws"], settings["seed"])
    recalls = [
        bootstrap.mean((score[second == label] > 0) == label, counts_of_draws[:, second == label])
        for label in (False, True)
    ]
    values, lo, hi = bootstrap.bracket(
        np.mean(recalls, axis=0), block[second == (counts[1] < counts[0])]
    )
    return {
        "accuracy": accuracy,
        "lo": float(lo),
        "hi": float(hi),
        "null95": float(np.percentile(null, 95)) if null else np.nan,
        "p": (1 + np.sum(np.array(null) >= accuracy - 1e-12)) / (1 + len(null)) if null else np.nan,
        "auc": float(ranking.auc(score, second, np.ones((1, len(score))))[0]),
        "score": score,
    }


def held_out(table, second, block, learn, folds: int, random: np.random.Generator) -> np.ndarray:
    """Decision score (n,) of each image by a model that was fitted without its block."""
    fold = dealt(second, block, folds, random)
    score = np.empty(len(table))
    for number in np.unique(fold):
        test = fold == number
        model = make_pipeline(StandardScaler(), learn()).fit(table[~test], second[~test])
        score[test] = model.decision_function(table[test])
    return score


def dealt(
    second: np.ndarray, block: np.ndarray, folds: int, random: np.random.Generator
) -> np.ndarray:
    """Fold (n,) of each image: the shuffled blocks of each set are dealt to the folds in turn.

    A block of both sets is dealt once.
    """
    fold_of: dict[str, int] = {}
    names = [np.unique(block[second == label]) for label in (False, True)]
    folds = min(folds, *map(len, names))
    for names_of_set in names:
        remaining = random.permutation([name for name in names_of_set if name not in fold_of])
        fold_of |= {name: number % folds for number, name in enumerate(remaining)}
    return np.array([fold_of[name] for name in block])


def permuted(second: np.ndarray, block: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """The labels with sets exchanged at random.

    The two sides of a block of both sets are exchanged with probability 1/2. The labels of the
    other blocks are permuted.
    """
    swapped = second.copy()
    names, number = np.unique(block, return_inverse=True)
    share = np.bincount(number, second) / np.bincount(number)
    both = (share > 0) & (share < 1)
    swapped ^= (both & (random.random(len(names)) < 0.5))[number]
    single = np.flatnonzero(~both)
    label = np.zeros(len(names), bool)
    label[single] = random.permutation(share[single] > 0.5)
    return np.where(both[number], swapped, label[number])


def balanced(score: np.ndarray, second: np.ndarray) -> float:
    """Mean recall of the two sets."""
    return float(
        np.mean([((score[second == label] > 0) == label).mean() for label in (False, True)])
    )


def multiplicities(second: np.ndarray, block: np.ndarray, draws: int, seed: int) -> np.ndarray:
    """`bootstrap.multiplicities` of blocks.

    Both sets are drawn together where they share blocks, else each by itself.
    """
    if np.intersect1d(block[second], block[~second]).size:
        return bootstrap.multiplicities(block, draws, seed)
    counts = np.empty((1 + draws, len(block)))
    for label in (False, True):
        counts[:, second == label] = bootstrap.multiplicities(
            block[second == label], draws, seed + label
        )
    return counts
