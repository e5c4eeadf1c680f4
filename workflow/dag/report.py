"""What the report and the pages of a run show: items, captions, and the run itself.

An item is an output that a rule marks with `report(...)`. Its words are those of the rule: category
(the study), subcategory (the section), labels, and the caption, an .rst file of workflow/report/.
"""

import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

from .config import BASE, read_json

SCENES = {"simulated": "simulated", "user-simulation": "user-simulated", "survey": "real"}


class Report(dict):
    """What captions read, as `snakemake.config["report"]`; a table, since the config is JSON."""

    def __init__(self, studies: dict, folder: str):
        super().__init__()
        self.studies, self.folder = studies, folder

    def study(self, file: str):
        """The study that a file of the run belongs to."""
        return self.studies[Path(file).relative_to(self.folder).parts[0]]

    def item(self, snakemake) -> SimpleNamespace:
        """The words of an item: what it shows, the study's words, and the kind of its data."""
        study, w = self.study(snakemake.output[0]), snakemake.wildcards
        section = study["comparison"]
        variants = study.section("variants")
        return SimpleNamespace(
            of=study.subject(w),
            figure=w.get("figure", ""),
            blocks=section.get("blocks", "blocks"),
            examples=section.get("examples", "examples"),
            reference=section.get("labels", {}).get(section.get("reference"), ""),
            split=variants.get("split", "test"),
            note=variants.get("note", ""),
            data=self.data(study),
        )

    def data(self, study) -> str:
        """The kind of the data of a study, as its files state it: the end of every caption."""
        verdict = Path(study.path("verdict.json"))
        if not verdict.exists():
            return ""
        kinds = dict.fromkeys(part["data"] for part in read_json(verdict)["sets"])
        scene = study["comparison"].get("scene", "data")
        words = " and ".join(f"{SCENES.get(kind, kind)} {scene}" for kind in kinds)
        return f"**Data: {words}.**"

    def caption(self, snakemake) -> str:
        """The caption of a table, by the name of its kind."""
        name = self.studies[snakemake.wildcards.study].tables[snakemake.wildcards.table].name
        own = BASE / "workflow" / "report" / snakemake.wildcards.study / f"{name}.rst"
        path = own if own.exists() else BASE / "workflow" / "report" / f"{name}.rst"
        return render(path.read_text(encoding="utf-8"), snakemake)

    def front(self) -> str:
        """The first page in HTML, empty where no run has ended yet."""
        if not Path(self.folder, "run.json").exists():
            return ""
        return run_script("write_index.py", "--results", self.folder, "--front")


def render(text: str, snakemake) -> str:
    """A caption with the values of its item, as Snakemake's report renders it."""
    from jinja2 import Environment

    return (
        Environment(trim_blocks=True, lstrip_blocks=True)
        .from_string(text)
        .render(snakemake=snakemake)
    )


def as_html(caption: str) -> str:
    from docutils.core import publish_parts

    return publish_parts(caption, writer_name="html")["body"].strip()


# --- items ----------------------------------------------------------------------------------------


def items(workflow, targets: Iterable[str], config: dict) -> list[dict]:
    """The items that exist among the files that rules make together with these targets.

    Of each `file`, `study`, `rule`, `section`, `result` (its label), `of` (what it shows) and
    `caption` (HTML), in the order of the report.
    """
    found = {}
    for rule, wildcards, marked in marked_outputs(workflow, targets):
        for output in marked:
            item = described(rule, wildcards, output, config)
            if os.path.exists(item["file"]):
                found[item["file"]] = item
    return sorted(found.values(), key=lambda i: (i["study"], i["section"], i["result"], i["of"]))


def marked_outputs(workflow, targets: Iterable[str]) -> Iterator[tuple]:
    """(rule, wildcards, its outputs of the report) of each job that makes a target."""
    from snakemake.io import is_flagged
    from snakemake.iocontainers import Wildcards

    targets = [str(target) for target in targets]
    for rule in workflow.rules:
        marked = [output for output in rule.output if is_flagged(output, "report")]
        jobs = {}
        for output in rule.output if marked else ():
            for target in targets:
                if match := output.match(target):
                    jobs[tuple(match.groupdict().items())] = match.groupdict()
        for values in jobs.values():
            yield rule, Wildcards(fromdict=values), marked


