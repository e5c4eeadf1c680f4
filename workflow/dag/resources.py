"""Resources of jobs, and the settings that a run needs before any job starts."""

import functools
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from snakemake.exceptions import WorkflowError

from .config import refuse

STARTED = time.time()  # of this Snakemake [s since 1970]


def growing(amount: int | Callable) -> Callable:
    """A resource that doubles with each attempt: memory and run time of rules that do not resume.

    `amount` is a number, or a function of the wildcards.
    """

    def of_attempt(wildcards, attempt):
        return (amount(wildcards) if callable(amount) else amount) * 2 ** (attempt - 1)

    return of_attempt


def growing_unless_saved(amount: Callable, state: Callable) -> Callable:
    """Memory of a rule that resumes: it grows with each attempt that did not end as planned.

    A training that runs out of time saves its state and notes that in the file `stops` of its
    state folder (`skyloom.training.state`). `amount` and `state`, the folder, are functions of
    the wildcards.
    """

    def of_attempt(wildcards, attempt):
        return amount(wildcards) * max(1, attempt - planned_stops(state(wildcards)))

    return of_attempt


def planned_stops(folder: str) -> int:
    """Stops of a training since this Snakemake was started."""
    path = Path(folder) / "stops"
    times = path.read_text(encoding="utf-8").split() if path.exists() else []
    return sum(float(stop) > STARTED for stop in times)


class Site:
    """Where jobs with GPUs run, by the default resources of a profile.

    `gpu_constraint` is the constraint of jobs with GPUs. `node_qos` is the QOS of jobs with more
    GPUs than `shared_gpus`, the most that the profile's `qos` gives. Without these keys a profile
    treats all jobs alike.
    """

    def __init__(self, defaults: Mapping[str, str | int]):
        self.defaults = defaults

    def on_gpus(self, gpus: Callable) -> dict[str, Callable]:
        """Resources of a rule whose jobs have `gpus(wildcards)` GPUs."""

        def resource(choose: Callable) -> Callable:
            return lambda wildcards: choose(self.present(gpus(wildcards)))

        asked = {"gres": resource(gres), "gpu_slots": resource(int)}
        if "gpu_constraint" in self.defaults:
            asked["constraint"] = resource(self.constraint)
        if "node_qos" in self.defaults:
            asked["qos"] = resource(self.qos)
        return asked

    def predicting(self, entry: Callable) -> dict[str, Callable]:
        """Resources of a rule that predicts with a model; `entry(wildcards)` has them.

        It does not resume, so that time and memory grow with each attempt.
        """
        return self.on_gpus(lambda w: entry(w)["gpus"]) | {
            "runtime": growing(lambda w: entry(w)["runtime"]),
            "mem_mb": growing(lambda w: entry(w)["mem_mb"]),
        }

    def present(self, gpus: int) -> int:
        """0 where Snakemake runs the jobs itself on a machine without a GPU, else `gpus`.

        There they do not wait for each other's slot. In an allocation of GPUs by Slurm a missing
        one is a fault, which the job reports.
        """
        submits = "slurm_account" in self.defaults
        allocated = any(name.startswith("SLURM") and "GPU" in name for name in os.environ)
        return gpus if submits or allocated or installed_gpus() else 0

    def constraint(self, gpus: int) -> str:
        return self.defaults["gpu_constraint" if gpus else "constraint"]

    def qos(self, gpus: int) -> str:
        whole = gpus > int(self.defaults["shared_gpus"])
        return self.defaults["node_qos" if whole else "qos"]


def gres(gpus: int) -> str | None:
    """Slurm's name for so many GPUs of one node; None asks for none."""
    return f"gpu:{gpus}" if gpus else None


@functools.cache
def installed_gpus() -> int:
    """GPUs of this machine, as the jobs count them."""
    from skyloom.gpus import installed

    return installed()


def require_account(account: str) -> None:
    """Refuse a cluster profile whose account is not set, before anything is submitted."""
    account = os.path.expandvars(account)
    if not account or "$" in account:
        raise WorkflowError(
            "SKYLOOM_ACCOUNT is not set: export SKYLOOM_ACCOUNT=<the Slurm account to charge>"
        )


def require_container(image: str | None) -> None:
    """Refuse jobs in a container that is not named: they would run in the bare shell instead."""
    if not image:
        refuse(
            "container",
            "not set, but --sdm apptainer is: name the image built from envs/skyloom.def",
        )
