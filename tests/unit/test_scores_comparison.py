"""The headline table, the network that validation chooses, and the verdict."""

import json

import numpy as np
import pandas as pd
import pytest
from score_files import write_model

from skyloom.cli import BadInput
from skyloom.scores import comparison, pairs, records
from skyloom.scores.verdict import INTERVALS, decimals, sentence, verdict

HEADLINE = [
    {"name": "rho_l_beam", "subset": "bright", "label": "correlation"},
    {"name": "rmse_over_noise", "subset": "bright", "label": "RMSE/noise"},
    {"name": "bias", "subset": "bright", "decides": False},
]
SETTINGS = {"labels": {"net": "Res-UNet", "dust": "dust map"}, "scene": "sky", "examples": "tiles"}
DUST = {"dust": {"rho_l_beam": 0.7}}


@pytest.fixture
def models(tmp_path):
    """`models(name, kind, rho, rmse, **more)` writes a model's files."""

    def write(model, kind, rho, rmse, references=DUST, **more):
        scores = {"rho_l_beam": rho, "rmse_over_noise": rmse, "bias": 0.1}
        return write_model(tmp_path, model, kind, scores, references=references, **more)

    return write


def tables(paths, published=(), headline=HEADLINE, by="rho_l_beam"):
    test, validation = records.read(paths, draws=True), records.read(paths, "validation")
    chosen = comparison.best_networks(validation, by)
    table = comparison.table(test, headline, "dust", published, chosen)
    chosen_by = comparison.selection_scores(validation, by)
    return table, verdict(table, test, headline, chosen, chosen_by, SETTINGS)


# --- the network of a set -------------------------------------------------------------------------


def test_each_set_has_a_network_chosen_by_the_score_of_the_config(models):
    paths = [
        models("net21", "network", 0.6, 1.2, name="b"),
        models("fit21", "baseline", 0.9, 1.2, name="b"),
        models("broken", "network", 0.7, 1.2, validation={"rho_l_beam": np.nan}),
        models("net10", "network", 0.7, 1.2, validation={"rho_l_beam": 0.3}),
    ]
    validation = records.read(paths, "validation")
    assert comparison.best_networks(validation, "rho_l_beam") == {
        "b": ("net21", pytest.approx(0.6)),
        "a": ("net10", pytest.approx(0.3)),
    }
    lower = validation.assign(better="lower").replace({"set": {"b": "a"}})
    assert comparison.best_networks(lower, "rho_l_beam") == {"a": ("net10", pytest.approx(0.3))}
    expected = "chosen_by: roh is no score of validation; expected one of bias, rho_l_beam"
    with pytest.raises(BadInput, match=expected):
        comparison.best_networks(validation, "roh")


def test_seeds_are_averaged_on_validation(models):
    paths = [
        models("steady", "network", 0.8, 1.6, validation={"rho_l_beam": 0.9}, seed=1),
        models("steady", "network", 0.8, 1.6, validation={"rho_l_beam": 0.8}, seed=2),
        models("lucky", "network", 0.95, 1.1, validation={"rho_l_beam": 0.84}),
    ]
    chosen = comparison.best_networks(records.read(paths, "validation"), "rho_l_beam")
    assert chosen == {"a": ("steady", pytest.approx(0.85))}


def test_sets_of_different_tasks_are_judged_by_their_own_scores(models):
    paths = [models("net", "network", 0.9, 1.2), models("fit", "baseline", 0.8, 1.5)]
    regression = {"rmse_over_noise": 1.2}
    paths.append(models("net_index", "network", 0.9, 1.2, name="b", validation=regression))
    paths.append(models("fit_index", "baseline", 0.9, 1.5, name="b", validation=regression))
    by = ["rho_l_beam", "rmse_over_noise"]
    chosen_by = comparison.selection_scores(records.read(paths, "validation"), by)
    assert chosen_by == {"a": "rho_l_beam", "b": "rmse_over_noise"}
    text = tables(paths, by=by)[1]["text"]
    assert "a: net" not in text and text.startswith("a: Res-UNet (the only network")
    assert "\nb: net index (the only network" in text


# --- the table ------------------------------------------------------------------------------------


