"""The panel of scores against other libraries, closed forms and forecasts whose calibration is
known.
"""

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.special import ndtr
from scipy.stats import ks_2samp, spearmanr, wasserstein_distance
from skimage.metrics import peak_signal_noise_ratio
from sklearn.metrics import f1_score, r2_score, roc_auc_score
from test_co_evaluate import SETTINGS, fake_patches, measured, smooth_fields

from skyloom.co.evaluate import calibration, distribution, morphology, pixels
from skyloom.scores import bootstrap, forecasts


@pytest.fixture(scope="module")
def tiles():
    patches, co = fake_patches()
    rows = patches.split.values == 2
    return patches.isel(example=rows), co[rows]


@pytest.fixture(scope="module")
def biased(tiles):
    """Records of a prediction with errors of several kinds, the curves, and the bright pixels that
    were scored.
    """
    patches, co = tiles
    prediction = np.maximum(
        1.3 * co + smooth_fields(len(co), co.shape[-1], -2, np.random.default_rng(3)) - 0.5, 0
    )
    records, curves = measured(prediction, patches)
    bright = (patches["complex"].values == 0) & (patches.bright_fraction.values >= 0.5)
    seen = bright[:, None, None] & (patches.weight.values > 0)
    names = ("target", "error", "null")
    pooled = {name: patches[name].values[seen].astype(float) for name in names} | {
        "prediction": prediction[seen]
    }
    value = {
        name: record["value"]
        for (name, of, subset), record in records.items()
        if (of, subset) == ("model", "bright")
    }
    return value, curves, pooled


def test_variance_explained_detection_and_ranks_equal_other_libraries_on_the_pooled_pixels(biased):
    value, _, pooled = biased
    target, prediction = pooled["target"], pooled["prediction"]
    there = target > 3 * pooled["error"]
    assert value["r2"] == pytest.approx(r2_score(target, prediction), abs=1e-9)
    assert value["f1"] == pytest.approx(
        f1_score(there, prediction > 3 * pooled["error"]), abs=1e-12
    )
    # 400 bins of predicted W / error stand for its values
    assert value["auc"] == pytest.approx(
        roc_auc_score(there, prediction / pooled["error"]), abs=1e-3
    )
    positive = target > 0
    expected = spearmanr(prediction[positive], np.log(target[positive])).statistic
    assert value["spearman_ln"] == pytest.approx(expected, abs=1e-9)


def test_amplitude_scores_are_what_their_names_say(biased):
    value, _, pooled = biased
    difference = pooled["prediction"] - pooled["target"]
    assert value["rmse"] == pytest.approx(np.sqrt(np.mean(difference**2)), rel=1e-6)
    assert value["mae"] == pytest.approx(np.mean(np.abs(difference)), rel=1e-6)
    assert value["mass_ratio"] == pytest.approx(
        pooled["prediction"].sum() / pooled["target"].sum(), rel=1e-6
    )
    assert value["chi2_reduced"] == pytest.approx(
        np.mean((difference / pooled["error"]) ** 2), rel=1e-6
    )
    assert value["chi2_reduced"] == pytest.approx(value["rmse_over_noise"] ** 2, rel=1e-12)


def test_distances_of_distributions_equal_scipy_on_the_pooled_pixels(biased):
    value, curves, pooled = biased
    noisy = pooled["prediction"] + pooled["null"]
    # 150 bins
    assert value["wasserstein"] == pytest.approx(
        wasserstein_distance(noisy, pooled["target"]), rel=0.02
    )
    assert value["ks"] == pytest.approx(ks_2samp(noisy, pooled["target"]).statistic, abs=0.01)
    edges = distribution.bin_edges(SETTINGS["pdf_min"], SETTINGS["pdf_max"], SETTINGS["pdf_count"])
    density = np.histogram(pooled["target"], edges, density=True)[0]
    np.testing.assert_allclose(curves.pdf.sel(field="target", subset="bright"), density, atol=1e-9)


