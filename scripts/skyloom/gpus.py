"""Who uses which GPU: the one place where a script gets its GPUs.

Under Slurm a job sees just the GPUs that it asked for. Jobs that Snakemake runs itself, in one
allocation (profiles/perlmutter-node) or on a workstation, all see all of them, and each would take
the first. A script that asks for none sees none, so that it opens no context on another's GPU.
"""

import contextlib
import fcntl
import os
import sys
import tempfile
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pynvml

from skyloom.cli import BadInput

# Functions that need torch import it: the workflow imports this module, and must start quickly.

VISIBLE = "CUDA_VISIBLE_DEVICES"
_process = contextlib.ExitStack()  # claims that last as long as this process


def claim(wanted: int) -> list[str]:
    """`claimed` to the end of this process."""
    return _process.enter_context(claimed(wanted))


@contextlib.contextmanager
def claimed(wanted: int) -> Iterator[list[str]]:
    """Leave `wanted` GPUs visible that no other process of ours has claimed; yields them.

    Call it before anything starts CUDA. The claim is a file lock on this node, which ends with the
    process however it ends. Where too few are free they are shared, with a message. On a machine
    without a GPU, Slurm aside, the list is empty and the CPU computes.
    Raises BadInput where GPUs are there, or a Slurm job asked for them, and torch can use fewer
    than are wanted: a driver too old, a build of torch without CUDA, a GPU that is lost.
    """
    if not wanted:
        os.environ[VISIBLE] = ""
        yield []
        return
    import torch

    count = installed()
    listed = os.environ.get(VISIBLE, ",".join(map(str, range(count))))
    visible = [device for device in listed.split(",") if device]
    if not count and "SLURM_JOB_ID" not in os.environ:
        print("no GPU on this machine: the CPU computes", file=sys.stderr)
        yield []
        return
    with contextlib.ExitStack() as locks:
        free = list(islice((device for device in visible if _lock(device, locks)), wanted))
        taken = free + [device for device in visible if device not in free][: wanted - len(free)]
        if len(free) < len(taken):
            print(
                f"{wanted} GPU(s) wanted, {len(free)} of {len(visible)} free: sharing with another"
                " process",
                file=sys.stderr,
            )
        os.environ[VISIBLE] = ",".join(taken)
        usable = torch.cuda.device_count() if torch.cuda.is_available() else 0
        if usable < wanted:
            raise BadInput(_refusal(wanted, usable, count))
        yield taken


def driver() -> str:
    """Version of the NVIDIA driver and the newest CUDA that it serves; "none" without one."""
    try:
        pynvml.nvmlInit()
        version = pynvml.nvmlSystemGetDriverVersion()
        newest = pynvml.nvmlSystemGetCudaDriverVersion_v2()
    except pynvml.NVMLError:
        return "none"
    return f"{version} (CUDA {newest // 1000}.{newest % 1000 // 10} at most)"


def wheel() -> str:
    """Version of torch and the CUDA that it was built for."""
    import torch

    return (
        f"{torch.__version__} (CUDA {torch.version.cuda})"
        if torch.version.cuda
        else (f"{torch.__version__} (without CUDA)")
    )


def utilisation() -> float | None:
    """Share of the last moments in which the first visible GPU was busy; None where unknown."""
    import torch

    try:
        return torch.cuda.utilization() / 100
    except (pynvml.NVMLError, RuntimeError):
        return None


def installed() -> int:
    """GPUs that the driver's library lists, whether or not torch can use them."""
    try:
        pynvml.nvmlInit()
        return pynvml.nvmlDeviceGetCount()
    except pynvml.NVMLError:
        return 0


def _refusal(wanted: int, usable: int, count: int) -> str:
    return (
        f"{wanted} GPU(s) wanted, {usable} usable of {count} installed: driver {driver()},"
        f" torch {wheel()}. Install the build of torch that the driver serves (docs/cluster.md,"
        " Drivers and wheels), ask for fewer GPUs, or set gpus: 0 to compute on the CPU"
    )


def _lock(device: str, locks: contextlib.ExitStack) -> bool:
    """Claim one device for as long as `locks` lives; False where another process has it."""
    path = Path(tempfile.gettempdir()) / f"skyloom-{os.getuid()}-gpu-{device}.lock"
    file = locks.enter_context(open(path, "w"))
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
