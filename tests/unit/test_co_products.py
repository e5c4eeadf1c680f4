"""A model on the whole sky: coverage, shared noise, FITS files, footprints, figures."""

from datetime import UTC, datetime, timedelta

import healpy as hp
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import torch
import xarray as xr
from astropy.io import fits
from test_co_sphere import smooth_sky

import co_plot_product
import co_predict_sky
import co_tabulate_footprints
import co_write_product
from skyloom.cli import BadInput
from skyloom.co.products import area, figures, power, sky, write
from skyloom.patchset import PatchSet
from skyloom.plotting import Look

NSIDE, BEAM, DISC = 128, 120.0, {"glon": 300.0, "glat": -50.0, "radius_deg": 12.0}
TILES = {"size_deg": 3.0, "pixels": 32}
SHA256 = 8 * "01234567"
BANDS = {"l_first": 398, "l_width": 234, "l_count": 3, "taper_deg": 0.5}
PRODUCT = {"area": DISC, "tile_nside": 32, "samples": 2, "seed": 5}
FAKE = """
import torch

def make_task(entry, meta):
    return torch.nn.Module()

def predict(task, batch):
    dust = batch["dust"]
    assert set(batch) <= {"input", "dust", "hi", "valid", "glat", "noise"}
    return {"prediction": 0.3 * dust, "spread": torch.full_like(dust, 0.5)}
"""
STOCHASTIC = (
    FAKE.replace('"spread": torch.full_like(dust, 0.5)', '"samples": START')
    + """
def noise_arcmin(task):
    return 60.0
"""
)


@pytest.fixture(scope="module")
def maps(tmp_path_factory):
    """maps.nc of a smooth sky. Its CO is a third of its dust, with a hole."""
    path = tmp_path_factory.mktemp("maps") / "maps.nc"
    dust = 10 * smooth_sky(NSIDE, BEAM, 300, seed=2)
    co = 0.3 * dust
    co[:100] = np.nan
    planes = {
        "dust": dust,
        "co10": co,
        "co10_error": np.full_like(dust, 0.4),
        "co10_null": np.zeros_like(dust),
    }
    dataset = xr.Dataset(
        {name: ("pixel", values.astype(np.float32)) for name, values in planes.items()}
    )
    dataset["hi"] = "hi_pixel", np.full(hp.nside2npix(64), 5, np.float32)
    dataset.attrs = {"nside": NSIDE, "hi_nside": 64, "beam_arcmin": BEAM, "data_kind": "simulated"}
    dataset.attrs |= {f"sha256_{name}": SHA256 for name in ("co", "dust", "hi")}
    dataset.to_netcdf(path)
    return PatchSet(path)


@pytest.fixture
def checkpoint(tmp_path, toy_study):
    """A function `checkpoint(code)` that makes the checkpoint of a network with this code.

    It belongs to the study `toy`.
    """

    def make(code: str = FAKE) -> dict:
        folder = tmp_path / "toy" / "models"
        folder.mkdir(parents=True)
        for package in (folder, folder.parent):
            (package / "__init__.py").write_text("")
        (folder / "fake.py").write_text(code)
        toy_study(tmp_path)
        constants = {"asinh_scale": 1.0, "asinh_mean": 0.0, "asinh_std": 1.0}
        meta = {"normalisation": dict.fromkeys(("dust", "hi", "target"), constants), "pixels": 32}
        meta |= {"pixel_arcmin": 180 / 32, "beam_arcmin": BEAM, "line": "CO J=1-0"}
        about = {
            "study": "toy",
            "model": "fake",
            "kind": "network",
            "module": "fake",
            "entry": {},
            "digest": "abc",
        }
        return about | {"meta": meta, "state": {}}

    return make


# --- refusals ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        (
            "line",
            "CO J=2-1",
            "trained with line 'CO J=2-1'; expected 'CO J=1-0' from the product's line",
        ),
        ("beam_arcmin", 15.0, r"trained with beam_arcmin 15\.0; expected 120\.0 from .*maps\.nc"),
        (
            "pixel_arcmin",
            1.40625,
            r"trained with pixel_arcmin 1\.40625; expected 5\.625 from co\.tiles",
        ),
        ("line", None, "trained with line 'nothing'"),
    ],
)
def test_checkpoint_of_another_line_beam_or_pixel_is_refused(maps, key, value, message):
    meta = {"line": "CO J=1-0", "beam_arcmin": BEAM, "pixel_arcmin": 5.625, "pixels": 32}
    sky.require_match("best.ckpt", meta, maps, "10", TILES)
    meta = {k: v for k, v in (meta | {key: value}).items() if v is not None}
    with pytest.raises(BadInput, match=f"best.ckpt: {message}"):
        sky.require_match("best.ckpt", meta, maps, "10", TILES)