def test_noise_free_truth_has_the_distribution_of_the_observed_map(tiles):
    patches, co = tiles
    records, _ = measured(co, patches)
    # two draws of noise that is correlated over 140 beams a tile
    assert records["ks", "model", "bright"]["value"] < 0.02
    # noise of 0.45 K km/s is in the observed map alone
    bare, _ = measured(co, patches.assign(null=0 * patches.null))
    for name in ("ks", "wasserstein"):
        key = (name, "model", "faint")
        assert records[key]["value"] < 0.25 * bare[key]["value"]
    assert records["mass_ratio", "model", "bright"]["value"] == pytest.approx(1, abs=0.02)


def test_peak_signal_to_noise_equals_skimage_and_a_perfect_image_has_ssim_one():
    rng = np.random.default_rng(0)
    target, weight = rng.gamma(1, 5, (3, 32, 32)), np.ones((3, 32, 32))
    maps = {
        "target": target,
        "prediction": target + rng.normal(0, 2, target.shape),
        "error": weight,
        "null": rng.normal(0, 1, target.shape),
    }
    found = pixels.tables(maps, weight)
    expected = [
        peak_signal_noise_ratio(t, p, data_range=np.ptp(t))
        for t, p in zip(target, maps["prediction"], strict=True)
    ]
    np.testing.assert_allclose(found["psnr"], expected, rtol=1e-12)
    assert (found["ssim"] < 0.99).all()
    np.testing.assert_allclose(pixels.tables(maps | {"prediction": target}, weight)["ssim"], 1)


def test_masked_pixels_change_no_score():
    rng = np.random.default_rng(1)
    weight = np.ones((2, 24, 24))
    weight[:, 3:9, 4:12] = 0
    maps = {
        name: rng.gamma(1, 5, weight.shape) for name in ("target", "prediction", "error", "null")
    }
    spoilt = {
        name: np.where(weight > 0, values, np.nan if name != "prediction" else 1e9)
        for name, values in maps.items()
    }
    edges = distribution.bin_edges(-5, 100, 30)
    for first, second in (
        (pixels.tables(maps, weight), pixels.tables(spoilt, weight)),
        (distribution.tables(maps, weight, edges), distribution.tables(spoilt, weight, edges)),
    ):
        for name in first:
            np.testing.assert_allclose(first[name], second[name], err_msg=name)


# --- uncertainty
# --------------------------------------------------------------------------------------------------


def covered(maps, level=-1):
    weight = np.ones(maps["target"].shape)
    found = calibration.tables(maps, weight, np.random.default_rng(5))
    return found["inside"].sum(0)[level] / found["total"].sum(), found


@pytest.mark.parametrize("count", [1, 2, 8, 30])
@pytest.mark.parametrize("noise", [0.01, 1.0, 20.0])
def test_ensemble_from_the_truths_own_distribution_covers_what_it_says_whatever_its_size(
    count, noise
):
    """Truth and members from one skewed law with pixel-dependent scale, observed with noise small
    to dominant.
    """
    rng = np.random.default_rng(count)
    scale = rng.gamma(1, 3, (40, 1, 32, 32))
    drawn = scale * rng.gamma(0.7, 1, (40, count + 1, 32, 32))
    error = np.full((40, 32, 32), noise)
    maps = {"samples": drawn[:, 1:], "prediction": drawn[:, 1:].mean(1), "error": error}
    maps["target"] = drawn[:, 0] + rng.normal(0, error)
    share, found = covered(maps)
    assert share == pytest.approx(0.6827, abs=0.008)  # 40,960 pixels scatter by 0.0023
    levels = found["inside"].sum(0)[:-1] / found["total"].sum()
    np.testing.assert_allclose(levels, forecasts.LEVELS, atol=0.01)


