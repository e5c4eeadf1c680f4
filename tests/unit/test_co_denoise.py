"""The patch denoiser on noise of known rms: white, and correlated over the 15' beam."""

import json
import subprocess
import sys

import numpy as np
import pytest
import xarray as xr
from scipy.ndimage import gaussian_filter
from skimage.metrics import peak_signal_noise_ratio

from skyloom import patchset
from skyloom.cli import BadInput
from skyloom.co.denoise.patch import denoise

SETTINGS = {"method": "nlm_patch", "h": 0.8, "patch_size": 5, "patch_distance": 6}
NOISE = 0.45  # [K km/s] Planck 2013 XIII
BEAM_SIGMA = 15 / 1.40625 / 2.3548  # [pixel] of a 3-degree patch of 128 pixels


@pytest.fixture(scope="module")
def clouds():
    """Two patches of lognormal clouds of slope -2.75 at the beam's resolution.

    (2, 128, 128) [K km/s].
    """
    random = np.random.default_rng(3)
    k = np.hypot(np.fft.fftfreq(128)[:, None], np.fft.rfftfreq(128)[None])
    k[0, 0] = np.inf
    fields = np.fft.irfft2(np.fft.rfft2(random.standard_normal((2, 128, 128))) * k**-1.375)
    fields /= fields.std()
    return gaussian_filter(4 * np.exp(fields), (0, BEAM_SIGMA, BEAM_SIGMA))


def gain_db(clouds, noise):
    noisy = clouds + NOISE * noise / noise.std()
    smooth = denoise(noisy, np.full_like(noisy, NOISE), SETTINGS)
    span = np.ptp(clouds)
    before, after = (
        peak_signal_noise_ratio(clouds, x.astype(float), data_range=span) for x in (noisy, smooth)
    )
    return after - before


def test_white_noise_falls_by_more_than_five_decibel(clouds):
    # other clouds of the same resolution and noise gave 7.8 dB; 5 allows for another texture
    assert gain_db(clouds, np.random.default_rng(0).standard_normal(clouds.shape)) > 5


def test_noise_correlated_over_the_beam_hardly_changes(clouds):
    # white noise smoothed to the beam has the scale of the clouds: other clouds gave 0.1 to 0.6 dB
    white = np.random.default_rng(0).standard_normal(clouds.shape)
    assert (
        abs(gain_db(clouds, gaussian_filter(white, (0, BEAM_SIGMA, BEAM_SIGMA), mode="wrap")))
        <= 0.7
    )


def test_masked_pixels_stay_masked_and_leave_their_neighbours_alone(clouds):
    noisy = clouds + NOISE * np.random.default_rng(1).standard_normal(clouds.shape)
    holed = noisy.copy()
    holed[0, 40:60, 40:60] = np.nan
    error = np.full_like(noisy, NOISE)
    full, part = denoise(noisy, error, SETTINGS), denoise(holed, error, SETTINGS)
    assert np.array_equal(np.isnan(part), np.isnan(holed))
    np.testing.assert_array_equal(part[1], full[1])
    # neighbours are compared within patch_distance + patch_size / 2: next to a hole two hundred
    # pixels remain
    assert np.nanstd(part[0] - full[0]) < 0.1 * NOISE


def test_patch_without_data_or_without_error_is_returned_as_it_is(clouds):
    target, error = clouds.copy(), np.full_like(clouds, NOISE)
    target[0], error[1] = np.nan, np.nan
    out = denoise(target, error, SETTINGS)
    assert np.isnan(out[0]).all()
    np.testing.assert_array_equal(out[1], target[1].astype(np.float32))


def test_unknown_denoiser_is_refused_with_the_known_ones(clouds):
    with pytest.raises(BadInput, match="'median' is unknown; expected one of nlm_patch"):
        denoise(clouds, clouds, SETTINGS | {"method": "median"})


def test_script_writes_the_same_examples_in_the_same_order(clouds, tmp_path, repository):
    target = clouds.astype(np.float32)
    dims = "example", "y", "x"
    dataset = xr.Dataset(
        {
            "target": (dims, target, {"units": "K km/s"}),
            "error": (dims, np.full_like(target, NOISE)),
        }
    )
    dataset["tile"] = "example", np.arange(len(target), dtype=np.int32)[::-1].copy()
    dataset["view"] = "example", np.zeros(len(target), np.int8)
    dataset.attrs["data_kind"] = "simulated"
    patchset.write(dataset, tmp_path / "patches.nc")
    command = [
        sys.executable,
        repository / "scripts/co_denoise_patches.py",
        "--config",
        json.dumps(SETTINGS),
    ]
    command += ["--patches", tmp_path / "patches.nc", "--output", tmp_path / "denoised.nc"]
    subprocess.run(command, check=True)
    with xr.open_dataset(tmp_path / "denoised.nc") as out:
        np.testing.assert_array_equal(
            out["target"], denoise(target, np.full_like(target, NOISE), SETTINGS)
        )
        assert out["target"].attrs["units"] == "K km/s" and out.attrs["data_kind"] == "simulated"
        np.testing.assert_array_equal(out["tile"], dataset["tile"])
        np.testing.assert_array_equal(out["view"], dataset["view"])
        assert json.loads(out.attrs["denoiser"]) == SETTINGS
