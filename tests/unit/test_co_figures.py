"""Figures are drawn from files alone, in the right place on the sky, and fit the report."""

import json
import subprocess
import sys
from pathlib import Path

import healpy
import numpy as np
import pandas as pd
import pytest
import xarray as xr
import yaml
from astropy.wcs import WCS
from matplotlib import pyplot as plt
from PIL import Image
from test_co_evaluate import SETTINGS, fake_patches

import co_plot_panels
import co_plot_scores
import co_plot_selection
import co_plot_spectra
from skyloom import plotting
from skyloom.cli import BadInput
from skyloom.co import figures, score_figures
from skyloom.co.evaluate import evaluate

REPOSITORY = Path(__file__).resolve().parents[2]
PUBLISHED = yaml.safe_load((REPOSITORY / "config/co/published.yaml").read_text())
MODELS = {
    "cyclegan": {"kind": "network", "module": "cyclegan", "label": "CycleGAN", "marker": "s"},
    "flow": {"kind": "network", "module": "flow_matching", "label": "flow matching", "marker": "D"},
    "fit": {"kind": "baseline", "module": "isotonic", "label": "dust law", "marker": "v"},
}


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
        if kind == "network":
            predictions["spread"] = (("example", "y", "x"), np.full_like(truth, 0.5))
        predictions.to_netcdf(here / "predictions.nc")
        if model == "flow":
            noise = np.random.default_rng(1).normal(0, 1, (len(truth), 4, *truth.shape[1:]))
            predictions["samples"] = (("example", "sample", "y", "x"), truth[:, None] + noise)
        curves = evaluate(tiles, predictions, {}, SETTINGS | {"draws": 20}).curves
        curves.attrs |= about
        curves.to_netcdf(here / "curves.nc")
    comparison(folder / "comparison.csv", chosen="flow")
    return folder


def comparison(path, chosen: str) -> None:
    """A comparison.csv of set `a`: three models and a reference."""
    rows = [("cyclegan", "network", 9), ("flow", "network", 8), ("fit", "baseline", 3)]
    rows += [("poor", "baseline", 5), ("dust", "reference", np.nan)]
    table = pd.DataFrame(rows, columns=["model", "kind", "rmse_over_noise_bright"])
    table["chosen"] = np.where(table.model == chosen, "chosen", "")
    table.assign(set="a").to_csv(path, index=False)


def read_scores(files, seeds: str = "*") -> score_figures.Scores:
    paths = sorted(files.glob(f"test/*/seed{seeds}/curves.nc"))
    config = {"subset": "bright", "models": MODELS}
    return score_figures.read(paths, config, files / "comparison.csv", PUBLISHED)


def draw(monkeypatch, script, output, *arguments):
    monkeypatch.setattr("sys.argv", ["plot", *map(str, arguments), f"--output={output}"])
    script.main()
    width, height = Image.open(output).size
    assert 400 < max(width, height) <= 1600
    assert output.with_suffix(".pdf").read_bytes().startswith(b"%PDF")
    assert not plt.get_fignums()


def test_panels_of_typical_tiles_and_of_the_worst_are_drawn(files, tmp_path, monkeypatch):
    predictions = [files / f"test/{name}/seed1/predictions.nc" for name in MODELS]
    config = json.dumps({"tiles": 2, "bright_fraction": 0.5, "models": MODELS, "all": ["flow"]})
    sheets = {}
    save = plotting.save
    monkeypatch.setattr(
        plotting,
        "save",
        lambda sheet, path, kind: (sheets.update({path.stem: sheet}), save(sheet, path, kind)),
    )
    draw(
        monkeypatch,
        co_plot_panels,
        tmp_path / "panels.png",
        f"--config={config}",
        f"--patches={files}/patches.nc",
        f"--denoised={files}/denoised.nc",
        f"--comparison={files}/comparison.csv",
        f"--output-residuals={tmp_path}/residuals.png",
        f"--output-all={tmp_path}/all.png",
        "--predictions",
        *predictions,
    )
    assert (tmp_path / "residuals.png").exists() and (tmp_path / "all.pdf").exists()
    headings = {text.get_text() for text in sheets["panels"].texts}
    assert {"observed", "flow matching", "dust law", r"stated 1$\sigma$"} < headings
    assert "CycleGAN" not in headings
    titles = [text.get_text() for ax in sheets["panels"].axes for text in ax.texts]
    assert sum("largest error of flow matching" in title for title in titles) == 1
    maps = [ax for ax in sheets["panels"].axes if ax.images and ax.get_aspect() == 1]
    assert len(maps) == 3 * 6  # two typical tiles and the worst; inputs, CO, two models, spread
    names = [text.get_text() for ax in sheets["all"].axes for text in ax.texts]
    assert "dust law" in names and "CycleGAN" not in names  # neither chosen nor asked for


