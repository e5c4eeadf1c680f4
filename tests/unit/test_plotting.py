"""Looks of models differ for every reader, on every kind of paper; parts of figures stay apart."""

from itertools import combinations, pairwise, product

import matplotlib.pyplot as plt
import numpy as np
import pytest
from conftest import REPOSITORY, plan
from matplotlib.colors import LogNorm, to_rgb
from PIL import Image
from skimage.color import deltaE_ciede2000, rgb2lab

from dag.config import read_groups
from skyloom import plotting

# Machado, Oliveira & Fernandes 2009, deuteranopia, on linear RGB
DEUTERANOPIA = np.array(
    [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ]
)
GREYSCALE = np.repeat([[0.2126, 0.7152, 0.0722]], 3, axis=0)  # luminance of linear RGB
VISIONS = {"normal": np.eye(3), "deuteranopia": DEUTERANOPIA, "greyscale": GREYSCALE}
FAR = 10  # CIEDE2000: told apart at a glance


def seen(colour: str, vision: str) -> np.ndarray:
    """CIELAB of a colour as a kind of vision has it."""
    rgb = np.array(to_rgb(colour))
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    linear = np.clip(VISIONS[vision] @ linear, 0, 1)
    rgb = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return rgb2lab(rgb[None, None])[0, 0]


def distance(first: str, second: str, visions=VISIONS) -> float:
    """The least difference of two colours over kinds of vision."""
    return min(deltaE_ciede2000(seen(first, v), seen(second, v)) for v in visions)


def study_looks(study: str, size: str):
    """The looks of each set of a study."""
    settings = plan(study, size=size)
    for name in settings.sets:
        yield name, plotting.model_looks(settings.looks(settings.models(name)))


SIZES = [*product(("co", "turbulence"), ("demo", "workstation", "survey"))]


@pytest.mark.parametrize(("study", "size"), SIZES)
def test_models_of_a_set_differ_in_colour_or_in_dash_and_marker_to_every_eye(study, size):
    for name, looks in study_looks(study, size):
        for one, other in combinations(looks.values(), 2):
            if distance(one.colour, other.colour) < FAR:
                assert one.dash != other.dash, (name, one, other)
                assert one.marker != other.marker, (name, one, other)


@pytest.mark.parametrize(("study", "size"), SIZES)
def test_labels_of_a_set_are_words_and_unique(study, size):
    for _, looks in study_looks(study, size):
        labels = [look.label for look in looks.values()]
        assert len({*labels}) == len(labels) and not any("_" in label for label in labels)


@pytest.mark.parametrize(("study", "size"), SIZES)
def test_splits_scores_and_classes_have_colours_of_another_family_than_models(study, size):
    for _, looks in study_looks(study, size):
        for look, light in product(looks.values(), plotting.LIGHT):
            assert distance(look.colour, light, ["normal"]) > FAR, (look, light)


def test_model_looks_the_same_whichever_models_run():
    demo, workstation = (dict(study_looks("co", size))["co10"] for size in ("demo", "workstation"))
    assert demo.items() <= workstation.items()


def test_networks_are_solid_and_baselines_have_a_dash_and_a_marker_each():
    entries = {f"n{k}": {"kind": "network"} for k in range(4)}
    entries |= {f"b{k}": {"kind": "baseline"} for k in range(10)}
    looks = plotting.model_looks(entries)
    assert {look.dash for name, look in looks.items() if name[0] == "n"} == {"-"}
    dashes = [look.dash for name, look in looks.items() if name[0] == "b"]
    assert len({*dashes}) == 10 and "-" not in dashes
    assert len({look.marker for look in looks.values()}) == 14


def test_variants_of_a_model_keep_its_hue_and_never_share_colour_and_dash():
    entry = {"kind": "network", "colour": "#12449C", "marker": "o"}
    looks = [*plotting.model_looks({f"m{k}": entry for k in range(25)}).values()]
    assert len({(look.colour, look.dash) for look in looks}) == 25
    assert [look.colour for look in looks[:11]] == ["#12449c"] * 11
    hues = [np.degrees(np.arctan2(*seen(look.colour, "normal")[:0:-1])) for look in looks]
    assert np.ptp(hues) < 20


def test_schema_has_the_markers_that_have_a_dash():
    marker = read_groups()["model"]["properties"]["marker"]
    assert {*marker["enum"]} == {*plotting.MARKS, None}
    assert len({*plotting.MARKS.values()}) == len(plotting.MARKS) - 3  # four are solid


