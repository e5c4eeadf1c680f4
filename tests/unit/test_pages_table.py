"""The one table of all pages: numbers, groups, folding, and the file that a page holds."""

import base64
import math
import re

import pytest

from skyloom.pages import table
from skyloom.pages.document import details, document, download, first_table, main_of
from skyloom.pages.table import Column, Name, Score

MODEL = Column("model", "model")
RHO = Column("rho", "correlation", "", "higher", "Of the maps.", "bright tiles")


def rows(*scores: Score) -> list[dict]:
    return [{"model": Name(f"m{k}"), "rho": score} for k, score in enumerate(scores)]


# --- numbers --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "digits", "text"),
    [
        (-5.38e-10, 3, "0"),
        (0.81, 3, "0.810"),
        (1, 3, "1.000"),
        (1, None, "1"),
        (-0.5, 1, "\N{MINUS SIGN}0.5"),
        (0.0004, 2, "0.0004"),
        (12401, None, "12401"),
    ],
)
def test_number_has_fixed_decimals_and_nothing_below_a_millionth(value, digits, text):
    assert table.number(value, digits) == text


def test_decimals_give_the_middle_interval_two_digits_of_its_half_width():
    half_widths = [0.011, 0.0105, 4.0]
    scores = [Score(0.8, 0.8 - half, 0.8 + half) for half in half_widths]
    assert table.column_decimals(scores) == 3
    assert table.column_decimals([Score(39.6, 32.7, 45.8)]) == 1
    # two intervals without a width decide nothing
    assert table.column_decimals([Score(0.5, 0.5, 0.5)] * 2 + scores[:1]) == 3


def test_numbers_without_interval_have_three_digits_of_the_middle_one_and_counts_none():
    assert table.column_decimals([0.0123, 0.639, 0.04]) == 4
    assert table.column_decimals([12.3, 4.5]) == 2
    assert table.column_decimals([510.0, 153, None, math.nan]) is None


# --- HTML -----------------------------------------------------------------------------------------


def test_head_has_label_unit_direction_subset_and_the_sentence_on_hover():
    unit = Column("rms", "RMSE", "K km/s", "lower")
    html = table.table([MODEL, RHO, unit], [("", [{"model": "m", "rho": 0.5, "rms": 2.5}])])
    assert "correlation&nbsp;\N{UPWARDS ARROW}<small>bright tiles</small>" in html
    assert "RMSE [K km/s]&nbsp;\N{DOWNWARDS ARROW}" in html and 'title="Of the maps."' in html
    # a click puts the best value first
    assert re.findall(r'data-first="(\w+)"', html) == ["up", "down", "up"]


def test_best_score_is_bold_and_interval_and_note_are_small():
    html = table.table(
        [MODEL, RHO],
        [("Networks", rows(Score(0.88, 0.87, 0.89, best=True, note="published 0.33"), Score(0.8)))],
    )
    assert (
        "<strong>0.880</strong><small>[0.870, 0.890]</small><small>published 0.33</small>" in html
    )
    assert html.count("<strong>") == 1 and 'colspan="2"' in html and "Networks" in html


def test_names_are_escaped_and_empty_columns_rows_and_groups_are_left_out():
    empty = Column("none", "nothing")
    groups = [("Networks", [{"model": Name("<net>"), "rho": 0.5}]), ("Bounds", [{"model": "b"}])]
    html = table.table([MODEL, RHO, empty], groups)
    assert "&lt;net&gt;" in html and "<net>" not in html
    assert "nothing" not in html and "Bounds" not in html


def test_columns_beyond_the_first_are_folded_in_tables_that_fit():
    columns = [MODEL, *(Column(f"c{k}", f"c{k}") for k in range(16))]
    row = {"model": "m"} | {f"c{k}": 0.5 for k in range(16)}
    shown, hidden = table.folded(columns, [("", [row])], 2).split("<details>")
    assert re.findall(r">(c\d+)", shown) == ["c0", "c1"]
    widths = [part.count('scope="col"') for part in hidden.split("<table>")[1:]]
    assert sum(widths) - len(widths) == 14 and max(widths) <= table.WIDEST


def test_decimals_are_shared_by_a_column_a_group_or_not_at_all():
    groups = [("a", [{"model": "m", "rho": 1234.5}]), ("b", [{"model": "m", "rho": 0.5678}])]
    texts = {
        by: re.findall(r'data-value="[\d.]+">([\d.]+)<', table.table([MODEL, RHO], groups, by))
        for by in ("column", "group")
    }
    assert texts["column"] == ["1234", "1"] and texts["group"] == ["1234", "0.568"]


def test_legend_has_the_columns_with_a_sentence():
    assert table.legend([MODEL, RHO]) == "<dl><dt>correlation</dt><dd>Of the maps.</dd></dl>"
    assert table.legend([MODEL]) == ""


# --- pages ----------------------------------------------------------------------------------------


def test_page_needs_no_other_file_and_its_body_is_found_again():
    body = table.table([MODEL, RHO], [("", rows(Score(0.5)))])
    page = document("Scores <1>", body)
    assert main_of(page) == body and first_table(details("more", page)) == body
    assert "<title>Scores &lt;1&gt;</title>" in page
    assert not re.search(r'(src|href)="(?!data:)', page)


def test_download_holds_the_file(tmp_path):
    path = tmp_path / "scores.csv"
    path.write_text("model,rho\nnet,0.5\n")
    link = re.search(r'download="scores.csv" href="data:text/csv;base64,([^"]+)"', download(path))
    assert base64.b64decode(link[1]) == path.read_bytes()
