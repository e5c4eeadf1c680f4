"""Write results/<run>/summary.md: what was made, what failed and why in one sentence, and what to
type next.
"""

import json
import re
from datetime import UTC, datetime
from pathlib import Path

from skyloom.cli import atomic, parser, run

FAILED = re.compile(r"^Error in rule (\w+)", re.M)
RULE_LOG = re.compile(r"^\s+log: (\S+)", re.M)


def failures(snakemake_log: str) -> list[tuple[str, str, str]]:
    """(rule, its log file, its reason in one line) of every rule that failed, the last failure of
    each log.
    """
    found = {}
    for block in re.split(r"(?m)^(?=Error in rule )", snakemake_log)[1:]:
        rule = FAILED.match(block)[1]
        log = RULE_LOG.search(block)
        path = log[1].rstrip(",") if log else ""
        found[rule, path] = (rule, path, reason(Path(path)) if path else "")
    return list(found.values())


def reason(log: Path) -> str:
    """The last line of a rule's log that says why, else its last line."""
    if not log.is_file():
        return "it left no log: look at the job's own log of the cluster"
    lines = [line.strip() for line in log.read_text(errors="replace").splitlines() if line.strip()]
    telling = [line for line in lines if re.match(r"(error:|\w*(Error|Exception)\b)", line)]
    return (telling or lines or ["its log is empty"])[-1]


def verdict(study: Path) -> list[str]:
    """The lines of a finished study's verdict."""
    path = study / "verdict.json"
    if not path.is_file():
        return ["no verdict yet"]
    return [*json.loads(path.read_text())["text"].splitlines(), f"table: `{study}/comparison.csv`"]


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--status", choices=["finished", "failed"], required=True)
    arguments.add_argument("--results", type=Path, required=True)
    arguments.add_argument("--snakemake-log", type=Path, nargs="+", required=True)
    arguments.add_argument("--studies", nargs="+", required=True)
    args = arguments.parse_args()

    lines = [
        f"# Run {args.results.name}: {args.status}",
        "",
        f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        "",
    ]
    for study in args.studies:
        folder = args.results / study
        figures = sorted(str(path) for path in folder.glob("figures/*.png"))
        lines += [f"## {study}", "", *(f"- {line}" for line in verdict(folder))]
        lines += [f"- {len(figures)} figures in `{folder / 'figures'}`"] * bool(figures) + [""]
    if args.status == "failed":
        log = "\n".join(
            path.read_text(errors="replace") for path in args.snakemake_log if path.is_file()
        )
        lines += ["## What failed", ""]
        lines += [f"- `{rule}`: {why} (log: `{path}`)" for rule, path, why in failures(log)] or [
            f"- Snakemake stopped before a rule failed: see `{args.snakemake_log[0]}`"
        ]
        lines += [
            "",
            "Mend that, then type the same command again: what is finished is kept, training "
            "resumes.",
        ]
    else:
        lines += [
            f"Next: `snakemake --profile profiles/local --report {args.results}/report.zip`, with "
            "the same config."
        ]
    with atomic(args.results / "summary.md") as path:
        path.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    run(main)