def test_columns_that_no_model_uses_do_not_exist(models):
    table, _ = tables([models("net", "network", 0.9, 1.2), models("fit", "baseline", 0.8, 1.5)])
    absent = {"group", "shown", "published_on", "rho_l_beam_bright_seed_scatter"}
    assert not absent & set(table)
    assert list(table)[:7] == ["model", "kind", "flag", "chosen", "set", "data", "seeds"]


def test_every_column_has_a_line_that_says_what_it_means(models):
    paths = [
        models("net", "network", 0.9, 1.2, group="CO", seed=1),
        models("net", "network", 0.8, 1.2, group="CO", seed=2, samples={"rho_l_beam": 0.5}),
    ]
    number = {"beside": "dust", "metric": "rho_l_beam", "value": 0.71, "with": "CO"}
    headline = [HEADLINE[0] | {"show": "sample", "decides": False}, *HEADLINE[1:]]
    published = [number | {"measured_on": "real sky", "source": "COnet"}]
    table, _ = tables(paths, published, headline)
    columns = comparison.columns(table, headline, records.read(paths)).set_index("column")
    assert list(columns.index) == list(table)
    assert {"group", "shown", "published_rho_l_beam"} <= set(table)
    assert columns.loc["rho_l_beam_bright", "better"] == "higher"
    assert columns.loc["rho_l_beam_bright", "meaning"].startswith("correlation (bright)")


def test_seeds_become_mean_scatter_and_pooled_interval(models):
    paths = [models("net", "network", rho, 1.2, seed=k) for k, rho in enumerate((0.8, 0.9, 1.0))]
    table, result = tables([*paths, models("fit", "baseline", 0.6, 5.0)])
    row = table[table.model == "net"].iloc[0]
    assert row.seeds == 3 and row.rho_l_beam_bright == pytest.approx(0.9)
    assert row.rho_l_beam_bright_seed_scatter == pytest.approx(0.1)
    assert row.rho_l_beam_bright_lo <= 0.8 and row.rho_l_beam_bright_hi >= 1.0
    assert "; 3 seeds;" in result["text"]


def test_network_below_the_dust_map_is_flagged_and_a_baseline_is_not(models):
    paths = [
        models("cyclegan", "network", 0.3, 9.0),
        models("net", "network", 0.9, 1.2),
        models("constant", "baseline", 0.6, 5.0),
    ]
    table, result = tables(paths)
    flags = table.set_index("model").flag.to_dict()
    expected = {
        "cyclegan": "correlation is below that of the dust",
        "net": "",
        "constant": "",
        "dust": "",
    }
    assert flags == expected
    assert "cyclegan: correlation is below that of the dust." in result["text"]
    dust = table.set_index("model").loc["dust"]
    assert dust.kind == "reference" and dust.rho_l_beam_bright == pytest.approx(0.7)


def test_network_is_flagged_by_the_dust_map_on_its_own_test_tiles(models):
    paths = [
        models("line21", "network", 0.5, 1.2, references={"dust": {"rho_l_beam": 0.4}}),
        models("line10", "network", 0.8, 1.2, references={"dust": {"rho_l_beam": 0.9}}),
        models("constant", "baseline", 0.6, 5.0),
    ]
    flags = tables(paths)[0].set_index("model").flag
    assert flags[["line21", "line10"]].tolist() == ["", "correlation is below that of the dust"]


def test_network_without_a_finite_score_is_flagged(models):
    paths = [
        models("broken", "network", np.nan, np.nan, validation={"rho_l_beam": np.nan}),
        models("constant", "baseline", 0.6, 5.0),
    ]
    table, result = tables(paths)
    assert table.flag[0] == "correlation is below that of the dust"
    assert result["text"] == "No network has a validation score (rho_l_beam) to be chosen by."


def test_sample_of_a_stochastic_model_is_shown_where_the_headline_says_so(models):
    paths = [
        models("flow", "network", 0.9, 1.2, samples={"rho_l_beam": 0.4}),
        models("fit", "baseline", 0.8, 1.5),
    ]
    headline = [HEADLINE[0] | {"show": "sample", "decides": False}, HEADLINE[1]]
    table = tables(paths, headline=headline)[0].set_index("model")
    shown = table.rho_l_beam_bright.round(3).to_dict()
    assert shown == {"flow": 0.4, "fit": 0.8, "dust": 0.7}
    assert table["shown"].to_dict() == {"flow": "sample", "fit": "model", "dust": ""}
    assert table.rmse_over_noise_bright["flow"] == pytest.approx(1.2)


