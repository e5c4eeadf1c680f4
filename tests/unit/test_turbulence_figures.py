"""The turbulence study's figures show the numbers of their files, in the looks of their models."""

import json
import subprocess
import sys
from argparse import Namespace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr
import yaml
from matplotlib import pyplot as plt
from matplotlib.colors import to_hex, to_rgb
from matplotlib.patches import Rectangle
from test_turbulence_images import columns, cut

import turbulence_plot_continuum
import turbulence_plot_index
import turbulence_plot_scores
import turbulence_plot_transfer
from skyloom import plotting
from skyloom.cli import BadInput
from skyloom.scores import records
from skyloom.turbulence.evaluate import evaluate
from skyloom.turbulence.figures import index, scores, transfer

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


LOOKS = {
    "cnn": {"kind": "network", "label": "CNN", "colour": "#12449C", "marker": "o"},
    "hog": {"kind": "baseline", "label": "HOG", "colour": "#A08A3C", "marker": "h"},
    "power": {"kind": "baseline", "label": "power spectrum", "colour": "#7A4A1E", "marker": "X"},
    "residual_index": {"kind": "network", "label": "residual network", "colour": "#C8400A"},
}


def write(folder: Path, model: str, seed: int, rows: xr.Dataset, predictions: xr.Dataset) -> Path:
    """What evaluate_model writes of a model; the folder."""
    here = folder / model / f"seed{seed}"
    here.mkdir(parents=True)
    names = {"predictions": "nc", "curves": "nc", "scores": "nc", "metrics": "json"}
    paths = Namespace(**{name: here / f"{name}.{end}" for name, end in names.items()})
    about = {"study": "turbulence", "model": model, "kind": LOOKS[model]["kind"], "seed": seed}
    about |= {"set": "quarter", "data_kind": "simulated"}
    records.write(paths, about, predictions, evaluate(rows, predictions, {}, SETTINGS))
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
    for model, seed, skill in (("cnn", 0, 1), ("cnn", 1, 1.2), ("hog", 0, 0.1), ("power", 0, 2)):
        write(folder, model, seed, rows, class_predictions(rows, skill, seed))
    return folder, read(folder, "roc")


def read(folder: Path, needed: str, chosen: str = "cnn", rival: str = "power") -> scores.Scores:
    """The scores of a folder; its verdict names the network and the baseline."""
    files = [sorted(folder.glob(f"*/seed*/{name}")) for name in ("curves.nc", "metrics.json")]
    parts = [{"set": "quarter", "model": chosen, "clauses": [{"rival": rival}]}]
    (folder / "verdict.json").write_text(json.dumps({"sets": parts}))
    config = {"models": LOOKS, "set": "quarter images"}
    return scores.read(*files, folder / "verdict.json", config, PUBLISHED, needed)


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def line(ax, text: str):
    return next(line for line in ax.lines if text in str(line.get_label()))


def legend(figure) -> list[str]:
    return [text.get_text() for text in figure.legends[0].get_texts()]


def run(monkeypatch, script, *words) -> None:
    monkeypatch.setattr(sys, "argv", [script.__name__, *map(str, words)])
    script.main()


# --- scores ---------------------------------------------------------------------------------------


def test_models_of_small_figures_are_the_chosen_network_its_rival_and_the_published_methods(
    classes, tmp_path
):
    folder, drawn = classes
    assert drawn.shown == ("cnn", "power", "hog")
    assert drawn.looks["hog"].label == "HOG (published method)"
    assert drawn.title == "quarter images: 120 test images of 10 simulations"
    verdict = tmp_path / "verdict.json"
    verdict.write_text(json.dumps({"sets": [{"set": "quarter", "model": None, "clauses": []}]}))
    assert scores.compared(verdict, "quarter") == []