@pytest.mark.parametrize(("stated", "expected"), [(1.0, 0.6827), (0.5, 0.3829), (2.0, 0.9545)])
def test_gaussian_spread_covers_by_the_error_function(stated, expected):
    rng = np.random.default_rng(2)
    error = np.full((40, 32, 32), 1e-3)
    maps = {
        "prediction": np.zeros(error.shape),
        "spread": np.full(error.shape, stated),
        "error": error,
    }
    maps["target"] = rng.normal(0, 1, error.shape)
    share, found = covered(maps)
    assert share == pytest.approx(expected, abs=0.008)
    assert np.sqrt(found["pull"].sum() / found["total"].sum()) == pytest.approx(
        1 / stated, rel=0.01
    )


def test_pull_of_an_honest_ensemble_around_its_models_mean_has_no_scatter_of_that_mean_in_it():
    rng = np.random.default_rng(3)
    drawn = rng.normal(0, 3, (40, 9, 32, 32))
    maps = {"samples": drawn[:, 1:], "prediction": np.zeros((40, 32, 32)), "target": drawn[:, 0]}
    maps["error"] = np.full(maps["target"].shape, 1e-3)
    pull = covered(maps)[1]["pull"].sum() / maps["target"].size
    # <d^2> is 9; the mean of its inverse-chi-squared denominator is 7 / 5 of that of a known
    # variance
    assert pull == pytest.approx(7 / 5, rel=0.03)


def test_gaussian_crps_is_the_integral_of_its_definition():
    mean, sigma = 1.0, 2.0
    for observed in (-4.0, 0.3, 6.0):
        parts = [(-30, observed, 0), (observed, 30, 1)]
        integral = sum(
            quad(lambda x, s=step: (ndtr((x - mean) / sigma) - s) ** 2, lo, hi)[0]
            for lo, hi, step in parts
        )
        assert forecasts.gaussian_crps(mean, sigma, observed) == pytest.approx(integral, rel=1e-6)


@pytest.mark.parametrize("count", [2, 3, 10])
def test_fair_crps_of_an_ensemble_is_that_of_the_distribution_it_is_drawn_from_for_any_size(count):
    rng = np.random.default_rng(count)
    observed = rng.normal(0, 1, 40000)
    members = rng.normal(0.5, 2, (40000, count))
    expected = forecasts.gaussian_crps(0.5, 2.0, observed).mean()
    # 5 standard errors
    assert calibration.ensemble_crps(members, observed).mean() == pytest.approx(expected, rel=0.03)
    pairs = np.abs(members[:, :, None] - members[:, None]).sum((1, 2)) / (2 * count * (count - 1))
    direct = np.abs(members - observed[:, None]).mean(1) - pairs
    np.testing.assert_allclose(calibration.ensemble_crps(members, observed), direct, atol=1e-12)


# --- a stochastic model
# ----------------------------------------------------------------------------------------------


def test_texture_is_scored_of_a_sample_and_amplitude_of_the_mean(tiles):
    """Members = smooth truth + texture of their own: the mean lacks power, a member has it."""
    patches, co = tiles
    rng = np.random.default_rng(4)
    texture = (
        np.stack([smooth_fields(len(co), co.shape[-1], -1, rng) for _ in range(6)], 1)
        * co.std()
        / 3
    )
    samples = (co[:, None] + texture).astype(np.float32)
    records, curves = measured(samples.mean(1), patches, samples=samples)
    (mean, one), of = (
        [records[name, of, "bright"]["value"] for of in ("model", "sample")]
        for name in ("rho_l_beam", "cl_ratio_beam")
    )
    assert mean > one and of[1] > of[0]
    alone, _ = measured(samples[:, 0], patches)
    for name in (
        "rho_l_beam",
        "cl_ratio_beam",
        "mf_overlap",
        "mf_overlap_normalised",
        "wasserstein",
        "ks",
    ):
        assert (
            records[name, "sample", "bright"]["value"] == alone[name, "model", "bright"]["value"]
        ), name
    for name in ("bias", "mass_ratio"):  # sums in another order
        expected = alone[name, "model", "bright"]
        assert records[name, "sample", "bright"]["value"] == pytest.approx(
            expected["value"], rel=1e-5
        ), name
        assert records[name, "sample", "bright"]["ci68"] == pytest.approx(
            expected["ci68"], rel=1e-5
        ), name
    assert ("rmse", "sample", "bright") not in records
    assert "sample" in curves["of"].values and "sample" in curves["field"].values
    assert records["coverage68", "model", "bright"]["n"] == records["bias", "model", "bright"]["n"]


