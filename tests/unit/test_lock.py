"""The lock of trainers and drivers: who is refused, who is taken over, and that only one wins."""

import json
import multiprocessing
import os
import socket
import subprocess
import threading
import time

import pytest

from skyloom import lock
from skyloom.cli import BadInput
from skyloom.lock import DRIVER, free, locked


@pytest.fixture
def neighbour():
    """Another live process on this host."""
    process = subprocess.Popen(["sleep", "60"])
    yield process
    process.kill()
    process.wait()


def leave_lock(folder, age=0, **other):
    """A lock file as a trainer on this host would have written it `age` seconds ago, but for
    `other`.
    """
    holder = {
        "host": socket.gethostname(),
        "boot": lock._boot(),
        "pid": 1,
        "born": "0",
        "job": "",
        "since": "noon",
    }
    (folder / "lock").write_text(json.dumps(holder | other))
    os.utime(folder / "lock", (time.time() - age,) * 2)


def test_second_trainer_is_refused_with_the_holders_name(tmp_path, monkeypatch):
    monkeypatch.setenv("SLURM_JOB_ID", "4711")
    name = rf"host {socket.gethostname()}, pid {os.getpid()}, Slurm job 4711, since \d{{4}}-"
    with locked(tmp_path), pytest.raises(BadInput, match=name), locked(tmp_path):
        pass
    assert not (tmp_path / "lock").exists()


def test_live_neighbour_is_left_alone_however_old_its_heartbeat(tmp_path, neighbour):
    leave_lock(tmp_path, age=1e5, pid=neighbour.pid, born=lock._born(neighbour.pid))
    with pytest.raises(BadInput, match=f"pid {neighbour.pid}, since noon"), locked(tmp_path):
        pass


def test_trainer_of_this_host_that_is_gone_is_taken_over_at_once(tmp_path, neighbour, capsys):
    leave_lock(tmp_path, pid=neighbour.pid, born=lock._born(neighbour.pid))
    neighbour.kill()
    neighbour.wait()
    with locked(tmp_path):
        assert json.loads((tmp_path / "lock").read_text())["pid"] == os.getpid()
    assert (
        f"lock of host {socket.gethostname()}, pid {neighbour.pid}, since noon taken over"
        in capsys.readouterr().err
    )


def test_pid_that_another_process_got_since_is_no_trainer(tmp_path, neighbour):
    leave_lock(tmp_path, pid=neighbour.pid, born="1")
    with locked(tmp_path):
        pass


ELSEWHERE = pytest.mark.parametrize(
    "other", [{"host": "node17"}, {"boot": "another machine of the same name"}]
)


@ELSEWHERE
def test_trainer_of_another_host_is_taken_over_when_its_heart_has_stopped(tmp_path, other):
    leave_lock(tmp_path, age=lock.STALE_SECONDS + 60, **other)
    with locked(tmp_path):
        pass


@ELSEWHERE
def test_trainer_of_another_host_is_refused_at_its_next_heartbeat(tmp_path, monkeypatch, other):
    monkeypatch.setattr(lock, "HEARTBEAT_SECONDS", 0.2)
    leave_lock(tmp_path, age=60, **other)
    heart = threading.Timer(0.3, os.utime, [tmp_path / "lock"])
    heart.start()
    with pytest.raises(BadInput, match="last sign of life [56]. s ago"), locked(tmp_path):
        pass
    heart.join()


def test_retry_on_another_node_outwaits_the_lock_of_its_killed_predecessor(
    tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr(lock, "HEARTBEAT_SECONDS", 0.2)
    monkeypatch.setattr(lock, "STALE_SECONDS", 1.0)
    leave_lock(tmp_path, host="node17", pid=7)
    start = time.monotonic()
    with locked(tmp_path):
        assert time.monotonic() - start > 0.9
    said = capsys.readouterr().err
    assert (
        "watched for a sign of life" in said
        and "lock of host node17, pid 7, since noon taken over" in said
    )


def test_lock_left_empty_by_a_full_disc_is_taken_over_when_old(tmp_path):
    (tmp_path / "lock").touch()
    os.utime(tmp_path / "lock", (0, 0))
    with locked(tmp_path):
        pass


def test_heart_beats_while_held(tmp_path, monkeypatch):
    monkeypatch.setattr(lock, "HEARTBEAT_SECONDS", 0.02)
    with locked(tmp_path):
        os.utime(tmp_path / "lock", (0, 0))
        time.sleep(0.2)
        assert time.time() - (tmp_path / "lock").stat().st_mtime < 5


def test_holder_that_was_taken_over_leaves_the_new_lock_alone_and_learns_of_it(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(lock, "HEARTBEAT_SECONDS", 0.02)
    with locked(tmp_path) as lost:
        time.sleep(0.1)
        assert not lost.is_set()
        (tmp_path / "lock").unlink()
        leave_lock(tmp_path, age=60, host="node17")
        before = (tmp_path / "lock").stat().st_mtime
        assert lost.wait(5)
        time.sleep(0.1)
        assert (tmp_path / "lock").stat().st_mtime == before
    assert json.loads((tmp_path / "lock").read_text())["host"] == "node17"


def contend(folder, start, winners):
    start.wait()
    try:
        with locked(folder):
            winners.put(os.getpid())
            time.sleep(0.5)
    except BadInput:
        pass


def test_one_of_many_wins_a_stale_lock(tmp_path):
    leave_lock(tmp_path, pid=2**22 + 1)  # above the kernel's largest pid
    fork = multiprocessing.get_context("fork")
    start, winners = fork.Barrier(6), fork.SimpleQueue()
    contenders = [fork.Process(target=contend, args=(tmp_path, start, winners)) for _ in range(6)]
    for contender in contenders:
        contender.start()
    for contender in contenders:
        contender.join()
    winners.get()
    assert winners.empty()
    assert list(tmp_path.iterdir()) == []


def test_driver_of_another_host_is_refused_at_once_however_old_its_heartbeat(tmp_path):
    leave_lock(tmp_path, age=1e5, host="login02", user="ana")
    refusal = "another driver works here, user ana, host login02, pid 1, .* with --unlock"
    with pytest.raises(BadInput, match=refusal), locked(tmp_path, DRIVER):
        pass


def test_lock_of_a_holder_that_is_gone_or_elsewhere_is_freed(tmp_path, capsys):
    for other in ({"pid": 2**22 + 1}, {"host": "login02"}):
        leave_lock(tmp_path, **other)
        free(tmp_path)
        assert not list(tmp_path.iterdir()) and "removed" in capsys.readouterr().err
    free(tmp_path)
    free(tmp_path / "absent")
    assert capsys.readouterr().err == ""


def test_lock_of_a_live_neighbour_is_not_freed(tmp_path, neighbour, capsys):
    leave_lock(tmp_path, pid=neighbour.pid, born=lock._born(neighbour.pid))
    free(tmp_path)
    assert (tmp_path / "lock").exists()
    assert "stays: its process lives" in capsys.readouterr().err
