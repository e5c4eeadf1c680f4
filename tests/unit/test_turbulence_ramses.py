"""RAMSES outputs: layout, descriptors, processes, boundaries, and what is refused; genuine ones
where they are there.

Reference values of the genuine outputs: the README of the data folder, where three independent
readers agree.
"""

import json
import lzma
import re
import sys

import numpy as np
import pytest
import xarray as xr
from ramses_files import leaf_count, octree, uniform_grid, write_output

import turbulence_read_outputs
from skyloom.cli import BadInput
from skyloom.turbulence.project.deposit import project
from skyloom.turbulence.read import ramses
from skyloom.turbulence.read.sources import read

SETTINGS = {"mu": 2.33}


def on_finest_grid(leaves, name, levels):
    """A variable of the leaves on the grid of the finest level (x, y[, z])."""
    dimensions = leaves.index.shape[1]
    grid = np.full((2**levels,) * dimensions, np.nan)
    for index, level, value in zip(leaves.index, leaves.level, leaves.values[name], strict=True):
        width = 2 ** (levels - level)
        grid[tuple(slice(i * width, (i + 1) * width) for i in index)] = value
    return grid


@pytest.mark.parametrize("boundaries", [False, True])
@pytest.mark.parametrize("processes", [1, 3])
@pytest.mark.parametrize("dimensions", [1, 2, 3])
def test_leaves_are_those_of_the_tree_that_was_written(tmp_path, dimensions, processes, boundaries):
    tree = octree(4, dimensions, seed=3)
    output = write_output(tmp_path, tree, processes=processes, boundaries=boundaries)
    leaves = ramses.read_leaves(output)
    assert len(leaves.level) == leaf_count(tree[0])
    for variable, name in ((0, "density"), (1, "velocity_x"), (dimensions + 1, "pressure")):
        np.testing.assert_array_equal(
            on_finest_grid(leaves, name, 4), uniform_grid(*tree, variable)
        )


@pytest.mark.parametrize("form", ["new", "old", None])
def test_every_form_of_descriptor_gives_the_same_simulation(tmp_path, form):
    simulation = next(read("ramses", write_output(tmp_path, octree(3), descriptor=form), SETTINGS))
    assert simulation.attributes["sound_speed_kms"] == pytest.approx(
        0.2 * 3.0856775814913674e14 / 3.15576e13
    )
    assert (len(simulation.remarks) == 1) == (form is None)


def test_order_of_the_variables_is_that_of_the_descriptor(tmp_path):
    refined, values = octree(3)
    names = ["pressure", "velocity_z", "density", "velocity_y", "velocity_x"]
    moved = [cells[[4, 3, 0, 2, 1]] for cells in values]
    leaves = ramses.read_leaves(write_output(tmp_path, (refined, moved), names=names))
    np.testing.assert_array_equal(
        on_finest_grid(leaves, "velocity_z", 3), uniform_grid(refined, values, 3)
    )


def test_output_in_single_precision_or_split_by_bisection_is_read(tmp_path):
    tree = octree(3)
    single = ramses.read_leaves(write_output(tmp_path / "a", tree, real="f4", ordering="bisection"))
    double = ramses.read_leaves(write_output(tmp_path / "b", tree))
    # float32
    np.testing.assert_allclose(single.values["density"], double.values["density"], rtol=1e-7)


def test_physical_units_box_time_and_mach_number(tmp_path):
    refined, values = octree(3)
    for cells in values:
        cells[0], cells[4] = 1.0, 0.04
        cells[1:4] = 0.0
        # rms 0.3 = 1.5 sound speeds at every level
        cells[1] = np.where(np.indices(cells[1].shape)[0] % 2, 0.3, -0.3)
    refined = [np.ones_like(cells) for cells in refined[:-1]] + [refined[-1]]
    simulation = next(
        read("ramses", write_output(tmp_path, (refined, values)), SETTINGS | {"box_pc": 10.0})
    )
    assert simulation.box_pc == pytest.approx(10.0, rel=1e-9)
    assert simulation.mean_density == pytest.approx(6.77e-22, rel=1e-12)
    assert simulation.facts["time_myr"] == pytest.approx(0.5, rel=1e-12)
    assert simulation.facts["mach"] == pytest.approx(1.5, rel=1e-12)
    assert (
        simulation.facts["steps"] == 42
        and not simulation.remarks
        and simulation.data_kind == "user-simulation"
    )
    # 0.2 code units are 1.956 km/s; m_H / k_B = 1.21213e-4 K (m/s)^-2
    assert simulation.attributes["temperature_k"] == pytest.approx(
        2.33 * 1.21213e-4 * 1955.59**2, rel=1e-4
    )


