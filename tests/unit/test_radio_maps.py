"""Maps of one's own simulations: what is read, refused, and where their flux goes."""

import os
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from test_radio_simulate import SETTINGS

from skyloom.cli import BadInput
from skyloom.radio.data import patches
from skyloom.radio.simulate import field, maps
from skyloom.radio.simulate.field import DIFFUSE, GALAXY

REAL = os.environ.get("SKYLOOM_REALDATA")
WITH_REAL = pytest.mark.skipif(not REAL, reason="SKYLOOM_REALDATA is not set")


def power(n: int = 60) -> np.ndarray:
    y, x = np.mgrid[:n, :n] - n / 2
    return (1e29 * np.exp(-(x**2 + (y / 3) ** 2) / 20)).astype("<f4")


@pytest.fixture
def raw(tmp_path) -> Path:
    power().tofile(tmp_path / "map.dat")
    return tmp_path / "map.dat"


def test_raw_and_fits_maps_are_the_same_in_any_unit(raw, tmp_path):
    fits.PrimaryHDU(power() * 1e-7, fits.Header({"BUNIT": "W/Hz"})).writeto(tmp_path / "map.fits")
    one = maps.read_map(str(raw), "erg/s/Hz", 20.0, None)
    other = maps.read_map(str(tmp_path / "map.fits"), None, 20.0, None)
    np.testing.assert_allclose(one.power, other.power, rtol=1e-6)
    flux = power() / (4 * np.pi * (100 * 3.0857e24) ** 2 * 1e-23)
    fits.PrimaryHDU(flux.astype("f4")).writeto(tmp_path / "flux.fits")
    third = maps.read_map(str(tmp_path / "flux.fits"), "Jy", 20.0, 100.0)
    np.testing.assert_allclose(third.power, one.power, rtol=1e-3)


@pytest.mark.parametrize(
    ("stated", "message"),
    [
        ((None, 20.0, None), "no BUNIT; state its unit"),
        (("erg/s/Hz", None, None), "says nothing of its pixels; state pixel_kpc"),
        (("Jy", 20.0, None), "state distance_mpc"),
        (("K", 20.0, None), "its unit is 'K'; expected erg/s/Hz"),
    ],
)
def test_map_that_says_too_little_is_refused(raw, stated, message):
    with pytest.raises(BadInput, match=message) as refused:
        maps.read_map(str(raw), *stated)
    assert str(raw) in str(refused.value)


def test_broken_maps_are_refused(tmp_path):
    path = tmp_path / "cut.dat"
    path.write_bytes(power().tobytes()[:-10])
    with pytest.raises(BadInput, match="14390 bytes; expected FITS, or a square"):
        maps.read_map(str(path), "erg/s/Hz", 20.0, None)
    values = power()
    values[3, 3] = np.nan
    values.tofile(tmp_path / "nan.dat")
    with pytest.raises(BadInput, match="negative or not finite"):
        maps.read_map(str(tmp_path / "nan.dat"), "erg/s/Hz", 20.0, None)


@pytest.mark.parametrize(("z", "pixel"), [(0.05, 1.5), (0.2, 1.5), (0.2, 6.0), (0.4, 4.5)])
def test_placed_map_has_the_flux_of_its_luminosity(raw, z, pixel):
    """Whatever pixels and angle: S = P (1 + z)^(1 - a) / (4 pi D_L^2)."""
    found = maps.read_map(str(raw), "erg/s/Hz", 20.0, None)
    distance, _ = maps.distances(z)
    expected = found.power.sum() * (1 + z) ** -0.3 / (4 * np.pi * distance**2 * 1e-23)
    rng = np.random.default_rng(0)
    for _ in range(5):
        box = maps.flux(maps.placed(found, z, 400.0, 400.0, pixel, 800, rng), z, 1.3, 800)
        assert box.values.sum() == pytest.approx(expected, rel=0.03)


def test_distance_is_that_of_the_cosmology():
    """Ned Wright's calculator: z = 0.2, H0 = 70, Omega_M = 0.3: 980.0 Mpc, 3.300 kpc/arcsec."""
    distance, scale = maps.distances(0.2)
    assert distance / 3.0857e24 == pytest.approx(980, rel=1e-3)
    assert scale == pytest.approx(3.300, rel=1e-3)


