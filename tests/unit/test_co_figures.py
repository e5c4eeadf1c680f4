"""Figures are drawn from files alone, in the right place on the sky, and fit the report."""

import itertools
import subprocess
import sys
from pathlib import Path

import healpy
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from astropy.wcs import WCS
from matplotlib import pyplot as plt
from PIL import Image
from test_co_evaluate import SETTINGS, fake_patches

import co_plot_panels
import co_plot_scores
import co_plot_selection
import co_plot_spectra
import plot_history
from skyloom import plotting
from skyloom.cli import BadInput
from skyloom.co import figures, score_figures
from skyloom.co.evaluate import evaluate

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A folder with the files that the figures are made from: three models, one with two seeds, one
    with samples.
    """
    folder = tmp_path_factory.mktemp("results")
    patches, co = fake_patches(40)
    patches.to_netcdf(folder / "patches.nc")
    patches[["target"]].to_netcdf(folder / "denoised.nc")
    tiles = patches.isel(example=patches.split.values == 2)
    truth = co[patches.split.values == 2]
    for model, kind, seed, factor in (
        ("cyclegan", "network", 1, 0.8),
        ("cyclegan", "network", 2, 0.7),
        ("flow", "network", 1, 1),
        ("fit", "baseline", 1, 1),
    ):
        here = folder / "test" / model / f"seed{seed}"
        here.mkdir(parents=True)
        about = {
            "model": model,
            "kind": kind,
            "seed": seed,
            "data_kind": "simulated",
            "set": "a",
            "line": "CO J=1-0",
        }
        predictions = xr.Dataset(
            {"prediction": (("example", "y", "x"), factor * truth), "tile": tiles.tile}, attrs=about
        )
        predictions.to_netcdf(here / "predictions.nc")
        if model == "flow":
            noise = np.random.default_rng(1).normal(0, 1, (len(truth), 4, *truth.shape[1:]))
            predictions["samples"] = (("example", "sample", "y", "x"), truth[:, None] + noise)
        curves = evaluate(tiles, predictions, {}, SETTINGS | {"draws": 20}).curves
        curves.attrs |= about
        curves.to_netcdf(here / "curves.nc")
    return folder


def draw(monkeypatch, script, output, *arguments):
    monkeypatch.setattr("sys.argv", ["plot", *map(str, arguments), f"--output={output}"])
    script.main()
    width, height = Image.open(output).size
    assert 400 < max(width, height) <= 1600
    assert output.with_suffix(".pdf").read_bytes().startswith(b"%PDF")
    assert not plt.get_fignums()


def test_panels_are_drawn(files, tmp_path, monkeypatch):
    predictions = [files / f"test/{name}/seed1/predictions.nc" for name in ("cyclegan", "fit")]
    config = '--config={"tiles": 2, "bright_fraction": 0.5}'
    maps = f"--patches={files}/patches.nc", f"--denoised={files}/denoised.nc"
    draw(
        monkeypatch,
        co_plot_panels,
        tmp_path / "panels.png",
        config,
        *maps,
        "--predictions",
        *predictions,
    )


def test_spectra_are_drawn_and_a_subset_without_tiles_is_refused(files, tmp_path, monkeypatch):
    curves = sorted(files.glob("test/*/seed*/curves.nc"))
    rest = f"--published={REPOSITORY}/config/co/published.yaml", "--curves", *curves
    draw(
        monkeypatch,
        co_plot_spectra,
        tmp_path / "spectra.png",
        '--config={"subset": "bright"}',
        *rest,
    )
    with pytest.raises(BadInput, match=r"curves\.nc: subset ophiuchus not found \(subsets: bright"):
        draw(
            monkeypatch,
            co_plot_spectra,
            tmp_path / "none.png",
            '--config={"subset": "ophiuchus"}',
            *rest,
        )


def test_published_points_take_the_colour_of_the_first_of_their_models_that_was_run():
    number = {"with": "CO J=1-0", "values": [0.7, 0.2]}
    rho_l = [
        {"beside": name} | number
        for name in ("dust", "hi", ["cyclegan", "cyclegan_as_presented"], "other")
    ]
    rho_l.append({"beside": "dust", "with": "CO J=2-1", "values": [0, 0]})
    figure, ax = plt.subplots()
    published = {"l": [398, 632], "measured_on": "real sky", "rho_l": rho_l}
    styles = {"res_unet": {"color": "C0"}, "cyclegan_as_presented": {"color": "C3"}}
    score_figures._published_points(ax, published, styles, "CO J=1-0")
    drawn = {line.get_label().split(",")[0]: line.get_color() for line in ax.lines}
    assert drawn == {"dust": "black", "cyclegan": "C3", "other": "0.4"}
    plt.close(figure)
    figure, ax = plt.subplots()
    score_figures._published_points(ax, published, styles, "CO J=2-1")
    assert [line.get_ydata().tolist() for line in ax.lines] == [
        [0, 0]
    ]  # a set of the other line has the other points
    plt.close(figure)


@pytest.mark.parametrize("name", co_plot_scores.FIGURES)
def test_scores_of_a_set_are_drawn(files, tmp_path, monkeypatch, name):
    curves = sorted(files.glob("test/*/seed*/curves.nc"))
    rest = f"--published={REPOSITORY}/config/co/published.yaml", "--curves", *curves
    config = '--config={"subset": "bright", "highlight": null}'
    draw(monkeypatch, co_plot_scores, tmp_path / f"{name}.png", f"--figure={name}", config, *rest)


def test_models_of_two_sets_are_not_drawn_together(files, tmp_path):
    paths = sorted(files.glob("test/*/seed1/curves.nc"))
    with xr.open_dataset(paths[0]) as curves:
        curves.load().assign_attrs(set="b").to_netcdf(tmp_path / "curves.nc")
    with pytest.raises(BadInput, match="models of the sets a, b; expected one set"):
        score_figures.read([tmp_path / "curves.nc", paths[1]], {"subset": "bright"})


def test_models_that_are_not_highlighted_are_grey_and_share_one_label(files):
    paths = sorted(files.glob("test/*/seed1/curves.nc"))
    scores = score_figures.read(paths, {"subset": "bright", "highlight": ["flow", "not_run"]})
    styles = scores.styles()
    assert [styles[m]["color"] == plotting.GREY["color"] for m in ("cyclegan", "fit", "flow")] == [
        True,
        True,
        False,
    ]
    assert [look["label"] for look in styles.values()] == ["other models", None, "flow (network)"]


def test_point_of_a_model_lies_at_its_scores_and_its_sample_is_joined_to_it(files):
    paths = sorted(files.glob("test/flow/seed1/curves.nc"))
    figure = score_figures.plane(score_figures.read(paths, {"subset": "bright"}), [])
    with xr.open_dataset(paths[0]) as curves:
        where = curves.sel(subset="bright")
        expected = [
            [float(where[n].sel(of=of)) for of in ("model", "sample")]
            for n in ("rho_l_beam", "cl_ratio_beam")
        ]
    joined = [line for line in figure.axes[0].lines if line.get_linestyle() == ":"]
    np.testing.assert_allclose(joined[0].get_data(), expected)
    plt.close(figure)


@pytest.mark.parametrize("low", [0.004, 0.1, 0.5])
def test_numbers_on_the_plane_never_lie_on_one_another(files, low):
    paths = sorted(files.glob("test/*/seed*/curves.nc"))
    scores = score_figures.read(paths, {"subset": "bright"})
    for seed in scores.curves["fit"]:
        for end in ("", "_lo", "_hi"):
            seed[f"cl_ratio_beam{end}"] = low + 0 * seed[f"cl_ratio_beam{end}"]
    figure = score_figures.plane(scores, [])
    figure.canvas.draw()
    axis = figure.axes[0].yaxis
    labels = [
        label
        for label in axis.get_ticklabels(which="both")
        if label.get_text() and label.get_visible()
    ]
    view = figure.axes[0].get_window_extent()
    boxes = sorted((label.get_window_extent() for label in labels), key=lambda box: box.y0)
    boxes = [box for box in boxes if view.y0 <= (box.y0 + box.y1) / 2 <= view.y1]
    assert len(boxes) >= 2
    assert all(below.y1 <= above.y0 for below, above in itertools.pairwise(boxes))
    plt.close(figure)


def test_selection_is_drawn(tmp_path, monkeypatch):
    pixels = healpy.nside2npix(32)
    co = np.random.default_rng(0).lognormal(0, 2, pixels)
    co[:50] = np.nan
    maps = {"co21": ("pixel", co), "co21_error": ("pixel", np.full(pixels, 0.45))}
    xr.Dataset(maps, attrs={"data_kind": "simulated"}).to_netcdf(tmp_path / "maps.nc")
    tiles = {"tile": [1, 2, 3], "glon": [10.0, 200.0, 180.0], "glat": [0.0, -30.0, 89.0]}
    tiles |= {"split": ["train", "test", "test"], "complex": ["", "orion", "pole"]}
    pd.DataFrame(tiles).to_csv(tmp_path / "tiles.csv", index=False)
    files = f"--maps={tmp_path}/maps.nc", f"--tiles={tmp_path}/tiles.csv"
    config = '--config={"snr": 8, "line": "21", "size_deg": 3}'
    draw(monkeypatch, co_plot_selection, tmp_path / "selection.png", config, *files)


def test_histories_are_drawn_and_one_without_training_scores_is_refused(tmp_path, monkeypatch):
    good, bad, baseline = (
        tmp_path / name / "seed1" / "history.csv" for name in ("unet", "old", "fit")
    )
    for path in (good, bad, baseline):
        path.parent.mkdir(parents=True)
    good.write_text("step,epoch,loss_net,train_nll,valid_nll\n1,1,5,3,3\n2,2,4,1,2\n")
    bad.write_text("step,valid_nll\n1,3\n")
    baseline.write_text("step\n")
    kind = "--data-kind=simulated"
    draw(monkeypatch, plot_history, tmp_path / "history.png", kind, "--history", good, baseline)
    with pytest.raises(
        BadInput, match=r"history\.csv: column train_nll not found beside valid_nll"
    ):
        draw(monkeypatch, plot_history, tmp_path / "bad.png", kind, "--history", bad)
    with pytest.raises(BadInput, match="expected the history of at least one network"):
        draw(monkeypatch, plot_history, tmp_path / "bad.png", kind, "--history", baseline)


def test_residual_scale_is_centred_on_zero_and_co_maps_of_a_tile_share_theirs():
    patches, co = fake_patches(12)
    shown = patches.isel(example=[9, 10])
    figure = figures.panels(shown, {"a": 2 * co[[9, 10]], "b": 0.5 * co[[9, 10]]})
    images = [
        ax.images[0]
        for ax in figure.axes
        if ax.images and ax.images[0].get_array().shape == (32, 32)
    ]
    per_tile = len(images) // 2
    for tile in (images[:per_tile], images[per_tile:]):
        assert len({image.get_clim() for image in tile[2:5]}) == 1  # truth, a, b
        (low, high), other = tile[5].get_clim(), tile[6].get_clim()
        assert low == -high and (low, high) == other
    plt.close(figure)


def test_chosen_tiles_are_bright_outside_complexes_and_ordered_by_mean_co():
    patches, _ = fake_patches(60)
    tiles = patches.isel(example=patches.split.values == 2)
    rows = figures.chosen_rows(tiles, 3, 0.5)
    means = np.nanmean(tiles.target.values[rows], axis=(1, 2))
    assert len(rows) == 3 and (np.diff(means) < 0).all()
    assert (tiles["complex"].values[rows] == 0).all() and (
        tiles.bright_fraction.values[rows] >= 0.5
    ).all()


@pytest.mark.parametrize(("glon", "glat"), [(0, 0), (209.1, -19.4), (359.5, 60), (120, 85)])
def test_lines_of_longitude_and_latitude_lie_where_the_wcs_standard_has_them(glon, glat):
    wcs = WCS(naxis=2)
    wcs.wcs.ctype, wcs.wcs.crval, wcs.wcs.cdelt, wcs.wcs.crpix = (
        ["GLON-TAN", "GLAT-TAN"],
        [glon, glat],
        [1, 1],
        [1, 1],
    )
    figure, ax = plt.subplots()
    figures._graticule(ax, glon, glat, 1.5, label=False)
    longitudes, latitudes = ax.collections
    for lines, axis in ((longitudes, 0), (latitudes, 1)):
        assert len(lines.levels) >= 1
        for level, path in zip(lines.levels, lines.get_paths(), strict=True):
            found = wcs.wcs_pix2world(path.vertices, 0)[:, axis]
            # interpolated between points 0.05 degrees apart: 1e-6, and 6e-4 where the pole is near
            assert np.abs((found - level + 180) % 360 - 180).max() < 2e-3
    plt.close(figure)


def test_covered_sky_of_a_tile_is_nine_square_degrees():
    lon, lat = np.linspace(180, -180, 1441), np.linspace(-90, 90, 721)
    tiles = pd.DataFrame({"glon": [30.0], "glat": [40.0]})
    area = (
        figures._covered(lon, lat, tiles, 3.0) * np.cos(np.radians(lat))[:, None]
    ).sum() * 0.25**2
    assert area == pytest.approx(9, rel=0.05)  # a grid of 0.25 degrees


def test_figures_import_no_torch():
    code = (
        "import sys; sys.path.insert(0, 'scripts'); import skyloom.co.figures;"
        " assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, check=True)