def test_roc_shows_the_mean_curve_of_the_seeds_and_the_area_of_the_table(classes):
    folder, drawn = classes
    figure = scores.roc(drawn)
    roc, errors = figure.axes
    files = [xr.load_dataset(folder / f"cnn/seed{seed}/curves.nc") for seed in (0, 1)]
    mean = (files[0]["roc"] + files[1]["roc"]).sel(subset="all").values / 2
    np.testing.assert_allclose(line(roc, "CNN").get_xdata(), files[0]["false_steep"])
    np.testing.assert_allclose(line(roc, "CNN").get_ydata(), mean, rtol=1e-12)
    # below one steep image of 60 there is no rate
    np.testing.assert_allclose(line(errors, "CNN").get_ydata(), np.maximum(1 - mean, 0.5 / 60))
    assert errors.get_xscale() == errors.get_yscale() == "log"
    paths = sorted(folder.glob("*/seed*/metrics.json"))
    table = records.pool_seeds(records.read(paths, draws=True)).set_index(["model", "name"])
    value, lo, hi = table.loc[("cnn", "auc"), ["value", "lo", "hi"]]
    assert f"{value:.3f} [{lo:.3f}, {hi:.3f}] CNN (published method)" in legend(figure)
    # the area below the curve is the one in the legend, but for the grid of 101 points
    area = np.trapezoid(line(roc, "CNN").get_ydata(), line(roc, "CNN").get_xdata())
    assert area == pytest.approx(value, abs=0.01)


def test_roc_lists_models_by_area_and_draws_chance_below_all_of_them(classes):
    figure = scores.roc(classes[1])
    texts = legend(figure)
    areas = [float(text.split()[0]) for text in texts]
    assert areas[:-1] == sorted(areas[:-1], reverse=True) and texts[-1] == "0.500 chance"
    ax = figure.axes[0]
    chance = line(ax, "chance")
    assert all(chance.get_zorder() < other.get_zorder() for other in ax.lines[:-1])
    assert figure.get_figwidth() == plotting.PAGE
    assert "68 %" in figure.legends[0].get_title().get_text()


def test_model_has_its_colour_and_dash_in_each_figure(classes):
    drawn = classes[1]
    look = drawn.looks["hog"]
    curve = line(scores.roc(drawn).axes[0], "HOG")
    assert curve.get_color() == look.colour and curve.is_dashed()
    container = next(
        c for c in scores.reliability(drawn).axes[0].containers if "HOG" in c.get_label()
    )
    assert container.lines[0].get_color() == look.colour
    assert container.lines[0].get_marker() == look.marker


def test_confusion_shows_the_published_counts_under_a_title_of_their_own(classes):
    published = scores.confusion(classes[1]).axes[0]
    texts = [text.get_text() for text in published.texts]
    # the presentation: recalls of 88.0 and 66.2 %, accuracy 77.1 %
    assert texts == ["88.0 %\n2,113", "12.0 %\n287", "33.8 %\n812", "66.2 %\n1,588"]
    title = published.get_title("left")
    assert title == "CNN, published (RAMSES)\naccuracy 77.1 %\n4,800 images"


def test_confusion_counts_all_seeds_and_states_the_interval_of_each_share(classes):
    folder, drawn = classes
    ours = scores.confusion(drawn).axes[1]
    counts = sum(seed["confusion"].values for seed in drawn.curves["cnn"])
    assert counts.sum() == 2 * 10 * VIEWS and "2 seeds" in ours.get_title("left")
    lines = [text.get_text().split("\n") for text in ours.texts]
    assert [int(text[2]) for text in lines] == counts.ravel().tolist()
    shares = counts / counts.sum(1, keepdims=True)
    np.testing.assert_allclose(ours.images[0].get_array(), shares, atol=1e-6)
    for row, name in enumerate(("shallow", "steep")):
        value, lo, hi = 100 * drawn.value("cnn", f"recall_{name}")
        right, wrong = lines[3 * row], lines[1 + row]
        assert right[:2] == [f"{value:.1f} %", f"{lo:.1f}\N{EN DASH}{hi:.1f}"]
        assert wrong[1] == f"{100 - hi:.1f}\N{EN DASH}{100 - lo:.1f}"