def test_fields_of_maps_are_labelled_by_them_and_say_so(raw):
    stated = {"path": str(raw), "unit": "erg/s/Hz", "pixel_kpc": 20.0, "distance_mpc": None}
    own = SETTINGS | {"maps": [stated], "map_share": 1.0, "galaxies": 0, "redshift": [0.1, 0.11]}
    found = field.draw(own | {"diffuse": 16.0, "borders": 0.0}, np.random.default_rng(0))
    assert {kind for *_, kind in found.places} == {"map"} and (found.label == DIFFUSE).any()
    assert patches.shard(own, 0, 4).attrs["data_kind"] == "user-simulation"
    assert patches.shard(SETTINGS, 0, 4).attrs["data_kind"] == "simulated"


# --- radio galaxies on peaks of the density -------------------------------------------------------


def clumps(n: int = 60) -> np.ndarray:
    """A density of three clumps (row, column, height) on gas that fluctuates a little."""
    y, x = np.mgrid[:n, :n]
    density = 1 + 0.01 * np.random.default_rng(0).random((n, n))
    for row, column, height in ((12, 40, 100.0), (45, 15, 50.0), (30, 52, 25.0)):
        density += height * np.exp(-((y - row) ** 2 + (x - column) ** 2) / 8)
    return density.astype("<f4")


def stated(path: Path, density: np.ndarray | None = None) -> dict:
    """A map of a config; its density is written beside it."""
    entry = {"path": str(path), "unit": "erg/s/Hz", "pixel_kpc": 20.0, "distance_mpc": None}
    if density is None:
        return entry | {"density": None}
    density.tofile(path.with_name("density.dat"))
    return entry | {"density": str(path.with_name("density.dat"))}


@pytest.mark.parametrize(("z", "pixel"), [(0.05, 1.5), (0.2, 6.0), (0.4, 15.0)])
def test_galaxies_sit_on_peaks_by_weight_of_the_density(raw, z, pixel):
    """Places in the field, taken back to the map, have the density of the clumps."""
    density = clumps()
    found = maps.read_map(**stated(raw, density))
    rng = np.random.default_rng(1)
    places, counts = [], np.zeros(3)
    for _ in range(20):
        placement = maps.placed(found, z, 400.0, 400.0, pixel, 800, rng)
        for _ in range(50):
            y, x = placement.on_peak(800, rng)
            assert placement.holds(y, x)
            pixel_yx = placement.turn @ (np.array([y, x]) - placement.first) + placement.offset
            if placement.mirrored:
                pixel_yx[1] = 59 - pixel_yx[1]
            places.append(pixel_yx)
    for k, centre in enumerate(((12, 40), (45, 15), (30, 52))):
        counts[k] = (np.hypot(*(np.array(places) - centre).T) < 1.5).sum()
    # what fluctuates has peaks too, of some 1 % of the weight
    assert counts.sum() > 0.95 * len(places)
    np.testing.assert_allclose(counts / counts.sum(), np.array([4, 2, 1]) / 7, atol=0.05)
    row, column = np.rint(places).astype(int).T
    assert np.median(density[row, column]) > 10 * np.median(density)


@pytest.mark.parametrize(("z", "pixel"), [(0.05, 1.5), (0.2, 6.0), (0.3, 11.0)])
def test_density_equal_to_the_power_puts_galaxies_on_the_brightest_pixel(raw, z, pixel):
    """Whatever angle, mirror and pixels: both go through one transformation."""
    y, x = np.mgrid[:60, :60]
    blob = (1e29 * np.exp(-((y - 14) ** 2 + (x - 44) ** 2) / 18)).astype("<f4")
    blob.tofile(raw)
    found = maps.read_map(**stated(raw, blob))
    rng, mirrored = np.random.default_rng(0), set()
    for _ in range(20):
        placement = maps.placed(found, z, 300.0, 500.0, pixel, 800, rng)
        box = maps.flux(placement, z, 1.3, 800)
        brightest = np.unravel_index(box.values.argmax(), box.values.shape)
        place = np.mean([placement.on_peak(800, rng) for _ in range(50)], 0)
        distance = np.hypot(*(place - brightest - (box.y, box.x)))
        # a pixel of the field, and half of one of the map
        assert distance < 1.0 + 0.5 / placement.scale
        mirrored.add(placement.mirrored)
    assert mirrored == {True, False}


