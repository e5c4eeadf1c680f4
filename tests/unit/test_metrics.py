"""Block bootstrap against known distributions, records and their files, the comparison and its
verdict.
"""

import json

import numpy as np
import pandas as pd
import pytest

from skyloom import metrics, score_tables
from skyloom.cli import BadInput

HEADLINE = [
    {"name": "rho_l_beam", "subset": "bright", "label": "rho_l"},
    {"name": "rmse_over_noise", "subset": "bright"},
    {"name": "bias", "subset": "bright", "decides": False},
]


# --- block bootstrap
# -------------------------------------------------------------------------------------------------


def gaussian_experiments(n_experiments: int, n_blocks: int, members: int):
    """Unit-variance block effects shared by `members` examples with small scatter of their own;
    true mean 0.
    """
    rng = np.random.default_rng(1)
    blocks = np.repeat(np.arange(n_blocks), members)
    for _ in range(n_experiments):
        yield blocks, rng.standard_normal(n_blocks)[blocks] + 0.2 * rng.standard_normal(len(blocks))


def coverage(by_block: bool) -> float:
    hits = []
    for k, (blocks, values) in enumerate(gaussian_experiments(400, 40, 4)):
        counts = metrics.multiplicities(blocks if by_block else np.arange(len(values)), 200, seed=k)
        _, lo, hi = metrics.summary(metrics.mean(values, counts))
        hits.append(lo <= 0 <= hi)
    return np.mean(hits)


def test_block_interval_covers_the_mean_of_correlated_gaussians_in_two_of_three_cases():
    # 0.683 by definition; 400 experiments scatter by 0.023, and 40 blocks with 200 draws cost about
    # 0.01
    assert coverage(by_block=True) == pytest.approx(0.683, abs=0.07)


def test_interval_by_single_examples_would_be_far_too_narrow():
    assert coverage(by_block=False) < 0.45  # half the width: 0.38 for four equal members


def test_mean_and_median_of_a_draw_equal_numpy_on_the_drawn_examples():
    rng = np.random.default_rng(2)
    for n in (7, 8):
        values, blocks = rng.standard_normal((n, 3)), rng.integers(0, 4, n)
        counts = metrics.multiplicities(blocks, 30, seed=3)
        for drawn, mean, median in zip(
            counts, metrics.mean(values, counts), metrics.median(values, counts), strict=True
        ):
            sample = np.repeat(values, drawn.astype(int), axis=0)
            if len(sample):
                np.testing.assert_allclose(mean, sample.mean(0), rtol=1e-12)
                np.testing.assert_allclose(median, np.median(sample, axis=0), rtol=1e-12)


def test_draws_follow_the_seed_and_keep_blocks_whole():
    blocks = np.array([5, 5, 9, 9, 9, 2])
    counts = metrics.multiplicities(blocks, 50, seed=4)
    assert (counts == metrics.multiplicities(blocks, 50, seed=4)).all()
    assert (counts != metrics.multiplicities(blocks, 50, seed=5)).any()
    assert (counts[:, 0] == counts[:, 1]).all() and (counts[:, 2:5] == counts[:, 2:3]).all()
    assert (counts[0] == 1).all()


@pytest.mark.parametrize("blocks", [[0, 0, 0, 0, 0], [0, 0, 1, 1, 2]])
def test_few_blocks_give_a_value_without_an_interval(blocks):
    counts = metrics.multiplicities(np.array(blocks), 20, seed=0)
    found = metrics.record(
        "bias", metrics.mean(np.arange(5.0), counts), "zero", np.array(blocks), subset="bright"
    )
    assert (
        found["value"] == 2
        and np.isnan(found["ci68"]).all()
        and found["blocks"] == len(set(blocks))
    )


# --- files
# --------------------------------------------------------------------------------------------------


