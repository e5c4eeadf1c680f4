"""Tiles against reproject, healpy and geometry."""

import healpy as hp
import numpy as np
import pandas as pd
import pytest
from astropy.wcs import WCS
from reproject import reproject_from_healpix

from skyloom.cli import BadInput
from skyloom.co.data.patches import cut_patches, shard_rows
from skyloom.co.data.regions import label_tiles, select_tiles, sky_labels, tile_views
from skyloom.co.data.tiles import recentre, sample, tile_centres, tile_vectors

SPLIT = {
    "block_deg": 30,
    "guard_deg": 3.5,
    "valid_blocks": [3, 9],
    "test_blocks": [1, 6],
    "complexes": {
        "orion": {"glon": [200, 218], "glat": [-24, -8]},
        "ophiuchus": {"glon": [346, 10], "glat": [8, 26]},
    },
}
TILES = {
    "nside": 32,
    "size_deg": 3.0,
    "pixels": 32,
    "snr_threshold": 8,
    "bright_fraction": 0.25,
    "valid_fraction": 0.5,
    "seed": 0,
}


def smooth_map(nside, seed=0):
    """A correlated positive field (n_pix,), smooth enough for interpolation."""
    np.random.seed(seed)  # noqa: NPY002 healpy draws from the global state
    alm = hp.synalm(1 / (1 + np.arange(2 * nside)) ** 2.8, new=True)
    return np.exp(hp.alm2map(alm, nside))


def tan_header(glon, glat, size_deg, pixels):
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = ["GLON-TAN", "GLAT-TAN"]
    wcs.wcs.crval = [glon, glat]
    wcs.wcs.crpix = [(pixels + 1) / 2] * 2
    wcs.wcs.cdelt = [-size_deg / pixels, size_deg / pixels]
    return wcs


@pytest.mark.parametrize("centre", [(10.0, 5.0), (184.2, -71.0), (359.9, 0.0), (80.0, 89.5)])
def test_patch_equals_bilinear_reproject(centre):
    """To 1e-10 relative: both interpolate the same four pixels, and the angles are rounded."""
    field = smooth_map(128)
    expected, _ = reproject_from_healpix(
        (field, "galactic"),
        tan_header(*centre, 3.0, 64),
        shape_out=(64, 64),
        order="bilinear",
        nested=False,
    )
    (ours,), weight = sample([field], tile_vectors(*centre, 0.0, 3.0, 64))
    np.testing.assert_allclose(ours, expected, rtol=1e-10)
    assert (weight == 1).all()


def test_rows_run_north_and_columns_run_west():
    glon, glat = hp.vec2ang(tile_vectors(100.0, 20.0, 0.0, 3.0, 8).reshape(3, -1).T, lonlat=True)
    glon, glat = glon.reshape(8, 8), glat.reshape(8, 8)
    assert (np.diff(glat, axis=0) > 0).all()
    assert (np.diff(glon, axis=1) < 0).all()
    assert np.diff(glat[:, 4]).mean() == pytest.approx(3.0 / 8, rel=1e-3)


def test_position_angle_turns_the_y_axis_from_north_to_east():
    lon, lat = hp.vec2ang(tile_vectors(50.0, 0.0, 90.0, 3.0, 9)[:, -1, 4], lonlat=True)
    assert lon[0] == pytest.approx(50 + 4 * 3 / 9, abs=1e-3)
    assert lat[0] == pytest.approx(0, abs=1e-9)


def test_masked_neighbours_are_left_out_and_counted_in_the_weight():
    field = smooth_map(32)
    field[hp.query_disc(32, hp.ang2vec(30, 0, lonlat=True), np.radians(4.0))] = np.nan
    (values,), weight = sample([field], tile_vectors(30.0, 0.0, 0.0, 12.0, 48))
    assert (np.isnan(values) == (weight == 0)).all()
    assert ((0 < weight) & (weight < 1)).any() and np.isnan(values).any()
    expected = hp.get_interp_val(
        field, *np.array(hp.vec2ang(tile_vectors(30.0, 0.0, 0.0, 12.0, 48).reshape(3, -1).T))
    )
    whole = (weight == 1).ravel()
    np.testing.assert_allclose(values.ravel()[whole], expected[whole], rtol=1e-12)


