"""The HTML pages of scores."""

import pytest
from score_files import write_model
from test_scores_comparison import HEADLINE, tables

from skyloom.scores import page, records

SETTINGS = {"blocks": "blocks of sky", "mark": {"score": "bias", "text": "contains no bright tile"}}


@pytest.fixture
def paths(tmp_path):
    """Two models on a bright and on a faint subset, of which the latter has no bias."""
    written = []
    for model, kind, rho in (("<net>", "network", 0.9), ("fit", "baseline", 0.8)):
        scores = {"rho_l_beam": rho, "rmse_over_noise": 2 - rho}
        for name, bias in (("bright", 0.1), ("faint", 0.0)):
            written.append(
                write_model(
                    tmp_path / name,
                    model,
                    kind,
                    scores | {"bias": bias},
                    subset=name,
                    references={"dust": {"rho_l_beam": 0.7}},
                )
            )
    return written


def test_comparison_page_escapes_names_and_says_direction_blocks_and_published_source(paths):
    bright = [path for path in paths if "bright" in path.parts]
    number = {"metric": "rho_l_beam", "value": 0.33, "measured_on": "real sky", "source": "COnet"}
    table, result = tables(bright, [number | {"beside": "dust"}])
    test = records.read(bright)
    text = page.comparison("toy", table, result, HEADLINE, test, SETTINGS)
    assert "&lt;net&gt;" in text and "<net>" not in text
    assert "correlation \N{UPWARDS ARROW}" in text and "RMSE/noise \N{DOWNWARDS ARROW}" in text
    assert "bootstrap over blocks of sky" in text and "real sky: COnet" in text
    assert result["text"].splitlines()[-1] in text and "seeds" not in text.split("<small>")[-1]


def test_scores_by_subset_have_a_row_a_model_and_a_column_a_subset(paths):
    scores = records.pool_seeds(records.read(paths, draws=True))
    table = page.by_subset(scores, "rho_l_beam")
    assert list(table) == ["bright", "faint"] and list(table.index) == ["<net>", "fit", "dust"]
    single = scores[(scores.model == "fit") & (scores["of"] == "model")]
    single = single[(single["name"] == "rho_l_beam") & (single.subset == "faint")].iloc[0]
    assert table.loc["fit", "faint"] == pytest.approx((single.value, single.lo, single.hi))
    assert page.by_subset(scores, "crps").empty


def test_subset_page_marks_the_subsets_in_which_a_score_is_zero(paths):
    test = records.read(paths, draws=True)
    text = page.subsets("toy", test, ["rho_l_beam"], SETTINGS)
    assert "faint †" in text and "bright †" not in text and "† contains no bright tile" in text
    assert "†" not in page.subsets("toy", test, ["rho_l_beam"], SETTINGS | {"mark": None})