def write_metrics(
    folder, model, kind, rho, rmse, seed=1, width=0.01, dust=0.7, name="a", line="", valid=None
):
    def record(name, value, better, of="model", split="test"):
        ci68 = [value - width, value + width]
        return {
            "name": name,
            "of": of,
            "split": split,
            "subset": "bright",
            "value": value,
            "ci68": ci68,
        } | {
            "unit": "",
            "better": better,
            "n": 10,
            "blocks": 5,
        }

    records = [
        record("rho_l_beam", rho, "higher"),
        record("rmse_over_noise", rmse, "lower"),
        record("bias", 0.1, "zero"),
    ]
    records.append(record("rho_l_beam", dust, "higher", of="dust"))
    about = {
        "study": "co",
        "model": model,
        "kind": kind,
        "seed": seed,
        "set": name,
        "line": line,
        "data": "simulated",
    }
    path = folder / f"{model}{seed}.json"
    validation = [record("rho_l_beam", rho if valid is None else valid, "higher", split="valid")]
    metrics.write_json(about | {"metrics": records, "validation": validation}, path)
    return path


def tables(paths, published=(), headline=HEADLINE):
    records = metrics.read(paths)
    chosen = metrics.choose(metrics.read(paths, "validation"), "rho_l_beam")
    table = metrics.comparison(records, headline, "dust", published, chosen)
    return table.set_index("model"), metrics.verdict(table, records, headline, chosen, "rho_l_beam")


def test_nan_and_numpy_numbers_become_strict_json(tmp_path):
    metrics.write_json(
        {"a": np.float32(1.5), "b": [np.nan, np.inf], "c": np.int64(3)}, tmp_path / "m.json"
    )
    assert json.loads((tmp_path / "m.json").read_text()) == {"a": 1.5, "b": [None, None], "c": 3}


def test_metrics_file_without_its_model_is_refused(tmp_path):
    (tmp_path / "m.json").write_text('{"study": "co", "metrics": []}')
    with pytest.raises(BadInput, match=r"m\.json: keys model, kind, seed, set, data not found"):
        metrics.read([tmp_path / "m.json"])


# --- tables and verdict
# ----------------------------------------------------------------------------------------------


def test_verdict_names_the_network_that_beats_every_baseline_in_both(tmp_path):
    paths = [
        write_metrics(tmp_path, "res_unet", "network", 0.9, 1.2),
        write_metrics(tmp_path, "forest", "baseline", 0.8, 1.5),
        write_metrics(tmp_path, "excess", "baseline", 0.82, 1.9),
    ]
    _, verdict = tables(paths)
    assert verdict.startswith(
        "res_unet, the only network (rho_l_beam on validation 0.9), beats every baseline in rho_l "
        "(bright) and"
        " rmse_over_noise (bright) on the test set."
    )
    assert "rho_l 0.9 [0.89, 0.91] against 0.82 [0.81, 0.83] of excess" in verdict
    assert "rmse_over_noise 1.2 [1.19, 1.21] against 1.5 [1.49, 1.51] of forest" in verdict
    assert verdict.endswith("Data: simulated.")


def test_verdict_speaks_of_the_network_that_validation_chose_though_another_is_better_on_test(
    tmp_path,
):
    paths = [
        write_metrics(tmp_path, "lucky", "network", 0.95, 1.1, valid=0.7),
        write_metrics(tmp_path, "steady", "network", 0.8, 1.6, valid=0.9, seed=1),
        write_metrics(tmp_path, "steady", "network", 0.8, 1.6, valid=0.8, seed=2),
        write_metrics(tmp_path, "forest", "baseline", 0.85, 1.5, valid=0.99),
    ]
    table, verdict = tables(paths)
    assert verdict.startswith(
        "steady, best of 2 networks by rho_l_beam on validation (0.85), does not beat every"
    )
    assert table.chosen.to_dict() == {"lucky": "", "steady": "chosen", "forest": "", "dust": ""}


def test_each_set_has_a_network_of_its_own_chosen_by_the_metric_of_the_config(tmp_path):
    paths = [
        write_metrics(tmp_path, "net21", "network", 0.6, 1.2, name="b"),
        write_metrics(tmp_path, "fit21", "baseline", 0.9, 1.2, name="b"),
        write_metrics(tmp_path, "broken", "network", 0.7, 1.2, valid=np.nan),
        write_metrics(tmp_path, "net10", "network", 0.7, 1.2, valid=0.3),
    ]
    validation = metrics.read(paths, "validation")
    assert metrics.choose(validation, "rho_l_beam") == {"b": ("net21", 0.6), "a": ("net10", 0.3)}
    lower = validation.assign(better="lower").replace({"set": {"b": "a"}})
    assert metrics.choose(lower, "rho_l_beam") == {"a": ("net10", 0.3)}
    with pytest.raises(
        BadInput, match="chosen_by: roh is no score of validation; expected one of rho_l_beam"
    ):
        metrics.choose(validation, "roh")


