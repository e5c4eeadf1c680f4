"""Outputs that a user brings: found by name in any folder, labelled by name, of one family."""

import json
import shutil
import sys

import numpy as np
import pytest
import xarray as xr
from ramses_files import octree, uniform_grid, write_output
from test_turbulence_read_cube import write_hdf5

import turbulence_read_outputs
from skyloom.cli import BadInput
from skyloom.turbulence.data import images
from skyloom.turbulence.read import outputs

CONFIG = {"source": "ramses", "pixels": 16, "refine": None, "mu": 2.33, "outputs": None}


def run(monkeypatch, inputs, target, **config):
    words = ["x", "--config", json.dumps(CONFIG | config), "--output", str(target)]
    monkeypatch.setattr(sys, "argv", [*words, "--inputs", *map(str, inputs)])
    turbulence_read_outputs.main()
    return xr.load_dataset(target)


def column(tree):
    """N / <N> - 1 along z (y, x), of cells on the grid of the finest level."""
    density = uniform_grid(*tree, 0).mean(axis=2).T
    return density / density.mean() - 1


@pytest.fixture
def runs(tmp_path):
    """Runs 1, 2 and 10, which sort by name as 1, 10, 2; the trees by name."""
    trees = {f"run{k}": octree(4, seed=k) for k in (1, 2, 10)}
    for name, tree in trees.items():
        write_output(tmp_path / "mine" / name, tree)
    return trees


def test_output_has_the_index_of_its_name_and_not_of_its_place(runs, tmp_path, monkeypatch, capsys):
    labels = {name: {"index": float(name[3:])} for name in ("run1", "run2", "run10")}
    inputs = sorted((tmp_path / "mine").iterdir())
    maps = run(monkeypatch, inputs, tmp_path / "c.nc", outputs=labels)
    log = capsys.readouterr().out
    for row, name in enumerate(maps["name"].values.tolist()):
        top = name.partition("/")[0]
        assert maps["index"].values[row] == float(top[3:])
        assert f"{top}/output_00007: index {top[3:]}, mach" in log
        # float32
        np.testing.assert_allclose(maps["column"].values[row, 2], column(runs[top]), atol=1e-6)
    assert len(maps["name"]) == 3


def test_label_of_a_run_holds_for_its_outputs_and_that_of_an_output_before_it(tmp_path):
    for number in ("00001", "00002"):
        write_output(tmp_path / number, octree(2))
        shutil.move(tmp_path / number / "output_00007", tmp_path / f"mine/run/output_{number}")
    labels = {"run": {"index": 4.0}, "run/output_00002": {"index": 3.0}}
    found = outputs.find([tmp_path / "mine/run"], "ramses", labels)
    assert [(output.name, output.facts["index"]) for output in found] == [
        ("run/output_00001", 4.0),
        ("run/output_00002", 3.0),
    ]


def test_list_of_one_entry_is_that_of_all_outputs(runs, tmp_path):
    found = outputs.find((tmp_path / "mine").iterdir(), "ramses", [{"index": 4.0}])
    assert [output.facts for output in found] == [{"index": 4.0}] * 3


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ({"run3": {"index": 4}}, r"run3 names no output \(outputs: run1/output_00007, run10/.*\)"),
        ({"run1": {"slope": 4}}, "run1: unknown slope; expected seed, index, mach, time_myr"),
        ([{"index": 4}, {"index": 3}], "a list of 2 entries; expected a table, name of an output"),
    ],
)
def test_labels_that_fit_no_output_are_refused(runs, tmp_path, labels, message):
    with pytest.raises(BadInput, match=f"config outputs: {message}"):
        outputs.find(sorted((tmp_path / "mine").iterdir()), "ramses", labels)


def grouped(folder):
    """RAMSES writes so with the option IOGROUPSIZE."""
    output = write_output(folder, octree(4, seed=1), processes=2)
    for process, group in ((1, "group_00001"), (2, "group_00002")):
        (output / group).mkdir()
        for path in output.glob(f"*.out{process:05d}"):
            path.rename(output / group / path.name)
    for path in [path for path in output.iterdir() if path.is_file()]:
        path.rename(output / "group_00001" / path.name)
    return output


def renamed(folder):
    output = write_output(folder, octree(4, seed=1))
    return output.rename(folder / "Mach_1.41 (n = 4)")


def linked(folder):
    (folder / "run").symlink_to(write_output(folder / "elsewhere", octree(4, seed=1)))
    return folder / "run"


@pytest.mark.parametrize("form", [grouped, renamed, linked])
def test_output_is_read_under_any_name_and_from_groups(tmp_path, monkeypatch, form):
    (tmp_path / "mine").mkdir()
    maps = run(monkeypatch, [form(tmp_path / "mine")], tmp_path / "c.nc")
    np.testing.assert_allclose(maps["column"].values[0, 2], column(octree(4, seed=1)), atol=1e-6)


def test_file_that_is_no_output_is_left_out_by_name(runs, tmp_path, capsys):
    (tmp_path / "mine/README.txt").write_text("Runs of the spring.\n")
    found = outputs.find(sorted((tmp_path / "mine").iterdir()), "ramses")
    assert len(found) == 3
    assert "mine/README.txt: a file, no output; left out" in capsys.readouterr().err


