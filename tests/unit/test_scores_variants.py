"""Models that differ in a key, in their test set, or in the size of their training set."""

import json
import sys

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from score_files import BLOCKS, write_model

import plot_training_size
import tabulate_transfer
import tabulate_variants
from skyloom import plotting
from skyloom.cli import BadInput
from skyloom.figures.training_size import training_size as draw
from skyloom.scores import records, training_size, transfer, variants

BASE = {"module": "cnn", "width": 16, "dropout": 0.3, "paired": True}
ENTRIES = {
    "cnn": BASE,
    "cnn_wide": BASE | {"width": 32},
    "cnn_dry": BASE | {"dropout": 0.0, "paired": False},
}
ITEMS = [
    {"name": "accuracy", "subset": "bright", "label": "accuracy", "chance": 0.5},
    {"name": "mse", "subset": "bright"},
    {"name": "balanced_accuracy", "subset": "bright", "chance": 0.5},
]


# --- variants -------------------------------------------------------------------------------------


def test_changed_keys_are_listed_with_both_values():
    assert variants.changes(BASE, BASE) == ""
    assert variants.changes(ENTRIES["cnn_wide"], BASE) == "width 16 -> 32"
    expected = "dropout 0.3 -> 0.0; paired true -> false"
    assert variants.changes(ENTRIES["cnn_dry"], BASE) == expected


def tabulate(tmp_path, monkeypatch, blocks=BLOCKS, **changes):
    """The table of three variants: on test the third is best, on validation the second."""
    paths, runs = [], []
    for model, test, valid in (("cnn", 0.8, 0.81), ("cnn_wide", 0.79, 0.84), ("cnn_dry", 0.9, 0.7)):
        for seed in range(2 if model == "cnn" else 1):
            loss = {"log_loss": 1 - valid, "accuracy": valid}
            scores = {"accuracy": test + 0.02 * seed, "log_loss": 0.5}
            more = {"seed": seed, "validation": loss, "blocks": blocks}
            path = write_model(tmp_path, model, "network", scores, **more)
            paths.append(path)
            run = {"model": model, "seed": seed, "steps": 100, "examples_seen": 1600}
            path.with_name("run.json").write_text(json.dumps(run))
            runs.append(path.with_name("run.json"))
    columns = pd.DataFrame({"model": ["cnn", "cnn"], "seed": [0, 1], "failure": [1.0, 3.0]})
    columns.to_csv(tmp_path / "columns.csv", index=False)
    config = {"base": BASE, "entries": ENTRIES, "split": "validation", "subset": "bright"}
    config |= {"scores": ["log_loss", "accuracy", "mse"], "chosen_by": ["log_loss", "mse"]}
    argv = ["tabulate_variants", "--config", json.dumps(config | changes)]
    argv += ["--metrics", *map(str, paths), "--runs", *map(str, runs)]
    argv += ["--columns", f"{tmp_path}/columns.csv", "--output", f"{tmp_path}/variants.csv"]
    monkeypatch.setattr(sys, "argv", argv)
    tabulate_variants.main()
    return pd.read_csv(tmp_path / "variants.csv", keep_default_na=False, na_values=[""])


def test_variants_are_chosen_on_validation_alone_whatever_test_says(tmp_path, monkeypatch, capsys):
    table = tabulate(tmp_path, monkeypatch)
    assert table.model.tolist() == list(ENTRIES) and table.changed.isna().tolist()[0]
    assert table.chosen.fillna("").tolist() == ["", "chosen", ""]
    assert table.accuracy.tolist() == pytest.approx([0.81, 0.84, 0.7])
    assert "mse" not in table and table.seeds.tolist() == [2, 1, 1]
    text = capsys.readouterr().out
    assert text.startswith("cnn_wide (width 16 -> 32) is best on validation: log_loss 0.16.")


def test_variants_of_the_test_split_have_its_scores_and_the_columns_of_the_study(
    tmp_path, monkeypatch
):
    table = tabulate(tmp_path, monkeypatch, split="test").set_index("model")
    assert table.accuracy.tolist() == pytest.approx([0.81, 0.79, 0.9])
    # seeds 0.02 apart with errors of 0.01
    assert table.accuracy_lo["cnn"] <= 0.8 and table.accuracy_hi["cnn"] >= 0.82
    assert table.accuracy_seed_scatter["cnn"] == pytest.approx(0.02 / 2**0.5, rel=1e-5)
    assert table.steps.tolist() == [100] * 3 and table.chosen["cnn_wide"] == "chosen"
    assert table.failure["cnn"] == 2 and np.isnan(table.failure["cnn_wide"])