@pytest.mark.filterwarnings("ignore:Input line 1:UserWarning")
def test_osyris_reads_the_written_output_alike(tmp_path):
    """The writer of these tests is held to another reader's idea of the format."""
    osyris = pytest.importorskip("osyris")
    output = write_output(tmp_path, octree(4), processes=3, boundaries=True)
    _same_as_osyris(osyris, output)


def _same_as_osyris(osyris, output):
    """The same leaves: position, level, density, x velocity [cgs]; osyris keeps another order."""
    mesh = osyris.RamsesDataset(int(output.name[-5:]), path=str(output.parent)).load(["mesh"])[
        "mesh"
    ]
    simulation = next(read("ramses", output, {"mu": 2.33, "isothermal": False}))
    cells, box = simulation.gas, simulation.box_pc * 3.0856775814913674e18
    position = (cells.index + 0.5) * np.ldexp(1.0, -cells.level.astype(int))[:, None] * box
    mine = np.column_stack([position, cells.level, cells.density, cells.velocity[:, 0] * 1e5])
    theirs = [getattr(mesh["position"], axis).values for axis in "xyz"]
    theirs += [mesh["level"].values, mesh["density"].values, mesh["velocity"].x.values]
    theirs = np.column_stack(theirs)
    mine[:, :3], theirs[:, :3] = mine[:, :3] / box, theirs[:, :3] / box
    # sorted by whole cells of level 20, so that rounding does not change the order
    order = [np.lexsort(np.rint(table[:, :3] * 2**20).T) for table in (mine, theirs)]
    # units multiplied in another order
    np.testing.assert_allclose(mine[order[0]], theirs[order[1]], rtol=1e-12)
    return mine


@pytest.mark.parametrize("kind", ["amr", "hydro"])
def test_missing_file_of_a_process_is_named(tmp_path, kind):
    output = write_output(tmp_path, octree(3), processes=3)
    (output / f"{kind}_00007.out00002").unlink()
    with pytest.raises(
        BadInput,
        match=rf"{kind}_00007.out00002 not found; expected amr and hydro files of 3 processes",
    ):
        ramses.read_leaves(output)


@pytest.mark.parametrize("kind", ["amr", "hydro"])
def test_file_cut_short_anywhere_is_refused(tmp_path, kind):
    output = write_output(tmp_path, octree(2), boundaries=True)
    path = output / f"{kind}_00007.out00001"
    whole = path.read_bytes()
    for size in range(0, len(whole), 97):
        path.write_bytes(whole[:size])
        with pytest.raises(
            BadInput, match=rf"{path.name}: (cut short, {size} bytes found|empty file)"
        ):
            ramses.read_leaves(output)
    path.write_bytes(whole + whole[:12])
    with pytest.raises(BadInput, match="12 bytes after the last level"):
        ramses.read_leaves(output)


@pytest.mark.parametrize("processes", [1, 4])
@pytest.mark.parametrize(
    "form",
    [{"marker": "<i8"}, {"marker": ">i4"}, {"marker": ">i8"}, {"real": "f4", "place": "f8"}],
)
def test_other_compilers_and_machines_write_the_same_output(tmp_path, form, processes):
    """Lengths of eight bytes look like lengths of four bytes where there are four processes."""
    tree = octree(3)
    other = ramses.read_leaves(write_output(tmp_path / "a", tree, processes=processes, **form))
    plain = ramses.read_leaves(write_output(tmp_path / "b", tree, processes=processes))
    np.testing.assert_array_equal(other.index, plain.index)
    tolerance = 1e-7 if form.get("real") == "f4" else 0
    np.testing.assert_allclose(other.values["density"], plain.values["density"], rtol=tolerance)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"no Fortran file at all, but long enough", "(cut short|a record of .* bytes at byte 0)"),
        (bytes(4096), "begins with zeros, as a failed transfer leaves it; copy it again"),
    ],
)
def test_file_that_is_no_fortran_file_is_refused(tmp_path, content, message):
    output = write_output(tmp_path, octree(2))
    (output / "hydro_00007.out00001").write_bytes(content)
    with pytest.raises(BadInput, match=f"hydro_00007.out00001: {message}"):
        ramses.read_leaves(output)