def described(rule, wildcards, output, config: dict) -> dict:
    from snakemake.io import apply_wildcards, get_flag_value

    flag = get_flag_value(output, "report")

    def words(value):
        value = value(wildcards) if callable(value) else value
        return apply_wildcards(value, wildcards) if isinstance(value, str) else value

    file = apply_wildcards(str(output), wildcards)
    context = SimpleNamespace(wildcards=wildcards, config=config, output=[file], rule=rule.name)
    source = Path(flag.caption.get_path_or_uri(secret_free=True)).read_text(encoding="utf-8")
    item = {"file": file, "study": config["report"].study(file).name, "rule": rule.name}
    item |= {"section": words(flag.subcategory), **words(flag.labels)}
    return item | {"caption": as_html(render(source, context))}


# --- the end of a run -----------------------------------------------------------------------------


def run_script(script: str, *arguments: str) -> str:
    """What a script of the workflow prints."""
    command = [sys.executable, str(BASE / "scripts" / script), *arguments]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def command_line() -> list[str]:
    """The words that started this run."""
    return ["snakemake", *sys.argv[1:]]


def end_run(workflow, config: dict, studies: dict, status: str, started: float, logs) -> None:
    """Write run.json, summary.md and index.html of a run; never hide how the run itself ended."""
    folder = config["report"].folder
    try:
        targets = [file for name in studies for file in workflow.get_rule(name).input]
        run = {
            "run": Path(folder).name,
            "size": config["size"],
            "status": status,
            "started": timestamp(started),
            "ended": timestamp(time.time()),
            "seconds": round(time.time() - started, 1),
            "command": command_line(),
            "cores": workflow.resource_settings.cores,
            "machine": machine(),
            "git": git_state(),
            "logs": list(map(str, logs)),
            "studies": {name: of_study(workflow, study) for name, study in studies.items()},
            "items": items(workflow, targets, config),
        }
        Path(folder, "run.json").write_text(json.dumps(run, indent=1) + "\n", encoding="utf-8")
        for script in ("write_summary.py", "write_index.py"):
            run_script(script, "--results", folder)
    except Exception as error:  # of a page, after the results
        print(f"The pages of the run could not be written: {error}", file=sys.stderr)


def of_study(workflow, study) -> dict:
    """What pages say of a study besides its files."""
    section = study.section("report")
    return {
        "title": study.title,
        "sets": study.set_labels,
        "labels": study.comparison("labels")["labels"],
        "figure": section.get("figure"),
        "docs": section.get("docs", []),
        "verdict": state(workflow, study.path("verdict.json")),
    }


def state(workflow, file: str) -> str:
    """`current` where this run made or checked a file, `old` where it failed to, or `unchecked`."""
    dag = workflow.dag
    for job in dag.jobs:
        if file in job.output:
            return "current" if dag.finished(job) or not dag.needrun(job) else "old"
    return "unchecked"


def timestamp(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")


def git_state() -> dict:
    """Commit of the clone, and whether tracked files differ from it; None where there is no git."""

    def git(*words: str) -> str:
        command = ["git", "-C", str(BASE), *words]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    try:
        changes = git("status", "--porcelain", "--untracked-files=no")
        return {"commit": git("rev-parse", "HEAD"), "dirty": bool(changes)}
    except (OSError, subprocess.CalledProcessError):
        return {"commit": None, "dirty": None}


def machine() -> dict:
    """Processor, cores and memory of the machine that drives the run."""
    cpu = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        lines = info.read_text(encoding="utf-8").splitlines()
        names = [line for line in lines if line.startswith("model name")]
        cpu = names[0].split(":", 1)[1].strip() if names else cpu
    pages = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {"cpu": cpu, "cores": os.cpu_count(), "memory_gb": round(pages / 1e9, 1)}
