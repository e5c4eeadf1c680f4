"""The figure of training and validation scores against the step."""

import json
import sys

import matplotlib.pyplot as plt
import pandas as pd
import pytest

import co_plot_saturation
import plot_history
from skyloom import plotting
from skyloom.cli import BadInput
from skyloom.figures.history import figure
from skyloom.pages.words import Words

WORDS = Words({"rmse_over_noise": {"label": "RMSE", "unit": "noise", "better": "lower"}})
LOOKS = plotting.model_looks(
    {"net": {"kind": "network", "label": "Res-UNet", "colour": "#12449C", "marker": "o"}}
)


def history(*valid: float, factor: float = 0.9) -> pd.DataFrame:
    """A row an epoch of 50 steps."""
    rows = pd.DataFrame({"valid_rmse_over_noise": valid})
    rows["step"], rows["epoch"] = 50 * (rows.index + 1), rows.index + 1.0
    return rows.assign(train_rmse_over_noise=factor * rows.valid_rmse_over_noise)


@pytest.fixture
def panel():
    sheet = figure({"net": [history(9, 7.8, 8)]}, LOOKS, WORDS)
    yield sheet.axes[0]
    plt.close("all")


def test_axes_have_words_the_unit_and_the_direction(panel):
    assert panel.get_ylabel() == "RMSE [noise]\nlower is better" and panel.get_xlabel() == "step"
    assert panel.get_title("left") == "Res-UNet"


def test_step_whose_weights_are_kept_is_marked(panel):
    marks = {line.get_label(): line for line in panel.lines}
    assert list(marks) == ["training", "validation", "weights kept"]
    assert list(marks["weights kept"].get_xydata()[0]) == [100, 7.8]
    # the colour is the model's
    assert {line.get_color() for line in panel.lines} == {LOOKS["net"].colour}
    assert panel.get_legend() is not None


def test_upper_axis_counts_epochs(panel):
    upper = panel.child_axes[0]
    assert upper.get_xlabel() == "epoch"
    panel.figure.canvas.draw()
    assert upper.get_xlim()[1] == pytest.approx(panel.get_xlim()[1] / 50)


def test_scores_over_an_order_of_magnitude_have_a_logarithmic_axis():
    sheet = figure({"net": [history(90, 7.8, 8)]}, LOOKS, WORDS)
    assert sheet.axes[0].get_yscale() == "log"
    plt.close(sheet)


def test_saturation_has_a_column_a_target_on_the_scales_of_the_scores():
    panels = {"raw": ("net", [history(9, 8)]), "denoised": ("net", [history(7, 6), history(7, 5)])}
    sheet = co_plot_saturation.figure(panels, LOOKS, WORDS)
    raw, denoised = sheet.axes[:2]
    assert (
        raw.get_ylim() == denoised.get_ylim()
        and raw.get_ylabel() == "RMSE [noise]\nlower is better"
    )
    assert denoised.get_title("left") == "Res-UNet: trained on denoised CO"
    assert [len(ax.lines) for ax in (raw, denoised)] == [3, 6]  # three a seed
    plt.close(sheet)


def run(monkeypatch, tmp_path, *histories):
    words = tmp_path / "columns.yaml"
    words.write_text("columns: {rmse_over_noise: {label: RMSE}}\n")
    models = {"net": {"kind": "network", "label": "Res-UNet"}, "fit": {"kind": "baseline"}}
    command = ["plot_history.py", "--config", json.dumps({"models": models})]
    command += ["--words", str(words), "--data-kind", "simulated"]
    command += ["--output", str(tmp_path / "history.png"), "--history", *map(str, histories)]
    monkeypatch.setattr(sys, "argv", command)
    plot_history.main()


@pytest.fixture
def write(tmp_path):
    def file(model: str, text: str):
        path = tmp_path / model / "seed0" / "history.csv"
        path.parent.mkdir(parents=True)
        path.write_text(text)
        return path

    return file


def test_baselines_have_no_panel_and_networks_are_drawn(monkeypatch, tmp_path, write):
    good = write("net", history(9, 8).to_csv(index=False))
    run(monkeypatch, tmp_path, good, write("fit", "step\n"))
    assert (tmp_path / "history.png").stat().st_size > 5000
    assert (tmp_path / "history.pdf").exists()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("step,valid_nll\n1,3\n", r"history\.csv: column train_nll not found next to valid_nll"),
        ("epoch,valid_nll\n1,3\n", r"history\.csv: column step not found \(columns: epoch, "),
        ("step\n", "expected the history of at least one network"),
    ],
)
def test_history_without_its_columns_is_refused(monkeypatch, tmp_path, write, text, message):
    with pytest.raises(BadInput, match=message):
        run(monkeypatch, tmp_path, write("net", text))
