"""Figures of explanations show the numbers of their files, and name layers, bands and units."""

import json
import sys

import numpy as np
import pytest
import xarray as xr
from matplotlib import pyplot as plt

import turbulence_plot_explanation
from skyloom import plotting
from skyloom.cli import BadInput
from skyloom.turbulence.figures import explain

LOOKS = {
    "cnn": {"kind": "network", "label": "CNN", "colour": "#12449C", "marker": "o"},
    "power": {"kind": "baseline", "label": "power spectrum", "colour": "#7A4A1E", "marker": "X"},
}
ENDS = ("", "_lo", "_hi")
KINDS = {"occluded": "band", "neutral": "band", "lowpass": "cut", "control": "control"}


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def explanation(model: str = "cnn", images: int = 3) -> xr.Dataset:
    """What turbulence_explain_model writes, of made-up numbers."""
    random = np.random.default_rng(0)
    edges = np.array([1.0, 2, 4, 8])
    names = ["unchanged", "periodic part", "phases only", "amplitudes only"]
    coords = {"band_low": ("band", edges[:-1]), "band_high": ("band", edges[1:])}
    coords |= {"cut": edges[1:], "control": names}
    sizes = {"band": 3, "cut": 3, "control": 4}
    variables = {}
    for score in ("accuracy", "auc", "change"):
        for kind, dim in KINDS.items():
            value = random.uniform(0.6, 0.9, sizes[dim])
            for end, step in zip(ENDS, (0, -0.05, 0.05), strict=True):
                variables[f"{score}_{kind}{end}"] = dim, value + step
    attributes = {"chance": 0.5, "images": 200, "learns": "class", "set": "quarter"}
    attributes |= {"model": model, "kind": LOOKS[model]["kind"], "data_kind": "simulated"}
    attributes |= {"converged_amplitude": 2.0, "converged_phase": 4.0}
    if model == "cnn":
        planes = {"image": 1, "saliency": 0.1, "integrated": 0.1}
        planes |= {"saliency_randomised": 1e-5, "integrated_randomised": 1e-5}
        for name, scale in planes.items():
            values = scale * random.normal(size=(images, 8, 8))
            values = np.abs(values) if name.startswith("saliency") else values
            variables[name] = ("shown", "y", "x"), values
        layers = ["dense 2", "dense 1", "convolution 1"]
        coords |= {"layer": layers, "target": ("shown", np.resize([3.67, 4.0], images))}
        ranks = np.linspace(1, 0.1, 3)[:, None] + np.zeros(images)
        variables |= {f"rank_{name}": (("layer", "shown"), ranks) for name in list(planes)[1:3]}
        variables["output"] = "shown", np.resize([-2.6, 1.25], images)
    return xr.Dataset(variables, coords, attributes)


def look(model: str = "cnn") -> plotting.Look:
    return plotting.model_looks(LOOKS)[model]


# --- pixels ---------------------------------------------------------------------------------------


def test_each_row_of_maps_has_one_scale_and_a_bar_with_its_unit():
    figure = explain.saliency(explanation(), look())
    maps = [ax for ax in figure.axes if ax.images]
    rows = [maps[k : k + 3] for k in range(0, len(maps), 3)]
    assert len(rows) == 5 and all(len({ax.images[0].get_clim() for ax in row}) == 1 for row in rows)
    palettes = [row[0].images[0].get_cmap().name for row in rows]
    diverging, sequential = plotting.DIVERGING, plotting.MAP
    assert palettes == [diverging, sequential, diverging, sequential, diverging]
    for row, palette in zip(rows, palettes, strict=True):
        low, high = row[0].images[0].get_clim()
        assert low == (-high if palette == diverging else 0)
    units = [ax.get_ylabel() for ax in figure.axes if ax.get_label() == "<colorbar>"]
    assert units[:3] == ["standard\ndeviations", "logit per\nstandard dev.", "logit per\npixel"]
    assert units[3] == "$10^{-5}$ logit per\nstandard dev."
    # a small map is drawn in the unit of its bar
    values = explanation()["saliency_randomised"].values[0]
    np.testing.assert_allclose(rows[3][0].images[0].get_array(), values * 1e5)


def test_title_of_an_image_has_its_index_and_the_output_with_its_sign():
    figure = explain.saliency(explanation(), look())
    titles = [ax.get_title() for ax in figure.axes if ax.images][:2]
    assert titles == ["$n$ = 3.67\nlogit \N{MINUS SIGN}2.6", "$n$ = 4.00\nlogit +1.2"]
    assert figure.get_suptitle() == "CNN: logit (positive: steep)"
    assert figure.get_figwidth() == plotting.PAGE and figure.get_figheight() < 9.2


def test_layers_of_the_cascade_are_named():
    figure = explain.saliency(explanation(), look())
    ax = next(ax for ax in figure.axes if "rank" in ax.get_ylabel())
    names = [text.get_text() for text in ax.get_xticklabels()]
    assert names == ["dense 2", "dense 1", "convolution 1"]
    labels = [drawn.get_label() for drawn in ax.lines][:2]
    assert labels == ["|gradient|", "|integrated gradients|"]
    np.testing.assert_allclose(ax.lines[0].get_ydata(), np.linspace(1, 0.1, 3))


def test_more_images_than_a_page_has_room_for_are_left_out():
    figure = explain.saliency(explanation(images=9), look())
    assert len([ax for ax in figure.axes if ax.images]) == 5 * explain.MOST_IMAGES


