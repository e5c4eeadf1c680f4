# Skyloom: raw survey maps and simulation outputs to trained networks and test-set figures.
# `snakemake -n` shows what would run; README.md has the commands, docs/config/ every config key.
from snakemake.utils import min_version

min_version("9.27")


configfile: "config/config.yaml"


include: "workflow/rules/common.smk"
include: "workflow/rules/raw.smk"
include: "workflow/rules/train.smk"
include: "workflow/rules/results.smk"
include: "workflow/rules/report.smk"


for name in studies:

    include: f"workflow/rules/{name}/study.smk"


del name


if config["container"]:

    container: config["container"]


rule all:
    """Everything of every study in `studies:`."""
    default_target: True
    input:
        [getattr(rules, name).input for name in studies],
    message:
        "all results are written"


show_messages_in_runs(workflow)
shorten_runs(workflow)
group_shards(workflow)
if workflow.is_main_process and "slurm_account" in defaults:
    limit_poll_interval()

# What a run of survey size costs is said before anything is submitted.
if config["size"] == "survey" and workflow.is_main_process:
    print(*(line for s in studies.values() for line in s.estimate()), sep="\n", file=sys.stderr)
