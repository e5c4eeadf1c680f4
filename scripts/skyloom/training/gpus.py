"""GPUs of its own for each of several trainings that run side by side on one machine.

Under Slurm a job sees just the GPUs that it asked for. Jobs that Snakemake runs itself, in one
allocation (profiles/perlmutter-node) or on a workstation, all see all of them, and each would take
the first.
"""

import contextlib
import fcntl
import os
import sys
import tempfile
from collections.abc import Iterator
from itertools import islice
from pathlib import Path


@contextlib.contextmanager
def claimed(wanted: int, found: int) -> Iterator[list[str]]:
    """Leave `wanted` of the `found` visible GPUs in CUDA_VISIBLE_DEVICES, none of them claimed by
    another training.

    Call it before anything starts CUDA. The claim is a file lock on this node, which ends with the
    process however it ends. Where too few are free they are shared, with a message. Yields the
    devices that stay visible.
    """
    visible = os.environ.get("CUDA_VISIBLE_DEVICES", ",".join(map(str, range(found)))).split(",")
    if not 0 < wanted < found:  # all of them, or none: nothing to choose
        yield visible
        return
    with contextlib.ExitStack() as locks:
        free = list(islice((device for device in visible if _lock(device, locks)), wanted))
        if len(free) < wanted:
            print(
                f"{wanted} GPU(s) wanted, {len(free)} of {found} free: sharing with another "
                "training",
                file=sys.stderr,
            )
            free += [device for device in visible if device not in free][: wanted - len(free)]
        os.environ["CUDA_VISIBLE_DEVICES"] = ",".join(free)
        yield free


def _lock(device: str, locks: contextlib.ExitStack) -> bool:
    """Claim one device for as long as `locks` lives; False where another process has it."""
    path = Path(tempfile.gettempdir()) / f"skyloom-{os.getuid()}-gpu-{device}.lock"
    file = locks.enter_context(open(path, "w"))
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
