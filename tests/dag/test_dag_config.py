"""A config that is refused stops Snakemake before the graph is made, in words."""

import pytest
from conftest import REPOSITORY, snakemake


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "co: {run_models: [resunet]}",
            "config: co.run_models: unknown model 'resunet'; did you mean 'res_unet'?",
        ),
        (
            "turbulence: {sets: {quarter: {families: [cloud]}}}",
            "config: turbulence.sets.quarter.families: unknown family 'cloud'; did you mean",
        ),
        ("co: {seeds: [1]}\nco: {shards: 1}", "mine.yaml, line 2: the key 'co' is there a second"),
    ],
)
def test_wrong_config_is_refused_in_words(tmp_path, text, message):
    mine = tmp_path / "mine.yaml"
    mine.write_text(text)
    done = snakemake(REPOSITORY, "-n", "--configfile", str(mine))
    assert done.returncode != 0 and message in done.stdout, done.stdout[-2000:]
    assert "Traceback" not in done.stdout and len(done.stdout.splitlines()) < 6, done.stdout


def test_container_that_is_asked_for_must_be_named():
    refused = snakemake(REPOSITORY, "-n", "--sdm", "apptainer")
    assert refused.returncode != 0 and "config: container: not set" in refused.stdout
    image = ("--config", "container=skyloom.sif")
    named = snakemake(REPOSITORY, "-n", "--quiet", "--sdm", "apptainer", *image)
    assert "config: container" not in named.stdout
