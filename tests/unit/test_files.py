"""A broken file between two rules is refused by its name."""

import re

import numpy as np
import pytest
import xarray as xr
from run_files import write_run
from score_files import write_model

import co_plot_panels
import tabulate_training
from skyloom import files
from skyloom.cli import BadInput
from skyloom.co import figures, score_figures
from skyloom.co.data.regions import read_tiles
from skyloom.pages import run
from skyloom.scores import records
from skyloom.turbulence.figures import scores as turbulence_figures

TILES = "tile,glon,glat,split,complex,bright_fraction,sampling_weight\n7,10,-20,train,,0.5,1\n"


@pytest.fixture
def model(tmp_path):
    """The folder of an evaluated model."""
    return write_model(tmp_path, "net", "network", {"accuracy": 0.9}).parent


def cut(path, share=0.6):
    """Keep the first bytes of a file, as a full disk does."""
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])


READERS = {
    "predictions.nc": [lambda path: co_plot_panels.read([path], 20)],
    "curves.nc": [
        lambda path: score_figures.read([path], {}, path, {}),
        lambda path: turbulence_figures.read([path], [], path, {}, {}, "roc"),
    ],
    "scores.nc": [lambda path: records.read([path.with_name("metrics.json")], draws=True)],
    "metrics.json": [lambda path: records.read([path])],
}
CASES = [(name, reader) for name, readers in READERS.items() for reader in readers]


@pytest.mark.parametrize(("name", "reader"), CASES)
def test_a_file_of_an_evaluation_that_is_cut_short_is_named(model, name, reader):
    cut(model / name)
    with pytest.raises(BadInput, match=rf"seed1/{re.escape(name)}: .*cut short"):
        reader(model / name)


@pytest.mark.parametrize("reader", [read_tiles, lambda path: figures.featured(path, "a")])
def test_a_table_that_is_cut_short_is_named(tmp_path, reader):
    path = tmp_path / "table.csv"
    path.write_text("set,model,kind,chosen\na,net,network,chosen\n")
    if reader is read_tiles:
        path.write_text(TILES)
    reader(path)
    cut(path, 0.9)
    with pytest.raises(BadInput, match=r"table\.csv: the last line has no end; cut short\?"):
        reader(path)


def test_a_value_that_is_no_number_is_named_with_its_row(tmp_path):
    path = tmp_path / "tiles.csv"
    path.write_text(TILES + "8,north,-20,train,,0.5,1\n")
    with pytest.raises(BadInput, match=r"tiles\.csv: row 2: glon is 'north'; expected a number"):
        read_tiles(path)
    path.write_text(TILES + "8,10,-20,train\n")
    with pytest.raises(BadInput, match=r"row 2: bright_fraction is .*; expected a number"):
        read_tiles(path)
    path.write_text(TILES.replace("glon", "lon"))
    with pytest.raises(BadInput, match=r"tiles\.csv: column glon not found \(columns: tile, lon"):
        read_tiles(path)


def test_the_account_of_a_training_is_named_where_it_is_broken(tmp_path, monkeypatch):
    written = write_run(tmp_path / "mine")
    path = written.folder / "toy/models/net/seed0/run.json"
    text = path.read_text()
    cut(path)
    with pytest.raises(BadInput, match=r"seed0/run\.json: no JSON at line 1.*cut short"):
        _ = run.read(written.folder).trainings
    path.write_text(text.replace("device_seconds", "seconds"))
    words = ["tabulate", f"--runs={path}", f"--output={tmp_path / 'training.csv'}"]
    monkeypatch.setattr("sys.argv", words)
    with pytest.raises(BadInput, match=r"seed0/run\.json: key .*device_seconds not found"):
        tabulate_training.main()


def test_the_account_of_a_run_is_named_where_it_is_broken(tmp_path):
    folder = write_run(tmp_path / "mine").folder
    cut(folder / "run.json")
    with pytest.raises(BadInput, match=r"mine/run\.json: no JSON"):
        run.read(folder)


def test_damage_that_shows_when_values_are_read_is_named(tmp_path):
    """The size is right, and the header; a disk has lost a block in between."""
    values = np.random.default_rng(1).normal(size=40000)
    for name in ("good.nc", "bad.nc"):
        packed = {"map": {"zlib": True, "chunksizes": (4000,)}}
        xr.Dataset({"map": ("pixel", values)}).to_netcdf(tmp_path / name, encoding=packed)
    path = tmp_path / "bad.nc"
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 4096] = bytes(4096)
    path.write_bytes(content)
    message = r"bad\.nc: damaged \(NetCDF: .*\); expected a netCDF-4 file that is whole"
    with pytest.raises(BadInput, match=message):
        files.load_dataset(path)
    # of several open files the damaged one is named
    with (
        pytest.raises(BadInput, match=message),
        files.open_dataset(path) as bad,
        files.open_dataset(tmp_path / "good.nc"),
    ):
        bad["map"].values.sum()


def test_an_error_of_the_caller_is_not_blamed_on_the_file(model):
    with pytest.raises(KeyError, match="absent"), files.open_dataset(model / "scores.nc") as file:
        _ = file["absent"]


@pytest.mark.parametrize("reader", [files.read_json, files.read_csv, files.load_dataset])
def test_what_is_there_and_what_was_expected_are_said(tmp_path, reader):
    kind = {"read_json": "JSON", "read_csv": "CSV", "load_dataset": "netCDF-4"}[reader.__name__]
    with pytest.raises(BadInput, match=rf"none: no such file; expected a {kind} file"):
        reader(tmp_path / "none")
    (tmp_path / "empty").touch()
    with pytest.raises(BadInput, match=rf"empty: (empty|begins with b''); expected a {kind} file"):
        reader(tmp_path / "empty")
    (tmp_path / "image").write_bytes(b"\x89PNG\r\n")
    with pytest.raises(BadInput, match=rf"image: .*; expected a {kind} file"):
        reader(tmp_path / "image")


def test_json_of_another_shape_is_refused(tmp_path):
    path = tmp_path / "metrics.json"
    path.write_text("[1, 2]\n")
    with pytest.raises(BadInput, match=r"metrics\.json: a list found; expected a JSON object"):
        files.read_json(path)
    path.write_text('{"study": "co"}\n')
    with pytest.raises(BadInput, match=r"metrics\.json: key model not found \(keys: study\)"):
        files.read_json(path, ["study", "model"])


def test_entry_points_read_by_these_readers_alone(repository):
    """Any other reader ends in the words of a library, without the file's name."""
    other = re.compile(r"xr\.(open|load)_|pd\.read_|json\.load\(|json\.loads\(\S*read_text")
    exempt = {
        "files.py",
        "turbulence_score_panel.py",  # answers of a person, whose last line may have no end
        "finished.py",  # a record that is cut short is none
    }
    found = {
        path.name
        for path in (repository / "scripts").rglob("*.py")
        if path.name not in exempt and other.search(path.read_text())
    }
    assert not found
