"""What every entry point shares: one-line errors for bad input, config as JSON, atomic outputs."""

import argparse
import contextlib
import errno
import json
import os
import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

FULL = (errno.ENOSPC, errno.EDQUOT)
LEAST_FREE = (
    1 << 20
)  # bytes; a failed write on a device with less than this failed for want of space


class BadInput(ValueError):
    """Input that a person can mend; the message names file, column or key, what was found and what
    was expected.
    """


def parser(doc: str) -> argparse.ArgumentParser:
    """An argument parser with the module's docstring as its help."""
    return argparse.ArgumentParser(
        description=doc, formatter_class=argparse.RawDescriptionHelpFormatter
    )


def run(main: Callable[[], None], gpus: bool = False) -> None:
    """Call `main`; bad input and a full disk end in one line on stderr and exit code 2.

    A SIGTERM (`scancel`, a cluster's time limit) ends it as an exception does: no half-written file
    is left behind. gpus : whether `main` claims GPUs (`skyloom.gpus`); another script sees none.
    """
    if not gpus:
        os.environ["CUDA_VISIBLE_DEVICES"] = ""
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    try:
        main()
    except BadInput as error:
        sys.exit(_fail(str(error)))
    except OSError as error:
        if error.errno not in FULL:
            raise
        sys.exit(
            _fail(
                f"{error.filename or 'output'}: no space left on the device; what was finished "
                "before is kept"
            )
        )


def _fail(message: str) -> int:
    print(f"error: {message}", file=sys.stderr)
    return 2


def json_argument(text: str) -> dict:
    """A `--config` value: JSON text, as the rules pass it (Snakemake's `-p` prints the command to
    run by hand).
    """
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise argparse.ArgumentTypeError(f"not JSON: {error}") from None


@contextlib.contextmanager
def atomic(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; on success flush it to disk and rename it into place,
    else remove it.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        yield part
        with open(part, "rb+") as file:
            os.fsync(file.fileno())
        os.replace(part, path)
    except Exception as error:
        # HDF5 and astropy say in words of their own, or not at all, that the disk is full
        full = shutil.disk_usage(path.parent).free < LEAST_FREE or "space on disk" in str(error)
        if full and not isinstance(error, BadInput):
            raise OSError(errno.ENOSPC, "no space left on the device", str(path)) from error
        raise
    finally:
        part.unlink(missing_ok=True)
