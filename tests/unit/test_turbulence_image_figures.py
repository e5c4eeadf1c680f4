"""Figures of images: maps in their places, scales centred on zero, power and structure functions of
known fields.
"""

import json
import sys

import numpy as np
import pytest
import xarray as xr
from matplotlib import pyplot as plt
from test_turbulence_images import SIDE, SIMULATIONS, columns, cut, wave

import turbulence_plot_images as script
from skyloom import plotting
from skyloom.cli import BadInput
from skyloom.plotting import OBSERVED
from skyloom.turbulence.figures import images, realism


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def drawn(data: xr.Dataset, families: dict[str, xr.Dataset], count: int = 2, grid: int | None = 16):
    statistics = script.statistics(data, grid)
    return images.panels(data, families, count, statistics, "quarter images")


def titled(figure, text: str) -> list:
    return [ax for ax in figure.axes if text in ax.get_title("left")]


# --- maps and images ------------------------------------------------------------------------------


def test_maps_are_of_test_simulations_of_both_classes_with_the_rms_of_each():
    simulations = columns()
    data = cut(simulations, test_share=0.4)
    figure = drawn(data, {"clouds": simulations})
    maps = titled(figure, "rms")
    indices = [ax.get_title("left").split(",")[0] for ax in maps]
    assert indices == ["$n$ = 3.67"] * 2 + ["$n$ = 4.00"] * 2
    (limits,) = {ax.images[0].get_clim() for ax in maps}
    assert sum(limits) == 0 and {ax.images[0].get_cmap().name for ax in maps} == {"RdBu_r"}
    test = set(data["seed"].values[data["split"].values == 2])
    for ax in maps:
        shown = np.asarray(ax.images[0].get_array())
        logs = np.log10(1 + simulations["column"].values[:, 0])
        (row,) = [k for k in range(SIMULATIONS) if np.allclose(logs[k], shown)]
        assert int(simulations["seed"][row]) in test
        rms = np.format_float_positional(shown.std(), 2, fractional=False)
        assert f"rms {rms} dex" in ax.get_title("left")


def test_images_are_in_the_places_of_the_map_that_they_are_cut_from():
    simulations = columns()
    figure = drawn(cut(simulations, test_share=0.4), {"clouds": simulations}, count=1)
    whole = titled(figure, "rms")[0]
    values = np.asarray(whole.images[0].get_array())
    quarters = figure.axes[1:5]
    middle = whole.get_position().x1
    assert all(ax.get_position().x0 > middle for ax in quarters)
    for ax in quarters:
        place, others = ax.get_position(), [other.get_position() for other in quarters]
        x, y = place.x0 > min(o.x0 for o in others), place.y0 > min(o.y0 for o in others)
        part = values[y * 8 : y * 8 + 8, x * 8 : x * 8 + 8]
        standard = (part - part.mean()) / part.std()
        np.testing.assert_allclose(ax.images[0].get_array(), standard, atol=1e-5)
        assert ax.images[0].get_clim() == (-images.CLIP, images.CLIP)


def test_sheet_states_mach_number_time_and_the_rms_of_real_clouds():
    simulations = columns()
    data = cut(simulations, test_share=0.4)
    heading = drawn(data, {"clouds": simulations}).texts[0].get_text()
    assert heading.startswith("quarter images: Mach 1.41, 0.5 Myr; rms")
    assert heading.endswith("0.2\N{EN DASH}0.4 dex")
    figure = drawn(data, {"clouds": simulations})
    assert figure.get_figwidth() == plotting.PAGE and figure.get_figheight() < 9.2
    labels = [ax.get_xlabel() for ax in figure.axes]
    assert r"$\log_{10} N$, standard deviations" in labels
    assert r"$\log_{10} N/\langle N\rangle$ [dex]" in labels


def test_maps_of_another_run_are_refused():
    data = cut(columns())
    with pytest.raises(BadInput, match="column maps of clouds: 0 of the seed"):
        drawn(data, {"clouds": columns(first_seed=900)}, 1)


# --- statistics of the classes --------------------------------------------------------------------


def waves(k: float) -> xr.Dataset:
    """Whole maps of one plane wave, of k cycles a box in the first class, of 2 k in the second."""
    amplitude = 0.01 * np.log(10)
    fields = [np.exp(amplitude * wave(k * (1 + number % 2))) - 1 for number in range(SIMULATIONS)]
    return columns(column=np.repeat(np.array(fields)[:, None], 3, axis=1))


