"""Jobs of each profile at survey size: what they ask for agrees with the GPUs that they use."""

import re
from typing import NamedTuple

import pytest
import yaml
from conftest import REPOSITORY, copy_repository, plan, sizes, snakemake

PROFILES = ["local", "slurm", "leonardo", "perlmutter", "perlmutter-node"]
# as on a login node of the site, or within an allocation of GPUs
ENVIRONMENT = {"SKYLOOM_ACCOUNT": "toy_0", "SLURM_GPUS": "4"}
# models of no survey by default that ask for a whole node
ADDED = {"co": ["cyclegan_as_presented_4_gpus"]}
STUDIES = sizes("survey")


class Job(NamedTuple):
    rule: str
    wildcards: dict[str, str]
    threads: int
    resources: dict[str, str]
    shell: str

    @property
    def gpus(self) -> int:
        return int(self.resources.get("gpu_slots", 0))


def settings(profile: str) -> dict:
    return yaml.safe_load((REPOSITORY / f"profiles/{profile}/config.yaml").read_text())


def pairs(line: str) -> dict[str, str]:
    return dict(item.split("=", 1) for item in line.split(", ")) if line else {}


def read_jobs(printed: str) -> list[Job]:
    """The jobs of a dry run with `-p`."""
    found = []
    for text in re.split(r"\n(?=\s*(?:local)?rule \w+:)", printed)[1:]:
        value = {
            key: (re.search(rf"^ +{key}: (.*)$", text, re.M) or ["", ""])[1]
            for key in ("wildcards", "threads", "resources")
        }
        shell = re.search(r"^ *Shell command: (.*)$", text, re.M) or re.search(r"scripts/.*", text)
        found.append(
            Job(
                re.search(r"rule (\w+):", text)[1],
                pairs(value["wildcards"]),
                int(value["threads"] or 1),
                pairs(value["resources"]),
                shell[0] if shell else "",
            )
        )
    return found


@pytest.fixture(scope="module")
def survey(tmp_path_factory):
    """`survey(profile)`: the jobs of all studies, and of the models in ADDED; each planned once."""
    folder = copy_repository(tmp_path_factory.mktemp("gpus") / "skyloom")
    models = {
        study: {"run_models": plan(study, "survey").models() + ADDED.get(study, [])}
        for study in STUDIES
    }
    (folder / "mine.yaml").write_text(yaml.safe_dump(models))
    planned = {}

    def jobs(profile: str) -> list[Job]:
        if profile not in planned:
            words = ["-n", "-p", "--profile", f"profiles/{profile}", "--configfile", "mine.yaml"]
            words += ["--config", "size=survey", "run=survey", f"studies=[{','.join(STUDIES)}]"]
            words += ["--cores", "64"] if settings(profile)["executor"] == "local" else []
            done = snakemake(folder, *words, environment=ENVIRONMENT)
            assert done.returncode == 0, done.stdout[-3000:]
            planned[profile] = read_jobs(done.stdout)
        return planned[profile]

    return jobs


def expected_gpus(job: Job) -> int:
    """By the config: a training has those of its entry, a job that predicts one at most."""
    w = job.wildcards
    if job.rule == "turbulence_simulate_clouds":
        return plan("turbulence", "survey")["families"][w["family"]]["gpus"]
    if job.rule == "co_predict_sky":
        return plan("co", "survey")["products"][w["product"]]["gpus"]
    if job.rule == "radio_search_images":
        return plan("radio", "survey")["search"]["gpus"]
    if job.rule == "co_test_steganography":
        w = w | {"study": "co"}
    if job.rule in ("train_model", "evaluate_model", "evaluate_transfer", "co_test_steganography"):
        gpus = plan(w["study"], "survey").entry(w["model"])["gpus"]
        return gpus if job.rule == "train_model" else min(gpus, 1)
    return 0


@pytest.mark.parametrize("profile", PROFILES)
def test_gpus_of_each_job_are_those_of_the_config(survey, profile):
    most = (settings(profile).get("resources") or {}).get("gpu_slots", 16)
    for job in survey(profile):
        assert job.gpus == min(expected_gpus(job), most), job
    assert {job.gpus for job in survey(profile)} == {0, 1, min(4, most)}


@pytest.mark.parametrize("profile", PROFILES)
def test_script_that_claims_gpus_gets_those_of_its_job(survey, profile):
    """A rule with slots passes them on, and its script has CUDA; all other scripts have none."""
    for job in survey(profile):
        script = REPOSITORY / f"scripts/{job.rule}.py"
        claims = script.exists() and "run(main, gpus=True)" in script.read_text()
        assert claims == ("gpu_slots" in job.resources), job.rule
        if claims:
            assert f"--gpus {job.gpus} " in job.shell


@pytest.mark.parametrize("profile", ["slurm", "leonardo", "perlmutter"])
def test_submitted_job_asks_slurm_for_its_gpus_and_for_nodes_that_have_them(survey, profile):
    defaults = settings(profile)["default-resources"]
    for job in survey(profile):
        asked = job.resources
        assert asked.get("gres", "") == (f"gpu:{job.gpus}" if job.gpus else ""), job
        if profile == "perlmutter":
            assert asked["constraint"] == ("gpu" if job.gpus else "cpu"), job
            assert asked["qos"] == ("regular" if job.gpus > 2 else "shared"), job
        else:
            assert asked.get("slurm_partition") == defaults.get("slurm_partition")
            assert not {"constraint", "qos"} & asked.keys()


def test_node_of_perlmutter_has_room_for_four_jobs_of_one_gpu(survey):
    limits = settings("perlmutter-node")
    for job in survey("perlmutter-node"):
        if job.gpus == 1:
            assert 4 * int(job.resources["mem_mb"]) <= limits["resources"]["mem_mb"], job
            assert 4 * job.threads <= limits["cores"], job


def test_survey_has_few_long_simulation_jobs(survey):
    simulations = [j for j in survey("perlmutter") if j.rule == "turbulence_simulate_clouds"]
    assert 0 < len(simulations) <= 40