def test_variants_of_few_blocks_have_no_interval_and_keep_its_columns(tmp_path, monkeypatch):
    table = tabulate(tmp_path, monkeypatch, blocks=np.arange(20) // 10)
    assert table.accuracy_lo.isna().all() and table.chosen.fillna("").tolist()[1] == "chosen"


def test_variant_without_a_score_is_refused(tmp_path, monkeypatch):
    with pytest.raises(BadInput, match="no score of cnn, cnn_wide, cnn_dry on the subset all"):
        tabulate(tmp_path, monkeypatch, subset="all")


# --- transfer -------------------------------------------------------------------------------------


@pytest.fixture
def transfers(tmp_path):
    scores = {"accuracy": 0.5, "balanced_accuracy": 0.62}
    return [
        write_model(tmp_path, "cnn", "network", {"accuracy": 0.5, "balanced_accuracy": 0.5})
        for tmp_path in [tmp_path / "far"]
    ] + [
        write_model(tmp_path / "own", "mix", "network", {"mse": 0.1}, name="mixed"),
        write_model(tmp_path / "near", "cnn", "network", scores, name="zoomed"),
        write_model(tmp_path / "own", "cnn", "network", {"accuracy": 0.9}, name="small", seed=1),
        write_model(tmp_path / "own", "cnn", "network", {"accuracy": 0.8}, name="small", seed=2),
    ]


TRAINED_ON = {"cnn": "small", "mix": "mixed"}


def test_transfers_begin_with_the_set_that_a_model_was_trained_on(transfers):
    table = transfer.table(records.read(transfers, draws=True), TRAINED_ON, ITEMS)
    rows = table[["model", "trained_on", "tested_on", "seeds"]].to_numpy().tolist()
    assert rows[0] == ["cnn", "small", "small", 2]
    assert [row[2] for row in rows] == ["small", "a", "zoomed", "mixed"]
    assert table.accuracy_bright.tolist()[:3] == pytest.approx([0.85, 0.5, 0.5])
    # seeds 0.1 apart: the pooled interval holds both
    assert table.accuracy_bright_lo[0] <= 0.8 and table.accuracy_bright_hi[0] >= 0.9
    assert table.mse_bright.notna().tolist() == [False, False, False, True]
    assert (table.n == 20).all() and (table.blocks == 20).all()


def test_sentences_of_a_transfer_go_by_the_score_that_is_asked_for(
    transfers, tmp_path, monkeypatch, capsys
):
    config = {"trained_on": TRAINED_ON, "headline": ITEMS, "transfer_score": "balanced_accuracy"}
    files = ["--metrics", *map(str, transfers), "--output", str(tmp_path / "transfer.csv")]
    argv = ["tabulate_transfer", "--config", json.dumps(config), *files]
    monkeypatch.setattr(sys, "argv", argv)
    tabulate_transfer.main()
    # accuracy is 0.5 on both
    expected = "cnn, trained on small: above chance on zoomed (0.62); at chance on a (0.50).\n"
    assert capsys.readouterr().out == expected
    assert pd.read_csv(tmp_path / "transfer.csv").model.tolist() == ["cnn"] * 3 + ["mix"]


def test_transfer_of_an_unknown_model_is_refused(transfers):
    with pytest.raises(BadInput, match="models mix found, expected cnn"):
        transfer.table(records.read(transfers, draws=True), {"cnn": "small"}, ITEMS)


# --- training size --------------------------------------------------------------------------------


def test_training_size_is_a_line_a_group_in_the_order_of_sizes(tmp_path, monkeypatch):
    paths, patches = [], []
    for size, value in ((8, 0.8), (2, 0.7)):
        name = f"set{size}"
        scores = {"accuracy": value, "balanced_accuracy": 0.1}
        paths.append(write_model(tmp_path, f"cnn_{size}", "network", scores, name=name))
        split = np.repeat(np.array([0, 2], np.int8), 2 * size)
        coords = {"split": ("example", split), "seed": ("example", np.arange(4 * size) // 2)}
        folder = tmp_path / "sets" / name
        folder.mkdir(parents=True)
        image = ("example", np.zeros(4 * size, np.float32))
        xr.Dataset({"image": image}, coords).to_netcdf(folder / "patches.nc")
        patches.append(folder / "patches.nc")
    config = {"lines": {"cnn_8": "cnn", "cnn_2": "cnn"}, "items": ITEMS, "source": "seed"}
    config |= {"models": {"cnn": {"kind": "network", "label": "the CNN", "marker": "D"}}}
    argv = ["x", "--config", json.dumps(config | {"label": "training simulations"})]
    argv += ["--metrics", *map(str, paths), "--patches", *map(str, patches)]
    monkeypatch.setattr(sys, "argv", [*argv, "--output", str(tmp_path / "size.png")])
    plot_training_size.main()
    assert (tmp_path / "size.png").exists() and (tmp_path / "size.pdf").exists()
    test = records.read(paths, draws=True)
    sizes = {"set8": 8, "set2": 2}
    table = training_size.table(test, config["lines"], sizes, ITEMS)
    assert table["size"].tolist() == [2, 8] and set(table.score) == {"accuracy"}
    looks = plotting.model_looks(config["models"])
    figure = draw(table, ITEMS, "training simulations", looks)
    assert figure.get_figwidth() == plotting.COLUMN
    (line,) = figure.axes[0].lines  # chance is far from these scores
    assert line.get_label() == "the CNN" and line.get_marker() == "D"
    np.testing.assert_allclose([line.get_xdata(), line.get_ydata()], [[2, 8], [0.7, 0.8]])
    assert "68 %" in figure.legends[0].get_title().get_text()
    near = draw(table.assign(lo=0.5), ITEMS, "training simulations", looks).axes[0]
    chance = next(line for line in near.lines if line.get_label() == "chance")
    assert set(chance.get_ydata()) == {0.5}


def test_model_without_a_score_to_draw_is_refused(tmp_path):
    path = write_model(tmp_path, "net", "network", {"log_loss": 0.1})
    test = records.read([path], draws=True)
    with pytest.raises(BadInput, match="no score of net among accuracy, mse, balanced_accuracy"):
        training_size.table(test, {"net": "net"}, {"a": 8}, ITEMS)