@pytest.mark.parametrize("source", ["cube", "maps"])
def test_text_next_to_cubes_or_maps_is_left_out_and_a_cube_in_a_folder_is_found(
    tmp_path, capsys, source
):
    (tmp_path / "mine/run").mkdir(parents=True)
    write_hdf5(tmp_path / "mine/run/a.h5")
    (tmp_path / "mine/notes.md").write_text("Grüße")
    found = outputs.find(sorted((tmp_path / "mine").iterdir()), source)
    assert [output.name for output in found] == ["run/a.h5"]
    assert "notes.md: a file, no output; left out" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: path.mkdir(), "mine: no output; expected folders with an info_NNNNN.txt"),
        (lambda path: path.write_text("x"), "mine: no output; expected folders with"),
        (lambda path: path.symlink_to("nowhere"), "mine: no such file or folder, or a link that"),
    ],
)
def test_place_without_an_output_is_refused(tmp_path, make, message):
    make(tmp_path / "mine")
    with pytest.raises(BadInput, match=message):
        outputs.find([tmp_path / "mine"], "ramses")


def test_incomplete_output_of_a_run_is_refused_and_not_passed_over(runs, tmp_path, monkeypatch):
    (tmp_path / "mine/run1/output_00008").mkdir()
    with pytest.raises(BadInput, match="run1/output_00008: info files not found; expected info_"):
        run(monkeypatch, [tmp_path / "mine/run1"], tmp_path / "c.nc")


# --- a family of several outputs -----------------------------------------------------------------


def test_outputs_of_other_levels_masses_and_temperatures_are_one_family(tmp_path, monkeypatch):
    trees = octree(3, seed=1), octree(4, seed=2)
    for cells in trees[1][1]:
        cells[4] *= 1.5  # pressure
    inputs = [write_output(tmp_path / f"{k}", tree) for k, tree in enumerate(trees)]
    maps = run(monkeypatch, inputs, tmp_path / "c.nc")
    for row, tree in enumerate(trees):
        wide = np.kron(column(tree), np.ones((16 // len(column(tree)),) * 2))
        np.testing.assert_allclose(maps["column"].values[row, 2], wide, atol=1e-6)
    masses = [uniform_grid(*tree, 0).mean() * 6.77e-22 for tree in trees]
    np.testing.assert_allclose(maps.attrs["mean_density_g_cm3"], sorted(masses), rtol=1e-12)
    low, high = maps.attrs["temperature_k"]
    assert high / low == pytest.approx(1.5) and maps.attrs["grid"].tolist() == [8, 16]
    with pytest.raises(BadInput, match="grid is 16; expected 8, .* or pixels in the config"):
        run(monkeypatch, inputs, tmp_path / "c.nc", pixels=None)


def test_output_that_is_not_isothermal_leaves_the_temperature_of_the_others(tmp_path, monkeypatch):
    warm = octree(4, seed=2)
    for cells in warm[1]:
        cells[4] *= np.random.default_rng(0).uniform(0.9, 1.1, cells[4].shape)
    inputs = [write_output(tmp_path / "a", octree(4)), write_output(tmp_path / "b", warm)]
    maps = run(monkeypatch, inputs, tmp_path / "c.nc")
    alone = run(monkeypatch, inputs[:1], tmp_path / "d.nc")
    assert set(maps.attrs["temperature_k"]) == {alone.attrs["temperature_k"]}
    assert "not isothermal" in json.loads(maps.attrs["remarks"])["b/output_00007"][0]


def test_outputs_of_other_boxes_are_no_family(tmp_path, monkeypatch):
    inputs = [
        write_output(tmp_path / "a", octree(3)),
        write_output(tmp_path / "b", octree(3), info={"boxlen": 2.0}),
    ]
    with pytest.raises(BadInput, match="b/.*: box_pc is 20.* or a family of its own"):
        run(monkeypatch, inputs, tmp_path / "c.nc")


def test_outputs_of_one_run_are_in_one_split(tmp_path, monkeypatch):
    """Snapshots of one run share their velocity field, as views of a simulation do."""
    for name in ("a", "b", "c"):
        for number in ("00001", "00002"):
            write_output(tmp_path / "raw" / number, octree(3, seed=ord(name)))
            target = tmp_path / f"mine/{name}/output_{number}"
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.move(tmp_path / "raw" / number / "output_00007", target)
    inputs = sorted((tmp_path / "mine").iterdir())
    maps = run(monkeypatch, inputs, tmp_path / "c.nc", outputs=[{"index": 4.0}])
    seeds = images.simulations_of("mine", maps)["seed"]
    assert (seeds[::2] == seeds[1::2]).all() and len(set(seeds)) == 3


def test_boxes_that_differ_by_rounding_are_one_size():
    from test_turbulence_images import SETTINGS, columns

    families = {
        "ours": columns(),
        "theirs": columns(first_seed=500).assign_attrs(box_pc=10.000000000000002),
    }
    assert images.cut_images(families, SETTINGS).attrs["box_pc"] == 10.0
    families["theirs"].attrs["box_pc"] = 20.0
    with pytest.raises(BadInput, match="box_pc differ: 10.0 in ours, 20.0 in theirs"):
        images.cut_images(families, SETTINGS)