def test_headline_score_that_no_model_has_is_refused_unless_it_is_optional(models):
    test = records.read([models("net", "network", 0.9, 1.2)], draws=True)
    asked = [*HEADLINE, {"name": "mse", "subset": "all", "optional": True}]
    assert comparison.headline_items(test, asked) == HEADLINE
    with pytest.raises(BadInput, match="headline mse is in no metrics.json; expected one of bias"):
        comparison.headline_items(test, [{"name": "mse", "subset": "all"}])


# --- published numbers ----------------------------------------------------------------------------

NUMBER = {"metric": "rho_l_beam", "value": 0.33, "measured_on": "real sky", "source": "COnet"}


def test_published_number_is_listed_with_the_group_that_it_belongs_to(models):
    paths = [
        models("net21", "network", 0.6, 1.2, name="b", group="CO J=2-1"),
        models("net10", "network", 0.7, 1.2, group="CO J=1-0"),
    ]
    entries = [("dust", "CO J=1-0"), ("cyclegan", "CO J=1-0"), ("x", "CO")]
    published = [NUMBER | {"beside": name, "with": group} for name, group in entries]
    table, _ = tables(paths, published)
    shown = table[table.published_rho_l_beam.notna()]
    assert list(zip(shown.model, shown["set"], strict=True)) == [("dust", "a"), ("cyclegan", "a")]


def test_published_numbers_stand_in_columns_of_their_own_with_their_source(models):
    published = [NUMBER | {"beside": "dust", "value": 0.71}, NUMBER | {"beside": "cyclegan"}]
    table = tables([models("net", "network", 0.9, 1.2)], published)[0].set_index("model")
    assert table.published_rho_l_beam["dust"] == 0.71
    assert table.published_on["dust"] == "real sky"
    assert table.rho_l_beam_bright["dust"] == pytest.approx(0.7)
    assert table.kind["cyclegan"] == "published" and np.isnan(table.rho_l_beam_bright["cyclegan"])
    assert np.isnan(table.published_rho_l_beam["net"])


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["net", "cyclegan", "cyclegan_published"], ["cyclegan", "cyclegan_published"]),
        (["net", "cyclegan_published"], ["cyclegan_published"]),
        (["net"], ["cyclegan"]),  # a row of its own, under the first name
    ],
)
def test_published_number_is_listed_with_each_model_of_its_list_that_ran(models, names, expected):
    published = [NUMBER | {"beside": ["cyclegan", "cyclegan_published"]}]
    paths = [models(name, "network", 0.9, 1.2) for name in names]
    numbers = tables(paths, published)[0].set_index("model").published_rho_l_beam.dropna()
    assert sorted(numbers.index) == expected and (numbers == 0.33).all()


@pytest.mark.parametrize(
    ("metric", "value", "words"),
    [
        ("rho_l_beam", 0.85, "Res-UNet: correlation is above the published 0.85 (real sky)."),
        ("rho_l_beam", 0.895, "is consistent with the published 0.895"),
        ("rho_l_beam", 0.95, "is below the published 0.95"),
        ("rmse_over_noise", 1.3, "RMSE/noise is better than the published 1.3"),
        ("rmse_over_noise", 1.1, "is worse than the published 1.1"),
    ],
)
def test_verdict_says_on_which_side_of_the_published_number_the_interval_lies(
    models, metric, value, words
):
    number = NUMBER | {"beside": "net", "metric": metric, "value": value}
    paths = [models("net", "network", 0.9, 1.2), models("forest", "baseline", 0.8, 1.5)]
    asked = [item | {"compare_published": True} for item in HEADLINE]
    assert words in tables(paths, [number], asked)[1]["text"]
    assert "published" not in tables(paths, [number | {"beside": "forest"}], asked)[1]["text"]
    assert "published" not in tables(paths, [number])[1]["text"]


# --- the verdict ----------------------------------------------------------------------------------


