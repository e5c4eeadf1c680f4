"""The pages of scores: comparison, verdict, and scores by subset."""

import pytest
from score_files import write_model
from test_scores_comparison import HEADLINE, tables

from skyloom.pages import scores
from skyloom.pages.scores import Names
from skyloom.pages.words import Words
from skyloom.scores import records

SETTINGS = {"blocks": "blocks of sky", "headline": HEADLINE}
SETTINGS |= {"mark": {"score": "bias", "text": "contains no bright tiles"}}
NAMES = Names({"net": "Res-UNet <1>", "dust": "dust map"}, {"net": "A network."}, {"a": "CO 1-0"})
WORDS = Words({"rho_l_beam": {"label": "rho", "about": "Of maps."}}, {"bright": "bright tiles"})


@pytest.fixture
def write(tmp_path):
    def model(name, kind, rho, subset="bright", bias=0.1, **more):
        values = {"rho_l_beam": rho, "rmse_over_noise": 2 - rho, "bias": bias}
        references = {"dust": {"rho_l_beam": 0.7}}
        folder = tmp_path / subset
        return write_model(folder, name, kind, values, subset=subset, references=references, **more)

    return model


def page(paths, published=()):
    table, verdict = tables(paths, published)
    test = records.read(paths, draws=True)
    return scores.comparison(table, verdict, HEADLINE, test, NAMES, WORDS, SETTINGS)


def test_comparison_speaks_words_and_puts_the_published_value_under_its_score(write):
    paths = [write("net", "network", 0.9), write("fit", "baseline", 0.8)]
    number = {"metric": "rho_l_beam", "value": 0.33, "measured_on": "real sky", "source": "COnet"}
    html = page(paths, [number | {"beside": "net"}])
    assert "Res-UNet &lt;1&gt;" in html and 'title="A network."' in html
    assert "correlation&nbsp;\N{UPWARDS ARROW}<small>bright tiles</small>" in html
    cell = html.split("0.900")[2].split("</td>")[0]
    assert "<small>published 0.33 (real sky)</small>" in cell
    assert "Networks" in html and "Baselines without a network" in html and "dust map" in html
    assert "real sky: COnet" in html and "bootstrap over blocks of sky" in html
    assert "<dt>correlation</dt><dd>Of maps.</dd>" in html
    # the score that does not decide
    assert "bias" not in html.split("<details>")[0] and "bias" in html.split("<details>")[1]


def test_verdict_is_a_line_a_score_with_its_result_marked(write):
    html = page([write("net", "network", 0.9), write("fit", "baseline", 0.8)])
    verdict = html.split("</ul>")[0]
    assert "<strong>Res-UNet" in verdict and "the only network; one seed; simulated sky" in verdict
    assert verdict.count('<li><span class="better">Better</span> than every baseline in ') == 2


def test_bold_are_the_best_and_those_level_with_it_by_their_paired_difference(write):
    # the same draws: a difference of 0.01 is certain where both move together
    paths = [write("net", "network", 0.9), write("fit", "baseline", 0.89, scatter=0)]
    paths.append(write("unsure", "baseline", 0.89, scatter=0.05))
    test = records.read(paths, draws=True)
    best = scores.best_models(test, HEADLINE[:1])["rho_l_beam_bright"]
    assert best == {"net", "unsure"}


def test_flag_is_a_mark_with_its_sentence_below(write):
    html = page([write("net", "network", 0.5), write("fit", "baseline", 0.8)])
    assert 'title="correlation is below that of the dust">a</sup>' in html
    assert '<sup class="flag">a</sup> correlation is below that of the dust.' in html


def test_scores_by_subset_have_a_row_a_model_and_a_column_a_subset(write):
    paths = [
        write(model, kind, rho - 0.2 * (subset == "faint"), subset, bias)
        for model, kind, rho in (("net", "network", 0.9), ("fit", "baseline", 0.8))
        for subset, bias in (("bright", 0.1), ("faint", 0.0))
    ]
    test = records.read(paths, draws=True)
    html = scores.subsets(test, ["rho_l_beam"], NAMES, WORDS, SETTINGS)
    assert "<h2>CO 1-0: correlation \N{UPWARDS ARROW}</h2>" in html
    assert "bright tiles<small>n = 20" in html and "faint †<small>n = 20" in html
    assert "† contains no bright tiles" in html
    net = html.split("Res-UNet &lt;1&gt;</td>")[1].split("</tr>")[0]
    assert 'data-value="0.9"' in net and 'data-value="0.7"' in net
    assert "†" not in scores.subsets(test, ["rho_l_beam"], NAMES, WORDS, SETTINGS | {"mark": None})


def test_subsets_of_the_same_examples_share_a_column(write):
    paths = [write("net", "network", 0.9, subset) for subset in ("faint", "extrapolation", "all")]
    rows = records.pool_seeds(records.read(paths[:2], draws=True))
    rows = rows[(rows["name"] == "rho_l_beam") & (rows["of"] == "model")]
    assert scores.equal_subsets(rows) == [["faint", "extrapolation"]]
