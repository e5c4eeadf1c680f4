"""Check that a cluster accepts the resources of a profile. It submits nothing.

    python scripts/check_site.py --profile profiles/leonardo

Run it on a login node before the first run. It finds faults that otherwise appear late: packages of
the site in PYTHONPATH, jobs that Slurm refuses, and a short MinJobAge. With a short MinJobAge Slurm
drops a finished job before Snakemake queries it, and Snakemake waits forever. It also prints
whether HOME can be written, and the versions of the GPU driver and of torch, which must fit each
other; login nodes often have no driver.
"""

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import yaml

from skyloom import cli, gpus

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "workflow"))
from dag.resources import Site

# Options of sbatch that the plugin sets from the resources of a profile.
SBATCH_OPTIONS = {
    "slurm_account": "--account",
    "slurm_partition": "--partition",
    "qos": "--qos",
    "constraint": "--constraint",
    "runtime": "--time",
    "mem_mb": "--mem",
    "nodes": "--nodes",
    "gres": "--gres",
}
# key of a profile: first interval between two queries of the queue [s]
INTERVAL = "slurm-init-seconds-before-status-checks"
# MinJobAge over this interval; the plugin warns below three (its validation.py)
LEAST_INTERVALS = 3


def read_profile(path: Path) -> dict:
    """The settings of a Slurm profile. Raises BadInput with the first setting that is missing."""
    if not path.exists():
        raise cli.BadInput(f"{path}: not found; expected the folder of a profile")
    profile = yaml.safe_load(path.read_text()) or {}
    if profile.get("executor") != "slurm":
        raise cli.BadInput(f"{path}: executor is {profile.get('executor')}, expected slurm")
    if not isinstance(profile.get(INTERVAL), int):
        raise cli.BadInput(
            f"{path}: {INTERVAL} is {profile.get(INTERVAL)}, expected a number of seconds, "
            "such as 10"
        )
    if "slurm_account" not in (profile.get("default-resources") or {}):
        raise cli.BadInput(
            f"{path}: default-resources has no slurm_account, expected $SKYLOOM_ACCOUNT"
        )
    return profile


def slurm(*command: str) -> str:
    """The output of a Slurm command. Raises BadInput with Slurm's message where it refuses."""
    try:
        done = subprocess.run(command, text=True, capture_output=True, timeout=60)
    except FileNotFoundError:
        raise cli.BadInput(
            f"{command[0]}: not found; expected Slurm's commands on PATH, as on a login node"
        ) from None
    if done.returncode:
        raise cli.BadInput(f"{' '.join(command)}: {done.stderr.strip()}")
    return done.stdout + done.stderr


def check_packages() -> None:
    """Refuse packages of the site: Snakemake imports them before it can leave them out."""
    if path := os.environ.get("PYTHONPATH"):
        raise cli.BadInput(
            f"PYTHONPATH is {path}, expected none: its packages would replace those of the"
            " environment. unset PYTHONPATH, in ~/.bashrc after the modules"
        )


def home() -> str:
    """Whether HOME can be written; a disk that is full shows at the end of the file."""
    path = Path.home()
    try:
        with tempfile.TemporaryFile(dir=path) as file:
            file.write(bytes(cli.LEAST_FREE))
    except OSError as error:
        reason = f"{path} cannot be written ({error.strerror})"
        return f"{reason}: without a profile, export XDG_CACHE_HOME=<a folder on scratch>"
    return f"{path} can be written"


def check_min_job_age(profile: dict) -> str:
    """Compare MinJobAge [s] of the site with the profile's interval between two queries [s]."""
    match = re.search(r"MinJobAge\s*=\s*(\d+)", slurm("scontrol", "show", "config"))
    age = int(match.group(1)) if match else 0
    least = LEAST_INTERVALS * profile[INTERVAL]
    if age < least:
        raise cli.BadInput(
            f"MinJobAge is {age} s, expected at least {least} s: set"
            f" {INTERVAL} in the profile to {max(1, age // LEAST_INTERVALS)}"
        )
    return f"MinJobAge {age} s"


def check_job(resources: dict) -> str:
    """Ask Slurm whether it accepts a job with these resources, without a submission."""
    values = {name: os.path.expandvars(str(value)) for name, value in resources.items()}
    if values["slurm_account"] in ("", "$SKYLOOM_ACCOUNT"):
        raise cli.BadInput("SKYLOOM_ACCOUNT is not set: export SKYLOOM_ACCOUNT=<account to charge>")
    options = [
        f"{option}={values[name]}" for name, option in SBATCH_OPTIONS.items() if name in values
    ]
    return slurm("sbatch", "--test-only", *options, "--wrap=true").strip().removeprefix("sbatch: ")


def on_gpus(defaults: dict, count: int) -> dict:
    """What a job with so many GPUs asks for beside the default resources of a profile."""
    asked = Site(defaults).on_gpus(lambda wildcards: count)
    return {name: value(None) for name, value in asked.items() if value(None) is not None}


def main() -> None:
    parser = cli.parser(__doc__)
    parser.add_argument(
        "--profile", type=Path, default=Path("profiles/slurm"), help="folder of the profile"
    )
    parser.add_argument(
        "--gpus", type=int, default=1, help="GPUs of a training job; 0 for a cluster without GPUs"
    )
    args = parser.parse_args()
    profile = read_profile(args.profile / "config.yaml")
    check_packages()

    defaults = profile["default-resources"]
    training = defaults | on_gpus(defaults, args.gpus) | {"nodes": 1}
    print(f"home        {home()}")
    print(f"driver      {gpus.driver()} on this node")
    print(f"torch       {gpus.wheel()}")
    print(f"status      {check_min_job_age(profile)}")
    print(f"CPU rules   {check_job(defaults)}")
    print(f"training    {check_job(training)}")
    print(f"prediction  {check_job(defaults | on_gpus(defaults, min(args.gpus, 1)))}")
    limit = {key: value for key, value in profile.get("resources", {}).items() if key == "runtime"}
    if limit:
        print(f"time limit  {check_job(training | limit)}")


if __name__ == "__main__":
    cli.run(main)
