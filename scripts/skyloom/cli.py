"""Shared by all entry points: one-line errors for bad input, config as JSON, atomic outputs."""

import argparse
import contextlib
import errno
import json
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence, Sized
from pathlib import Path

FULL = (errno.ENOSPC, errno.EDQUOT)
# bytes; a write that fails on a device with less free space has failed for want of space
LEAST_FREE = 1 << 20


class BadInput(ValueError):
    """Input that a person can mend; the message names file, key, value and expected value."""


def require(present: Iterable[str], expected: Iterable[str], path: str | Path, what: str) -> None:
    """Refuse a file that lacks one of the names `expected`, and list those that are `present`.

    what : the kind of name in the singular, as "column"
    """
    missing = [name for name in expected if name not in present]
    if missing:
        names = ", ".join(present) or "none"
        raise BadInput(f"{path}: {what} {', '.join(missing)} not found ({what}s: {names})")


def parser(doc: str) -> argparse.ArgumentParser:
    """An argument parser with the module's docstring as its help."""
    return argparse.ArgumentParser(
        description=doc, formatter_class=argparse.RawDescriptionHelpFormatter
    )


def run(main: Callable[[], None], gpus: bool = False) -> None:
    """Call `main`; bad input and a full disk end in one line on stderr and exit code 2.

    gpus : whether `main` claims GPUs (`skyloom.gpus`); any other script has none
    A SIGTERM (`scancel`, a cluster's time limit) ends it as an exception does, so that no
    half-written file stays.
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
        full = "no space left on the device; finished outputs are kept"
        sys.exit(_fail(f"{error.filename or 'output'}: {full}"))


def _fail(message: str) -> int:
    print(f"error: {message}", file=sys.stderr)
    return 2


def json_argument(text: str) -> dict:
    """The JSON text of `--config`; Snakemake's `-p` prints the command to run by hand."""
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise argparse.ArgumentTypeError(f"not JSON: {error}") from None


def progress(groups: Sequence[Sized], what: str, seconds: float = 10) -> Iterator:
    """The groups one after the other; every `seconds` a line with the items done and the time
    left.
    """
    total, done = sum(map(len, groups)), 0
    start = last = time.monotonic()
    for group in groups:
        yield group
        done += len(group)
        now = time.monotonic()
        if now - last >= seconds and done < total:
            left = (now - start) / done * (total - done)
            print(f"{done} of {total} {what}, {left:.0f} s left", flush=True)
            last = now


@contextlib.contextmanager
def atomic(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path in the folder of `path`.

    On success it is flushed to disk and renamed to `path`, else removed.
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
        # HDF5 and astropy report a full disk in other words, or not at all
        full = shutil.disk_usage(path.parent).free < LEAST_FREE or "space on disk" in str(error)
        if full and not isinstance(error, BadInput):
            raise OSError(errno.ENOSPC, "no space left on the device", str(path)) from error
        raise
    finally:
        part.unlink(missing_ok=True)


def link(kept: Path, path: Path) -> None:
    """Put a kept file at `path` by a hard link, which costs no space, or a copy where links are
    refused.
    """
    with atomic(path) as part:
        try:
            os.link(kept, part)
        except OSError:
            shutil.copyfile(kept, part)
    os.utime(path)  # an output must not be older than its inputs
