"""Colour-magnitude diagrams and mock skies a core-second, and the memory that they take.

    PYTHONPATH=scripts python benchmarks/extinction_diagrams.py

A field of 0.222 deg2 at l = 284, b = 0 deg with 20,800 stars of K < 15.7, diagrams of 64 x 64
pixels, random profiles and surveys. The clock is that of the process. Where a GPU is found,
diagrams a second on it by wall time follow.
"""

import resource
import time

import numpy as np
import torch

from skyloom.extinction.simulate import diagrams, draws, population, skies
from skyloom.extinction.simulate.survey import Randomised, conditions

GRID, AREA = skies.Grid(), 0.222
CHANNELS = {
    "2MASS": ["2mass"],
    "2MASS and Gaia": ["2mass", "gaia"],
    "2MASS, Gaia and both": ["2mass", "gaia", "2mass_gaia"],
}


def batch(pool: diagrams.Field, mean: torch.Tensor, number: int, engine: str | None = None):
    """Diagrams of `number` new profiles, as a training step draws them."""
    examples = draws.seeds(0, 0, torch.arange(number, device=mean.device))
    profiles = skies.profiles(examples, mean)
    given = conditions(examples, pool.bands, randomised=Randomised())
    return diagrams.counts(pool, profiles, given, examples, engine)


def rate(run, number: int, clock=time.process_time) -> float:
    """Of `number` things a second of the clock, after one run that is not counted."""
    run()
    begin = clock()
    run()
    return number / (clock() - begin)


def memory() -> float:
    """Largest memory of this process so far [MiB]."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    torch.set_num_threads(1)
    begin = time.process_time()
    stars = population.sightline(284.0, 0.0, AREA, {"K": 15.7}, np.random.default_rng(0), 8)
    print(f"a pool of 8 fields: {time.process_time() - begin:.1f} core-seconds")
    mean = torch.as_tensor(skies.mean_profile(284.0, 0.0, GRID)).float()
    examples = draws.seeds(0, 0, torch.arange(8192))
    found = rate(lambda: skies.profiles(examples, mean), 8192)
    print(f"profiles: {found:.0f} a core-second")
    for label, names in CHANNELS.items():
        pool = diagrams.field(stars, names, GRID.step)
        for engine, number in (("numba", 1024), ("torch", 4)):
            found = rate(lambda p=pool, n=number, e=engine: batch(p, mean, n, e), number)
            nanoseconds = 1e9 / found / pool.mean
            print(
                f"{label}, {engine}: {found:.0f} examples a core-second,"
                f" {nanoseconds:.0f} ns a star of {pool.mean:.0f}"
            )
    pool = diagrams.field(stars, ["2mass"], GRID.step)
    for number in (1, 40):
        for _ in range(number):
            batch(pool, mean, 128)
        print(f"memory after {128 * number} more examples: {memory():.0f} MiB")
    begin = time.process_time()
    sky = skies.cube(skies.CubeSettings(), np.random.default_rng(0))
    longitude, latitude = np.meshgrid(np.arange(257.25, 303, 0.5), np.arange(-4.75, 5, 0.5))
    skies.sightlines(sky, longitude.ravel(), latitude.ravel(), GRID)
    seconds = time.process_time() - begin
    print(f"coherent cube and {longitude.size} sightlines: {seconds:.1f} core-seconds")
    if torch.cuda.is_available():
        on_gpu(stars, mean)


def on_gpu(stars: population.Stars, mean: torch.Tensor) -> None:
    pool, mean = diagrams.field(stars, ["2mass"], GRID.step, "cuda"), mean.cuda()

    def run(number: int) -> None:
        batch(pool, mean, number)
        torch.cuda.synchronize()

    for number in (64, 256, 1024):
        found = rate(lambda n=number: run(n), number, time.perf_counter)
        used = torch.cuda.max_memory_allocated() / 2**30
        print(f"{torch.cuda.get_device_name()}, batch {number}: {found:.0f}/s, {used:.1f} GiB")


if __name__ == "__main__":
    main()