def test_worst_tile_is_that_of_the_largest_squared_error_among_bright_ones():
    patches, _ = fake_patches(30)
    tiles = patches.isel(example=patches.split.values == 2)
    prediction = tiles.target.values.copy()
    bright = (tiles.bright_fraction.values >= 0.5) & (tiles["complex"].values == 0)
    prediction[~bright] += 100
    first, second = np.flatnonzero(bright)[:2]
    prediction[first] += 1
    prediction[second] += 3
    row, share = figures.worst_row(tiles, prediction, 0.5)
    assert row == second and share == pytest.approx(0.9)


def test_featured_models_are_the_chosen_network_and_the_best_baseline(files, tmp_path):
    assert figures.featured(files / "comparison.csv", "a") == ["flow", "fit"]
    comparison(tmp_path / "none.csv", chosen="")
    assert figures.featured(tmp_path / "none.csv", "a") == ["cyclegan", "fit"]
    assert figures.featured(tmp_path / "none.csv", "b") == []


def test_spectra_are_drawn_and_a_subset_without_tiles_is_refused(files, tmp_path, monkeypatch):
    curves = sorted(files.glob("test/*/seed*/curves.nc"))
    rest = [f"--comparison={files}/comparison.csv", f"--output-full={tmp_path}/full.png"]
    rest += [f"--published={REPOSITORY}/config/co/published.yaml", "--curves", *curves]
    config = {"subset": "bright", "models": MODELS}
    draw(
        monkeypatch,
        co_plot_spectra,
        tmp_path / "spectra.png",
        f"--config={json.dumps(config)}",
        *rest,
    )
    assert (tmp_path / "full.png").exists()
    config |= {"subset": "ophiuchus"}
    with pytest.raises(BadInput, match=r"curves\.nc: subset ophiuchus not found \(subsets: bright"):
        draw(
            monkeypatch,
            co_plot_spectra,
            tmp_path / "n.png",
            f"--config={json.dumps(config)}",
            *rest,
        )


def test_spectra_end_at_the_first_band_beyond_the_beam_and_observed_co_is_black(files):
    scores = read_scores(files)
    figure = score_figures.spectra(scores)
    power, rho, copied, ratio = figure.axes
    # B_l^2 of 15 arcmin falls to 0.05 at l = 934, between the bands 866 and 1100
    assert all(max(line.get_xdata()) == 1100 for line in power.lines)
    assert ratio.get_xlim()[1] < 1200
    observed = power.lines[0]
    assert observed.get_color() == "black" and observed.get_label() == "observed"
    np.testing.assert_allclose(observed.get_ydata(), scores.first.cl_target[:4])
    assert {line.get_label() for line in ratio.lines} >= {
        "flow matching",
        "flow matching, one realisation",
        "dust law",
        "CycleGAN",
    }
    assert "(K km s" in power.get_ylabel() and "with dust" in copied.get_ylabel()
    full = score_figures.spectra_full(scores)
    assert max(full.axes[0].lines[0].get_xdata()) > 1300
    for sheet in (figure, full):
        plt.close(sheet)


def test_published_points_have_error_bars_and_the_look_of_a_model_that_was_run(files):
    scores = read_scores(files, seeds="1")
    figure, (rho, copied) = plt.subplots(1, 2)
    ell = scores.first.l.values[:4]
    score_figures._published_curves(rho, scores, "CO J=1-0", ell)
    score_figures._published_curves(copied, scores, "predicted CO J=1-0", ell)
    drawn = {bars.get_label(): bars for bars in rho.containers + copied.containers}
    assert list(drawn) == ["dust map, published (real sky)", "CycleGAN, published (real sky)"]
    points, _, (bar,) = rho.containers[1]
    assert points.get_color() == scores.looks["cyclegan"].colour and points.get_marker() == "s"
    np.testing.assert_allclose(points.get_ydata(), [0.73, 0.16, 0.10, 0.09])
    assert np.ptp(bar.get_segments()[0][:, 1]) == pytest.approx(0.06)
    # of dust with the CO that the published network predicted
    np.testing.assert_allclose(copied.containers[0][0].get_ydata(), [0.83, 0.29, 0.19, 0.19])
    plt.close(figure)
    # a network that was not run has a label too
    figure, ax = plt.subplots()
    score_figures._published_curves(ax, scores, "CO J=2-1", ell)
    assert [bars.get_label().split(",")[0] for bars in ax.containers] == ["CycleGAN", "dust map"]
    plt.close(figure)