def test_recentre_moves_by_the_given_angle():
    lon, lat = recentre(120.0, 60.0, 0.3, 0.4)
    distance = np.degrees(hp.rotator.angdist([120.0, 60.0], [lon, lat], lonlat=True)[0])
    assert distance == pytest.approx(np.degrees(np.arctan(np.radians(0.5))), rel=1e-9)
    assert lon > 120 and lat > 60


def test_no_sky_pixel_lies_in_two_splits():
    """All footprints of all views, recentred and rotated ones included, on an NSIDE 512 map."""
    table = label_tiles(32, SPLIT)
    table = table[table["split"] != ""].assign(bright_fraction=1.0, sampling_weight=1.0)
    owner = np.full(hp.nside2npix(512), "", dtype="U12")
    for view in tile_views(table, views=2, shift_deg=0.75, seed=1).itertuples():
        pixels = hp.vec2pix(512, *tile_vectors(view.glon, view.glat, view.angle, 3.0, 32))
        label = view.complex or view.split
        assert np.isin(owner[pixels], ["", label]).all(), (
            f"tile {view.tile} of {label} shares sky with another split"
        )
        owner[pixels] = label
    assert {"train", "valid", "test", "orion", "ophiuchus"} <= set(owner)


@pytest.mark.parametrize(
    ("tiles", "split", "chosen", "message"),
    [
        (
            {"size_deg": 5.0},
            {},
            {},
            "guard_deg: 3.5 deg, but views of 5 deg shifted by 0.75 deg reach 4.60 deg",
        ),
        ({}, {}, {"shift_deg": 1.5}, "reach 4.24 deg from a tile's centre"),
        ({}, {"test_blocks": [1, 12]}, {}, "test_blocks: there is no block 12; expected 0 to 11"),
        ({}, {"test_blocks": [3]}, {}, "block 3 is both in valid_blocks and in test_blocks"),
    ],
)
def test_settings_that_would_mix_the_splits_are_refused(tiles, split, chosen, message):
    chosen = {"selection": "published", "shift_deg": 0.75} | chosen
    with pytest.raises(BadInput, match=message):
        select_tiles({}, TILES | tiles, SPLIT | split, chosen)


@pytest.mark.parametrize("name", ["taurus perseus", "Orion", "none"])
def test_complex_whose_name_the_flags_cannot_hold_is_refused(name):
    split = SPLIT | {"complexes": {name: {"glon": [200, 218], "glat": [-24, -8]}}}
    with pytest.raises(BadInput, match=f"co.split.complexes: '{name}' cannot name a complex"):
        select_tiles({}, TILES, split, {})


def test_held_out_complex_crosses_longitude_zero():
    labels = sky_labels(SPLIT)
    assert (
        labels[hp.ang2pix(256, 350.0, 17.0, lonlat=True)]
        == labels[hp.ang2pix(256, 5.0, 17.0, lonlat=True)]
        == 4
    )
    assert labels[hp.ang2pix(256, 20.0, 17.0, lonlat=True)] == 0


def sky_with_bright_plane(nside=64):
    _, glat = hp.pix2ang(nside, np.arange(hp.nside2npix(nside)), lonlat=True)
    signal = np.where(np.abs(glat) < 12, 50.0, 0.1).astype(np.float32)
    return {"signal": signal, "error": np.full_like(signal, 0.5)}


@pytest.mark.parametrize("selection", ["published", "weighted"])
def test_selection_takes_bright_tiles_and_weights_a_sample_of_the_faint(selection):
    chosen = {"selection": selection, "faint_share": 0.5, "shift_deg": 0.75}
    table = select_tiles(sky_with_bright_plane(), TILES, SPLIT, chosen)
    bright = table["bright_fraction"] >= 0.25
    assert (table.loc[bright, "sampling_weight"] == 1).all()
    if selection == "published":
        assert bright.all()
    else:
        everything = label_tiles(32, SPLIT)
        faint_sky = (everything["split"] != "").sum() - bright.sum()
        # inverse-probability weights estimate the whole faint sky; 5 sigma of the binomial sample
        estimate, n = table.loc[~bright, "sampling_weight"].sum(), (~bright).sum()
        assert estimate == pytest.approx(faint_sky, abs=5 * faint_sky / np.sqrt(n))