def test_sets_of_which_the_same_is_to_be_said_are_named_together(tmp_path):
    paths = [
        write_metrics(tmp_path, "net", "network", 0.9, 1.2, name="a"),
        write_metrics(tmp_path, "fit", "baseline", 0.8, 1.5, name="a"),
        *(
            write_metrics(tmp_path, f"net_{name}", "network", 0.9, 1.2, name=name)
            for name in ("b", "c")
        ),
    ]
    first, second = tables(paths)[1].split(" b, c: ")
    assert first.startswith("a: net, the only network") and second.startswith(
        "No baseline in this comparison"
    )
    assert tables(paths[2:])[1].startswith("b, c: No baseline in this comparison")


def test_set_without_a_validation_score_has_no_verdict(tmp_path):
    paths = [
        write_metrics(tmp_path, "res_unet", "network", 0.9, 1.2, valid=np.nan),
        write_metrics(tmp_path, "forest", "baseline", 0.8, 1.5),
    ]
    table, verdict = tables(paths)
    assert (
        verdict.startswith("No network has rho_l_beam on validation") and (table.chosen == "").all()
    )


def test_verdict_says_plainly_that_the_network_loses_where_one_score_is_lost(tmp_path):
    paths = [
        write_metrics(tmp_path, "res_unet", "network", 0.9, 1.6),
        write_metrics(tmp_path, "forest", "baseline", 0.8, 1.5),
    ]
    _, verdict = tables(paths)
    assert "does not beat every baseline in rho_l (bright) and rmse_over_noise (bright)" in verdict
    assert "against 1.5 [1.49, 1.51] of forest (lost)" in verdict and verdict.count("(lost)") == 1


def test_verdict_says_where_intervals_overlap(tmp_path):
    paths = [
        write_metrics(tmp_path, "res_unet", "network", 0.9, 1.2, width=0.2),
        write_metrics(tmp_path, "forest", "baseline", 0.8, 1.9, width=0.2),
    ]
    _, verdict = tables(paths)
    assert verdict.count("intervals overlap") == 1


def test_network_below_the_dust_map_is_flagged_and_a_baseline_is_not(tmp_path):
    paths = [
        write_metrics(tmp_path, "cyclegan", "network", 0.3, 9.0),
        write_metrics(tmp_path, "res_unet", "network", 0.9, 1.2),
        write_metrics(tmp_path, "constant", "baseline", 0.6, 5.0),
    ]
    table, verdict = tables(paths)
    assert table.flag.to_dict() == {
        "cyclegan": "rho_l below dust",
        "res_unet": "",
        "constant": "",
        "dust": "",
    }
    assert "cyclegan: rho_l below dust." in verdict
    assert table.kind["dust"] == "reference" and table.rho_l_beam_bright["dust"] == pytest.approx(
        0.7
    )


def test_network_is_flagged_by_the_dust_map_on_its_own_test_tiles(tmp_path):
    paths = [
        write_metrics(tmp_path, "line21", "network", 0.5, 1.2, dust=0.4),
        write_metrics(tmp_path, "line10", "network", 0.8, 1.2, dust=0.9),
        write_metrics(tmp_path, "constant", "baseline", 0.6, 5.0),
    ]
    assert tables(paths)[0].flag[["line21", "line10"]].to_dict() == {
        "line21": "",
        "line10": "rho_l below dust",
    }


