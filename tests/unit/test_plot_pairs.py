"""The figure of paired differences: rows, marks, and the reach of its axes."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

import plot_pairs
from skyloom.scores.verdict import Labels

HEADLINE = [
    {"name": "rho", "subset": "bright", "label": "correlation"},
    {"name": "rmse", "subset": "bright", "label": "RMSE"},
]
LABELS = Labels({"net": "Res-UNet", "excess": "dust excess"})


def pair(network, baseline, score, difference, half, result, better="higher"):
    ends = {"lo": difference - half, "hi": difference + half}
    row = {"network": network, "baseline": baseline, "score": score, "subset": "bright"}
    return row | {"unit": None, "better": better, "difference": difference, "result": result} | ends


@pytest.fixture
def table():
    return pd.DataFrame(
        [
            pair("gan", "excess", "rho", -0.65, 0.1, "worse"),
            pair("net", "excess", "rho", 0.08, 0.01, "better"),
            pair("net", "isotonic", "rho", 0.002, 0.01, "level"),
            pair("net", "excess", "rmse", 10, 4, "worse", "lower"),
        ]
    )


@pytest.fixture
def figure(table):
    yield plot_pairs.forest(table, HEADLINE, ["net", "gan"], LABELS)
    plt.close("all")


def test_each_pair_is_a_row_below_the_name_of_its_network(figure):
    axes = figure.axes[0]
    texts = [text.get_text() for text in axes.get_yticklabels()]
    assert set(texts) == {"Res-UNet minus", "gan minus", "dust excess", "isotonic"}
    heights = dict(zip(texts, axes.get_yticks(), strict=True))
    # the axis points down: the network that validation chose is on top
    assert heights["Res-UNet minus"] < heights["isotonic"] < heights["gan minus"]
    assert axes.yaxis_inverted()


def test_line_at_zero_and_intervals_are_those_of_the_table(figure):
    axes = figure.axes[0]
    lines = [line.get_xdata() for line in axes.lines]
    assert [0, 0] in [list(line) for line in lines]
    ends = [tuple(np.round(line, 3)) for line in lines if len(line) == 2 and line[0] != line[1]]
    assert (0.07, 0.09) in ends and (-0.008, 0.012) in ends


@pytest.mark.parametrize("sign", [1, -1])
def test_axis_holds_zero_and_whole_intervals_of_one_sign(sign):
    rows = [
        pair("net", "excess", "rho", 0.20 * sign, 0.05, "better"),
        pair("net", "isotonic", "rho", 0.46 * sign, 0.05, "better"),
    ]
    (axes,) = plot_pairs.forest(pd.DataFrame(rows), HEADLINE[:1], ["net"], LABELS).axes
    low, high = sorted(sign * end for end in axes.get_xlim())
    assert low < 0 and high > 0.51
    plt.close("all")


def test_filled_points_are_better_or_worse_and_open_ones_level(figure):
    points = [line for line in figure.axes[0].lines if line.get_marker() == "o"]
    filled = {round(float(p.get_xdata()[0]), 3): p.get_markerfacecolor() != "white" for p in points}
    assert filled == {0.08: True, 0.002: False}


def test_difference_far_beyond_those_of_the_first_network_is_an_arrow_with_its_value(figure):
    axes = figure.axes[0]
    assert [line for line in axes.lines if line.get_marker() == "<"]
    assert "\N{MINUS SIGN}0.65" in [text.get_text() for text in axes.texts]
    assert axes.get_xlim()[0] > -0.5


def test_side_that_is_better_is_named_under_each_score(figure):
    labels = [axes.get_xlabel() for axes in figure.axes[:2]]
    assert labels == ["difference, right is better", "difference, left is better"]
    assert figure.axes[1].get_title("left") == "RMSE \N{DOWNWARDS ARROW}"