def test_file_of_another_output_is_refused(tmp_path):
    output = write_output(tmp_path / "a", octree(4, seed=1))
    other = write_output(tmp_path / "b", octree(4, seed=2))
    (output / "hydro_00007.out00001").write_bytes((other / "hydro_00007.out00001").read_bytes())
    with pytest.raises(BadInput, match="as in the amr file: files of one output?"):
        ramses.read_leaves(output)


def test_files_of_fewer_processes_do_not_pass_for_the_whole_box(tmp_path):
    output = write_output(tmp_path, octree(3), processes=2)
    for kind in ("amr", "hydro"):
        (output / f"{kind}_00007.out00002").write_bytes(
            (output / f"{kind}_00007.out00001").read_bytes()
        )
    with pytest.raises(BadInput, match="leaf cells fill .* of the box; expected 1"):
        ramses.read_leaves(output)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("# version:  9\n 1, density, d", "unknown form of descriptor .version 9."),
        ("density velocity pressure", "unknown form of descriptor"),
        (
            "# version:  1\n 1, density, d\n 2, velocity_x, d",
            "2 variables; expected 5, as in the hydro files",
        ),
        ("# version:  1\n 1, density, d\n 1, density, d", "numbered 1, 1; expected 1 to 2"),
        (
            "\n".join(
                f"variable # {k}: {name}" for k, name in enumerate(["rho", "u", "v", "w", "P"], 1)
            ),
            "variable density, velocity_x, velocity_y, velocity_z not found .variables: rho, u, "
            "v, w, P.",
        ),
    ],
)
def test_unknown_descriptor_is_refused(tmp_path, text, message):
    with pytest.raises(BadInput, match=message):
        ramses.read_leaves(write_output(tmp_path, octree(2), descriptor=text))


def test_without_a_descriptor_the_pressure_of_a_magnetic_run_is_not_guessed(tmp_path, capsys):
    output = write_output(tmp_path, octree(2, variables=11), descriptor=None)
    simulation = next(read("ramses", output, SETTINGS))
    assert "isothermal or not is unknown" in capsys.readouterr().err
    assert np.isnan(simulation.attributes["sound_speed_kms"])


def run_entry_point(monkeypatch, output, target, **config):
    defaults = {
        "source": "ramses",
        "pixels": 16,
        "refine": None,
        "outputs": None,
        "mu": 2.33,
        "isothermal": True,
    }
    arguments = [
        "--config",
        json.dumps(defaults | config),
        "--inputs",
        str(output),
        "--output",
        str(target),
    ]
    monkeypatch.setattr(sys, "argv", ["turbulence_read_outputs.py", *arguments])
    turbulence_read_outputs.main()
    with xr.open_dataset(target) as maps:
        return maps.load()


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0.677000000000000E-21", 6.77e-22),
        ("0.677D-21", 6.77e-22),
        ("0.677000000000000-121", 6.77e-122),
        ("+0.677+121", 6.77e120),
        ("6.77e-22 ! g/cc", 6.77e-22),
        ("****", None),
        ("NaN", None),
        ("Infinity", None),
        ("-1.0", None),
        ("0.677E-21E", None),
    ],
)
def test_numbers_of_the_info_file_are_those_of_fortran(tmp_path, text, value):
    info = write_output(tmp_path, octree(2)) / "info_00007.txt"
    lines = re.sub("(?m)^unit_d.*$", f"unit_d      = {text}", info.read_text())
    info.write_text(f"H0          = 0.1-100\nrubbish     = ****\n{lines}")
    if value is None:
        with pytest.raises(BadInput, match=re.escape(f"unit_d is '{text}'; expected a number ab")):
            ramses.read_info(info)
    else:
        assert ramses.read_info(info)["unit_d"] == pytest.approx(value, rel=1e-12)


def test_scalars_may_have_any_name(tmp_path):
    names = ["density", "velocity_x", "velocity_y", "velocity_z", "pressure", "metal-Fe", "O/H"]
    tree = octree(2, variables=7)
    leaves = ramses.read_leaves(write_output(tmp_path, tree, names=names))
    np.testing.assert_array_equal(on_finest_grid(leaves, "O/H", 2), uniform_grid(*tree, 6))


def test_velocity_that_is_no_number_is_refused(tmp_path):
    refined, values = octree(2)
    values[2][1] = np.nan
    values[1][1] = np.nan
    with pytest.raises(BadInput, match="velocity of .* values is not finite; expected numbers"):
        next(read("ramses", write_output(tmp_path, (refined, values)), SETTINGS))


