"""Features of images in a plane by t-SNE (van der Maaten & Hinton 2008), and their neighbours.

Images of one simulation resemble each other whatever their index, so that a plane shows simulations
before classes. Neighbours of the same class are therefore counted among other simulations only.
"""

import numpy as np
from sklearn.manifold import TSNE
from sklearn.neighbors import NearestNeighbors
from sklearn.preprocessing import StandardScaler

NEIGHBOURS = 10


def plane(features: np.ndarray, perplexity: float, seed: int) -> np.ndarray:
    """Features (n, feature) -> (n, 2), by one thread, so that a seed gives one picture."""
    scaled = StandardScaler().fit_transform(features)
    perplexity = min(perplexity, (len(features) - 1) / 3)
    tsne = TSNE(init="pca", perplexity=perplexity, random_state=seed, n_jobs=1)
    return tsne.fit_transform(scaled)


def agreement(features: np.ndarray, steep: np.ndarray, simulation: np.ndarray) -> float:
    """Share of the nearest neighbours of other simulations with the class of the image.

    0.5 is chance.
    """
    features = StandardScaler().fit_transform(features)
    # so many neighbours may be of the image's simulation
    largest = np.bincount(np.unique(simulation, return_inverse=True)[1]).max()
    count = min(NEIGHBOURS + largest, len(features))
    neighbours = NearestNeighbors(n_neighbors=count, n_jobs=1).fit(features)
    near = neighbours.kneighbors(features, return_distance=False)
    other = simulation[near] != simulation[:, None]
    counted = other & (other.cumsum(1) <= NEIGHBOURS)
    if not counted.any():
        return float("nan")
    return float(((steep[near] == steep[:, None]) & counted).sum() / counted.sum())
