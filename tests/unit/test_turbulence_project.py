"""Column density: exact deposit of leaf cells, conserved mass, and shards of snapshots to the file
of column maps.
"""

import json
import sys

import netCDF4
import numpy as np
import pytest
import xarray as xr
from ramses_files import octree, uniform_grid, write_output

import turbulence_project_columns
from skyloom.cli import BadInput
from skyloom.turbulence.project.deposit import ROW_COLUMN, deposit, overlap, project, resample
from skyloom.turbulence.read.simulation import AXES, Cells, Cube
from skyloom.turbulence.read.sources import read

N = 16
PC_CM, MSUN_G = 3.0856775814913674e18, 1.988409870698051e33  # IAU 2015; solar mass of CODATA 2018
MEAN_DENSITY = 1e4 * MSUN_G / (10 * PC_CM) ** 3


def area_average(image, pixels):
    """Exact means on `pixels` by way of the finest grid that has both edges: repeat each cell, then
    average.
    """
    fine = np.lcm(len(image), pixels)
    image = image.repeat(fine // len(image), 0).repeat(fine // len(image), 1)
    return image.reshape(pixels, fine // pixels, pixels, fine // pixels).mean(axis=(1, 3))


@pytest.fixture(scope="module")
def refined_cells(tmp_path_factory):
    """(cells of four levels up to 2^4, their density on the finest grid in the order z, y, x)."""
    tree = octree(4, seed=5)
    simulation = next(
        read("ramses", write_output(tmp_path_factory.mktemp("tree"), tree), {"mu": 2.33})
    )
    return simulation.gas, uniform_grid(*tree, 0).T * 6.77e-22


@pytest.mark.parametrize("pixels", [2, 3, 8, 12, 16, 25, 32, 50])
def test_leaf_cells_fall_on_any_pixels_in_proportion_to_area(refined_cells, pixels):
    """Pixels larger and smaller than cells of every level, aligned with them and not."""
    cells, grid = refined_cells
    density, _ = project(cells, pixels)
    for axis in range(3):
        expected = area_average(grid.mean(axis=2 - axis), pixels)
        np.testing.assert_allclose(density[axis], expected, rtol=1e-13)  # order of the sums


@pytest.mark.parametrize("pixels", [1, 7, 16, 250])
def test_mass_is_conserved_to_round_off(refined_cells, pixels):
    cells, _ = refined_cells
    mass = np.sum(cells.density * 0.125 ** cells.level.astype(float))
    np.testing.assert_allclose(project(cells, pixels)[0].mean(axis=(1, 2)), mass, rtol=1e-14)


def test_one_cell_is_seen_where_it_is():
    """A cell of level 2 at x 3/4 to 1, y 0 to 1/4, z 1/2 to 3/4 on 8 pixels, of 16 g cm-3: 1/4 of
    the line of sight.
    """
    cells = Cells(np.array([[3, 0, 2]], np.int32), np.array([2], np.int8), np.array([16.0]))
    span = {0: slice(6, 8), 1: slice(0, 2), 2: slice(4, 6)}
    for axis, rows, columns in (("x", 2, 1), ("y", 2, 0), ("z", 1, 0)):
        expected = np.zeros((8, 8))
        expected[span[rows], span[columns]] = 4.0
        np.testing.assert_array_equal(deposit(cells, cells.density, axis, 8), expected)
        assert ROW_COLUMN[axis] == (rows, columns)


def test_very_deep_levels_take_no_more_memory_than_the_map():
    rng = np.random.default_rng(0)
    cells = Cells(
        rng.integers(0, 2**24, (1000, 3), dtype=np.int32),
        np.full(1000, 24, np.int8),
        rng.random(1000),
    )
    image = deposit(cells, cells.density, "z", 10)
    row, column = (cells.index[:, [1, 0]] * 10 // 2**24).T
    expected = np.zeros((10, 10))
    np.add.at(expected, (row, column), cells.density * cells.volume * 100)
    np.testing.assert_allclose(image, expected, rtol=1e-4)  # one cell in 10^6 lies across an edge


@pytest.mark.parametrize(("cells", "pixels"), [(16, 16), (16, 12), (12, 16), (5, 32), (64, 250)])
def test_each_cell_is_shared_out_whole_and_each_pixel_filled(cells, pixels):
    share = overlap(cells, pixels)
    np.testing.assert_allclose(share.sum(axis=0), 1, rtol=1e-14)
    np.testing.assert_allclose(share.sum(axis=1), cells / pixels, rtol=1e-14)


def test_uniform_cube_with_velocity_is_projected_as_its_cells_are(refined_cells):
    """The grid of the finest level, as a cube and as cells, along each axis."""
    rng = np.random.default_rng(1)
    density, velocity = rng.uniform(0.5, 2, (N, N, N)), rng.standard_normal((3, N, N, N))
    z, y, x = (index.ravel().astype(np.int32) for index in np.indices(density.shape))
    as_cells = Cells(
        np.stack([x, y, z], axis=1),
        np.full(N**3, 4, np.int8),
        density.ravel(),
        velocity.reshape(3, -1).T,
    )
    for pixels in (N, 10):
        for one, other in zip(
            project(Cube(density, velocity), pixels), project(as_cells, pixels), strict=True
        ):
            np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-13)


def test_uniform_flow_has_its_own_velocity_as_centroid_everywhere():
    rng = np.random.default_rng(2)
    velocity = np.broadcast_to(np.array([1.0, -2.0, 3.0])[:, None, None, None], (3, N, N, N))
    _, centroid = project(Cube(rng.uniform(0.1, 10, (N, N, N)), velocity), 12)
    np.testing.assert_allclose(
        centroid, np.array([1.0, -2.0, 3.0])[:, None, None] * np.ones((12, 12)), rtol=1e-13
    )


def test_resampling_to_the_same_pixels_changes_no_bit():
    image = np.random.default_rng(3).random((N, N))
    assert resample(image, N) is image
    np.testing.assert_allclose(resample(image, 24), area_average(image, 24), rtol=1e-13)


def write_shard(path, contrasts, first_seed=0, **changes):
    """A shard as the contract describes it; `changes` are attributes, or None to leave one out."""
    count, n = len(contrasts), contrasts[0].shape[0]
    attributes = {
        "box_pc": 10.0,
        "mass_msun": 1e4,
        "temperature_k": 10.0,
        "mu": 2.33,
        "sound_speed_kms": 0.188,
    }
    attributes |= {"scheme": "MUSCL-Hancock LLF", "order": 2, "grid": n, "initial_kmax": n // 2 - 1}
    attributes |= {
        "mean_density_g_cm3": MEAN_DENSITY,
        "data_kind": "simulated",
        "source": "simulated",
        **changes,
    }
    with netCDF4.Dataset(path, "w") as file:
        file.setncatts({key: value for key, value in attributes.items() if value is not None})
        for name, size in (
            ("simulation", count),
            ("axis", 3),
            *((name, n) for name in ("z", "y", "x", "row", "column")),
        ):
            file.createDimension(name, size)
        file.createVariable("density_contrast", "f4", ("simulation", "z", "y", "x"))[:] = np.array(
            contrasts
        )
        centroid = np.arange(count * 3 * n * n).reshape(count, 3, n, n) / 1e3
        file.createVariable("centroid", "f4", ("simulation", "axis", "row", "column"))[:] = centroid
        facts = {
            "index": 4.0,
            "mach": 1.41,
            "time_myr": 0.5,
            "mass_error": 1e-16,
            "momentum_error": 1e-17,
        }
        for name, value in facts.items():
            file.createVariable(name, "f8", ("simulation",))[:] = value
        file.createVariable("seed", "i8", ("simulation",))[:] = first_seed + np.arange(count)
        file.createVariable("steps", "i4", ("simulation",))[:] = 11
        file.createVariable("ok", "i1", ("simulation",))[:] = 1
    return path


def contrast(seed, rms=0.005):
    """White noise of the rms that the study's simulations have, of mean 0."""
    noise = np.random.default_rng(seed).standard_normal((N, N, N)) * rms
    return np.float32(noise - noise.mean())


def project_shards(monkeypatch, shards, target, **config):
    defaults = {"box_pc": 10.0, "mass_msun": 1e4, "pixels": None, "refine": None}
    arguments = [
        "--config",
        json.dumps(defaults | config),
        "--snapshots",
        *map(str, shards),
        "--output",
        str(target),
    ]
    monkeypatch.setattr(sys, "argv", ["turbulence_project_columns.py", *arguments])
    turbulence_project_columns.main()
    with xr.open_dataset(target) as maps:
        return maps.load()


def test_shards_become_one_file_of_column_maps(tmp_path, monkeypatch):
    shards = [
        write_shard(tmp_path / f"{k}.nc", [contrast(2 * k), contrast(2 * k + 1)], 2 * k)
        for k in range(2)
    ]
    maps = project_shards(monkeypatch, shards, tmp_path / "columns.nc")
    assert maps.column.dims == ("simulation", "axis", "y", "x") and maps.column.shape == (
        4,
        3,
        N,
        N,
    )
    for k in range(4):
        for axis in range(3):
            expected = contrast(k).astype(np.float64).mean(axis=2 - axis)
            # float32 keeps 6e-8 of a map whose rms is 1e-3; the mean of the contrast is 0 to the
            # same
            np.testing.assert_allclose(maps.column[k, axis], expected, atol=2e-9)
    np.testing.assert_allclose(
        maps.centroid[0].values.ravel(), np.arange(3 * N * N) / 1e3, rtol=1e-6
    )
    assert maps.seed.values.tolist() == [0, 1, 2, 3] and maps.ok.values.tolist() == [1] * 4
    # 1e4 Msun / (10 pc)^2
    assert maps.column.attrs["mean_column_g_cm2"] == pytest.approx(0.0209, rel=2e-3)
    assert (maps.attrs["order"], maps.attrs["scheme"], maps.attrs["data_kind"]) == (
        2,
        "MUSCL-Hancock LLF",
        "simulated",
    )


def test_structure_of_a_few_thousandths_survives_the_float32_of_the_files(tmp_path, monkeypatch):
    exact = np.random.default_rng(0).standard_normal((N, N, N)) * 0.002
    exact -= exact.mean()
    maps = project_shards(
        monkeypatch, [write_shard(tmp_path / "a.nc", [np.float32(exact)])], tmp_path / "c.nc"
    )
    column = exact.mean(axis=0)
    assert np.abs(maps.column[0, 2] - column).max() < 1e-6 * column.std()


@pytest.mark.parametrize(("value", "word"), [(np.nan, "not finite"), (-1.5, "negative")])
def test_simulation_with_bad_density_is_left_out_by_seed_and_the_rest_kept(
    tmp_path, monkeypatch, capsys, value, word
):
    bad = contrast(1)
    bad[3, 4, 5] = value
    shard = write_shard(tmp_path / "a.nc", [contrast(0), bad, contrast(2)], 100)
    maps = project_shards(monkeypatch, [shard], tmp_path / "columns.nc")
    assert maps.ok.values.tolist() == [1, 0, 1]
    assert np.isnan(maps.column[1]).all() and np.isfinite(maps.column[[0, 2]]).all()
    assert word in json.loads(maps.attrs["failures"])["101"]
    assert (
        f"seed 101 left out: simulation 1: density of 1 of {N**3} cells is {word}"
        in capsys.readouterr().err
    )


def test_failure_that_the_solver_recorded_is_passed_on(tmp_path, monkeypatch):
    shard = write_shard(
        tmp_path / "a.nc", [contrast(0), contrast(1)], failures=json.dumps({"1": "unstable step"})
    )
    with netCDF4.Dataset(shard, "a") as file:
        file["ok"][1] = 0
        file["density_contrast"][1] = np.nan
    maps = project_shards(monkeypatch, [shard], tmp_path / "columns.nc")
    assert json.loads(maps.attrs["failures"]) == {
        "1": "unstable step"
    } and maps.ok.values.tolist() == [1, 0]


def test_shards_of_which_all_simulations_failed_are_refused(tmp_path, monkeypatch):
    shard = write_shard(tmp_path / "a.nc", [np.full((N, N, N), np.nan, np.float32)])
    with pytest.raises(BadInput, match="no simulation to project, 1 have failed: .*not finite"):
        project_shards(monkeypatch, [shard], tmp_path / "columns.nc")


@pytest.mark.parametrize(
    ("changes", "config", "message"),
    [
        (
            {},
            {"box_pc": 0.01},
            r"box_pc is 10; expected 0.01, as the config says \(pc taken for kpc\?\)",
        ),
        ({"mass_msun": 1e4 * MSUN_G}, {"mass_msun": None}, r"mass_msun is .*; expected 10000"),
        ({"mean_density_g_cm3": None}, {}, "attribute mean_density_g_cm3 not found"),
    ],
)
def test_shard_of_another_box_or_without_an_attribute_is_refused(
    tmp_path, monkeypatch, changes, config, message
):
    with pytest.raises(BadInput, match=message):
        project_shards(
            monkeypatch,
            [write_shard(tmp_path / "a.nc", [contrast(0)], **changes)],
            tmp_path / "c.nc",
            **config,
        )


def test_simulation_without_structure_is_refused(tmp_path, monkeypatch):
    shard = write_shard(tmp_path / "a.nc", [np.zeros((N, N, N), np.float32)])
    with pytest.raises(BadInput, match="a.nc: column density is constant along each axis"):
        project_shards(monkeypatch, [shard], tmp_path / "columns.nc")


def test_shards_that_differ_in_scheme_are_not_mixed(tmp_path, monkeypatch):
    shards = [write_shard(tmp_path / f"{order}.nc", [contrast(0)], order=order) for order in (1, 2)]
    with pytest.raises(
        BadInput, match="2.nc: order is 2; expected 1, as in the simulations before it"
    ):
        project_shards(monkeypatch, shards, tmp_path / "columns.nc")


def test_file_that_is_no_shard_or_is_cut_short_is_refused(tmp_path):
    with pytest.raises(BadInput, match="no such file"):
        next(read("simulated", tmp_path / "none.nc"))
    shard = write_shard(tmp_path / "a.nc", [contrast(0)])
    (tmp_path / "b.nc").write_bytes(shard.read_bytes()[:5000])
    with pytest.raises(BadInput, match="b.nc: cut short, 5000 bytes found"):
        next(read("simulated", tmp_path / "b.nc"))
    with netCDF4.Dataset(shard, "a") as file:
        file.renameVariable("centroid", "velocity")
    with pytest.raises(BadInput, match="variable centroid has dimensions None"):
        next(read("simulated", shard))


def test_the_mimic_of_refinement_leaves_mass_and_centroid(tmp_path, monkeypatch):
    shard = write_shard(tmp_path / "a.nc", [contrast(0, rms=0.2)])
    plain = project_shards(monkeypatch, [shard], tmp_path / "plain.nc")
    refine = {"thresholds": [1.1, 1.05], "expand": 0}
    maps = project_shards(monkeypatch, [shard], tmp_path / "mimic.nc", refine=refine)
    assert json.loads(maps.attrs["refine"]) == refine and maps.attrs[
        "refine_volume_share"
    ].sum() == pytest.approx(1)
    assert 0 < maps.column.std() < 0.9 * plain.column.std()
    np.testing.assert_allclose(maps.column.mean(dim=("y", "x")), 0, atol=1e-7)
    np.testing.assert_array_equal(maps.centroid, plain.centroid)
    assert "not coarsened" in maps.centroid.attrs["long_name"] and tuple(maps.axis.values) == AXES
