"""The turbulence study's figures show the numbers of their files."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr
import yaml
from matplotlib import pyplot as plt
from matplotlib.patches import Rectangle
from test_turbulence_images import SIMULATIONS, columns, cut

import turbulence_plot_scores
from skyloom.cli import BadInput
from skyloom.scores.records import RECORD, write_json
from skyloom.turbulence.evaluate import evaluate
from skyloom.turbulence.figures import images, index, scores, transfer

REPOSITORY = Path(__file__).resolve().parents[2]
PUBLISHED = yaml.safe_load((REPOSITORY / "config/turbulence/published.yaml").read_text())
SETTINGS = {"draws": 50, "seed": 0, "index_edges": [3.5, 3.75, 4.25]}
VIEWS = 12


def patches(indices: list[float]) -> xr.Dataset:
    """Test rows of simulations of these indices, 12 views each, without their images."""
    simulation = np.repeat(np.arange(len(indices)), VIEWS)
    known = {
        "simulation": simulation,
        "index": np.array(indices)[simulation],
        "family": np.zeros(len(simulation), int),
    }
    data = xr.Dataset({"target": ("example", known["index"].astype(np.float32))})
    data = data.assign_coords({name: ("example", values) for name, values in known.items()})
    data["family"].attrs = {"flag_values": [0], "flag_meanings": "clouds"}
    return data.assign_attrs(classes=np.array([11 / 3, 4.0]))


def write(
    folder: Path,
    model: str,
    kind: str,
    seed: int,
    rows: xr.Dataset,
    predictions: xr.Dataset,
    **more,
) -> Path:
    """curves.nc and metrics.json as evaluate_model writes them; the folder."""
    records, curves, *_ = evaluate(rows, predictions, {}, SETTINGS)
    records = [{key: record[key] for key in RECORD} for record in records]
    about = {
        "study": "turbulence",
        "model": model,
        "kind": kind,
        "seed": seed,
        "set": "quarter",
    } | more
    here = folder / model / f"seed{seed}"
    here.mkdir(parents=True)
    curves.assign_attrs(**curves.attrs, **about, data_kind="simulated").to_netcdf(
        here / "curves.nc"
    )
    predictions.assign_attrs(**about).to_netcdf(here / "predictions.nc")
    content = about | {"data": "simulated", "metrics": records}
    write_json(content, here / "metrics.json")
    return here


def class_predictions(rows: xr.Dataset, skill: float, seed: int) -> xr.Dataset:
    logit = skill * np.sign(rows["target"].values - 3.8) + np.random.default_rng(seed).normal(
        size=rows.sizes["example"]
    )
    probability = 1 / (1 + np.exp(-logit))
    return xr.Dataset(
        {name: ("example", probability) for name in ("prediction", "balanced")}, rows.coords
    )


def index_predictions(rows: xr.Dataset, error: float) -> xr.Dataset:
    off = np.random.default_rng(0).normal(0, error, rows.sizes["example"])
    values = {"prediction": rows["target"].values + off, "spread": np.full(len(off), error)}
    return xr.Dataset({name: ("example", v) for name, v in values.items()}, rows.coords)


@pytest.fixture(scope="module")
def classes(tmp_path_factory) -> tuple[Path, scores.Scores]:
    folder = tmp_path_factory.mktemp("classes")
    rows = patches([11 / 3, 4.0] * 5)
    for model, kind, seed, skill in (
        ("cnn", "network", 0, 1),
        ("cnn", "network", 1, 1.2),
        ("hog", "baseline", 0, 0.1),
    ):
        write(folder, model, kind, seed, rows, class_predictions(rows, skill, seed))
    return folder, read(folder, "roc", ["cnn"])


def read(folder: Path, needed: str, highlight: list[str]) -> scores.Scores:
    files = [sorted(folder.glob(f"*/seed*/{name}")) for name in ("curves.nc", "metrics.json")]
    return scores.read(*files, highlight, needed)


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def line(ax, label: str):
    return next(line for line in ax.lines if str(line.get_label()).startswith(label))


# --- scores
# --------------------------------------------------------------------------------------------------


def test_roc_shows_the_mean_curve_of_the_seeds_and_the_area_of_the_metrics(classes):
    folder, found = classes
    ax = scores.roc(found).axes[0]
    drawn = line(ax, "cnn")
    files = [xr.load_dataset(folder / f"cnn/seed{seed}/curves.nc") for seed in (0, 1)]
    np.testing.assert_allclose(drawn.get_xdata(), files[0]["false_steep"])
    mean = (files[0]["roc"] + files[1]["roc"]).sel(subset="all") / 2
    np.testing.assert_allclose(drawn.get_ydata(), mean, rtol=1e-12)
    records = [
        json.loads((folder / f"cnn/seed{seed}/metrics.json").read_text())["metrics"]
        for seed in (0, 1)
    ]
    auc = np.mean([r["value"] for seed in records for r in seed if r["name"] == "auc"])
    assert f"AUC {auc:.3f} (" in drawn.get_label()
    # the area below what is drawn is the one that is told, but for the grid of 101 points
    assert np.trapezoid(drawn.get_ydata(), drawn.get_xdata()) == pytest.approx(auc, abs=0.01)
    assert len(ax.collections) == 1  # the band of the highlighted model alone
    assert drawn.get_linewidth() > line(ax, "hog").get_linewidth()


def test_confusion_shows_counts_of_all_seeds_beside_the_published_ones(classes):
    _, found = classes
    published, ours = scores.confusion(found, PUBLISHED["confusion"]).axes[:2]
    texts = [text.get_text() for text in published.texts]
    # the presentation: recalls of 88.0 and 66.2 %, accuracy 77.1 %
    assert texts == ["88.0%\n2,113", "12.0%\n287", "33.8%\n812", "66.2%\n1,588"]
    assert "77.1%" in published.get_title("left") and "presentation" in published.get_title("left")
    counts = sum(seed["confusion"].values for seed in found.curves["cnn"])
    assert [int(text.get_text().split("\n")[1]) for text in ours.texts] == counts.ravel().tolist()
    assert counts.sum() == 2 * 10 * VIEWS and "2 seeds" in ours.get_title("left")
    np.testing.assert_allclose(ours.images[0].get_array(), counts / counts.sum(1, keepdims=True))


def test_reliability_shows_the_share_that_is_steep_of_each_stated_probability(classes):
    _, found = classes
    curve = found.curves["hog"][0]
    drawn = line(scores.reliability(found).axes[0], "hog")
    np.testing.assert_allclose(drawn.get_xdata(), curve["stated"])
    np.testing.assert_allclose(drawn.get_ydata(), curve["reliability"])


def test_bin_that_one_seed_leaves_empty_is_the_other_seeds():
    nan = np.nan
    np.testing.assert_array_equal(
        scores.nan_mean(np.array([[1, nan, nan], [3, 5, nan]])), [2, 5, nan]
    )


def test_entry_point_writes_png_and_pdf_and_refuses_curves_without_classes(
    classes, tmp_path, monkeypatch
):
    folder, _ = classes
    files = {
        name: sorted(map(str, folder.glob(f"*/seed*/{name}")))
        for name in ("curves.nc", "metrics.json")
    }
    arguments = [
        "--figure=roc",
        '--config={"highlight": ["cnn"]}',
        f"--output={tmp_path / 'roc.png'}",
        "--metrics",
    ]
    arguments += [
        *files["metrics.json"],
        f"--published={REPOSITORY}/config/turbulence/published.yaml",
        "--curves",
    ]
    monkeypatch.setattr("sys.argv", ["plot", *arguments, *files["curves.nc"]])
    turbulence_plot_scores.main()
    assert (tmp_path / "roc.png").exists() and (tmp_path / "roc.pdf").read_bytes().startswith(
        b"%PDF"
    )
    with pytest.raises(BadInput, match="none of 3 files has the curve coverage"):
        read(folder, "coverage", [])


# --- index
# --------------------------------------------------------------------------------------------------


def test_index_shows_bins_scatter_coverage_and_the_published_error(tmp_path):
    rows = patches([11 / 3, 4.0] * 5)
    here = write(tmp_path, "residual_index", "network", 0, rows, index_predictions(rows, 0.1))
    found = read(tmp_path, "coverage", ["residual_index"])
    points = {"residual_index": xr.load_dataset(here / "predictions.nc")}
    figure = index.index(found, points, PUBLISHED["scalars"])
    panel, calibration = figure.axes[:2]
    curve = found.curves["residual_index"][0]
    bars = panel.containers[0]
    np.testing.assert_allclose(bars.lines[0].get_xdata(), [11 / 3, 4.0], atol=1e-6)
    np.testing.assert_allclose(bars.lines[0].get_ydata(), curve["predicted_index"])
    lengths = [np.ptp(segment[:, 1]) for segment in bars.lines[2][0].get_segments()]
    np.testing.assert_allclose(lengths, 2 * curve["scatter"])
    assert "published MSE 0.024\nTrevisan+ 2020" in panel.texts[0].get_text()
    assert f"MSE {found.value('residual_index', 'mse')[0]:.4f} (" in panel.get_title("left")
    drawn = line(calibration, "residual index")
    np.testing.assert_allclose(drawn.get_ydata(), curve["coverage"])
    # a Gaussian error as stated: what is drawn is the diagonal; 5 standard errors of 120 views
    assert abs(drawn.get_ydata() - drawn.get_xdata()).max() < 5 * 0.5 / np.sqrt(120)


def test_continuum_shows_where_a_step_at_the_boundary_turns_and_marks_both_indices(tmp_path):
    rows = patches(list(np.linspace(3.0, 4.5, 31)))
    step = (rows["target"].values > 23 / 6).astype(float)
    predictions = xr.Dataset(
        {name: ("example", step) for name in ("prediction", "balanced")}, rows.coords
    )
    settings = SETTINGS | {"index_edges": [3.0, 3.5, 23 / 6, 4.0, 4.5]}
    curves = evaluate(rows, predictions, {}, settings).curves
    curves = curves.assign_attrs(**curves.attrs, set="continuous", trained_on="quarter").sel(
        subset="all"
    )
    ax = index.continuum({"cnn": [curves]}).axes[0]
    np.testing.assert_allclose(
        line(ax, "cnn (class, trained on quarter)").get_ydata(), [0, 0, 1, 1]
    )
    marked = {
        round(float(found.get_xdata()[0]), 3)
        for found in ax.lines
        if len(set(found.get_xdata())) == 1
    }
    assert marked == {3.667, 3.833, 4.0}


# --- transfer
# --------------------------------------------------------------------------------------------------


def transfers() -> pd.DataFrame:
    rows = [
        ("cnn", "small", "small", 0.8),
        ("cnn", "small", "zoomed", 0.5),
        ("cnn", "small", "out", 0.6),
    ]
    rows += [("mix", "mixed", "mixed", 0.7), ("mix", "mixed", "zoomed", 0.66)]
    table = pd.DataFrame(rows, columns=["model", "trained_on", "tested_on", "accuracy_all"])
    accuracy = table.accuracy_all
    return table.assign(accuracy_all_lo=accuracy - 0.03, accuracy_all_hi=accuracy + 0.03)


def test_matrix_shows_each_accuracy_frames_own_sets_and_chance_is_neutral():
    ax = transfer.matrix(transfers()).axes[0]
    image = ax.images[0]
    sets = [text.get_text() for text in ax.get_xticklabels()]
    assert sets == ["small", "mixed", "zoomed", "out"]
    np.testing.assert_array_equal(
        np.ma.filled(image.get_array(), np.nan),
        [[0.8, np.nan, 0.5, 0.6], [np.nan, 0.7, 0.66, np.nan]],
    )
    frames = {
        (round(p.get_x() + 0.46), round(p.get_y() + 0.46))
        for p in ax.patches
        if isinstance(p, Rectangle)
    }
    assert frames == {(0, 0), (1, 1)}
    assert image.norm(0.5) == 0.5 and min(image.cmap(0.5)[:3]) > 0.95
    texts = [text.get_text() for text in ax.texts]
    assert "0.66" in " ".join(texts) and any("0.63\N{EN DASH}0.69" in text for text in texts)


def test_accuracy_against_zoom_is_in_the_order_of_zoom_and_needs_two_points():
    ladder = {"key": "zoom", "values": {"small": 1, "zoomed": 2, "out": 0.5}}
    ax = transfer.nuisances(transfers(), [ladder]).axes[0]
    drawn = line(ax, "cnn")
    np.testing.assert_array_equal(
        [drawn.get_xdata(), drawn.get_ydata()], [[0.5, 1, 2], [0.6, 0.8, 0.5]]
    )
    assert not [found for found in ax.lines if str(found.get_label()).startswith("mix")]


# --- images
# --------------------------------------------------------------------------------------------------


def test_panels_show_test_simulations_of_both_classes_with_the_rms_of_their_maps():
    found = columns()
    data = cut(found, test_share=0.4)
    figure = images.panels(data, {"clouds": found}, 2)
    wholes = [ax for ax in figure.axes if "rms" in ax.get_title("left")]
    assert [ax.get_title("left").split(":")[0] for ax in wholes] == ["index 3.67"] * 2 + [
        "index 4.00"
    ] * 2
    limits = {ax.images[0].get_clim() for ax in wholes}
    assert len(limits) == 1 and sum(next(iter(limits))) == 0
    test = set(data["seed"].values[data["split"].values == 2])
    for ax in wholes:
        shown = ax.images[0].get_array()
        rows = [
            k
            for k in range(SIMULATIONS)
            if np.allclose(np.log10(1 + found["column"].values[k, 0]), shown)
        ]
        assert len(rows) == 1 and int(found["seed"][rows[0]]) in test
        assert f"rms {np.std(shown):.4f} dex" in ax.get_title("left")
    first = figure.axes[1].images[0].get_array()
    # the first quarter of the first map, standardised
    quarter = np.asarray(wholes[0].images[0].get_array())[:8, :8]
    np.testing.assert_allclose(first, (quarter - quarter.mean()) / quarter.std(), atol=1e-5)


def test_maps_of_another_run_are_refused():
    data = cut(columns())
    with pytest.raises(BadInput, match="column maps of clouds: 0 of the seed"):
        images.panels(data, {"clouds": columns(first_seed=900)}, 1)


# --- number of training simulations
# ----------------------------------------------------------------------------------


def test_fewer_training_simulations_are_a_part_of_more_and_the_other_splits_stay():
    everything = cut(columns())
    sets = {n: cut(columns(), train_simulations=n) for n in (4, 8)}
    train = {n: set(data["seed"].values[data["split"].values == 0]) for n, data in sets.items()}
    assert {n: len(seeds) for n, seeds in train.items()} == {4: 4, 8: 8}
    assert train[4] < train[8] < set(everything["seed"].values[everything["split"].values == 0])
    for data in sets.values():
        for split in (1, 2):
            one, other = (d["image"].values[d["split"].values == split] for d in (data, everything))
            np.testing.assert_array_equal(one, other)
    # pairs of both classes come together
    assert (
        sorted(seed // 2 for seed in train[4])[::2] == sorted(seed // 2 for seed in train[4])[1::2]
    )
    assert train[4] != set(cut(columns(), train_simulations=4, seed=1)["seed"].values)


def test_scale_of_raw_images_is_that_of_the_training_images_that_are_kept():
    data = cut(columns(), train_simulations=4, variant="raw")
    kept = data["image"].values[data["split"].values == 0]
    assert data["image"].attrs["scale"] == pytest.approx(kept.std(dtype=np.float64), rel=1e-6)


def test_more_training_simulations_than_there_are_is_refused():
    with pytest.raises(BadInput, match="train_simulations is 99; expected at most"):
        cut(columns(), train_simulations=99)


def test_figures_import_no_torch():
    program = "import sys; from skyloom.turbulence.figures import images, index, scores"
    program += ", transfer"
    program += "; sys.exit('torch' in sys.modules)"
    assert not subprocess.run(
        [sys.executable, "-c", program], cwd=REPOSITORY / "scripts"
    ).returncode