def test_text_on_each_shade_of_a_confusion_matrix_has_the_contrast_of_print():
    """WCAG 2 asks for 4.5 between text and ground; black text has (luminance + 0.05) / 0.05."""
    for share in np.linspace(0, 1, 11):
        rgb = np.array(to_rgb(to_hex(scores.SHADES(share))))
        linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
        assert (linear @ [0.2126, 0.7152, 0.0722] + 0.05) / 0.05 > 7


def test_reliability_shows_the_bins_of_the_models_of_small_figures(classes):
    drawn = classes[1]
    figure = scores.reliability(drawn)
    containers = {c.get_label(): c for c in figure.axes[0].containers}
    assert list(containers) == [drawn.looks[model].label for model in drawn.shown]
    curve, bars = drawn.curves["power"][0], containers["power spectrum"]
    np.testing.assert_allclose(bars.lines[0].get_xdata(), curve["stated"])
    np.testing.assert_allclose(bars.lines[0].get_ydata(), curve["reliability"])
    ends = np.array([segment[:, 1] for segment in bars.lines[2][0].get_segments()]).T
    np.testing.assert_allclose(ends, [curve["reliability_lo"], curve["reliability_hi"]])
    assert figure.get_figwidth() == plotting.COLUMN


def test_bin_that_one_seed_leaves_empty_is_the_other_seeds():
    nan = np.nan
    np.testing.assert_array_equal(
        scores.nan_mean(np.array([[1, nan, nan], [3, 5, nan]])), [2, 5, nan]
    )


def test_entry_point_writes_png_and_pdf_and_refuses_curves_without_classes(
    classes, tmp_path, monkeypatch
):
    folder, _ = classes
    config = json.dumps({"models": LOOKS, "set": "quarter images"})
    words = ["--figure=roc", f"--config={config}", f"--output={tmp_path / 'roc.png'}"]
    words += [f"--published={REPOSITORY}/config/turbulence/published.yaml"]
    words += [f"--verdict={folder / 'verdict.json'}"]
    words += ["--metrics", *sorted(folder.glob("*/seed*/metrics.json"))]
    run(monkeypatch, turbulence_plot_scores, *words, "--curves", *folder.glob("*/seed*/curves.nc"))
    assert (tmp_path / "roc.png").exists()
    assert (tmp_path / "roc.pdf").read_bytes().startswith(b"%PDF")
    with pytest.raises(BadInput, match="none of 4 files has the curve coverage"):
        read(folder, "coverage")


# --- index ----------------------------------------------------------------------------------------


def test_index_shows_bins_scatter_coverage_and_the_published_error(tmp_path, monkeypatch):
    rows = patches([11 / 3, 4.0] * 5)
    here = write(tmp_path, "residual_index", 0, rows, index_predictions(rows, 0.1))
    drawn = read(tmp_path, "coverage", "residual_index")
    points = {"residual_index": xr.load_dataset(here / "predictions.nc")}
    figure = index.index(drawn, points)
    panel, calibration = figure.axes[:2]
    curve = drawn.curves["residual_index"][0]
    bars = panel.containers[0]
    np.testing.assert_allclose(bars.lines[0].get_xdata(), [11 / 3, 4.0], atol=1e-6)
    np.testing.assert_allclose(bars.lines[0].get_ydata(), curve["predicted_index"])
    assert bars.lines[0].get_color() == drawn.looks["residual_index"].colour
    lengths = [np.ptp(segment[:, 1]) for segment in bars.lines[2][0].get_segments()]
    np.testing.assert_allclose(lengths, 2 * curve["scatter"])
    assert panel.texts[0].get_text() == "published (RAMSES):\nMSE 0.024"
    value, lo, hi = drawn.value("residual_index", "mse")
    assert panel.get_title("left") == f"residual network\nMSE {value:.4f} [{lo:.4f}, {hi:.4f}]"
    stated = line(calibration, "residual network")
    np.testing.assert_allclose(stated.get_ydata(), curve["coverage"])
    # a Gaussian error as stated: the curve is the diagonal; 5 standard errors of 120 views
    assert abs(stated.get_ydata() - stated.get_xdata()).max() < 5 * 0.5 / np.sqrt(120)
    config = json.dumps({"models": LOOKS, "set": "quarter images"})
    words = [f"--config={config}", f"--curves={here / 'curves.nc'}"]
    words += [f"--metrics={here / 'metrics.json'}", f"--verdict={tmp_path / 'verdict.json'}"]
    words += [f"--published={REPOSITORY}/config/turbulence/published.yaml"]
    words += [f"--output={tmp_path / 'index.png'}"]
    run(monkeypatch, turbulence_plot_index, *words, f"--predictions={here / 'predictions.nc'}")
    assert (tmp_path / "index.pdf").exists()
    with pytest.raises(BadInput, match="curves.nc: variable prediction, index not found"):
        run(monkeypatch, turbulence_plot_index, *words, f"--predictions={here / 'curves.nc'}")