def test_output_of_mini_ramses_is_named_as_one(tmp_path):
    (tmp_path / "output_00001").mkdir()
    (tmp_path / "output_00001/info.txt").write_text("nfile = 1\nndim = 3\n")
    with pytest.raises(BadInput, match="output of mini-RAMSES is not read: write a covering grid"):
        ramses.read_leaves(tmp_path / "output_00001")


def test_other_physics_is_warned_of_and_recorded_in_the_file(tmp_path, monkeypatch, capsys):
    refined, values = octree(3)
    for cells in values:
        cells[4] = cells[0] ** (5 / 3)
    output = write_output(tmp_path, (refined, values))
    (output / "namelist.txt").write_text("&RUN_PARAMS\nhydro=.true.\n poisson = .TRUE.\n/\n")
    maps = run_entry_point(monkeypatch, output, tmp_path / "columns.nc")
    error = capsys.readouterr().err
    for words in ("not isothermal: pressure / density is", "self-gravitating"):
        assert (
            words in error
            and words in json.loads(maps.attrs["remarks"])["output_00007"][words[0] == "s"]
        )
    run_entry_point(monkeypatch, output, tmp_path / "columns.nc", isothermal=False)
    assert not capsys.readouterr().err


def test_pressure_below_zero_does_not_pass_for_isothermal(tmp_path, capsys):
    refined, values = octree(2)
    values[2][4, 0, 0, 0] = -values[2][4, 0, 0, 0]
    refined = [refined[0], np.ones_like(refined[1]), refined[2]]
    simulation = next(read("ramses", write_output(tmp_path, (refined, values)), SETTINGS))
    assert "pressure / density is -1 to 1 times its median" in capsys.readouterr().err
    assert np.isnan(simulation.attributes["sound_speed_kms"])


def test_column_maps_of_an_output_follow_the_contract(tmp_path, monkeypatch):
    refined, values = octree(4)
    output = write_output(tmp_path, (refined, values), processes=2)
    labels = {"output_00007": {"seed": 3, "index": 4.0, "mach": 1.41}}
    maps = run_entry_point(
        monkeypatch, output, tmp_path / "columns.nc", outputs=labels, box_pc=10.0
    )
    density = uniform_grid(refined, values, 0)  # x, y, z
    momentum = [density * uniform_grid(refined, values, k) for k in (1, 2, 3)]
    speed = 3.0856775814913674e14 / 3.15576e13
    for axis, name in enumerate("xyz"):
        expected = density.mean(axis=axis).T  # rows follow the later coordinate
        found = maps.sel(axis=name).isel(simulation=0)
        # float32
        np.testing.assert_allclose(found.column, expected / density.mean() - 1, atol=1e-6)
        centroid = momentum[axis].mean(axis=axis).T / expected * speed
        np.testing.assert_allclose(found.centroid, centroid, rtol=1e-5, atol=1e-5 * speed)
    assert maps.column.dims == ("simulation", "axis", "y", "x") and maps.column.dtype == np.float32
    assert (maps.seed.item(), maps["index"].item(), maps.mach.item(), maps.ok.item()) == (
        3,
        4.0,
        1.41,
        1,
    )
    mean_column = density.mean() * 6.77e-22 * 3.0856775814913674e19
    assert maps.column.attrs["mean_column_g_cm2"] == pytest.approx(mean_column, rel=1e-12)
    assert (maps.attrs["source"], maps.attrs["data_kind"], maps.attrs["grid"]) == (
        "ramses",
        "user-simulation",
        16,
    )


@pytest.mark.parametrize("value", [np.nan, -1.0])
def test_bad_density_is_refused(tmp_path, value):
    refined, values = octree(2)
    values[2][0, 1, 2, 3] = value
    values[1][0] = value  # of cells that have sons, or not
    refined = [refined[0], np.ones_like(refined[1]), refined[2]]
    with pytest.raises(
        BadInput, match=f"density of 1 of 64 cells is {'negative' if value < 0 else 'not finite'}"
    ):
        ramses.read_leaves(write_output(tmp_path, (refined, values)))


def test_box_in_the_wrong_units_is_refused_with_a_guess(tmp_path):
    output = write_output(tmp_path, octree(2))
    with pytest.raises(BadInput, match=r"box_pc is 10; expected 10000, .* \(kpc taken for pc\?\)"):
        next(read("ramses", output, SETTINGS | {"box_pc": 1e4}))
    with pytest.raises(
        BadInput, match="mass_msun is .*; expected 1e[+]06, as the config says .mass_"
    ):
        next(read("ramses", output, SETTINGS | {"mass_msun": 1e6}))