@pytest.mark.parametrize("study", ["co", "turbulence"])
def test_figures_of_a_study_take_labels_and_make_none_of_names(study):
    folder = REPOSITORY / "scripts"
    shared = [*folder.glob("plot_*.py"), *folder.glob("skyloom/figures/*.py")]
    own = [*folder.glob(f"{study}_*.py"), *folder.glob(f"skyloom/{study}/**/*.py")]
    drawing = [path for path in shared + own if "plotting" in path.read_text()]
    assert len(drawing) > 8
    assert not [path.name for path in drawing if 'replace("_", " ")' in path.read_text()]


# --- parts of figures -----------------------------------------------------------------------------


def test_labels_of_points_cover_neither_one_another_nor_an_error_bar():
    random = np.random.default_rng(3)
    points = [(*random.uniform(0, 1, 2), f"model {k}") for k in range(8)]
    points.append((points[0][0] + 0.03, points[0][1], "a close one"))
    figure, ax = plt.subplots(figsize=(7, 5))
    bars = [((x - 0.05, y), (x + 0.05, y)) for x, y, _ in points]
    ax.plot(*zip(*[point[:2] for point in points], strict=True), "o")
    ax.set(xlim=(-0.2, 1.3), ylim=(-0.2, 1.2))
    plotting.label_points(ax, points, bars)
    texts = [text for text in ax.texts if text.get_text()]
    assert [text.get_text() for text in texts] == [point[2] for point in points]
    boxes = [text.get_window_extent() for text in texts]
    assert not any(one.overlaps(other) for one, other in combinations(boxes, 2))
    for ends in bars:
        (left, y), (right, _) = ax.transData.transform(ends)
        assert not any(box.x0 < right and left < box.x1 and box.y0 < y < box.y1 for box in boxes)
    plt.close(figure)


@pytest.mark.parametrize("limits", [(0.2, 2), (0.05, 3), (0.4, 90), (1e-6, 1e3)])
def test_plain_numbers_of_a_logarithmic_axis_stay_apart(limits):
    figure, ax = plt.subplots(figsize=(3.4, 2.5))
    ax.set(yscale="log", ylim=limits)
    plotting.plain_decades(ax.yaxis)
    figure.canvas.draw()
    labels = [label for label in ax.yaxis.get_ticklabels(which="both") if label.get_text()]
    boxes = sorted((label.get_window_extent() for label in labels), key=lambda box: box.y0)
    assert len(boxes) >= 3
    assert all(below.y1 <= above.y0 for below, above in pairwise(boxes))
    plt.close(figure)


def test_legend_has_as_many_columns_as_the_sheet_has_room_for():
    figure, ax = plt.subplots(figsize=(plotting.PAGE, 3), layout="constrained")
    for k in range(5):
        ax.plot([0, 1], label=f"Res-UNet on dust excess and denoised target {k}")
    plotting.legend_above(figure, ax, columns=5)
    (legend,) = figure.legends
    assert 1 <= legend._ncols < 5
    assert legend.get_window_extent().width <= figure.bbox.width
    plt.close(figure)


def test_degrees_have_a_true_minus_sign_and_zero_has_none():
    angles = [plotting.degrees(-1, signed=True), plotting.degrees(2.5, signed=True)]
    assert angles == ["\N{MINUS SIGN}1°", "+2.5°"]
    assert plotting.degrees(0, signed=True) == "0°" and plotting.degrees(350) == "350°"


def test_beam_circle_has_the_beam_for_its_diameter():
    figure, ax = plt.subplots()
    ax.set(xlim=(2, -2), ylim=(-2, 2))
    plotting.beam_circle(ax, (1, -1), 15, label=True)
    assert ax.patches[0].get_radius() * 2 == pytest.approx(0.25)
    assert ax.texts[0].get_text() == "15\N{PRIME}" and ax.texts[0].get_position()[0] < 1
    plt.close(figure)


def test_error_bars_have_no_length_without_an_interval():
    arms = plotting.arms([[1.0, 2.0], [0.5, np.nan], [1.25, np.nan]])
    np.testing.assert_array_equal(arms, [[0.5, 0], [0.25, 0]])


def test_sheet_of_a_page_is_saved_at_200_dots_an_inch_with_its_data_kind(tmp_path):
    with plotting.style():
        figure, ax = plt.subplots(figsize=(plotting.PAGE, 3))
        ax.plot([1, 2])
    plotting.save(figure, tmp_path / "a.png", "simulated")
    assert figure.texts[-1].get_text() == "data: simulated"
    assert Image.open(tmp_path / "a.png").size == (1420, 600)
    assert (tmp_path / "a.pdf").read_bytes().startswith(b"%PDF")


def test_logarithmic_colour_bar_names_its_decades():
    figure, ax = plt.subplots()
    image = ax.imshow(np.array([[1.0, 5000.0]]), norm=LogNorm(1, 5000))
    bar = plotting.colour_bar(figure, image)
    assert [text.get_text() for text in bar.ax.get_yticklabels()] == ["1", "10", "100", "1000"]
    plt.close(figure)
