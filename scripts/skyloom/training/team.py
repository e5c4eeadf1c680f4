"""The processes of one training run, and why they should stop. Never reads SLURM_* (a job has one
task, see DESIGN).
"""

import contextlib
import os
import signal
import time
from collections.abc import Iterable
from functools import cache

import torch
import torch.distributed as dist
from torch import Tensor

from skyloom.cli import BadInput


@cache
def has_bfloat16() -> bool:
    """Whether this CPU has units for bfloat16."""
    return torch.cpu.get_capabilities().get("avx512_bf16", False)


class Team:
    """The processes that torchrun started, or this one alone; each has a device of its own and the
    same weights.
    """

    def __enter__(self) -> "Team":
        self.rank, self.world = 0, 1
        if torch.cuda.is_available():
            rank = int(os.environ["LOCAL_RANK"]) if dist.is_torchelastic_launched() else 0
            self.device = torch.device("cuda", rank)
            torch.cuda.set_device(self.device)
            # The same sums in the same order each time, as far as CUDA can: a resumed run then
            # repeats exactly.
            os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
            torch.use_deterministic_algorithms(True, warn_only=True)
            torch.utils.deterministic.fill_uninitialized_memory = False
        else:
            self.device = torch.device("cpu")
        # steps; reading a GPU's numbers makes the host wait
        self.check_every = 10 if self.device.type == "cuda" else 1
        if dist.is_torchelastic_launched():
            dist.init_process_group("nccl" if self.device.type == "cuda" else "gloo")
            self.rank, self.world = dist.get_rank(), dist.get_world_size()
        return self

    def __exit__(self, *_) -> None:
        if dist.is_initialized():
            dist.destroy_process_group()

    def seed(self, seed: int) -> None:
        """As `torch.manual_seed`, which takes 75 us since it visits every kind of device."""
        torch.default_generator.manual_seed(seed)
        if self.device.type == "cuda":
            torch.cuda.manual_seed(seed)

    def precision(self, stated: str | None) -> str:
        """Of products and convolutions: `float32` or `bfloat16`, as stated where the device can.

        None: bfloat16 on a GPU, float32 on the CPU. A CPU without units for bfloat16 takes float32,
        as it would have to emulate the other.
        """
        if self.device.type == "cuda":
            return stated or "bfloat16"
        return "bfloat16" if stated == "bfloat16" and has_bfloat16() else "float32"

    def autocast(self, stated: str | None) -> contextlib.AbstractContextManager:
        half = self.precision(stated) == "bfloat16"
        return torch.autocast(self.device.type, torch.bfloat16, enabled=half)

    def sum_(self, tensors: Iterable[Tensor], scale: float = 1.0) -> None:
        """Replace the tensors by their sum over all processes times `scale`, in one flat
        all-reduce.
        """
        if self.world == 1:
            return
        tensors = list(tensors)
        flat = torch.cat([tensor.reshape(-1).to(tensors[-1].dtype) for tensor in tensors])
        dist.all_reduce(flat)
        flat *= scale
        for tensor, part in zip(
            tensors, flat.split([tensor.numel() for tensor in tensors]), strict=True
        ):
            tensor.copy_(part.view_as(tensor))

    def mean_(self, tensors: Iterable[Tensor]) -> None:
        self.sum_(tensors, 1 / self.world)

    def compare(self, module: torch.nn.Module, step: int) -> None:
        """Raises BadInput where the processes are not at one step with one set of weights."""
        if self.world == 1:
            return
        total = torch.stack([values.double().sum() for values in module.parameters()]).sum()
        record = torch.stack([torch.full_like(total, step), total])
        ends = torch.cat([record, -record])
        dist.all_reduce(ends, dist.ReduceOp.MAX)
        most, least = ends.view(2, 2) * torch.tensor([[1], [-1]], device=ends.device)
        if not torch.equal(most, least):
            raise BadInput(
                f"the processes of this training differ: steps from {least[0]:.0f} to"
                f" {most[0]:.0f}, sums of their weights from {least[1]:.17g} to {most[1]:.17g};"
                " expected replicas. Remove the state folder to train anew"
            )

    def barrier(self) -> None:
        if self.world > 1:
            dist.barrier()


class Stop:
    """Notes that this process should stop: a signal came, or the time is up.

    `flag` is the answer as a tensor. It travels with each loss, so that all processes learn of it
    at the same step.
    """

    SIGNALS = signal.SIGTERM, signal.SIGUSR1, signal.SIGINT

    def __init__(self, budget_minutes: float, device: torch.device):
        self.signal: str | None = None
        self.deadline = time.monotonic() + 60 * budget_minutes
        self.no, self.yes = torch.zeros((), device=device), torch.ones((), device=device)

    def __enter__(self) -> "Stop":
        self.before = {number: signal.signal(number, self._note) for number in self.SIGNALS}
        return self

    def __exit__(self, *_) -> None:
        for number, handler in self.before.items():
            signal.signal(number, handler)

    def _note(self, number, frame) -> None:
        self.signal = signal.Signals(number).name

    @property
    def reason(self) -> str | None:
        if self.signal:
            return f"{self.signal} received"
        return "the time budget is spent" if time.monotonic() > self.deadline else None

    @property
    def flag(self) -> Tensor:
        return self.yes if self.reason else self.no
