"""What a run does about other runs of its folder: a driver at the same time, an earlier failure.

`begin` is called before the first job, `end` after the last one. A driver that is killed calls no
`end`.
"""

import atexit
import contextlib
import json
import os
import shutil
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

from snakemake.exceptions import WorkflowError
from snakemake.io import is_flagged

from skyloom.cli import BadInput, atomic
from skyloom.lock import DRIVER, free, locked

from .config import read_json

UNFINISHED = "unfinished.json"  # files that a run set out to make again, until it has ended well


def begin(workflow, folder: str, state_folder: Callable) -> None:
    """Lock the folder, and note what this run is to make again.

    state_folder : of the wildcards of a training
    """
    hold(folder)
    forget_forced(workflow, state_folder)
    write(folder, {*missing(folder), *made_again(workflow)})
    started = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime())
    text = f"# Run {Path(folder).name}: not ended\n\nStarted {started}. This page is written when"
    Path(folder, "summary.md").write_text(f"{text} the run ends.\n")


def end(workflow, folder: str, status: str) -> None:
    """Keep the note of files that are missing still; without any after a run that ended well."""
    left, settings = missing(folder), workflow.dag_settings
    partial = settings.targets or settings.until or settings.omit_from
    # what a complete run of this config does not make is of another config
    if status == "failed" or (left and partial):
        write(folder, left)
    else:
        Path(folder, UNFINISHED).unlink(missing_ok=True)


# --- one driver -----------------------------------------------------------------------------------


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


# --- after a failure ------------------------------------------------------------------------------


def make_whole(workflow, folder: str, again: Callable = list) -> None:
    """Have the run after one that did not end well make again what that one deleted.

    again : lists further files, which note the failure of a part of their job
    Snakemake deletes the outputs of a job before each attempt. It then records a failed job like a
    finished one, and does not miss a file whose dependents exist.
    """
    build = workflow._build_dag

    def build_whole() -> None:
        if Path(folder, UNFINISHED).exists() and not workflow.touch:
            dag = workflow.dag
            dag.forcefiles.update(missing(folder), again())
            # a target without files has nothing to do, but only a run with a job writes its summary
            dag.forcerules.update(rule for rule in dag.targetrules if not rule.output)
        build()

    workflow._build_dag = build_whole


def made_again(workflow) -> set[str]:
    """Files that lie there and that this run is to make again."""
    outputs = (file for job in workflow.dag.needrun_jobs() for file in job.output)
    return {str(f) for f in outputs if not is_flagged(f, "temp") and os.path.exists(f)}


def missing(folder: str) -> set[str]:
    """Files that an earlier run set out to make again and that do not lie there."""
    path = Path(folder, UNFINISHED)
    files = read_json(path) if path.exists() else []
    return {file for file in files if not os.path.exists(file)}


def write(folder: str, files: set[str]) -> None:
    with atomic(Path(folder, UNFINISHED)) as part:
        part.write_text(json.dumps(sorted(files), indent=1) + "\n")


# --- finished work -------------------------------------------------------------------------------


def forget_forced(workflow, state_folder: Callable) -> None:
    """Have trainings that a user forces (`-R train_model`) begin anew.

    A job is forced, too, where no driver recorded its end: that one is taken over
    (`skyloom.finished`). Where a user forces a rule, its parameter `kept` lists folders to delete.
    """
    dag = workflow.dag
    for job in dag.needrun_jobs():
        if job.rule in dag.forcerules and recorded(workflow, job):
            for kept in job.params.get("kept", []):
                shutil.rmtree(kept, ignore_errors=True)
        if job.rule.name == "train_model" and dag.reason(job).forced and recorded(workflow, job):
            shutil.rmtree(Path(state_folder(job.wildcards), "finished"), ignore_errors=True)


def recorded(workflow, job) -> bool:
    """Whether the outputs of a job lie there, and a driver recorded that they are complete."""
    incomplete = workflow.async_run(workflow.persistence.incomplete(job))
    return not incomplete and all(os.path.exists(file) for file in job.output)