def test_tiles_that_do_not_cover_the_area_are_refused():
    with pytest.raises(
        BadInput, match=r"3 deg, 32 pixels, on NSIDE 16 centres leave \d+ pixels .* uncovered"
    ):
        area.area_tiles(16, DISC, 3.0, 32, NSIDE)
    assert 100 < len(area.area_tiles(32, DISC, 3.0, 32, NSIDE)[0]) < 250
    # two pixels a side cover 1.5 x 1.5 square degrees, less than the 3.4 of a tile centre
    with pytest.raises(BadInput, match="3 deg, 2 pixels"):
        area.area_tiles(32, DISC, 3.0, 2, NSIDE)


# --- prediction ----------------------------------------------------------------------------------


def test_linear_model_returns_its_map_with_the_stated_closure(maps, checkpoint):
    found = sky.predict_sky(checkpoint(), maps, PRODUCT, BANDS)
    inside = hp.query_disc(NSIDE, hp.ang2vec(300, -50, lonlat=True), np.radians(12))
    np.testing.assert_array_equal(found.pixel, inside)
    truth = 0.3 * maps.array("dust")[inside]
    error = found.prediction.values - truth
    assert error.std() / truth.std() == pytest.approx(found.attrs["closure_rms"], rel=1e-3)
    assert found.attrs["closure_rms"] < 0.02  # beams of 4.4 pixels, whole beams a tile
    np.testing.assert_allclose(found.spread, 0.5, rtol=1e-5)
    # tiles agree up to the interpolation on the sphere
    assert found.attrs["seam"] < 0.01 and float(abs(found.known - 1).max()) < 1e-6  # float32
    assert found.attrs["samples"] == 0 and "realisation" not in found


def test_effective_beam_is_that_of_two_interpolations(maps, checkpoint):
    found = sky.predict_sky(
        checkpoint(), maps, PRODUCT | {"area": DISC | {"radius_deg": 20.0}}, BANDS
    )
    # Square grids: at x from a node of pitch q linear interpolation has a variance of x (q - x).
    # Between tile pixels p apart the mean of |x| is p / 3 and that of x^2 is p^2 / 6, which is the
    # variance of the second interpolation: p q / 3 in all. The next ring of HEALPix is shifted by
    # half a pixel: up to q^2 / 4 more in the share p / 3 q of one axis.
    share = (found.attrs["beam_arcmin"] ** 2 - BEAM**2) / (8 * np.log(2))
    share /= (180 / 32) * hp.nside2resol(NSIDE, arcmin=True)
    assert 1 / 3 < share < 1 / 2


def test_network_that_starts_from_the_shared_field_keeps_its_power_where_tiles_overlap(
    maps, checkpoint
):
    shared = sky.predict_sky(
        checkpoint(STOCHASTIC.replace("START", 'batch["noise"]')), maps, PRODUCT, BANDS
    )
    field = sky.noise_on_sphere(60.0, 2, 5)
    at = np.array(hp.pix2vec(NSIDE, shared.pixel.values))
    direct = sky.sample(field[:1], at)[0][0]
    # tiles of one field differ by its interpolation
    assert shared.attrs["seam_realisation"] < 0.1
    # the field after tiles of 5.6 arcmin loses power by interpolation only
    assert np.corrcoef(shared.realisation, direct)[0, 1] > 0.999
    assert shared.realisation.std() == pytest.approx(direct.std(), rel=0.02)
    # of two draws of unit variance
    assert shared.sample_std.mean() == pytest.approx(np.sqrt(2 / np.pi), abs=0.12)


def test_network_that_draws_for_each_tile_loses_power_in_the_blend(maps, checkpoint):
    torch.manual_seed(0)
    own = STOCHASTIC.replace("START", 'torch.randn(len(dust), 2, 1, 1).expand_as(batch["noise"])')
    found = sky.predict_sky(checkpoint(own), maps, PRODUCT, BANDS)
    # one number a tile: with weights w, blending leaves sum(w^2) of the variance, a third to two
    # thirds here
    assert found.realisation.std() < 0.8
    # the removed variance is the scatter between tiles: both add to the drawn variance of 1, which
    # some 130 overlapping tiles give to 0.14
    assert (1 + found.attrs["seam_realisation"] ** 2) * float(
        found.realisation.var()
    ) == pytest.approx(1, abs=0.4)