def test_network_is_compared_with_baselines_of_its_own_set(tmp_path):
    """Another line, another task: a baseline that is better on another set does not take
    the win.
    """
    paths = [
        write_metrics(tmp_path, "net21", "network", 0.6, 1.2, name="b"),
        write_metrics(tmp_path, "fit21", "baseline", 0.5, 1.3, name="b", dust=0.5),
        write_metrics(tmp_path, "net10", "network", 0.7, 1.2, dust=0.9),
        write_metrics(tmp_path, "fit10", "baseline", 0.8, 1.1, dust=0.9),
    ]
    records = metrics.read(paths)
    table = metrics.comparison(records, HEADLINE, "dust")
    assert table["set"].tolist() == ["b"] * 3 + ["a"] * 3  # in the order of the models
    assert table.model.tolist() == ["net21", "fit21", "dust", "net10", "fit10", "dust"]
    dust = table[table.model == "dust"].set_index("set").rho_l_beam_bright
    assert dust["a"] == pytest.approx(0.9) and dust["b"] == pytest.approx(
        0.6
    )  # 0.7 and 0.5 of its own two models
    chosen = metrics.choose(metrics.read(paths, "validation"), "rho_l_beam")
    verdict = metrics.verdict(table, records, HEADLINE, chosen, "rho_l_beam")
    assert verdict.startswith(
        "b: net21, the only network (rho_l_beam on validation 0.6), beats every baseline"
    )
    assert (
        "a: net10, the only network (rho_l_beam on validation 0.7), does not beat every baseline"
        in verdict
    )
    assert "against 0.5 [0.49, 0.51] of fit21" in verdict


def test_published_number_stands_beside_the_line_that_it_belongs_to(tmp_path):
    paths = [
        write_metrics(tmp_path, "net21", "network", 0.6, 1.2, name="b", line="CO J=2-1"),
        write_metrics(tmp_path, "net10", "network", 0.7, 1.2, line="CO J=1-0"),
    ]
    number = {
        "metric": "rho_l_beam",
        "value": 0.71,
        "measured_on": "real sky",
        "source": "COnet",
        "with": "CO J=1-0",
    }
    published = [
        number | {"beside": "dust"},
        number | {"beside": "cyclegan"},
        number | {"beside": "x", "with": "CO"},
    ]
    table = metrics.comparison(metrics.read(paths), HEADLINE, "dust", published)
    shown = table[table.published_rho_l_beam.notna()]
    assert list(zip(shown.model, shown["set"], strict=True)) == [("dust", "a"), ("cyclegan", "a")]


def test_texture_of_a_stochastic_model_is_that_of_its_sample(tmp_path):
    path = write_metrics(tmp_path, "flow", "network", 0.9, 1.2)
    content = json.loads(path.read_text())
    of_sample = content["metrics"][0] | {"of": "sample", "value": 0.4}
    metrics.write_json(content | {"metrics": [*content["metrics"], of_sample]}, path)
    headline = [HEADLINE[0] | {"texture": True, "decides": False}, HEADLINE[1]]
    paths = [path, write_metrics(tmp_path, "fit", "baseline", 0.8, 1.5)]
    table = metrics.comparison(metrics.read(paths), headline, "dust").set_index("model")
    assert table.rho_l_beam_bright.round(3).to_dict() == {"flow": 0.4, "fit": 0.8, "dust": 0.7}
    assert table.texture.to_dict() == {"flow": "sample", "fit": "model", "dust": ""}
    assert table.rmse_over_noise_bright["flow"] == pytest.approx(1.2)


def test_network_without_a_finite_score_is_flagged_and_never_wins(tmp_path):
    paths = [
        write_metrics(tmp_path, "broken", "network", np.nan, np.nan),
        write_metrics(tmp_path, "constant", "baseline", 0.6, 5.0),
    ]
    table, verdict = tables(paths)
    assert table.flag["broken"] == "rho_l below dust" and verdict.startswith("No network has")


def test_seeds_become_mean_and_scatter(tmp_path):
    paths = [
        write_metrics(tmp_path, "res_unet", "network", rho, 1.2, seed=k)
        for k, rho in enumerate((0.8, 0.9, 1.0))
    ]
    row = tables([*paths, write_metrics(tmp_path, "constant", "baseline", 0.6, 5.0)])[0].loc[
        "res_unet"
    ]
    assert row.seeds == 3
    assert row.rho_l_beam_bright == pytest.approx(
        0.9
    ) and row.rho_l_beam_bright_seed_scatter == pytest.approx(0.1)
    assert row.rho_l_beam_bright_lo == pytest.approx(0.89)