def test_power_of_a_wave_is_all_at_its_wave_number():
    data = cut(waves(2), parts=1)
    power, _ = script.statistics(data, 64)
    np.testing.assert_array_equal(power.x, np.arange(1, SIDE // 2))  # [cycles a box]
    for values, k in zip(power.values, (2, 4), strict=True):
        # k^2 P(k) over the sum of k P(k) is k at the one wave that there is
        expected = np.where(power.x == k, k, 0)
        np.testing.assert_allclose(values, np.tile(expected, (len(values), 1)), atol=1e-6)
    assert power.limits == {"amplitude": 4, "phase": 8}


def test_structure_function_of_a_wave_is_that_of_a_cosine():
    """<(cos(x + l) - cos(x))^2> = 1 - cos(l); across the wave it is 0, the variance is 1/2."""
    _, structure = script.statistics(cut(waves(2), parts=1), None)
    pixel = 10 / SIDE
    np.testing.assert_allclose(structure.x, np.arange(1, SIDE // 2 + 1) * pixel)
    for lag, value in zip(structure.x, structure.values[0][0], strict=True):
        # along the wave the lag is a whole number of pixels short of the period
        angle = 2 * np.pi * 2 * lag / 10
        count = SIDE - round(lag / pixel)
        x = 2 * np.pi * 2 * (np.arange(count) + 0.5) / SIDE
        expected = np.square(np.cos(x + angle) - np.cos(x)).mean() / 2 / 0.5
        assert value == pytest.approx(expected, rel=1e-5)
    assert structure.limits == {}


def test_band_of_a_class_holds_68_percent_of_its_simulations_and_unconverged_waves_are_shaded():
    simulations = columns()
    figure = drawn(cut(simulations, test_share=0.4), {"clouds": simulations}, grid=32)
    power, structure = (titled_axis(figure, text) for text in ("power per", "structure function"))
    texts = [text.get_text() for text in figure.legends[0].get_texts()]
    assert texts == [
        "$n$ = 3.67",
        "$n$ = 4.00",
        "amplitude not converged",
        "phase not converged",
    ]
    assert "68 %" in figure.legends[0].get_title().get_text()
    assert [patch.get_x() for patch in power.patches] == [2, 4]  # cycles a box of 32 cells
    assert [patch.get_x() for patch in structure.patches] == [2.5, 1.25]  # half the wave, of 10 pc
    assert [drawn.is_dashed() for drawn in power.lines] == [False, True]


def titled_axis(figure, text: str):
    return next(ax for ax in figure.axes if text in ax.get_ylabel())


def test_entry_point_draws_a_set_of_raw_images(tmp_path, monkeypatch):
    simulations = columns()
    simulations.to_netcdf(tmp_path / "columns.nc")
    data = cut(simulations, variant="raw")
    data.to_netcdf(tmp_path / "patches.nc")
    config = {"families": ["clouds"], "count": 1, "grid": None, "set": "raw images"}
    words = ["x", "--config", json.dumps(config), "--patches", str(tmp_path / "patches.nc")]
    words += ["--columns", str(tmp_path / "columns.nc"), "--output", str(tmp_path / "a.png")]
    monkeypatch.setattr(sys, "argv", words)
    script.main()
    assert (tmp_path / "a.pdf").read_bytes().startswith(b"%PDF")


# --- two sets -------------------------------------------------------------------------------------


def test_comparison_names_its_sets_and_draws_real_maps_in_black():
    random = np.random.default_rng(0)
    pictures = {name: random.normal(size=(4, 8, 8)) for name in ("sim", "sky")}
    kinds = {"sim": "simulated", "sky": "survey"}
    looks = realism.set_looks({"sim": "quarter images", "sky": "real clouds"}, kinds)
    assert looks["sky"].colour == OBSERVED.colour != looks["sim"].colour
    k, power = np.arange(1, 4), {name: random.normal(size=(9, 3)) for name in kinds}
    scores = {"score by power": {name: random.normal(size=30) for name in kinds}}
    figure = realism.comparison(pictures, k, power, scores, looks)
    rows = [ax.get_ylabel() for ax in figure.axes if ax.images]
    assert [text for text in rows if text] == ["quarter images", "real clouds"]
    assert {ax.images[0].get_clim() for ax in figure.axes if ax.images} == {(-3, 3)}
    ax = titled_axis(figure, "power per")
    shares = images.share_of_variance(k, power["sim"])
    np.testing.assert_allclose(ax.lines[0].get_ydata(), np.median(shares, axis=0))
    assert ax.lines[1].get_color() == "black"
    assert figure.get_figwidth() == plotting.PAGE


def test_panel_numbers_its_images_and_names_no_set():
    figure = realism.panel(np.random.default_rng(0).normal(size=(7, 8, 8)))
    titles = [ax.get_title() for ax in figure.axes if ax.images]
    assert titles == [str(number) for number in range(1, 8)]
    assert figure.axes[-1].get_xlabel() == r"$\log_{10} N$, standard deviations"
