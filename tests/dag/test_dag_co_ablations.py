"""The ablations of the adversarial models are planned where they run, and a name that is none is
refused.
"""

import pytest
import yaml
from conftest import copy_repository, snakemake

R1 = {"module": "cyclegan", "set": "co10", "target": "denoised", "r1": 5.0}


@pytest.fixture(scope="module")
def plan(tmp_path_factory):
    house = copy_repository(tmp_path_factory.mktemp("ablations") / "skyloom")

    def dry_run(**co):
        (house / "mine.yaml").write_text(yaml.safe_dump({"co": co}))
        return snakemake(house, "-n", "--configfile", "mine.yaml")

    return dry_run


def test_table_and_test_of_the_cycle_are_planned_for_what_runs(plan):
    models = {"cyclegan_r1": R1, "cyclegan_hinge": R1 | {"gan_loss": "hinge"}}
    ablations = {"base": "cyclegan", "models": ["cyclegan_r1", "cyclegan_hinge"]}
    done = plan(
        run_models=["cyclegan", "cyclegan_r1", "constant"], models=models, ablations=ablations
    )
    assert done.returncode == 0, done.stdout[-3000:]
    jobs = done.stdout.split("Job stats:")[1].split("total")[0].split()
    planned = dict(zip(jobs[::2], jobs[1::2], strict=True))
    assert planned["co_tabulate_ablations"] == "1" and planned["co_test_steganography"] == "2"
    alone = plan(run_models=["res_unet", "constant"], models=models, ablations=ablations).stdout
    assert "co_tabulate_ablations" not in alone and "co_test_steganography" not in alone


def test_ablation_that_no_model_defines_is_refused_with_the_nearest_known_one(plan):
    done = plan(models={"cyclegan_r1": R1}, ablations={"models": ["cyclegan_rl"]})
    assert done.returncode != 0
    assert (
        "config: co.ablations: unknown model 'cyclegan_rl'; did you mean 'cyclegan_r1'?"
        in done.stdout
    )