def test_published_numbers_stand_in_columns_of_their_own_with_what_they_were_measured_on(tmp_path):
    published = [
        {
            "beside": "dust",
            "metric": "rho_l_beam",
            "value": 0.71,
            "measured_on": "real sky",
            "source": "COnet",
        },
        {
            "beside": "cyclegan",
            "metric": "rho_l_beam",
            "value": 0.33,
            "measured_on": "real sky",
            "source": "COnet",
        },
    ]
    table, _ = tables([write_metrics(tmp_path, "res_unet", "network", 0.9, 1.2)], published)
    assert table.published_rho_l_beam["dust"] == 0.71 and table.published_on["dust"] == "real sky"
    assert table.rho_l_beam_bright["dust"] == pytest.approx(0.7)
    assert table.kind["cyclegan"] == "published" and np.isnan(table.rho_l_beam_bright["cyclegan"])
    assert np.isnan(table.published_rho_l_beam["res_unet"])


@pytest.mark.parametrize(
    ("metric", "value", "words"),
    [
        (
            "rho_l_beam",
            0.85,
            "res_unet: rho_l 0.9 [0.89, 0.91] is above the published 0.85 (real sky).",
        ),
        ("rho_l_beam", 0.895, "is consistent with the published 0.895"),
        ("rho_l_beam", 0.95, "is below the published 0.95"),
        (
            "rmse_over_noise",
            1.3,
            "rmse_over_noise 1.2 [1.19, 1.21] is better than the published 1.3",
        ),
        ("rmse_over_noise", 1.1, "is worse than the published 1.1"),
    ],
)
def test_verdict_says_on_which_side_of_the_published_number_the_interval_lies(
    tmp_path, metric, value, words
):
    number = {
        "beside": "res_unet",
        "metric": metric,
        "value": value,
        "measured_on": "real sky",
        "source": "COnet",
    }
    paths = [
        write_metrics(tmp_path, "res_unet", "network", 0.9, 1.2),
        write_metrics(tmp_path, "forest", "baseline", 0.8, 1.5),
    ]
    asked = [item | {"beside_published": True} for item in HEADLINE]
    assert words in tables(paths, [number], headline=asked)[1]
    assert "published" not in tables(paths, [number | {"beside": "forest"}], headline=asked)[1]
    assert "published" not in tables(paths, [number])[1]


def test_headline_decides_only_where_models_have_it(tmp_path):
    """A set of classifiers and one of regressors: each is judged by its own score, and chosen by
    its own.
    """
    paths = [
        write_metrics(tmp_path, "net", "network", 0.9, 1.2),
        write_metrics(tmp_path, "fit", "baseline", 0.8, 1.5),
        write_metrics(tmp_path, "net_index", "network", 0.0, 1.2, name="b"),
        write_metrics(tmp_path, "fit_index", "baseline", 0.0, 1.5, name="b"),
    ]
    records, validation = metrics.read(paths), metrics.read(paths, "validation")
    records = records[(records["set"] == "a") | (records["name"] != "rho_l_beam")]
    of_b = validation["set"] == "b"
    validation.loc[of_b, ["name", "better"]] = "mse", "lower"
    by = metrics.judges(validation, ["rho_l_beam", "mse"])
    assert by == {"a": "rho_l_beam", "b": "mse"}
    chosen = metrics.choose(validation, ["rho_l_beam", "mse"])
    table = metrics.comparison(records, HEADLINE, "", (), chosen)
    verdict = metrics.verdict(table, records, HEADLINE, chosen, by)
    assert (
        "net_index, the only network (mse on validation 0), beats every baseline in "
        "rmse_over_noise (bright)" in verdict
    )