def test_galaxies_of_a_field_follow_the_density_of_its_map(raw, monkeypatch):
    """On the one clump of the density, with a share of 1; anywhere, with 0 or without it."""
    y, x = np.mgrid[:60, :60]
    clump = (1 + np.exp(-((y - 30) ** 2 + (x - 30) ** 2) / 8)).astype("<f4")
    placed, real = [], maps.placed
    monkeypatch.setattr(maps, "placed", lambda *a: placed.append(real(*a)) or placed[-1])
    own = SETTINGS | {"map_share": 1.0, "diffuse": 8.0, "borders": 0.0, "redshift": [0.35, 0.36]}

    def lit(density: np.ndarray | None, share: float) -> float:
        """Share of the clumps in a field that are of a galaxy."""
        settings = own | {"maps": [stated(raw, density)], "peak_share": share, "galaxies": 24.0}
        on = []
        for number in range(30):
            placed.clear()
            label = field.draw(settings, np.random.default_rng(number)).label
            for placement in filter(None, placed):
                place = placement.in_field(np.array([[30.0, 30.0]]))[0] - field.MARGIN
                if (place >= 2).all() and (place < 62).all():
                    row, column = np.rint(place).astype(int)
                    around = label[row - 1 : row + 2, column - 1 : column + 2]
                    on.append((around == GALAXY).any())
        assert len(on) > 30
        return float(np.mean(on))

    assert lit(clump, 1.0) > lit(clump, 0.0) + 0.2
    assert lit(clump, 0.0) == pytest.approx(lit(None, 1.0), abs=0.15)


def test_field_of_maps_with_a_density_depends_on_its_generator_alone(raw):
    own = SETTINGS | {"maps": [stated(raw, clumps())], "map_share": 1.0, "galaxies": 8.0}
    one, again = (field.draw(own, np.random.default_rng(5)) for _ in range(2))
    np.testing.assert_array_equal(one.image, again.image)
    other = field.draw(own | {"maps": [stated(raw)]}, np.random.default_rng(5))
    np.testing.assert_array_equal(one.diffuse, other.diffuse)


def test_map_without_a_density_is_named_before_fields_are_drawn(raw):
    assert maps.check([stated(raw, clumps())]) == []
    assert maps.check([stated(raw)]) == [
        f"{raw}: no density is stated; radio galaxies lie anywhere"
    ]


@pytest.mark.parametrize(
    ("density", "message"),
    [
        (clumps(50), r"density.dat: density has shape \(50, 50\); expected \(60, 60\)"),
        (-clumps(), "density.dat: density is negative or not finite"),
        (clumps() * np.nan, "density.dat: density is negative or not finite"),
        (np.ones((60, 60), "f4"), "density.dat: density is 1 everywhere; expected peaks"),
    ],
)
def test_impossible_density_is_refused(raw, density, message):
    with pytest.raises(BadInput, match=message):
        maps.check([stated(raw, density.astype("<f4"))])


def test_file_of_a_projection_has_power_and_density(tmp_path):
    path = tmp_path / "power_run7.fits"
    header = fits.Header({"BUNIT": "erg/s/Hz", "PIXKPC": 20.0})
    primary = fits.PrimaryHDU(power(), header)
    fits.HDUList([primary, fits.ImageHDU(clumps(), name="DENSITY")]).writeto(path)
    entry = dict.fromkeys(("unit", "pixel_kpc", "distance_mpc"))
    found = maps.read_map(str(path), *entry.values(), density=str(path))
    np.testing.assert_allclose(found.power.max(), power().max(), rtol=1e-6)
    assert found.peaks.pixels[found.peaks.weights.argmax()].tolist() == [12, 40]
    primary.writeto(path, overwrite=True)
    maps.read_map.cache_clear()
    with pytest.raises(BadInput, match="power_run7.fits: no extension DENSITY; found PRIMARY"):
        maps.read_map(str(path), *entry.values(), density=str(path))


@WITH_REAL
def test_real_relic_is_the_same_as_fits_and_raw():
    folder = Path(REAL) / "radio/sim"
    one = maps.read_map(str(folder / "relic1_erg_s_hz.dat"), "erg/s/Hz", 32.0, None)
    other = maps.read_map(str(folder / "relic1.fits"), "Jy", 32.0, 100.0)
    bright = one.power > 0.1 * one.power.max()
    np.testing.assert_allclose(other.power[bright] / one.power[bright], 1.0, rtol=0.01)
