# The report's front page, and summary.md at the end of every run, good or bad.
import subprocess


report: "../report/workflow.rst"


def summarise(status, logs):
    """Write results/<run>/summary.md; never let it hide how the run itself ended."""
    command = [
        sys.executable,
        str(BASE / "scripts" / "write_summary.py"),
        "--status",
        status,
        "--results",
        RUN,
    ]
    subprocess.run(
        [*command, "--snakemake-log", *map(str, logs), "--studies", *config["studies"]], check=False
    )


onsuccess:
    summarise("finished", log)


onerror:
    summarise("failed", log)