def test_field_on_the_sphere_has_unit_variance_and_the_spectrum_of_its_beam():
    first, second = sky.noise_on_sphere(120.0, 2, seed=1)
    assert (
        first.std() == pytest.approx(1, abs=0.05) and abs(np.corrcoef(first, second)[0, 1]) < 0.05
    )
    np.testing.assert_array_equal(first, sky.noise_on_sphere(120.0, 1, seed=1)[0])
    ell, cl = power.banded(hp.anafast(first, lmax=151, iter=0))
    expected = np.exp(-ell * (ell + 1) * (np.radians(2) / 2.3548) ** 2)
    ratio = (cl / expected) / (cl / expected)[0]
    # cosmic variance: a band of 30 l holds 960 modes and more
    np.testing.assert_allclose(ratio, 1, atol=0.15)
    for fwhm in (2.0, np.nan):
        message = f"starts from a field of {fwhm:g} arcmin; expected at least 6.9"
        with pytest.raises(BadInput, match=message):
            sky.noise_on_sphere(fwhm, 1, seed=1)


# --- files and figures ---------------------------------------------------------------------------


@pytest.fixture
def product(maps, checkpoint, tmp_path, monkeypatch):
    """The files of a product made by its entry points from two seeds of a network."""
    trained = checkpoint() | {"study": "co"}
    monkeypatch.setattr("skyloom.checkpoint.network", lambda c: fake_network(c))
    torch.save(trained, tmp_path / "best.ckpt")
    config = {"entry": {}, "line": "10", "tiles": TILES, "product": PRODUCT, "bands": BANDS}
    skies = [tmp_path / f"seed{seed}.nc" for seed in (0, 1)]
    for seed, path in enumerate(skies):
        call(
            monkeypatch,
            co_predict_sky,
            f"--model=fake --seed={seed} --maps={maps.path}",
            config,
            path,
            "best.ckpt",
        )
    tiles = {"tile": [1], "glon": [300.0], "glat": [-50.0], "split": ["train"], "complex": [""]}
    pd.DataFrame(tiles | {"bright_fraction": 1.0, "sampling_weight": 1.0}).to_csv(
        tmp_path / "tiles.csv", index=False
    )
    config = {"name": "spot", "product": PRODUCT, "cnv": {"10": 1.42e-5, "21": 4.5e-5}}
    config |= {
        "tiles": TILES | {"snr_threshold": 8.0, "seed": 0},
        "sets": {"10": {"views": 1, "shift_deg": 0.5}},
    }
    words = f"--maps={maps.path} --skies {skies[0]} {skies[1]} --tiles={tmp_path}/tiles.csv"
    call(
        monkeypatch,
        co_write_product,
        f"{words} --output-pysm={tmp_path}/pysm.fits",
        config,
        tmp_path / "spot.fits",
    )
    return tmp_path


def fake_network(checkpoint: dict):
    import skyloom.toy.models.fake as network

    return network, network.make_task({}, checkpoint["meta"])


def call(monkeypatch, script, words: str, config: dict, output, checkpoint: str | None = None):
    import json

    arguments = [*words.split(), f"--config={json.dumps(config)}", f"--output={output}"]
    if checkpoint:
        arguments.append(f"--checkpoint={output.parent / checkpoint}")
    monkeypatch.setattr("sys.argv", ["script", *arguments])
    script.main()


