"""How a run shows its jobs and puts them together."""

import logging
import os
import sys
import time
from pathlib import Path

from snakemake.logging import DefaultFormatter, LogEvent
from snakemake.logging import logger as snakemake_logger
from snakemake_interface_executor_plugins.executors.remote import RemoteExecutor

# what the terminal does without: the log file of the run has it
LEFT_OUT = {LogEvent.JOB_STARTED, LogEvent.JOB_FINISHED, LogEvent.RESOURCES_INFO}
LEFT_OUT_TEXT = "Select jobs to execute..."
# longest interval between two polls of Slurm, in first intervals of the profile
LONGEST_INTERVAL = 2


def set_environment() -> None:
    """Give jobs the interpreter and the packages of this Snakemake, and UTF-8 in every locale.

    Commands begin with `python3`. With the path of the interpreter in them a moved clone, or one
    with another environment, would rerun every job. Packages of the site in PYTHONPATH, and those
    below HOME, would replace those of the environment.
    """
    os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    os.environ.pop("PYTHONPATH", None)
    os.environ |= {"PYTHONNOUSERSITE": "1", "PYTHONUTF8": "1"}


def show_messages_in_runs(workflow) -> None:
    """Have a run show each job by its message, a dry run by its files, resources and reason.

    Snakemake shows one of the two: the message where it is true.
    """

    class Message(str):
        def __bool__(self):
            return not workflow.dryrun

    for rule in workflow.rules:
        if rule.message:
            rule.message = Message(rule.message)


class JobLine(DefaultFormatter):
    """A job as one line: the time and its message."""

    def format_job_info(self, msg: dict) -> str:
        if not msg["rule_msg"]:
            return super().format_job_info(msg)
        return f"{time.strftime('[%H:%M:%S]')} {msg['rule_msg']}"


def shorten_runs(workflow) -> None:
    """Have the terminal show a run by two lines a job, its message and the share that is done."""

    def needed(record: logging.LogRecord) -> bool:
        left_out = getattr(record, "event", None) in LEFT_OUT or record.msg == LEFT_OUT_TEXT
        return workflow.dryrun or not left_out

    for handler in snakemake_logger.handlers:
        if handler.name == "DefaultStreamHandler":
            handler.addFilter(needed)
            shown = handler.formatter
            handler.setFormatter(JobLine(shown.quiet, shown.show_failed_logs))


def group_shards(workflow) -> None:
    """Put shards of one rule into one job where the profile's `group-components` has `shards`.

    Not those with GPUs: a group runs its jobs side by side, with the GPUs of one of them. Nor those
    of several rules: those that are ready first would wait for the others.
    """

    def grouping(rule):
        slots = rule.resources.get("gpu_slots")
        name = f"shards_{rule.name}"
        workflow.parent_groupids[name] = "shards"

        def group(wildcards):
            # while the Snakefile is read the settings of groups are not there yet
            wanted = "shards" in workflow.group_settings.group_components
            on_gpus = slots is not None and slots.evaluate(wildcards).value
            return name if wanted and not on_gpus else None

        return group

    for rule in workflow.rules:
        if "shard" in rule.wildcard_names:
            rule.group = grouping(rule)


def limit_poll_interval() -> None:
    """Have the driver notice the end of a Slurm job soon, also after hours without one.

    After each poll in which no job has ended the plugin waits 10 s longer for the next, up to 3
    minutes. It has no setting for the longest interval.
    """
    interval = RemoteExecutor.next_seconds_between_status_checks

    def limited(executor) -> float:
        first = executor.workflow.executor_settings.init_seconds_before_status_checks
        return min(interval.fget(executor), LONGEST_INTERVAL * first)

    RemoteExecutor.next_seconds_between_status_checks = property(limited, interval.fset)