@pytest.mark.parametrize("name", co_plot_scores.FIGURES)
def test_scores_of_a_set_are_drawn(files, tmp_path, monkeypatch, name):
    curves = sorted(files.glob("test/*/seed*/curves.nc"))
    rest = [f"--published={REPOSITORY}/config/co/published.yaml", "--curves", *curves]
    config = json.dumps({"subset": "bright", "models": MODELS})
    words = f"--figure={name}", f"--config={config}", f"--comparison={files}/comparison.csv"
    draw(monkeypatch, co_plot_scores, tmp_path / f"{name}.png", *words, *rest)


def test_models_of_two_sets_are_not_drawn_together(files, tmp_path):
    paths = sorted(files.glob("test/*/seed1/curves.nc"))
    with xr.open_dataset(paths[0]) as curves:
        curves.load().assign_attrs(set="b").to_netcdf(tmp_path / "curves.nc")
    config, table = {"subset": "bright", "models": MODELS}, files / "comparison.csv"
    with pytest.raises(BadInput, match="models of the sets a, b; expected one set"):
        score_figures.read([tmp_path / "curves.nc", paths[1]], config, table, PUBLISHED)


def test_figures_show_the_chosen_network_the_best_baseline_and_the_published_one(files):
    assert read_scores(files).shown == ("flow", "fit", "cyclegan")


def test_point_of_a_model_lies_at_its_scores_and_its_sample_is_joined_to_it(files):
    scores = read_scores(files, seeds="1")
    figure = score_figures.plane(scores)
    names = ("rho_l_beam", "cl_ratio_beam")
    expected = [
        [float(scores.curves["flow"][0][n].sel(of=of)) for of in ("model", "sample")] for n in names
    ]
    joined = [line for line in figure.axes[0].lines if line.get_linestyle() == ":"]
    np.testing.assert_allclose(joined[-1].get_data(), expected)  # the last model's
    labels = {text.get_text() for text in figure.axes[0].texts}
    assert {"flow matching", "one realisation", "dust law", "noise-free truth"} < labels
    assert "CycleGAN, published (real sky)" in labels and figure.legends == []
    plt.close(figure)


def test_minkowski_functionals_are_named_and_their_differences_to_the_observed_drawn(files):
    scores = read_scores(files)
    figure = score_figures.minkowski(scores)
    names = [ax.get_ylabel().split(" [")[0] for ax in figure.axes]
    assert names[:3] == ["area", "boundary length", "Euler number"]
    assert {*names[3:]} == {"predicted $-$ observed"}
    drawn = {line.get_label(): line.get_ydata() for line in figure.axes[4].lines}
    field = {"flow matching": ("flow", "sample"), "dust law": ("fit", "prediction")}
    for label, (model, name) in field.items():
        curves = scores.curves[model][0].v1
        expected = curves.sel(field=name) - curves.sel(field="target")
        np.testing.assert_allclose(drawn[label], expected, atol=1e-12)
    plt.close(figure)


def test_latitude_has_points_without_lines_in_bins_that_have_tiles(files):
    scores = read_scores(files)
    figure = score_figures.latitude(scores)
    rms, bias = figure.axes
    filled = np.isfinite(scores.first.latitude_signal.values).sum()
    assert len(rms.get_xticks()) == len(bias.get_xticks()) == filled
    joined = [line for line in rms.lines if line.get_linestyle() not in ("None", "none")]
    assert [line.get_label() for line in joined] == ["noise (null map)"]
    assert {*joined[0].get_ydata()} == {1}
    points = {bars.get_label(): bars[0].get_ydata() for bars in rms.containers}
    first = scores.curves["fit"][0]
    expected = (first.latitude_rms / first.latitude_noise).values
    np.testing.assert_allclose(points["dust law"], expected[np.isfinite(expected)])
    plt.close(figure)