# --- waves ----------------------------------------------------------------------------------------


def test_panels_of_bands_have_plain_titles_and_the_scores_of_the_file():
    data = explanation()
    axes = explain.bands(data, look()).axes
    assert [ax.get_title("left") for ax in axes] == [
        "one band removed",
        "one band made equal in all images",
        "only waves up to this one",
        "change of the logit",
    ]
    assert {ax.get_xlabel() for ax in axes} == {"wave number [cycles per box]"}
    accuracy = next(drawn for drawn in axes[0].lines if drawn.get_label() == "accuracy")
    np.testing.assert_allclose(accuracy.get_xdata(), np.sqrt([2, 8, 32]))
    np.testing.assert_allclose(accuracy.get_ydata(), data.accuracy_occluded)
    assert axes[3].patches[0].get_edgecolor()[:3] == pytest.approx(
        plotting.matplotlib.colors.to_rgb(look().colour)
    )


def test_area_that_is_not_defined_is_said_in_the_title():
    data = explanation()
    data["auc_lowpass"][:2] = np.nan
    data["auc_occluded"][2] = np.nan
    axes = explain.bands(data, look()).axes
    assert axes[2].get_title("left") == "only waves up to this one (no area up to 4)"
    assert axes[0].get_title("left") == "one band removed (no area at 4\N{EN DASH}8)"


def test_waves_that_are_not_converged_are_shaded_and_the_legend_lies_outside():
    figure = explain.bands(explanation(), look())
    figure.draw_without_rendering()
    (legend,) = figure.legends
    texts = [text.get_text() for text in legend.get_texts()]
    assert {"amplitude not converged", "phase not converged", "chance"} < set(texts)
    for ax in figure.axes:
        spans = [p.get_x() for p in ax.patches if "converged" in str(p.get_label())]
        assert spans == [2, 4] and ax.get_legend() is None
        assert legend.get_window_extent().y0 > ax.get_window_extent().y1


# --- phases and amplitudes, feature space ---------------------------------------------------------


def test_controls_show_each_model_in_its_look():
    figure = explain.controls(
        [explanation("cnn"), explanation("power")], plotting.model_looks(LOOKS), "quarter images"
    )
    for ax, score in zip(figure.axes, ("accuracy", "auc"), strict=True):
        bars = {c.get_label(): c.lines[0] for c in ax.containers}
        assert {label: drawn.get_marker() for label, drawn in bars.items()} == {
            "CNN": "o",
            "power spectrum": "X",
        }
        values = explanation("power")[f"{score}_control"]
        np.testing.assert_allclose(bars["power spectrum"].get_ydata(), values)
    title = figure.legends[0].get_title().get_text()
    assert title == "quarter images, 200 test images, 68 % intervals over simulations"


def embedded(index: np.ndarray) -> xr.Dataset:
    place = np.random.default_rng(0).normal(size=(2, len(index), 2))
    about = {"neighbours": 10, "chance": 0.5}
    variables = {
        "place": (("features", "example", "axis"), place),
        "agreement": ("features", [0.48, 0.78], about),
    }
    coords = {"features": ["HOG by place", "cnn"], "target": ("example", index)}
    return xr.Dataset(variables, coords, {"set": "quarter", "data_kind": "simulated"})


def test_embedding_states_the_share_of_neighbours_of_the_same_class_next_to_chance():
    data = embedded(np.resize(np.array([11 / 3, 4]), 20))
    figure = explain.embedding(data, {"cnn": "CNN"}, "quarter images")
    assert [ax.get_title("left") for ax in figure.axes] == ["HOG by place", "last layer of CNN"]
    text = "same class among the 10 nearest images of other simulations: 48 % (chance 50 %)"
    assert figure.axes[0].get_xlabel().replace("\n", " ") == text
    classes = [drawn.get_label() for drawn in figure.axes[0].lines]
    assert classes == ["$n$ = 3.67", "$n$ = 4.00"]
    assert {*(drawn.get_color() for drawn in figure.axes[0].lines)} <= {*plotting.LIGHT}


def test_embedding_of_continuous_indices_has_a_bar():
    figure = explain.embedding(embedded(np.linspace(3, 4.5, 20)), {}, "all indices")
    assert figure.axes[-1].get_ylabel() == "index"


# --- entry point ----------------------------------------------------------------------------------


def test_entry_point_draws_each_figure_and_refuses_maps_of_a_baseline(tmp_path, monkeypatch):
    for model in LOOKS:
        explanation(model).to_netcdf(tmp_path / f"{model}.nc")
    embedded(np.resize(np.array([11 / 3, 4]), 20)).to_netcdf(tmp_path / "embedding.nc")
    config = json.dumps({"models": LOOKS, "sets": {"quarter": "quarter images"}})

    def draw(figure: str, *names: str) -> None:
        words = ["x", "--figure", figure, "--config", config, "--explanations"]
        words += [str(tmp_path / f"{name}.nc") for name in names]
        monkeypatch.setattr(sys, "argv", [*words, "--output", str(tmp_path / f"{figure}.png")])
        turbulence_plot_explanation.main()
        assert (tmp_path / f"{figure}.pdf").read_bytes().startswith(b"%PDF")

    draw("saliency", "cnn")
    draw("bands", "power")
    draw("controls", "cnn", "power")
    draw("embedding", "embedding")
    with pytest.raises(BadInput, match="power.nc: variable saliency not found"):
        draw("saliency", "power")