def test_simulation_in_two_dimensions_is_not_projected(tmp_path):
    with pytest.raises(BadInput, match="ndim is 2; expected a simulation in three dimensions"):
        next(read("ramses", write_output(tmp_path, octree(3, dimensions=2)), SETTINGS))


def test_folder_or_info_file_that_is_none_is_refused(tmp_path):
    with pytest.raises(BadInput, match="info files not found; expected info_NNNNN.txt of one"):
        ramses.read_leaves(tmp_path)
    output = write_output(tmp_path, octree(2))
    info = output / "info_00007.txt"
    info.write_text(re.sub("unit_l.*\n", "", info.read_text()))
    with pytest.raises(BadInput, match="unit_l not found"):
        ramses.read_leaves(output)
    info.unlink()
    with pytest.raises(BadInput, match="expected info_NNNNN.txt"):
        ramses.read_leaves(output)


def test_unknown_source_is_refused():
    with pytest.raises(BadInput, match="source is 'enzo'; expected one of simulated, ramses, cube"):
        read("enzo", "data")


@pytest.fixture(scope="module")
def genuine(realdata, tmp_path_factory):
    """A genuine output by name and number, unpacked."""

    def unpack(name, number, inner=""):
        target = tmp_path_factory.mktemp(name) / f"output_{number:05d}"
        target.mkdir()
        for file in (realdata / "turbulence" / name / inner).iterdir():
            content = file.read_bytes()
            packed = file.suffix == ".xz"
            (target / (file.stem if packed else file.name)).write_bytes(
                lzma.decompress(content) if packed else content
            )
        return target

    return unpack


@pytest.fixture(scope="module")
def halo(genuine):
    return genuine("ramses3d_64_8cpu", 10)


def test_genuine_output_of_eight_processes_has_its_leaves_and_its_mass(halo):
    leaves = ramses.read_leaves(halo)
    density = leaves.values["density"]
    assert leaves.level.size == 262_144 and set(leaves.level) == {6}
    # the order of the sum
    assert np.sum(density / 64**3) == pytest.approx(1.848558367800465, rel=1e-14)
    assert (density.min(), density.max()) == (0.018358654976917597, 217.15601805525432)


def test_genuine_output_is_neither_isothermal_nor_free_of_self_gravity(halo, capsys):
    simulation = next(read("ramses", halo, SETTINGS))
    mass = simulation.mean_density * (simulation.box_pc * 3.0856775814913674e18) ** 3
    assert mass == pytest.approx(9.01576031535714e40, rel=1e-13)
    error = capsys.readouterr().err
    assert "not isothermal" in error and "self-gravitating" in error


@pytest.mark.filterwarnings("ignore:Input line 1:UserWarning")
def test_column_density_of_the_genuine_output_is_that_of_osyris_cells(halo):
    osyris = pytest.importorskip("osyris")
    cells = _same_as_osyris(osyris, halo)
    density, _ = project(next(read("ramses", halo, SETTINGS)).gas, 64)
    for axis in range(3):
        rows, columns = [cells[:, k] for k in (2, 1, 0) if k != axis]
        edges = np.linspace(0, 1, 65)
        expected, _, _ = np.histogram2d(rows, columns, (edges, edges), weights=cells[:, 4] / 64)
        np.testing.assert_allclose(density[axis], expected, rtol=1e-13)


@pytest.mark.parametrize(
    ("number", "counts", "least", "most"),
    [
        (1, [240, 48, 48, 48, 49, 52, 32], 1.0, 1.0),
        (2, [79, 283, 783, 1836, 4017, 8592, 18608], 0.01706300527037063, 19.120367253027798),
    ],
)
def test_genuine_refined_output_without_descriptor_is_read_to_its_last_byte(
    genuine, number, counts, least, most
):
    """Seven levels; `read_leaves` refuses a file of which a byte is left."""
    leaves = ramses.read_leaves(genuine("ramses2d_amr_sedov", number, f"output_{number:05d}"))
    found, n = np.unique(leaves.level, return_counts=True)
    assert (found.tolist(), n.tolist()) == ([4, 5, 6, 7, 8, 9, 10], counts)
    density = leaves.values["density"]
    assert np.sum(density * np.ldexp(1.0, -2 * leaves.level.astype(int))) == pytest.approx(
        1.0, rel=1e-13
    )
    assert (density.min(), density.max()) == (least, most)
