"""A shard of simulations: its plan, its cost, its file, and one failed simulation."""

import json
import subprocess
import sys

import numpy as np
import pretended_gpu
import pytest
import xarray as xr
from conftest import REPOSITORY

from skyloom.cli import BadInput
from skyloom.turbulence import physics
from skyloom.turbulence.simulate.clouds import clouds
from skyloom.turbulence.simulate.cost import cost, steps
from skyloom.turbulence.simulate.plan import shard, simulations

CONFIG = {
    "seed": 40,
    "simulations": 4,
    "index": [11 / 3, 4],
    "mach": 1.41,
    "time_myr": 0.5,
    "grid": 16,
    "box_pc": 10,
    "mass_msun": 1e4,
    "temperature_k": 10,
    "mu": 2.33,
    "order": 2,
    "courant": 0.5,
    "initial_kmax": None,
    "backend": "numba",
    "precision": "float64",
    "compile": False,
    "batch": 1,
}
RUNAWAY = {"mach": [1.41, 1.41, 1e6]}  # every third simulation fails


def run(config: dict, path, *options: str) -> subprocess.CompletedProcess:
    script = REPOSITORY / "scripts/turbulence_simulate_clouds.py"
    words = [
        sys.executable,
        script,
        "--config",
        json.dumps(config),
        "--output",
        path,
        "--shard",
        "0",
        "--shards",
        "1",
    ]
    return subprocess.run([*map(str, words), *options], capture_output=True, text=True)


def test_sound_speed_and_means_are_those_of_the_published_cloud():
    assert physics.sound_speed_kms(10, 2.33) == pytest.approx(0.188, abs=5e-4)
    assert physics.sound_speed_kms(10, 1) == pytest.approx(0.287, abs=5e-4)  # RAMSES' default
    assert physics.mean_density(1e4, 10) == pytest.approx(6.77e-22, rel=1e-3)
    assert physics.mean_column(1e4, 10) == pytest.approx(0.0209, rel=2e-3)


def test_shards_together_are_the_set_and_draws_depend_on_the_seed_alone():
    config = CONFIG | {"simulations": 7, "index": {"low": 3, "high": 4.5}}
    rows = simulations(config)
    assert sum((shard(rows, k, 3) for k in range(3)), []) == rows
    assert simulations(config | {"seed": 42, "simulations": 2}) == rows[2:4]
    index = [row["index"] for row in simulations(config | {"simulations": 1000})]
    # the tolerance of the mean is 4 sigma
    assert 3 <= min(index) and max(index) <= 4.5 and np.mean(index) == pytest.approx(3.75, abs=0.06)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"courant": 1.5}, "courant is 1.5.*unstable"),
        ({"grid": 15}, "grid is 15"),
        ({"mu": 0}, "mu is 0"),
        ({"box_pc": None}, "box_pc is None; expected a positive number"),
        ({"time_myr": [0.5, -1]}, "time_myr is -1.0 at seed 41"),
        ({"mach": []}, "mach is an empty list"),
    ],
)
def test_impossible_plan_is_refused_by_key(change, named):
    with pytest.raises(BadInput, match=named):
        simulations(CONFIG | change)


def test_cost_is_that_of_the_steps_taken_and_needs_no_scientific_library():
    for change in ({}, {"mach": 2.82}, {"time_myr": 2.0}):
        config = CONFIG | {"grid": 32, "simulations": 1} | change
        rows = simulations(config)
        ((_, done),) = clouds(config, rows)
        # the tolerance is the scatter of the fastest cell of a field
        assert steps(config, rows[0]) == pytest.approx(done.steps, rel=0.15, abs=1)
        assert cost(config, rows).cell_updates == 32**3 * steps(config, rows[0])
    code = "import sys, skyloom.turbulence.simulate.cost;"
    code += " print({'numpy', 'numba', 'torch', 'scipy'} & set(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=REPOSITORY / "scripts", capture_output=True, text=True
    )
    assert done.stdout.strip() == "set()", done.stderr