def test_verdict_names_the_network_that_is_better_than_every_baseline_in_both(models):
    paths = [
        models("net", "network", 0.9, 1.2),
        models("forest", "baseline", 0.8, 1.5),
        models("excess", "baseline", 0.82, 1.9),
    ]
    _, result = tables(paths)
    first, last = result["text"].splitlines()
    assert first.startswith(
        "Res-UNet (the only network; one seed; simulated sky, 20 bright test tiles): better than "
        "every baseline in correlation (0.900 [0.890, 0.910]; best baseline excess 0.820, "
        "difference +0.0800 [+0.07"
    )
    assert "; better than every baseline in RMSE/noise (1.200 [1.190, 1.210]; best" in first
    assert "baseline forest 1.500, difference -0.300" in first and last == INTERVALS


def test_score_that_is_won_is_not_hidden_by_one_that_is_lost(models):
    paths = [models("net", "network", 0.9, 1.6), models("forest", "baseline", 0.8, 1.5)]
    part = tables(paths)[1]["sets"][0]
    assert [clause["result"] for clause in part["clauses"]] == ["better", "worse"]
    assert "better than every baseline in correlation" in part["text"]
    assert "; worse than forest in RMSE/noise (1.600 [1.590, 1.610] against 1.500" in part["text"]


def test_overlapping_intervals_do_not_decide_but_the_paired_difference_does(models):
    """Scores with errors of 0.2 that all models share, 0.05 apart."""
    paths = [
        models("net", "network", 0.9, 1.2, width=0.2),
        models("forest", "baseline", 0.85, 1.25, width=0.2),
    ]
    table, result = tables(paths)
    rows = table.set_index("model")
    assert rows.rho_l_beam_bright_lo["net"] < rows.rho_l_beam_bright_hi["forest"]
    assert [c["result"] for c in result["sets"][0]["clauses"]] == ["better", "better"]
    apart = [
        models("net", "network", 0.9, 1.2, width=0.2, scatter=0.2, name="b"),
        models("forest", "baseline", 0.85, 1.25, width=0.2, scatter=0.2, name="b"),
    ]
    result = tables(apart)[1]
    assert [c["result"] for c in result["sets"][0]["clauses"]] == ["level", "level"]
    assert "level with forest in correlation" in result["text"]


def test_one_baseline_that_is_level_or_better_is_named_rather_than_the_best_that_is_beaten(models):
    paths = [
        models("net", "network", 0.9, 1.2),
        models("near", "baseline", 0.8995, 1.5),
        models("far", "baseline", 0.5, 1.1),
    ]
    clauses = tables(paths)[1]["sets"][0]["clauses"]
    assert [(c["result"], c["rival"]) for c in clauses] == [("level", "near"), ("worse", "far")]


def test_verdict_is_on_the_network_that_validation_chose_though_another_is_better_on_test(models):
    paths = [
        models("lucky", "network", 0.95, 1.1, validation={"rho_l_beam": 0.7}),
        models("steady", "network", 0.8, 1.6, validation={"rho_l_beam": 0.85}),
        models("forest", "baseline", 0.85, 1.5, validation={"rho_l_beam": 0.99}),
    ]
    table, result = tables(paths)
    assert result["text"].startswith("steady (chosen on validation, best of 2 networks; one seed")
    chosen = table.set_index("model").chosen.to_dict()
    assert chosen == {"lucky": "", "steady": "chosen", "forest": "", "dust": ""}
    assert result["sets"][0]["validation"] == pytest.approx(0.85)


def test_verdict_and_table_of_pairs_agree(models):
    paths = [
        models("net", "network", 0.9, 1.6, seed=1),
        models("net", "network", 0.86, 1.4, seed=2),
        models("forest", "baseline", 0.8, 1.5),
    ]
    table = pairs.table(records.read(paths, draws=True), HEADLINE)
    for clause in tables(paths)[1]["sets"][0]["clauses"]:
        row = table[table.score == clause["score"]].iloc[0]
        assert clause["result"] == row.result
        keys = ("difference", "lo", "hi")
        numbers = [clause[k] for k in ("difference", "difference_lo", "difference_hi")]
        assert numbers == [row[key] for key in keys]


