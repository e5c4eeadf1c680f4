"""What a run owes to other runs of its folder: one driver at a time."""

import atexit
import contextlib
import os
import signal
import sys
import threading
from pathlib import Path

from snakemake.exceptions import WorkflowError

from skyloom.cli import BadInput
from skyloom.lock import DRIVER, free, locked


def hold(folder: str) -> None:
    """Lock the folder of a run until this process ends; refuse where another driver lives.

    Snakemake's own lock is in the clone. Two clones may write to one folder.
    """
    held = contextlib.ExitStack()
    try:
        lost = held.enter_context(locked(Path(folder), DRIVER))
    except BadInput as refused:
        raise WorkflowError(str(refused)) from None
    atexit.register(held.close)
    threading.Thread(target=stop_when, args=(lost, folder), daemon=True).start()


def stop_when(lost: threading.Event, folder: str) -> None:
    """Have this driver start no more jobs as soon as its lock is another's."""
    lost.wait()
    print(f"{folder}: another driver has the lock now, no more jobs are started", file=sys.stderr)
    os.kill(os.getpid(), signal.SIGTERM)


def unlock(folder: str) -> None:
    """Remove the lock of a driver that is dead, or on another host."""
    if "--unlock" in sys.argv:
        free(Path(folder))
