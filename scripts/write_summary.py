"""Write results/<run>/summary.md: what a run found and where it lies, what failed and why in one
sentence, and what to type next.
"""

import itertools
import re
import shlex
import shutil
from pathlib import Path

import pandas as pd

from skyloom import cli, files
from skyloom.pages.run import MADE_AGAIN, Run, read
from skyloom.pages.table import DIRECTIONS, number
from skyloom.provenance import duration, training_line
from skyloom.scores.verdict import INTERVALS, decimals, sentence

FAILED = re.compile(r"^Error in rule (\w+)", re.M)
RULE_LOG = re.compile(r"^\s+log: (\S+)", re.M)
# how Snakemake logs the end of a job by a signal, right above the failure
SIGNAL = re.compile(r"died with <Signals\.\w+: (?P<signal>\d+)>|exit status (?P<status>\d+)\.")
TIME = re.compile(r"^\[.* \d{4}\]$", re.M)
FORCE = ("-f", "--force", "-F", "--forceall")
LARGE = 10_000_000  # bytes of a folder that the summary names


def main() -> None:
    parser = cli.parser(__doc__)
    parser.add_argument("--results", type=Path, required=True, help="folder of the run")
    args = parser.parse_args()

    run = read(args.results)
    parts = [f"# Run {run.about['run']}: {run.about['status']}", facts(run)]
    parts += [study(run, name) for name in run.studies]
    log = "\n".join(
        path.read_text(errors="replace") for path in map(Path, run.about["logs"]) if path.is_file()
    )
    if run.about["status"] == "failed":
        parts.append(failed(run, log))
    parts += [look(run), disk(run)]
    with cli.atomic(args.results / "summary.md") as part:
        part.write_text("\n\n".join(filter(None, parts)) + "\n")


def facts(run: Run) -> str:
    lines = [f"started {run.started:%Y-%m-%d %H:%M} UTC, {duration(run.about['seconds'])}"]
    lines[0] += f" on {run.about['machine']['cores']} cores, commit {run.commit}"
    if run.data:
        lines.append(f"data: {run.data}; device time of trainings: {run.device_hours:.2g} h")
    return "\n".join(f"- {line}" for line in lines)


# --- a study --------------------------------------------------------------------------------------


def study(run: Run, name: str) -> str:
    """The verdict of each set with the table of the scores that decide, and the trainings."""
    parts = [f"## {run.studies[name]['title']}"]
    verdict = run.verdict(name)
    if verdict is None:
        return f"{parts[0]}\n\nNo verdict: this run did not compare the models."
    parts += [run.earlier(name)] * bool(run.earlier(name))
    table = files.read_csv(
        run.folder / name / "comparison.csv", keep_default_na=False, na_values=[""]
    )
    for part in verdict["sets"]:
        if len(verdict["sets"]) > 1:
            parts.append(f"### {run.studies[name]['sets'].get(part['set'], part['set'])}")
        parts.append(of_set(part, table[table["set"] == part["set"]], run.studies[name]["labels"]))
    parts.append(INTERVALS)
    trainings = [training_line(t) for t in run.trainings if t["study"] == name]
    parts.append("\n".join(["Trainings:", "", *(f"- {line}" for line in trainings)]))
    return "\n\n".join(parts)


def of_set(part: dict, rows: pd.DataFrame, labels: dict[str, str]) -> str:
    if not part["clauses"]:
        return part["text"]
    lines = [f"**{part['label']}** ({part['about']}):", ""]
    for clause in part["clauses"]:
        lines.append(f"- {sentence(clause)}")
    lines += [f"- {remark}" for remark in part["remarks"]]
    return "\n".join([*lines, "", scores(rows, part["clauses"], labels)])


def scores(rows: pd.DataFrame, clauses: list[dict], labels: dict[str, str]) -> str:
    """A Markdown table of the networks and baselines of a set, a column a clause."""
    heads = [
        f"{c['label']}{' [' + c['unit'] + ']' if c['unit'] else ''} {DIRECTIONS[c['better']]}"
        for c in clauses
    ]
    lines = [f"| model | {' | '.join(heads)} |", f"|---|{'---|' * len(heads)}"]
    digits = [decimals(clause["lo"], clause["hi"]) for clause in clauses]
    for row in rows[rows.kind.isin(["network", "baseline"])].to_dict("records"):
        label = labels.get(row["model"], row["model"].replace("_", " "))
        cells = [f"{label} (chosen)" if row["chosen"] == "chosen" else label]
        for clause, count in zip(clauses, digits, strict=True):
            cells.append(interval(row, f"{clause['score']}_{clause['subset']}", count))
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def interval(row: dict, key: str, digits: int | None) -> str:
    """`0.879 [0.866, 0.888]`, the value alone without an interval, empty without a value."""
    value, lo, hi = (row.get(f"{key}{end}", float("nan")) for end in ("", "_lo", "_hi"))
    if pd.isna(value):
        return ""
    ends = "" if pd.isna(lo) else f" [{number(lo, digits)}, {number(hi, digits)}]"
    return number(value, digits) + ends


