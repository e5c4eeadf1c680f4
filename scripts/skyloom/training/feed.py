"""Which examples a process reads at a step, from which seed, and how they get to the device.

All randomness is a function of (seed, step, rank). There is no generator state to save, and a
resumed run repeats the uninterrupted one to the last digit on the same device, thread count and
number of processes.
"""

import functools
import hashlib
import multiprocessing
import signal
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from skyloom.cli import BadInput
from skyloom.examples import Batch, Split, Stream, read
from skyloom.networks.devices import to_device
from skyloom.training.task import Plan
from skyloom.training.team import Stop, Team

RESIDENT_SHARE = 0.4  # of the GPU's free memory; the rest is for weights and activations
CHUNK = 256  # examples that move to the GPU at a time

Place = tuple[int, np.ndarray]  # an epoch, and which of its examples


def seed_of(*key) -> int:
    """A 63-bit seed from numbers and strings, independent for different keys."""
    return int.from_bytes(hashlib.blake2b(repr(key).encode(), digest_size=8).digest()) >> 1


@functools.lru_cache(2)
def _epoch_order(n: int, seed: int, epoch: int) -> np.ndarray:
    return torch.randperm(
        n, generator=torch.Generator().manual_seed(seed_of(seed, "order", epoch))
    ).numpy()


def place(n: int, step: int, plan: Plan, rank: int, world: int) -> Place:
    """Epoch and indices, of `n` examples, that process `rank` of `world` reads at `step`.

    An epoch drops a short last batch.
    """
    epoch, k = divmod(step, n // plan.batch)
    batch = _epoch_order(n, plan.seed, epoch)[k * plan.batch : (k + 1) * plan.batch]
    return epoch, batch[rank::world]


class Feed:
    """The batches of one set on the team's device.

    A fixed set moves to a GPU as a whole where it fits. On the CPU it is read in place: a mapped
    file lies in the page cache. Both have the task's `invariants` of each example. All else is
    read ahead, by worker processes or for a GPU by a thread, without them.
    """

    def __init__(
        self,
        data: Split | Stream,
        team: Team,
        invariants: Callable[[Batch], Batch] = lambda batch: {},
    ):
        self.data, self.team, self.invariants = data, team, invariants
        self.on_gpu = team.device.type == "cuda"
        self.resident: Batch | None = None
        self.computed: Batch = {}  # invariants of a set that is read in place
        if isinstance(data, Stream):
            return
        if self.on_gpu and self._fits():
            self.resident = self._filled(self._moved)
        elif not self.on_gpu and invariants(data[np.arange(1)]):
            self.computed = self._filled(lambda index: invariants(data[index]))

    def __len__(self) -> int:
        return len(self.data)

    def batches(self, places: Iterable[Place], readers: int = 0) -> Iterator[Batch]:
        """The batch of each place, in order; drawn or read ahead by `readers` worker processes."""
        if self.resident is not None:
            for _, index in places:
                rows = to_device(torch.from_numpy(index), self.team.device)
                yield {name: values[rows] for name, values in self.resident.items()}
        elif readers:
            yield from map(self._on_device, self._by_workers(places, readers))
        elif self.on_gpu:
            yield from map(self._on_device, ahead(self._pinned, places))
        else:
            for where in places:
                computed = {name: values[where[1]] for name, values in self.computed.items()}
                yield read(self.data, *where) | computed

    def _by_workers(self, places: Iterable[Place], readers: int) -> Iterator[Batch]:
        # what the readers import is in memory that they share
        multiprocessing.set_forkserver_preload([type(self.data).__module__])
        loader = DataLoader(
            Reader(self.data),
            batch_size=None,
            sampler=places,
            num_workers=readers,
            worker_init_fn=_leave_signals_to_the_trainer,
            multiprocessing_context="forkserver",  # the trainer has threads, and may have CUDA
            generator=torch.Generator(),  # the default one belongs to the task
            pin_memory=self.on_gpu,
        )
        for batch in loader:
            if isinstance(batch, BadInput):
                raise batch
            yield batch

    def _pinned(self, where: Place) -> Batch:
        return {name: values.pin_memory() for name, values in read(self.data, *where).items()}

    def _on_device(self, batch: Batch) -> Batch:
        return {
            name: values.to(self.team.device, non_blocking=True) for name, values in batch.items()
        }

    def _fits(self) -> bool:
        """Judged by the first example."""
        size = len(self) * sum(values.nbytes for values in self.data[np.arange(1)].values())
        return size < RESIDENT_SHARE * torch.cuda.mem_get_info(self.team.device)[0]

    def _moved(self, index: np.ndarray) -> Batch:
        batch = self._on_device(self.data[index])
        return batch | self.invariants(batch)

    def _filled(self, read_chunk: Callable[[np.ndarray], Batch]) -> Batch:
        """Tensors of the whole set, chunk by chunk, so that the host never holds all examples."""
        held: Batch = {}
        for start in range(0, len(self), CHUNK):
            index = np.arange(start, min(start + CHUNK, len(self)))
            for name, values in read_chunk(index).items():
                if name not in held:
                    held[name] = values.new_empty((len(self), *values.shape[1:]))
                held[name][start : start + len(index)] = values
        return held


class Reader(Dataset):
    """What a worker process does: read the batch of a place.

    A refusal is handed over as it is; raised there, it would come back as a traceback.
    """

    def __init__(self, data: Split | Stream):
        self.data = data

    def __getitem__(self, where: Place) -> Batch | BadInput:
        try:
            return read(self.data, *where)
        except BadInput as error:
            return error


def ahead(function, places: Iterable) -> Iterator:
    """`function(place)` for each place, one ahead in a thread."""
    with ThreadPoolExecutor(1) as pool:
        pending = None
        for where in places:
            pending, ready = pool.submit(function, where), pending
            if ready is not None:
                yield ready.result()
        if pending is not None:
            yield pending.result()


def _leave_signals_to_the_trainer(worker: int) -> None:
    """A signal to the process group must not end a reader before the trainer has saved."""
    for number in Stop.SIGNALS:
        signal.signal(number, signal.SIG_IGN)
