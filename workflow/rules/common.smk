# The studies of this run, and what their rule files share. The logic is Python in workflow/dag. No
# scientific library: each Slurm job parses this again.
import os
import re
import shlex
import sys
from pathlib import Path

from snakemake.exceptions import WorkflowError
from snakemake.settings.types import DeploymentMethod

BASE = Path(workflow.basedir)
sys.path[:0] = [str(BASE / "workflow"), str(BASE / "scripts")]

from dag.code import code
from dag.config import NAME, complete_run
from dag.jobs import (
    group_shards,
    limit_poll_interval,
    set_environment,
    shorten_runs,
    show_messages_in_runs,
)
from dag.resources import Site, growing, growing_unless_saved, require_account, require_container
from dag.study import Files, as_json, make, pick

set_environment()
try:
    complete_run(config, workflow.configfiles)
    studies = {name: make(name, config) for name in config["studies"]}
except WorkflowError as refused:
    raise refused.with_traceback(None)  # a user needs the message, not the calls that lead to it

RUN = f"{config['paths']['results']}/{config['run']}"
RESOURCES = config["paths"]["resources"]
CONFIG = os.path.relpath(BASE / "config")
ENV = str(BASE / "envs" / "skyloom.yaml")
defaults = workflow.resource_settings.default_resources or {}  # those of the profile
site = Site({name: value.raw for name, value in defaults.items()})
shared = Files(f"{RUN}/{{study}}")  # file names of the rules that all studies share


def study(w):
    """The study of a shared rule's job."""
    return studies[w.study]


def entry(w):
    """The model of a shared rule's job."""
    return study(w).entry(w.model)


def prediction(w):
    """The model of a shared rule's job that predicts with it."""
    return study(w).prediction(w.model)


def option(name, file):
    """The words of a command for a file that it may do without."""
    return f"{name} {shlex.quote(str(file))}" if file else ""


def state_folder(w):
    """Where a training keeps its state from one attempt to the next."""
    return f"{RUN}/state/{w.study}/{w.model}/seed{w.seed}"


def title(w):
    """Its category in the report."""
    return study(w).title


def titled(label):
    """The labels of an item of its report, in words."""
    return lambda w: study(w).titled(label)(w)


if DeploymentMethod.APPTAINER in workflow.deployment_settings.deployment_method:
    require_container(config["container"])
if workflow.is_main_process and "slurm_account" in defaults:
    require_account(str(defaults["slurm_account"].raw))


wildcard_constraints:
    study="|".join(studies),
    set=NAME,
    model=NAME,
    seed="[0-9]+",
    shard="[0-9]+",