# --- failures -------------------------------------------------------------------------------------


def failed(run: Run, log: str) -> str:
    lines = [f"- `{rule}`: {why} (log: `{path}`)" for rule, path, why in failures(log)]
    lines = lines or [f"- No rule: the run was stopped (log: `{run.about['logs'][0]}`)"]
    return "\n".join(
        [
            "## What failed",
            "",
            *lines,
            "",
            "Finished files are kept and training resumes. After the repair, type again:",
            "",
            *block(run.about["command"]),
        ]
    )


def failures(snakemake_log: str) -> list[tuple[str, str, str]]:
    """(rule, its log file, its reason in one line) of every rule that failed, the last failure of
    each log.
    """
    last, blocks = {}, re.split(r"(?m)^(?=Error in rule )", snakemake_log)
    for before, block in itertools.pairwise(blocks):
        rule = FAILED.match(block)[1]
        log = RULE_LOG.search(block)
        path = log[1].rstrip(",") if log else ""
        last[rule, path] = (rule, path, stopped(before) or (reason(Path(path)) if path else ""))
    return list(last.values())


def stopped(before: str) -> str:
    """That a job was ended by a signal, by the lines of the log above its failure; else empty."""
    # the time of the failure stands between; the one before it is of another job
    lines = "\n".join(TIME.split(before)[-2:])
    codes = [(match["signal"], match["status"]) for match in SIGNAL.finditer(lines)]
    signal = int(codes[-1][0] or int(codes[-1][1]) - 128) if codes else 0
    return f"it was stopped (signal {signal})" if 0 < signal < 64 else ""


def reason(log: Path) -> str:
    """The last line of a rule's log that says why, else its last line."""
    if not log.is_file():
        return full(log.parent) or "it left no log: look at the job's own log of the cluster"
    lines = [line.strip() for line in log.read_text(errors="replace").splitlines() if line.strip()]
    errors = [line for line in lines if re.match(r"(error:|\w*(Error|Exception)\b)", line)]
    return (errors or lines or [full(log.parent) or "its log is empty"])[-1]


def full(folder: Path) -> str:
    """That no log can be written to a folder, where its disk is full; else empty."""
    while not folder.exists():
        folder = folder.parent
    if shutil.disk_usage(folder).free >= cli.LEAST_FREE:
        return ""
    return f"no space left on the disk of {folder}, its log could not be written"


# --- where to look --------------------------------------------------------------------------------


def look(run: Run) -> str:
    """The pages that exist, and the command of the report where it does not."""
    pages = [f"- [all tables and figures]({'index.html'}), one page"]
    for name, about in run.studies.items():
        for item in run.items(name):
            path = Path(item["file"]).relative_to(run.folder)
            if path.name == "comparison.html" or path.stem == about["figure"]:
                label = item["result"].split(maxsplit=1)[1]
                pages.append(f"- {about['title']}: [{label}]({path})")
    lines = ["## Where to look", "", f"In `{run.folder}`:", ""]
    if run.report.exists():
        pages.append("- [interactive report](report.html), one file to pass on")
        return "\n".join(lines + pages)
    if run.about["status"] == "failed":
        return "\n".join(lines + pages)
    command = [*report_words(run.about["command"]), "--report", str(run.report)]
    return "\n".join([*lines, *pages, "", "Next, the report in one file:", "", *block(command)])


def report_words(command: list[str]) -> list[str]:
    """A command without targets and force: the report is of all results."""
    words = itertools.dropwhile(lambda word: not word.startswith("-"), command[1:])
    return [command[0], *(word for word in words if word not in FORCE)]


def block(command: list[str]) -> list[str]:
    return ["```sh", shlex.join(command), "```"]


def disk(run: Run) -> str:
    """The size of the run, and of large folders that a later run makes again."""
    sizes = run.sizes()
    again = {
        path: count
        for path, count in sizes.items()
        if count >= LARGE and Path(path).name.split(".")[0] in (*MADE_AGAIN, "maps", "state")
    }
    text = f"Size on disk: {sum(sizes.values()) / 1e6:.0f} MB."
    if not again:
        return text
    parts = ", ".join(f"`{path}` {count / 1e6:.0f} MB" for path, count in again.items())
    return f"{text} May be deleted, and is made again by a later run that needs it: {parts}."


if __name__ == "__main__":
    cli.run(main)
