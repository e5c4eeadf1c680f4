"""What jobs ask for at each kind of site, and how that grows with attempts."""

import pytest
from snakemake.exceptions import WorkflowError

from dag import resources
from dag.resources import Site, growing, growing_unless_saved, require_account, require_container

CLUSTER = {"slurm_account": "me"}
SHARED = CLUSTER | {"constraint": "cpu", "gpu_constraint": "gpu"}
SHARED |= {"qos": "part", "node_qos": "whole", "shared_gpus": "2"}


def asked(rule: dict, wildcards=None, attempt: int = 1) -> dict:
    """The values of a rule's resources, as Snakemake evaluates them."""
    aware = ("runtime", "mem_mb")
    return {
        name: value(wildcards, attempt) if name in aware else value(wildcards)
        for name, value in rule.items()
    }


@pytest.fixture(autouse=True)
def machine(monkeypatch):
    """A login node: without a GPU, outside an allocation."""
    monkeypatch.setattr(resources, "installed_gpus", lambda: 0)
    for name in ("SLURM_GPUS", "SLURM_JOB_GPUS", "SLURM_GPUS_ON_NODE", "SLURM_STEP_GPUS"):
        monkeypatch.delenv(name, raising=False)


def test_cluster_without_kinds_of_nodes_is_asked_for_gpus_alone():
    for gpus, gres in ((0, None), (1, "gpu:1"), (4, "gpu:4")):
        assert asked(Site(CLUSTER).on_gpus(lambda w, n=gpus: n)) == {
            "gres": gres,
            "gpu_slots": gpus,
        }


@pytest.mark.parametrize(
    ("gpus", "constraint", "qos"),
    [(0, "cpu", "part"), (1, "gpu", "part"), (2, "gpu", "part"), (3, "gpu", "whole")],
)
def test_nodes_and_qos_follow_from_the_number_of_gpus(gpus, constraint, qos):
    found = asked(Site(SHARED).on_gpus(lambda w: gpus))
    assert (found["constraint"], found["qos"], found["gpu_slots"]) == (constraint, qos, gpus)


def test_prediction_starts_anew_with_more_time_and_memory():
    entry = {"gpus": 1, "runtime": 60, "mem_mb": 8000}
    rule = Site(CLUSTER).predicting(lambda w: entry)
    first, second = (asked(rule, attempt=attempt) for attempt in (1, 2))
    assert first == {"gres": "gpu:1", "gpu_slots": 1, "runtime": 60, "mem_mb": 8000}
    assert (second["runtime"], second["mem_mb"]) == (120, 16000)


def test_jobs_on_a_machine_without_a_gpu_wait_for_no_slot(monkeypatch):
    rule = Site({}).on_gpus(lambda w: 2)
    assert asked(rule) == {"gres": None, "gpu_slots": 0}
    monkeypatch.setattr(resources, "installed_gpus", lambda: 1)
    assert asked(rule)["gpu_slots"] == 2  # Snakemake bounds them by those of the profile


def test_allocation_of_gpus_is_asked_for_them_whether_or_not_they_work(monkeypatch):
    monkeypatch.setenv("SLURM_GPUS", "4")
    assert asked(Site({}).on_gpus(lambda w: 2))["gpu_slots"] == 2


def test_memory_grows_with_attempts_that_were_no_planned_slices(tmp_path):
    memory = growing_unless_saved(lambda w: 1000, lambda w: str(tmp_path))
    assert [memory(None, attempt) for attempt in (1, 2, 3)] == [1000, 2000, 3000]
    stops = (resources.STARTED - 60, resources.STARTED + 60)  # of another run, of this one
    (tmp_path / "stops").write_text("".join(f"{stop:.3f}\n" for stop in stops))
    assert [memory(None, attempt) for attempt in (1, 2, 3)] == [1000, 1000, 2000]


def test_resource_doubles_with_each_attempt_from_a_number_or_a_function_of_the_wildcards():
    assert [growing(60)(None, attempt) for attempt in (1, 2, 3)] == [60, 120, 240]
    assert growing(lambda w: w["size"] + 1)({"size": 4}, attempt=2) == 10


@pytest.mark.parametrize("account", ["", "$SKYLOOM_ACCOUNT"])
def test_account_that_is_not_set_is_refused_before_anything_is_submitted(monkeypatch, account):
    monkeypatch.delenv("SKYLOOM_ACCOUNT", raising=False)
    with pytest.raises(WorkflowError, match="export SKYLOOM_ACCOUNT="):
        require_account(account)
    monkeypatch.setenv("SKYLOOM_ACCOUNT", "toy_0")
    require_account("$SKYLOOM_ACCOUNT")


def test_container_that_is_asked_for_but_not_named_is_refused():
    with pytest.raises(WorkflowError, match="config: container: not set, but --sdm apptainer is"):
        require_container(None)
    require_container("skyloom.sif")