def test_continuum_shows_where_a_step_at_the_boundary_turns_and_marks_both_indices(
    tmp_path, monkeypatch
):
    rows = patches(list(np.linspace(3.0, 4.5, 31)))
    step = (rows["target"].values > 23 / 6).astype(float)
    predictions = xr.Dataset(
        {name: ("example", step) for name in ("prediction", "balanced")}, rows.coords
    )
    settings = SETTINGS | {"index_edges": [3.0, 3.5, 23 / 6, 4.0, 4.5]}
    curves = evaluate(rows, predictions, {}, settings).curves
    about = {"set": "continuous", "trained_on": "quarter", "model": "cnn"}
    curves = curves.assign_attrs(**curves.attrs, **about, data_kind="simulated")
    sets = {"continuous": "all indices", "quarter": "quarter images"}
    looks = plotting.model_looks(LOOKS)
    figure = index.continuum({"cnn": [curves.sel(subset="all")]}, looks, sets)
    ax = figure.axes[0]
    drawn = line(ax, "CNN (class, trained on quarter images)")
    np.testing.assert_allclose(drawn.get_ydata(), [0, 0, 1, 1])
    upright = [drawn.get_xdata() for drawn in ax.lines if len(set(drawn.get_xdata())) == 1]
    assert {round(float(x[0]), 3) for x in upright} == {3.667, 3.833, 4.0}
    title = figure.legends[0].get_title().get_text()
    assert title == "tested on all indices, 68 % bands over simulations"
    curves.to_netcdf(tmp_path / "curves.nc")
    rows.to_netcdf(tmp_path / "rows.nc")
    words = [f"--config={json.dumps({'models': LOOKS, 'sets': sets})}"]
    words += [f"--output={tmp_path / 'continuum.png'}"]
    run(monkeypatch, turbulence_plot_continuum, *words, f"--curves={tmp_path / 'curves.nc'}")
    assert (tmp_path / "continuum.pdf").exists()
    with pytest.raises(BadInput, match="rows.nc: variable predicted_class not found"):
        run(monkeypatch, turbulence_plot_continuum, *words, f"--curves={tmp_path / 'rows.nc'}")


# --- transfer -------------------------------------------------------------------------------------

SETS = {"small": "small clouds", "mixed": "mixed clouds", "zoomed": "zoom of 2", "out": "zoom out"}
LADDER = {"key": "zoom", "values": {"small": 1, "zoomed": 2, "out": 0.5}}


def transfers() -> pd.DataFrame:
    rows = [
        ("cnn", "small", "small", 0.8),
        ("cnn", "small", "zoomed", 0.5),
        ("cnn", "small", "out", 0.6),
    ]
    rows += [("power", "mixed", "mixed", 0.7), ("power", "mixed", "zoomed", 0.66)]
    rows += [("power", "mixed", "small", 0.72)]
    table = pd.DataFrame(rows, columns=["model", "trained_on", "tested_on", "accuracy_all"])
    accuracy = table.accuracy_all
    table = table.assign(accuracy_all_lo=accuracy - 0.03, accuracy_all_hi=accuracy + 0.03)
    return table.assign(data="simulated")