def test_calibration_says_where_a_model_is_too_sure(files):
    figure = score_figures.calibration(read_scores(files))
    (ax,) = figure.axes
    corners = {text.get_text(): text.get_position() for text in ax.texts}
    assert corners["uncertainty too large"] == (0.03, 0.97)
    assert corners["uncertainty too small"] == (0.97, 0.03)
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert [label.split(":")[0] for label in labels] == ["CycleGAN", "flow matching"]
    assert "68 % interval" in figure.legends[0].get_title().get_text()
    plt.close(figure)


def test_histogram_merges_bins_without_losing_weight():
    edges = np.linspace(0, 12, 121)
    w, density = (edges[1:] + edges[:-1]) / 2, np.random.default_rng(0).uniform(size=(3, 120))
    merged, values = score_figures._merged(w, density)
    assert len(merged) == 120 // score_figures.MERGED
    width = 0.1 * score_figures.MERGED
    np.testing.assert_allclose(values.sum(1) * width, density.sum(1) * 0.1)


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


def test_splits_differ_in_shape_and_complexes_are_called_held_out():
    tiles = {"tile": [1, 2, 3], "glon": [10.0, 200.0, 180.0], "glat": [0.0, -30.0, 60.0]}
    tiles |= {"split": ["train", "valid", "test"], "complex": ["", "", "g262s27"]}
    snr = np.ones(healpy.nside2npix(16))
    figure = figures.selection(snr, pd.DataFrame(tiles), 8.0, "CO 1-0", 3.0)
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert labels[:3] == ["training: 1 tiles", "validation: 1 tiles", "test: 1 tiles"]
    assert "held-out complexes" in labels[3]
    texts = {text.get_text() for text in figure.axes[0].texts}
    assert {"G262S27", "180°", "0°", "240°"} <= texts
    shapes = [len(points.get_paths()[0]) for points in figure.axes[0].collections[1:4]]
    assert len({*shapes}) == 3  # circle, triangle, square
    plt.close(figure)


def shown_tiles(names, factors, spread=None):
    patches, co = fake_patches(12)
    rows = [9, 10]
    predictions = {name: k * co[rows] for name, k in zip(names, factors, strict=True)}
    return figures.Tiles(patches.isel(example=rows), ["", ""], predictions, spread, None)


def maps_of(figure) -> list:
    """The images of a sheet, row by row, without those of colour bars."""
    return [ax.images[0] for ax in figure.axes if ax.images]


def test_co_maps_of_a_tile_share_their_scale():
    looks = plotting.model_looks(MODELS)
    figure = figures.panels(shown_tiles(["flow", "fit"], [2, 0.5]), looks, ["flow", "fit"])
    images = maps_of(figure)
    for tile in (images[:5], images[5:]):
        assert len({image.get_clim() for image in tile[2:]}) == 1  # observed, two models
    assert figure.get_figwidth() == plotting.PAGE
    plt.close(figure)


def test_residual_scale_is_centred_on_zero_and_a_pull_is_in_stated_deviations():
    spread = np.full((2, 32, 32), 2.0, np.float32)
    tiles = shown_tiles(["flow", "fit"], [2, 0.5], spread)
    looks = plotting.model_looks(MODELS)
    figure = figures.panels_residuals(tiles, looks, ["flow", "fit"])
    images = maps_of(figure)
    for k, tile in enumerate((images[:4], images[4:])):
        (low, high), other = tile[1].get_clim(), tile[2].get_clim()
        assert low == -high and (low, high) == other
        error = tiles.patches.error.values[k]
        expected = tile[1].get_array() / np.sqrt(spread[k] ** 2 + error**2)
        np.testing.assert_allclose(tile[3].get_array(), expected, rtol=1e-5)
    plt.close(figure)


def test_all_models_have_a_map_and_a_residual_of_each_tile():
    looks = plotting.model_looks(MODELS)
    tiles = shown_tiles([*MODELS], [1, 2, 3])
    figure = figures.panels_all(tiles, looks, [*MODELS])
    assert len(maps_of(figure)) == 2 * (1 + 2 * 3)  # observed, then two of each model
    plt.close(figure)


def test_typical_tiles_are_bright_outside_complexes_and_ordered_by_mean_co():
    patches, _ = fake_patches(60)
    tiles = patches.isel(example=patches.split.values == 2)
    rows = figures.typical_rows(tiles, 3, 0.5)
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
    figures._graticule(ax, glon, glat, 1.5)
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