def test_deterministic_model_has_no_coverage_and_dust_has_a_normalised_overlap_of_zero(
    tiles,
):
    patches, _ = tiles
    records, curves = measured(patches.dust.values, patches)
    assert ("coverage68", "model", "bright") not in records and "coverage" not in curves
    assert records["mf_overlap_normalised", "model", "bright"]["value"] == pytest.approx(
        0, abs=1e-6
    )
    records, _ = measured(np.nan_to_num(patches.target.values), patches)
    ceiling, floor = (records["mf_overlap", of, "bright"]["value"] for of in ("ceiling", "dust"))
    expected = (1 - floor) / (ceiling - floor)
    assert records["mf_overlap_normalised", "model", "bright"]["value"] == pytest.approx(
        expected, rel=1e-6
    )


def test_normalised_overlap_carries_the_scatter_of_its_ceiling():
    """A perfect map over a floor of zero: 1 / ceiling, which scatters although its own overlap does
    not.
    """
    rng = np.random.default_rng(6)
    blocks, thresholds = np.repeat(np.arange(12), 4), np.linspace(-2, 4, 13)
    real = np.exp(-(thresholds**2)) * (
        1 + 0.3 * (rng.standard_normal((12, 3, 1)) + rng.standard_normal((12, 3, 1)))
    )
    real = real[blocks] + 0.02 * rng.standard_normal((48, 3, 13))
    tiles = {"mf_target": real, "mf_prediction": real, "mf_dust": np.full(real.shape, 99.0)}
    counts = bootstrap.multiplicities(blocks, 400, 1)
    found, _ = morphology.records(
        tiles, counts, thresholds, 1, {"blocks": blocks, "subset": "bright"}
    )
    scores = {(record["name"], record["of"]): record for record in found}
    assert scores["mf_overlap", "model"]["ci68"] == [1, 1] and scores["mf_overlap", "dust"][
        "ci68"
    ] == [0, 0]
    ceiling, normalised = scores["mf_overlap", "ceiling"], scores["mf_overlap_normalised", "model"]
    assert normalised["value"] == pytest.approx(1 / ceiling["value"], rel=1e-12)
    width, expected = (np.ptp(record["ci68"]) / record["value"] for record in (normalised, ceiling))
    # the same relative scatter, to first order
    assert expected > 0.05 and width == pytest.approx(expected, rel=0.3)


def test_residual_against_latitude_is_that_of_the_tiles_in_each_bin(tiles):
    patches, co = tiles
    _, curves = measured(1.2 * co, patches)
    latitude = np.abs(patches.glat.values)
    rows = (patches["complex"].values == 0) & (latitude >= 5) & (latitude < 20)
    seen = rows[:, None, None] & (patches.weight.values > 0)
    residual = (1.2 * co - patches.target.values)[seen].astype(float)
    assert curves.latitude_edges.values.tolist() == SETTINGS["latitude_bins"]
    assert curves.latitude_bias[1] == pytest.approx(residual.mean(), rel=1e-5)
    assert curves.latitude_rms[1] == pytest.approx(np.sqrt((residual**2).mean()), rel=1e-5)
    assert np.isnan(curves.latitude_bias[2])  # no tile above 20 degrees
