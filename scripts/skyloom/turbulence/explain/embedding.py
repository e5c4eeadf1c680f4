"""Features of images drawn in a plane by t-SNE (van der Maaten & Hinton 2008): do neighbours have
one index?

Images of one simulation resemble each other whatever their index, and a plane falls into
simulations before it falls into classes. How many neighbours have the image's class is therefore
counted among other simulations only.
"""

import numpy as np
from sklearn.manifold import TSNE
from sklearn.neighbors import NearestNeighbors
from sklearn.preprocessing import StandardScaler

NEIGHBOURS = 10


def plane(features: np.ndarray, perplexity: float, seed: int) -> np.ndarray:
    """Features (n, feature) -> (n, 2), one thread, so that a seed gives one picture."""
    scaled = StandardScaler().fit_transform(features)
    perplexity = min(perplexity, (len(features) - 1) / 3)
    return TSNE(init="pca", perplexity=perplexity, random_state=seed, n_jobs=1).fit_transform(
        scaled
    )


def agreement(features: np.ndarray, steep: np.ndarray, simulation: np.ndarray) -> float:
    """Share of each image's nearest neighbours of other simulations that have its class; 0.5 is
    chance.
    """
    features = StandardScaler().fit_transform(features)
    most = np.bincount(
        np.unique(simulation, return_inverse=True)[1]
    ).max()  # so many may be the image's own
    asked = min(NEIGHBOURS + most, len(features))
    near = (
        NearestNeighbors(n_neighbors=asked, n_jobs=1)
        .fit(features)
        .kneighbors(features, return_distance=False)
    )
    other = simulation[near] != simulation[:, None]
    counted = other & (other.cumsum(1) <= NEIGHBOURS)
    if not counted.any():
        return float("nan")
    return float(((steep[near] == steep[:, None]) & counted).sum() / counted.sum())
