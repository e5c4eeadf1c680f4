"""One process at a time in a folder: a lock file with the holder's name and a heartbeat.

A training holds its state folder, a driver (the process `snakemake`) the folder of its run.
`flock` is not reliable on every parallel file system. Exclusive creation, rename and modification
times are.
"""

import contextlib
import json
import os
import pwd
import socket
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from skyloom.cli import BadInput

HEARTBEAT_SECONDS = 20
# a holder on another host is given up after this, since its pid cannot be asked for; below the ten
# minutes after which NCCL gives up the processes that wait for the first one
STALE_SECONDS = 300


@dataclass(frozen=True)
class Role:
    """What holds a folder.

    name : for messages
    advice : what a person does who is refused
    outwaits : whether it gives up a holder of another host that stays still for `STALE_SECONDS`
    """

    name: str
    advice: str
    outwaits: bool


# A retry may start on another node seconds after its predecessor was killed (out of memory, node
# failure). A refusal at once would use up the retries.
TRAINER = Role("trainer", "wait for it or cancel it", outwaits=True)
# A driver that stands still may wake up and delete files, so that a person decides.
DRIVER = Role(
    "driver",
    "wait for it or stop it. If its host is down: the same command with --unlock",
    outwaits=False,
)


@contextlib.contextmanager
def locked(folder: Path, role: Role = TRAINER) -> Iterator[threading.Event]:
    """Hold `folder` for this process. Raises `BadInput` with the holder's name where another one
    lives.

    A holder of this host that is gone is taken over at once. One of another host is refused, or
    watched for a heartbeat for up to `STALE_SECONDS` where the role outwaits it.

    The event that it gives is set where the lock is no longer ours: a process that stood still
    (suspended, or its file system was) may be taken over, and must leave the folder and the new
    lock alone.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "lock"
    me = {
        "user": _user(),
        "host": socket.gethostname(),
        "boot": _boot(),
        "pid": os.getpid(),
        "born": _born(os.getpid()),
        "job": os.environ.get("SLURM_JOB_ID", ""),
        "since": time.strftime("%Y-%m-%d %H:%M:%S"),
    }
    mine = json.dumps(me)
    _take(path, mine, role)
    done, lost = threading.Event(), threading.Event()
    heart = threading.Thread(target=_beat, args=(path, mine, done, lost), daemon=True)
    heart.start()
    try:
        yield lost
    finally:
        done.set()
        heart.join()
        with contextlib.suppress(FileNotFoundError):
            if path.read_text() == mine:
                path.unlink()


def free(folder: Path) -> None:
    """Remove the lock of `folder`, unless its holder lives on this host, and print what was done.

    Whether a holder of another host is dead is for a person to decide.
    """
    path = folder / "lock"
    theirs, silence = _look(path) if path.exists() else (None, 0.0)
    if theirs is None:
        return
    holder = _holder(theirs)
    lives = _is_here(holder) and not _is_stale(holder, silence)
    if not lives:
        _set_aside(path, theirs)
    done = "stays: its process lives" if lives else "removed"
    print(f"{folder}: the lock of {_name(holder)} {done}", file=sys.stderr)


def _take(path: Path, mine: str, role: Role) -> None:
    for _ in range(4):  # a holder may leave, or be replaced, while we look
        with contextlib.suppress(FileExistsError):
            handle = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644)
            with os.fdopen(handle, "w") as file:
                file.write(mine)
            return
        theirs, silence = _look(path)
        if theirs is None:
            continue
        holder = _holder(theirs)
        here = _is_here(holder)
        if (here or role.outwaits) and _is_stale(holder, silence):
            _set_aside(path, theirs)
            print(f"lock of {_name(holder)} taken over: that {role.name} is gone", file=sys.stderr)
        elif here or not role.outwaits or _beats(path, theirs, silence):
            raise BadInput(
                f"{path.parent}: another {role.name} works here, {_name(holder)}, last sign of "
                f"life {silence:.0f} s ago; {role.advice}"
            )
    raise BadInput(f"{path}: several {role.name}s compete for this folder; start one only")


def _look(path: Path) -> tuple[str | None, float]:
    """What the lock says and its age [s] by the file system's own clock (hosts' clocks differ);
    None if it is gone.
    """
    probe = path.with_name(f".clock.{socket.gethostname()}.{os.getpid()}")
    try:
        probe.touch()
        silence = probe.stat().st_mtime - path.stat().st_mtime
        text = path.read_text()
        if not text and silence < 1:  # created, but not written yet
            time.sleep(0.2)
            text = path.read_text()
        return text, max(0.0, silence)
    except FileNotFoundError:
        return None, 0.0
    finally:
        probe.unlink(missing_ok=True)


def _beats(path: Path, theirs: str, silence: float) -> bool:
    """Watch a lock of another host: True at its next heartbeat, False when it is stale, gone or
    another's by then.
    """
    print(
        f"{path.parent}: the lock of {_name(_holder(theirs))} is watched for a sign of life",
        file=sys.stderr,
    )
    while silence <= STALE_SECONDS:
        time.sleep(HEARTBEAT_SECONDS / 4)
        before = silence
        text, silence = _look(path)
        if text != theirs:
            return False
        if silence < before:
            return True
    return False


def _set_aside(path: Path, judged: str) -> None:
    """Remove the lock that was judged stale, and no other: a rename is atomic, a look and an unlink
    are not.
    """
    aside = path.with_name(f".stale.{socket.gethostname()}.{os.getpid()}")
    with contextlib.suppress(FileNotFoundError):
        os.rename(path, aside)
        if aside.read_text() == judged:
            aside.unlink()
        else:  # somebody took it over just now: give it back
            os.rename(aside, path)


def _holder(text: str) -> dict:
    try:
        return dict(json.loads(text))
    except ValueError:  # its disc was full
        return {"host": "an unknown host", "pid": 0}


def _is_here(holder: dict) -> bool:
    return (holder["host"], holder.get("boot")) == (socket.gethostname(), _boot())


def _is_stale(holder: dict, silence: float) -> bool:
    if _is_here(holder):
        # The birth time guards against a pid that was given to another process: in a container ours
        # is often 7.
        return _born(holder["pid"]) is None or _born(holder["pid"]) != holder.get("born")
    return silence > STALE_SECONDS


def _boot() -> str:
    """The kernel's number of this boot: two machines may have one name, and a pid says nothing
    about the other.
    """
    with contextlib.suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return ""


def _born(pid: int) -> str | None:
    """When a process of this host was started, as text; None where there is none."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        if Path("/proc/self/stat").exists():
            return None
        return _born_without_proc(pid)
    fields = stat.rpartition(")")[2].split()
    # a zombie trains nothing; field 22 of proc(5) is the start time
    return None if fields[0] == "Z" else fields[19]


def _born_without_proc(pid: int) -> str | None:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return None
    except PermissionError:
        pass
    return "unknown"


def _user() -> str:
    """The name of the user, or the number where the system has no name for it."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return str(os.getuid())


def _name(holder: dict) -> str:
    job = f", Slurm job {holder['job']}" if holder.get("job") else ""
    since = holder.get("since", "an unknown time")
    user = f"user {holder['user']}, " if holder.get("user") else ""
    return f"{user}host {holder['host']}, pid {holder['pid']}{job}, since {since}"


def _beat(path: Path, mine: str, done: threading.Event, lost: threading.Event) -> None:
    while not done.wait(HEARTBEAT_SECONDS):
        try:
            with open(path) as file:
                if file.read() != mine:
                    return lost.set()
                # the very file that was read, whatever has come into its place since
                os.utime(file.fileno())
        except FileNotFoundError:
            return lost.set()
        except OSError:  # the file system may come back
            continue