@pytest.mark.parametrize("name", ["signal", "error", "dust"])
def test_mask_of_any_map_that_removes_a_complex_is_refused_by_name(name):
    maps = sky_with_bright_plane()
    maps["dust"] = np.ones_like(maps["signal"])
    lon, lat = hp.pix2ang(64, np.arange(len(maps["signal"])), lonlat=True)
    maps[name][(lon > 190) & (lon < 230) & (lat > -40) & (lat < 0)] = np.nan
    with pytest.raises(BadInput, match="complexes.orion: no tile with valid sky"):
        select_tiles(maps, TILES, SPLIT, {"selection": "published", "shift_deg": 0.75})


@pytest.mark.parametrize(
    ("west", "east", "message"),
    [
        (
            30,
            60,
            r"split.test_blocks: block 1, longitudes 30 to 60 deg: .* none of its [1-9]\d* tiles "
            r"50% of their sky",
        ),
        (
            270,
            300,
            r"split.valid_blocks: block 9, longitudes 270 to 300 deg: .*; expected at least one",
        ),
    ],
)
def test_mask_that_removes_a_fold_is_refused_by_its_block(west, east, message):
    maps = sky_with_bright_plane()
    lon, _ = hp.pix2ang(64, np.arange(len(maps["signal"])), lonlat=True)
    maps["signal"][(lon > west) & (lon < east)] = np.nan
    with pytest.raises(BadInput, match=message):
        select_tiles(maps, TILES, SPLIT, {"selection": "published", "shift_deg": 0.75})


def test_mask_that_leaves_one_tile_of_a_fold_or_none_of_a_training_block_is_taken():
    maps = sky_with_bright_plane()
    lon, lat = hp.pix2ang(64, np.arange(len(maps["signal"])), lonlat=True)
    maps["signal"][(lon > 30) & (lon < 60) & (np.abs(lat) > 8)] = np.nan  # block 1: test
    maps["signal"][(lon > 150) & (lon < 180)] = np.nan  # block 5: training has others
    table = select_tiles(maps, TILES, SPLIT, {"selection": "published", "shift_deg": 0.75})
    assert (table["glon"] // 30 == 1).any() and not (table["glon"] // 30 == 5).any()


def test_sky_without_bright_tiles_is_refused_with_the_keys_to_change():
    maps = sky_with_bright_plane()
    maps["signal"][:] = 0.1
    with pytest.raises(BadInput, match="snr_threshold"):
        select_tiles(maps, TILES, SPLIT, {"selection": "published", "shift_deg": 0.75})


def test_cut_patches_carry_units_flags_and_masked_sky():
    table = pd.DataFrame(
        {
            "tile": [1, 2],
            "glon": [10.0, 12.0],
            "glat": [0.0, 0.0],
            "split": ["train", "test"],
            "complex": ["", "orion"],
        }
    ).assign(bright_fraction=1.0, sampling_weight=1.0)
    maps = {
        name: smooth_map(64, seed).astype(np.float32)
        for seed, name in enumerate(("dust", "target", "error", "null"))
    }
    maps["hi"] = smooth_map(32, 9).astype(np.float32)
    maps["target"][hp.query_disc(64, hp.ang2vec(10, 0, lonlat=True), np.radians(1.5))] = np.nan
    patches = cut_patches(maps, tile_views(table, 3, 0.5, 0), ["orion"], 3.0, 16)
    # three views of the training tile, one of the test tile
    assert dict(patches.sizes) == {"example": 4, "y": 16, "x": 16}
    assert patches["split"].values.tolist() == [0, 0, 0, 2] and patches[
        "complex"
    ].values.tolist() == [0, 0, 0, 1]
    masked = patches["weight"].values == 0
    assert masked.any() and (np.isnan(patches["dust"].values) == masked).all()
    assert patches["target"].attrs["units"] == "K km/s"


def test_shards_cover_every_row_once():
    rows = [shard_rows(103, k, 7) for k in range(7)]
    assert np.concatenate([np.arange(103)[r] for r in rows]).tolist() == list(range(103))


def test_tile_centres_are_healpix_centres():
    glon, glat = tile_centres(32)
    assert len(glon) == 12288 and hp.ang2pix(32, glon, glat, lonlat=True).tolist() == list(
        range(12288)
    )
