# Skyloom: raw survey maps and simulation outputs to trained networks and test-set figures.
# `snakemake -n` shows what would run; README.md has the commands, docs/config.md every config key.
from snakemake.utils import min_version

min_version("9.27")


configfile: "config/config.yaml"


include: "workflow/rules/common.smk"
include: "workflow/rules/raw.smk"
include: "workflow/rules/train.smk"
include: "workflow/rules/report.smk"


for study in config["studies"]:

    include: f"workflow/rules/{study}.smk"


include: "workflow/rules/estimate.smk"


if config["container"]:

    container: config["container"]


rule all:
    """Everything of every study in `studies:`."""
    default_target: True
    input:
        [getattr(rules, study).input for study in config["studies"]],
