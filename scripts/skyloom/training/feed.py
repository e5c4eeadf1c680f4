"""The order of things: which examples a process reads at a step, from which seed, and how they get
to the device.

All randomness is a function of (seed, step, rank). There is no generator state to save, and a
resumed run repeats the uninterrupted one to the last digit on the same device, thread count and
number of processes.
"""

import functools
import hashlib
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch

from skyloom.training.task import Batch, Examples, Plan
from skyloom.training.team import Team

RESIDENT_SHARE = 0.4  # of the GPU's free memory; the rest is for weights and activations


def seed_of(*key) -> int:
    """A 63-bit seed from numbers and strings, independent for different keys."""
    return int.from_bytes(hashlib.blake2b(repr(key).encode(), digest_size=8).digest()) >> 1


@functools.lru_cache(2)
def _epoch_order(n: int, seed: int, epoch: int) -> np.ndarray:
    return torch.randperm(
        n, generator=torch.Generator().manual_seed(seed_of(seed, "order", epoch))
    ).numpy()


def rows(n: int, step: int, plan: Plan, rank: int, world: int) -> np.ndarray:
    """Indices, of `n` examples, that process `rank` of `world` reads at `step`; an epoch drops a
    short last batch.
    """
    epoch, k = divmod(step, n // plan.batch)
    return _epoch_order(n, plan.seed, epoch)[k * plan.batch : (k + 1) * plan.batch][rank::world]


def batches(data: Examples, indices: Iterable[np.ndarray], team: Team) -> Iterator[Batch]:
    """The batches on the team's device.

    On the CPU the examples are read in place (a mapped file lies in the page cache). On a GPU they
    all move there where they fit, else a thread reads one batch ahead.
    """
    if team.device.type == "cpu":
        yield from (data[index] for index in indices)
    elif _size(data) < RESIDENT_SHARE * torch.cuda.mem_get_info(team.device)[0]:
        held = _resident(data, team.device)
        for index in indices:
            rows_there = torch.from_numpy(index).to(team.device)
            yield {name: values[rows_there] for name, values in held.items()}
    else:
        for batch in ahead(
            lambda index: {k: v.pin_memory() for k, v in data[index].items()}, indices
        ):
            yield on_device(batch, team.device)


def on_device(batch: Batch, device: torch.device) -> Batch:
    return {name: values.to(device, non_blocking=True) for name, values in batch.items()}


def ahead(read, indices: Iterable) -> Iterator:
    """`read(index)` for each index, one ahead in a thread; reading releases the GIL, so that one is
    enough.
    """
    with ThreadPoolExecutor(1) as pool:
        pending = None
        for index in indices:
            pending, ready = pool.submit(read, index), pending
            if ready is not None:
                yield ready.result()
        if pending is not None:
            yield pending.result()


def _size(data: Examples) -> int:
    """Bytes of all examples, by the first one."""
    return len(data) * sum(values.nbytes for values in data[np.arange(1)].values())


def _resident(data: Examples, device: torch.device, chunk: int = 256) -> Batch:
    """All examples on the device, filled chunk by chunk so that the host never holds them all."""
    held: Batch = {}
    for start in range(0, len(data), chunk):
        index = np.arange(start, min(start + chunk, len(data)))
        for name, values in data[index].items():
            if name not in held:
                held[name] = values.new_empty((len(data), *values.shape[1:]), device=device)
            held[name][start : start + len(index)] = values
    return held
