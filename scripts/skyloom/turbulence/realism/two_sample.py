"""A classifier two-sample test (Lopez-Paz & Oquab 2017, arXiv:1610.06545) of images from two sets.

If a classifier cannot tell the images of the sets apart, better than chance, neither can what is
learned from these features. Every image is classified by a model that has seen no image of its
block (simulation or map); the accuracy is the mean of the two sets' recalls, so that chance is 0.5
whatever their sizes; the null distribution is of the same test with whole blocks handed to the
other set at random.
"""

import numpy as np
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skyloom.cli import BadInput
from skyloom.scores import bootstrap, ranking
from skyloom.turbulence import image_statistics

SCALES, ANGLES = 3, 4  # octaves and directions of the wavelets, as of the baselines
LEARNERS = {
    "lda": lambda: LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto", priors=[0.5, 0.5]),
    "logistic": lambda: LogisticRegression(C=1.0, class_weight="balanced", max_iter=1000),
}


def features(images: np.ndarray) -> dict[str, np.ndarray]:
    """Name -> statistics (n, feature) that the study's baselines use, of images (n, y, x).

    Scattering is averaged over the quarter turns that it tells apart, so that directions in one set
    do not tell it.
    """
    images = images.astype(np.float64)
    turned = [
        image_statistics.scattering(np.rot90(images, quarter, (1, 2)).copy(), SCALES, ANGLES)
        for quarter in (0, 1)
    ]
    return {
        "power": image_statistics.power_spectrum(images, periodic=False)[1],
        "scattering": np.mean(turned, axis=0, dtype=np.float64),
    }


def two_sample(table: np.ndarray, second: np.ndarray, block: np.ndarray, settings: dict) -> dict:
    """The test of one kind of features.

    Parameters ----------
    table : (n, feature); second : (n,) bool, whether an image is of the second set; block : (n,)
        labels
    settings : `learner`, lda or logistic; `folds` (fewer where a set has fewer blocks);
        `permutations` of the null;
        `draws` of the bootstrap of whole blocks, of each set for itself where they share none;
            `seed`

    Returns ------- `accuracy`, `lo`, `hi`, its 68 % interval (NaN below four blocks in a set);
    `null95`, the 95th percentile of the null; `p`, the chance that the null is as high; `auc`;
    `score` (n,), above 0 where an image is called second. Raises BadInput where a set has fewer
    than two blocks.
    """
    learn = LEARNERS[settings["learner"]]
    counts = [len(np.unique(block[second == of])) for of in (False, True)]
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
    drawn = multiplicities(second, block, settings["draws"], settings["seed"])
    recalls = [
        bootstrap.mean((score[second == of] > 0) == of, drawn[:, second == of])
        for of in (False, True)
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
    """Decision score of each image by a model that was fitted without its block, (n,)."""
    fold = dealt(second, block, folds, random)
    score = np.empty(len(table))
    for number in np.unique(fold):
        held = fold == number
        model = make_pipeline(StandardScaler(), learn()).fit(table[~held], second[~held])
        score[held] = model.decision_function(table[held])
    return score


def dealt(
    second: np.ndarray, block: np.ndarray, folds: int, random: np.random.Generator
) -> np.ndarray:
    """Fold of each image: the blocks of each set are shuffled and dealt in turn, those of both sets
    once.
    """
    fold_of: dict[str, int] = {}
    names = [np.unique(block[second == of]) for of in (False, True)]
    folds = min(folds, *map(len, names))
    for of_set in names:
        left = random.permutation([name for name in of_set if name not in fold_of])
        fold_of |= {name: place % folds for place, name in enumerate(left)}
    return np.array([fold_of[name] for name in block])


def permuted(second: np.ndarray, block: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """The labels with sets exchanged: at random within a block of both sets, among all blocks of
    one set else.
    """
    swapped = second.copy()
    names, place = np.unique(block, return_inverse=True)
    share = np.bincount(place, second) / np.bincount(place)
    both = (share > 0) & (share < 1)
    swapped ^= (both & (random.random(len(names)) < 0.5))[place]
    alone = np.flatnonzero(~both)
    label = np.zeros(len(names), bool)
    label[alone] = random.permutation(share[alone] > 0.5)
    return np.where(both[place], swapped, label[place])


def balanced(score: np.ndarray, second: np.ndarray) -> float:
    """Mean of the shares that are called right in each set."""
    return float(np.mean([((score[second == of] > 0) == of).mean() for of in (False, True)]))


def multiplicities(second: np.ndarray, block: np.ndarray, draws: int, seed: int) -> np.ndarray:
    """`bootstrap.multiplicities` of blocks: of both sets together where they share some, else of
    each separately.
    """
    if np.intersect1d(block[second], block[~second]).size:
        return bootstrap.multiplicities(block, draws, seed)
    counts = np.empty((1 + draws, len(block)))
    for of in (False, True):
        counts[:, second == of] = bootstrap.multiplicities(block[second == of], draws, seed + of)
    return counts
