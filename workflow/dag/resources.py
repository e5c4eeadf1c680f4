"""What jobs ask for, and what a run asks of its user before any job starts."""

import os
from collections.abc import Callable

from snakemake.exceptions import WorkflowError

from .config import refuse


def growing(amount: int | Callable) -> Callable:
    """A resource that doubles with each attempt: memory and run time of rules that do not resume.

    `amount` is a number, or a function of the wildcards.
    """

    def of_attempt(wildcards, attempt):
        return (amount(wildcards) if callable(amount) else amount) * 2 ** (attempt - 1)

    return of_attempt


def gres(gpus: int) -> str:
    """Slurm's name for so many GPUs of one node; empty, it asks for none."""
    return f"gpu:{gpus}" if gpus else ""


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