def test_shard_holds_the_contracts_fields_and_closes_its_balances(tmp_path):
    done = run(CONFIG, tmp_path / "shard.nc")
    assert done.returncode == 0, done.stderr
    with xr.open_dataset(tmp_path / "shard.nc") as file:
        assert file.density_contrast.dims == ("simulation", "z", "y", "x")
        assert file.centroid.dims == ("simulation", "axis", "row", "column")
        assert file.density_contrast.dtype == file.centroid.dtype == np.float32
        assert file.seed.values.tolist() == [40, 41, 42, 43] and file.ok.values.all()
        np.testing.assert_allclose(file["index"], [11 / 3, 4] * 2)
        assert file.mass_error.max() < 1e-15 and file.momentum_error.max() < 1e-15
        assert file.data_kind == file.source == "simulated" and json.loads(file.failures) == {}
        assert file.initial_kmax == 7 and file.sound_speed_kms == pytest.approx(0.188, abs=5e-4)
        contrast, centroid = file.density_contrast.values[0], file.centroid.values[0]
    (_, cloud) = next(clouds(CONFIG, simulations(CONFIG)))
    np.testing.assert_array_equal(contrast, cloud.contrast.astype(np.float32))
    # the mean of the column-weighted centroid is the mean velocity of the box, which is 0
    for axis, image in zip((2, 1, 0), centroid, strict=True):
        assert abs(((1 + contrast.mean(axis)) * image).mean()) < 1e-7 * abs(image).max()  # float32


def test_failed_simulation_is_reported_by_seed_and_the_rest_of_the_shard_kept(tmp_path):
    done = run(CONFIG | RUNAWAY, tmp_path / "shard.nc")
    assert done.returncode == 0
    assert "seed 42 failed: unstable: time step of" in done.stderr
    with xr.open_dataset(tmp_path / "shard.nc") as file:
        assert file.ok.values.tolist() == [1, 1, 0, 1]
        assert list(json.loads(file.failures)) == ["42"]
        for name in ("density_contrast", "centroid", "mass_error"):
            bad = np.isnan(file[name].values.reshape(4, -1))
            assert bad[2].all() and not bad[[0, 1, 3]].any()


def test_shard_of_one_failed_simulation_does_not_stop_its_family(tmp_path):
    done = run(CONFIG | {"simulations": 1, "mach": 1e6}, tmp_path / "shard.nc")
    assert done.returncode == 0 and "seed 40 failed: unstable: time step of" in done.stderr
    with xr.open_dataset(tmp_path / "shard.nc") as file:
        assert file.ok.values.tolist() == [0] and "unstable" in json.loads(file.failures)["40"]


def test_unstable_courant_number_is_an_error_and_leaves_no_file(tmp_path):
    done = run(CONFIG | {"courant": 1.0}, tmp_path / "shard.nc")
    assert done.returncode == 2 and "unstable" in done.stderr and done.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_batches_on_torch_give_the_same_clouds():
    alone = list(clouds(CONFIG, simulations(CONFIG)))
    together = list(clouds(CONFIG | {"backend": "torch", "batch": 3}, simulations(CONFIG), "cpu"))
    for (row, ours), (same, theirs) in zip(alone, together, strict=True):
        assert row == same and ours.steps == theirs.steps
        np.testing.assert_allclose(ours.contrast, theirs.contrast, rtol=0, atol=1e-13)
        np.testing.assert_allclose(ours.centroid, theirs.centroid, rtol=0, atol=1e-13)


def test_field_leaves_the_gpu_as_contrast_and_centroid_alone(monkeypatch):
    """A copy of the whole state to the host would be four times as much as both."""
    if pretended_gpu.reason():
        pytest.skip(pretended_gpu.reason())
    config = CONFIG | {"backend": "torch", "batch": 2, "simulations": 2}
    here = list(clouds(config, simulations(config), "cpu"))
    with pretended_gpu.pretended_gpu() as machine:
        there = list(clouds(config, simulations(config), "cuda"))
    for (row, ours), (same, theirs) in zip(here, there, strict=True):
        assert row == same and ours.steps == theirs.steps
        np.testing.assert_array_equal(ours.contrast, theirs.contrast)
        np.testing.assert_array_equal(ours.centroid, theirs.centroid)
    copies = {line: n for (what, line), n in machine.waits.items() if what == "to the CPU"}
    signals = copies.pop(next(line for line in copies if line.startswith("solver_torch")))
    assert signals == here[0][1].steps + 1  # the signal speeds, once a step
    assert sum(copies.values()) == 4  # contrast and centroid of two simulations