def test_matrix_has_a_column_of_own_sets_and_one_of_each_set_that_others_were_tested_on():
    ax = transfer.matrix(transfers(), plotting.model_looks(LOOKS), SETS).axes[0]
    labels = [text.get_text() for text in ax.get_xticklabels()]
    assert labels == ["own set", "small clouds", "zoom of 2", "zoom out"]
    assert [text.get_text() for text in ax.get_yticklabels()] == ["CNN", "power spectrum"]
    np.testing.assert_array_equal(
        np.ma.filled(ax.images[0].get_array(), np.nan),
        [[0.8, 0.8, 0.5, 0.6], [0.7, 0.72, 0.66, np.nan]],
    )
    frames = {tuple(p.get_center()) for p in ax.patches if isinstance(p, Rectangle)}
    assert frames == {(1.0, 0.0)}


def test_chance_is_white_and_what_lies_above_it_bold():
    ax = transfer.matrix(transfers(), plotting.model_looks(LOOKS), SETS).axes[0]
    image = ax.images[0]
    assert image.norm(0.5) == 0.5 and min(image.cmap(0.5)[:3]) > 0.95
    weights = {(text.get_text(), text.get_fontweight()) for text in ax.texts}
    assert {("0.50", "normal"), ("0.60", "bold"), ("0.66", "bold")} < weights


def test_accuracy_against_zoom_is_in_the_order_of_zoom_and_needs_two_points():
    table = transfers()[lambda t: t.tested_on != "small"]
    figure = transfer.nuisances(table, [LADDER], plotting.model_looks(LOOKS))
    ax = figure.axes[0]
    assert [text.get_text() for text in ax.get_xticklabels()] == ["0.5", "1", "2"]
    assert ax.get_xlabel() == "zoom" and figure.get_figwidth() == plotting.COLUMN
    assert legend(figure) == ["own set", "chance", "CNN"]  # the other has one point
    (bars,) = ax.containers
    assert [round(x) for x in bars.lines[0].get_xdata()] == [0, 2]
    np.testing.assert_allclose(bars.lines[0].get_ydata(), [0.6, 0.5])


def test_ring_marks_the_set_that_a_model_was_trained_on():
    ax = transfer.nuisances(transfers(), [LADDER], plotting.model_looks(LOOKS)).axes[0]
    rings = [drawn for drawn in ax.lines if drawn.get_label() == "own set"]
    assert [drawn.get_ydata().tolist() for drawn in rings] == [[0.8], []]


def test_table_of_transfers_without_accuracies_is_refused(tmp_path, monkeypatch):
    table = transfers()
    table.to_csv(tmp_path / "transfer.csv", index=False)
    table.drop(columns="accuracy_all").to_csv(tmp_path / "other.csv", index=False)
    config = json.dumps({"models": LOOKS, "sets": SETS, "ladders": [LADDER]})
    words = [f"--config={config}", f"--output={tmp_path / 'a.png'}"]
    for figure in ("matrix", "nuisances"):
        more = [f"--figure={figure}", f"--table={tmp_path / 'transfer.csv'}"]
        run(monkeypatch, turbulence_plot_transfer, *words, *more)
        assert (tmp_path / "a.pdf").exists()
    with pytest.raises(BadInput, match="other.csv: column accuracy_all not found"):
        transfer.read(tmp_path / "other.csv")


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
    program = "import sys; from skyloom.turbulence.figures import explain, images, index, realism"
    program += ", scores, transfer"
    program += "; sys.exit('torch' in sys.modules)"
    assert not subprocess.run(
        [sys.executable, "-c", program], cwd=REPOSITORY / "scripts"
    ).returncode