def test_network_is_compared_with_baselines_of_its_own_set(models):
    """A baseline that is better on another set does not take the win."""
    paths = [
        models("net21", "network", 0.6, 1.2, name="b", references={"dust": {"rho_l_beam": 0.5}}),
        models("fit21", "baseline", 0.5, 1.3, name="b", references={"dust": {"rho_l_beam": 0.5}}),
        models("net10", "network", 0.7, 1.2),
        models("fit10", "baseline", 0.8, 1.1),
    ]
    table, result = tables(paths)
    assert table["set"].tolist() == ["b"] * 3 + ["a"] * 3  # in the order of the models
    assert table.model.tolist() == ["net21", "fit21", "dust", "net10", "fit10", "dust"]
    dust = table[table.model == "dust"].set_index("set").rho_l_beam_bright
    assert dust.to_dict() == {"b": pytest.approx(0.5), "a": pytest.approx(0.7)}
    words = {p["set"]: [c["result"] for c in p["clauses"]] for p in result["sets"]}
    assert words == {"b": ["better", "better"], "a": ["worse", "worse"]}
    assert result["text"].startswith("b: net21 (") and "\na: net10 (" in result["text"]


def test_sets_with_the_same_text_are_named_together(models):
    paths = [
        models("net", "network", 0.9, 1.2),
        models("fit", "baseline", 0.8, 1.5),
        *(models(f"net_{name}", "network", 0.9, 1.2, name=name) for name in ("b", "c")),
    ]
    lines = tables(paths)[1]["text"].splitlines()
    assert lines[0].startswith("a: Res-UNet (") and lines[1] == "b, c: No baseline to compare."
    assert tables(paths[2:])[1]["text"] == "b, c: No baseline to compare."


def test_few_blocks_are_level_and_the_sentence_says_why(models):
    blocks = np.arange(20) // 10
    paths = [
        models("net", "network", 0.9, 1.2, blocks=blocks),
        models("fit", "baseline", 0.8, 1.5, blocks=blocks),
    ]
    text = tables(paths)[1]["text"]
    assert "level with fit in correlation (0.9 against 0.8, difference +0.1, no interval" in text
    assert "no interval from 2 blocks" in text


def test_verdict_is_strict_json(models, tmp_path):
    blocks = np.arange(20) // 10
    paths = [
        models("net", "network", 0.9, 1.2, blocks=blocks),
        models("fit", "baseline", 0.8, 1.5, blocks=blocks),
    ]
    records.write_json(tables(paths)[1], tmp_path / "verdict.json")
    content = json.loads((tmp_path / "verdict.json").read_text())
    assert content["study"] == "toy" and content["sets"][0]["clauses"][0]["lo"] is None


@pytest.mark.parametrize(
    ("lo", "hi", "expected"), [(0.866, 0.888, 3), (32.7, 45.8, 1), (-1, 21, 0), (np.nan, 1, None)]
)
def test_half_width_of_an_interval_is_given_two_significant_digits(lo, hi, expected):
    assert decimals(lo, hi) == expected


def test_end_of_a_difference_that_is_not_zero_is_not_shown_as_zero(models):
    # 40 +- 20 apart, times 1.96: one end is at 0.8, which two significant digits round to 1
    paths = [
        models("net", "network", 0.9, 100.0, scatter=20 / 2**0.5),
        models("fit", "baseline", 0.8, 60.6, scatter=20 / 2**0.5),
    ]
    part = tables(paths)[1]["sets"][0]
    clause = part["clauses"][1]
    assert 0 < clause["difference_lo"] < 5 and clause["result"] == "worse"
    text = sentence(clause | {"difference_lo": 0.3})
    assert "difference +39.4 [+0.3, +" in text


def test_comparison_csv_reads_back_without_options(models, tmp_path):
    table, _ = tables([models("net", "network", 0.9, 1.2), models("fit", "baseline", 0.8, 1.5)])
    records.write_csv(table, tmp_path / "c.csv")
    again = pd.read_csv(tmp_path / "c.csv")
    assert list(again) == list(table) and again.model.tolist() == table.model.tolist()
    np.testing.assert_allclose(again.rho_l_beam_bright, table.rho_l_beam_bright, rtol=1e-5)