@pytest.mark.parametrize(
    ("models", "expected"),
    [
        (["res_unet", "cyclegan", "cyclegan_as_presented"], ["cyclegan", "cyclegan_as_presented"]),
        (["res_unet", "cyclegan_as_presented"], ["cyclegan_as_presented"]),
        (["res_unet"], ["cyclegan"]),  # a row of its own, under the first name
    ],
)
def test_published_number_stands_beside_each_model_of_its_list_that_was_run(
    tmp_path, models, expected
):
    number = {"metric": "rho_l_beam", "value": 0.33, "measured_on": "real sky", "source": "COnet"}
    published = [number | {"beside": ["cyclegan", "cyclegan_as_presented"]}]
    table, _ = tables(
        [write_metrics(tmp_path, model, "network", 0.9, 1.2) for model in models], published
    )
    found = table.published_rho_l_beam.dropna()
    assert sorted(found.index) == expected and (found == 0.33).all()


def test_comparison_csv_begins_with_its_verdict_and_reads_back(tmp_path):
    table = pd.DataFrame({"model": ["a"], "rho": [0.5]})
    metrics.write_csv(table, tmp_path / "c.csv", "nothing\nis won")
    assert (tmp_path / "c.csv").read_text().startswith("# nothing is won\nmodel,rho\n")
    pd.testing.assert_frame_equal(pd.read_csv(tmp_path / "c.csv", comment="#"), table)


# --- tables beside the headline's
# ------------------------------------------------------------------------------------


def band_records():
    """Two bands: the network leads the dust map in both, and the better of two baselines in the
    first alone.
    """
    rows = []

    def add(model, kind, name, value, width, of="model"):
        rows.append(
            {
                "study": "co",
                "model": model,
                "kind": kind,
                "seed": 0,
                "set": "a",
                "line": "",
                "data": "simulated",
            }
            | {
                "name": name,
                "of": of,
                "subset": "bright",
                "value": value,
                "lo": value - width,
                "hi": value + width,
            }
        )

    for ell, network, forest in ((398, 0.96, 0.9), (632, 0.91, 0.9)):
        add("net", "network", f"rho_l_{ell}", network, 0.02)
        add("net", "network", f"rho_l_minus_dust_{ell}", network - 0.89, 0.005)
        add("net", "network", f"cl_ratio_{ell}", 0.8, 0.1)
        add("net", "network", f"cl_ratio_{ell}", 1.1, 0.1, of="sample")
        add("forest", "baseline", f"rho_l_{ell}", forest, 0.02)
        add("constant", "baseline", f"rho_l_{ell}", 0.0, 0.01)
        for model, kind in (("net", "network"), ("forest", "baseline")):
            add(model, kind, f"rho_l_{ell}", 0.89, 0.03, of="dust")
    add("net", "network", "rho_l_beam", 0.92, 0.01)
    return pd.DataFrame(rows)


def test_bands_say_where_the_network_lies_above_the_dust_map_and_every_baseline():
    table = score_tables.bands(band_records(), "rho_l", "cl_ratio", "dust", {"a": ("net", 0.9)})
    assert table.l.tolist() == [398] * 4 + [632] * 4
    assert set(table.model[:4]) == {"net", "forest", "constant", "dust"}
    net = table[table.model == "net"]
    assert net.above_reference.tolist() == [
        "yes",
        "yes",
    ]  # the paired interval, though their own intervals overlap
    assert (
        net.above_baselines.tolist() == ["yes", "no"]
        and (table.above_baselines[table.kind != "network"] == "").all()
    )
    assert net.cl_ratio.tolist() == [0.8, 0.8] and net.cl_ratio_sample.tolist() == [1.1, 1.1]
    words = score_tables.bands_in_words(table, "rho_l", "dust")
    assert words.startswith(
        "a: net has a rho_l above the dust map at every one and above every baseline at 398 of l "
        "= 398, 632"
    )


def test_scores_by_subset_have_a_row_a_model_and_a_column_a_subset():
    records = band_records().assign(
        name="rho_l_beam", subset=lambda t: np.where(t.index % 2, "faint", "bright")
    )
    table = score_tables.by_subset(records, "rho_l_beam")
    assert (
        list(table) == ["bright", "faint"] and table.index[0] == "net" and table.index[-1] == "dust"
    )
    rows = records[
        (records.model == "net") & (records["of"] == "model") & (records.subset == "bright")
    ]
    assert table.loc["net", "bright"] == pytest.approx(tuple(rows[["value", "lo", "hi"]].mean()))
    assert score_tables.by_subset(records, "crps").empty