def test_product_is_read_by_healpy_and_describes_itself(product, maps):
    path = product / "spot.fits"
    header = fits.getheader(path, 1)
    assert [header[f"TTYPE{i}"] for i in (1, 2, 3)] == ["I10", "E10", "M10"] and header[
        "TUNIT1"
    ] == "K_RJ km/s"
    said = {
        "ORDERING": "RING",
        "COORDSYS": "GALACTIC",
        "SKYKIND": "simulated",
        "MODEL10": "fake",
        "SEEDS10": "0,1",
    }
    assert {key: header[key] for key in said} == said
    assert (
        header["ERROR10"] == "spread+seeds+tiles"
        and header["CNV10"] == 1.42e-5
        and header["CLOSE10"] < 0.02
    )
    assert header["CREATOR"] == "Skyloom" and header["SHA_HI"] == SHA256
    age = datetime.now(UTC) - datetime.fromisoformat(header["DATE"] + "+00:00")
    assert timedelta(0) <= age < timedelta(minutes=5)
    # of 12CO J = 1-0 (CDMS)
    assert header["RESTF10"] == 115.2712018e9
    assert header["BEAM10"] > BEAM and header["DIGST10"] == "abc,abc"
    intensity, error = (hp.read_map(path, field=k) for k in (0, 1))
    inside = hp.query_disc(NSIDE, hp.ang2vec(300, -50, lonlat=True), np.radians(12))
    # closure, at its worst
    np.testing.assert_allclose(intensity[inside], 0.3 * maps.array("dust")[inside], rtol=0.05)
    assert (intensity == hp.UNSEEN).sum() == hp.nside2npix(NSIDE) - len(inside)
    assert error[inside].mean() == pytest.approx(0.5, rel=0.01)  # seeds agree, tiles nearly
    bits = hp.read_map(path, field=2).astype(int)
    assert np.delete(bits, inside).tolist() == [write.MISSING] * (len(bits) - len(inside))
    trained = (bits & write.TRAINED > 0).sum() * hp.nside2pixarea(NSIDE, degrees=True)
    assert trained == pytest.approx(9, rel=0.1)  # pixels of 0.2 square degrees


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("spot", "I is the mean of the predicted distribution. SHA_: sha256 of the raw maps."),
        ("pysm", "0 where the product has no value: its own file has a mask, a template has none."),
    ],
)
def test_comments_of_a_header_break_between_words(product, name, text):
    lines = str(fits.getheader(product / f"{name}.fits", 1)["COMMENT"]).splitlines()
    assert text in " ".join(lines) and max(map(len, lines)) <= 72


def test_template_for_pysm_is_the_map_in_kelvin_of_the_cmb(product):
    intensity = hp.read_map(product / "spot.fits", field=0)
    template = hp.read_map(product / "pysm.fits", field=0)
    assert fits.getheader(product / "pysm.fits", 1)["TUNIT1"] == "K_CMB"
    known = intensity != hp.UNSEEN
    np.testing.assert_allclose(template[known], 1.42e-5 * intensity[known], rtol=1e-5)
    assert (template[~known] == 0).all()


def test_pysm_reads_the_template_in_its_unit(product):
    pysm3 = pytest.importorskip("pysm3")
    # COLines passes the unit, and would relabel another one
    for unit in (None, pysm3.units.K_CMB):
        found = pysm3.Model(nside=NSIDE).read_map(str(product / "pysm.fits"), field=0, unit=unit)
        assert found.unit == pysm3.units.K_CMB
        np.testing.assert_array_equal(found.value, hp.read_map(product / "pysm.fits", field=0))


def test_footprints_of_a_product_are_tabulated(product, maps, monkeypatch):
    boxes = {"here": {"frame": "galactic", "lon": [290, 310], "lat": [-56, -44], "least_b": 0}}
    boxes["away"] = {"frame": "galactic", "lon": [10, 20], "lat": [0, 10], "least_b": 0}
    words = f"--maps={maps.path} --product={product}/spot.fits"
    call(monkeypatch, co_tabulate_footprints, words, boxes, product / "footprints.csv")
    table = pd.read_csv(product / "footprints.csv").set_index("footprint")
    assert table.mass_ratio["here"] == pytest.approx(1, abs=0.01) and table.area_deg2["away"] == 0


@pytest.fixture
def drawn(product, maps, monkeypatch):
    """The figures of the product by name, as its entry point saves them."""
    made = {}
    monkeypatch.setattr(
        co_plot_product.plotting,
        "save",
        lambda figure, path, kind: made.update({path.stem: figure}),
    )
    words = [f"--maps={maps.path} --product={product}/spot.fits --skies={product}/seed0.nc"]
    words += [f"--output-{part}={product}/{part}.png" for part in ("sky", "zooms", "power")]
    config = {"area": DISC, "plane_deg": 20, "views": 1}
    config["models"] = {"fake": {"kind": "network", "label": "fake network"}}
    monkeypatch.setattr(co_plot_product.cli, "parser", without_output(co_plot_product.cli.parser))
    call(monkeypatch, co_plot_product, " ".join(words), config, product / "none")
    yield made
    plt.close("all")


def test_disc_is_shown_on_the_scale_of_its_own_brightest_sky(drawn, product):
    panels = {ax.get_title(loc="left"): ax for ax in drawn["sky"].axes if ax.images}
    parts = ("CO 1-0, observed", "predicted by fake network", r"1$\sigma$ of the prediction")
    assert [title.split(" [K")[0] for title in panels] == [*parts]
    maps = [hp.read_map(product / "spot.fits", field=field) for field in (0, 1)]
    intensity, error = maps
    for ax, values in zip(panels.values(), (intensity, intensity, error), strict=True):
        image = ax.images[0]
        top = np.percentile(values[values != hp.UNSEEN], 99.9)
        # the scale's end has two digits, and its number
        assert image.norm.vmin == 0 and image.norm.vmax == pytest.approx(top, rel=0.05)
        assert image.colorbar.get_ticks()[-1] == image.norm.vmax
    first, *others = panels.values()
    labels = [text for text in first.texts if "\N{DEGREE SIGN}" in text.get_text()[2:]]
    # no label on the border: all within 0.7 radii of the centre
    assert len(labels) >= 4
    assert max(np.abs(label.get_position()).max() for label in labels) < 0.7 * 12 * 1.05
    assert not any(ax.texts for ax in others)
    values = others[0].images[0].get_array()
    centre = hp.ang2pix(NSIDE, 300, -50, lonlat=True)
    assert values[200, 200] == intensity[centre] and np.isnan(np.ma.filled(values, np.nan)[0, 0])


def test_faint_disc_is_not_one_flat_colour():
    sky_of = np.full(hp.nside2npix(NSIDE), np.nan)
    inside = hp.query_disc(NSIDE, hp.ang2vec(300, -50, lonlat=True), np.radians(12))
    sky_of[inside] = np.linspace(0, 0.05, len(inside))
    noise = np.random.default_rng(0).normal(0, 0.45, sky_of.size)
    looks = {"10": Look("fake network", "#12449C")}
    figure = figures.whole_sky({"10": {"I": sky_of}}, {"10": noise}, DISC, looks, BEAM)
    observed, predicted = (ax.images[0].norm.vmax for ax in figure.axes if ax.images)
    # 99.9 % of a normal distribution
    assert predicted == 0.05 and observed == pytest.approx(3.09 * 0.45, rel=0.1)
    plt.close(figure)


def test_zooms_show_the_same_sky_in_each_column(drawn):
    panels = [ax for ax in drawn["zooms"].axes if ax.images]
    assert [ax.get_title() for ax in panels] == [
        "dust, 857 GHz",
        "CO 1-0, observed",
        "predicted by fake\nnetwork",
        "1$\\sigma$ of the\nprediction",
    ]
    dust, observed, predicted, spread = (ax.images[0] for ax in panels)
    np.testing.assert_allclose(observed.get_array(), 0.3 * dust.get_array(), rtol=1e-5)
    assert np.corrcoef(predicted.get_array().ravel(), dust.get_array().ravel())[0, 1] > 0.99
    assert observed.get_clim() == predicted.get_clim() != spread.get_clim()


def test_power_after_blending_is_drawn_with_the_effect_of_interpolation_on_dust(drawn, product):
    outside, ratio = (ax for ax in drawn["power"].axes if ax.get_visible())
    title = outside.get_title(loc="left")
    assert title.startswith(r"CO 1-0, $|b|$ > 20° ($f_\mathrm{sky}$ = 0.0")
    assert not title.endswith("0.0)") and "0.00)" not in title
    lines = {line.get_label(): line for line in outside.lines}
    assert lines["observed"].get_color() == "black"
    observed, predicted = (
        lines[name].get_ydata() for name in ("observed", "predicted by fake network")
    )
    # within the beam of 2 deg
    np.testing.assert_allclose(predicted[:4] / observed[:4], 1, atol=0.05)
    shown = {line.get_label(): line.get_ydata() for line in ratio.lines}
    with xr.open_dataset(product / "seed0.nc") as found:
        # to the first band beyond the beam of 2 deg, which is the first
        for label, field in (
            ("dust: interpolation alone", "dust"),
            ("predicted by fake network", "prediction"),
        ):
            np.testing.assert_array_equal(shown[label], found.cl_ratio.sel(field=field)[:1])
    # a linear model predicts what all tiles agree on: its own loss is the dust's
    first, second = shown["predicted by fake network"], shown["dust: interpolation alone"]
    np.testing.assert_allclose(first, second, rtol=1e-3)


def without_output(parser):
    """A parser that accepts the --output of `call` for a script with other outputs."""

    def made(doc):
        found = parser(doc)
        found.add_argument("--output")
        return found

    return made
