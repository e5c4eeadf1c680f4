"""The page of any CSV, and the words of the repository for it."""

import re

import pandas as pd
import pytest
from conftest import REPOSITORY, STUDIES

from skyloom.cli import BadInput
from skyloom.pages import words
from skyloom.pages.csv_table import csv_table
from skyloom.pages.scores import CHOSEN, Names
from skyloom.pages.words import Words

NAMES = Names({"net": "Res-UNet"}, {}, {"one": "CO 1-0"})
FILES = [REPOSITORY / "workflow/report/columns.yaml"]


def test_words_of_a_study_come_before_those_of_all(tmp_path):
    shared, own = tmp_path / "shared.yaml", tmp_path / "own.yaml"
    shared.write_text("columns: {n: {label: examples}, mse: {label: MSE}}\nsubsets: {b.*: shared}")
    own.write_text("columns: {n: {label: tiles, unit: pc}}\nsubsets: {'b_(\\d+)': 'b > \\1'}\n")
    text = words.read([shared, own])
    assert text.column("n").label == "tiles" and text.column("n").unit == "pc"
    assert text.column("mse_b_30").label == "MSE" and text.column("mse_b_30").below == "b > 30"
    assert text.column("mse_all").below == "" and text.column("of_this").label == "of this"
    assert text.subset("bright") == "shared" and text.subset("snr_4") == "snr 4"


def test_unknown_word_of_a_column_is_refused_by_name(tmp_path):
    path = tmp_path / "columns.yaml"
    path.write_text("columns: {n: {label: examples, of tiles. }}\n")
    with pytest.raises(BadInput, match=r"columns\.n: unknown of tiles\.; expected about, "):
        words.read([path])


@pytest.mark.parametrize("study", STUDIES)
def test_words_of_every_column_are_complete_and_no_table_names_an_unknown_key(study):
    text = words.read([*FILES, REPOSITORY / f"workflow/report/{study}/columns.yaml"])
    for name in text.columns:
        column = text.column(name)
        assert column.label and (not column.about or column.about.endswith("."))
    known = {"groups", "first", "hide", "intervals", "columns", "plain", "source", "numbers"}
    assert all(set(entry) <= known for entry in text.tables.values())


def test_pairs_are_grouped_by_score_with_their_interval():
    frame = pd.DataFrame(
        {
            "network": ["net", "net"],
            "baseline": ["fit", "fit"],
            "score": ["mse", "mse"],
            "subset": ["all", "faint"],
            "unit": ["dex", "dex"],
            "better": ["lower", "lower"],
            "difference": [-0.033, 0.1],
            "lo": [-0.05, None],
            "hi": [-0.017, None],
            "result": ["better", "level"],
        }
    )
    html = csv_table(frame, "pairs", NAMES, words.read(FILES))
    groups = re.findall(r'rowgroup">([^<]+)<', html)
    assert groups == ["MSE [dex] \N{DOWNWARDS ARROW}", "MSE [dex] \N{DOWNWARDS ARROW}, faint"]
    assert "Res-UNet" in html and "[\N{MINUS SIGN}0.050, \N{MINUS SIGN}0.017]" in html
    heads = re.findall(r'scope="col"[^>]*>([^<]+)<', html)
    assert heads == ["network", "baseline", "difference", "result"]


def test_chosen_model_has_a_star_and_sources_stand_below():
    frame = pd.DataFrame({"model": ["net", "fit"], "chosen": ["chosen", None]})
    frame = frame.assign(value=[1.5, 2.5], source=["a paper", None])
    text = Words(tables={"own": {"source": "source"}})
    html = csv_table(frame, "own", NAMES, text)
    assert html.count(CHOSEN) == 2 and "Source: a paper." in html
    assert 'scope="col"' in html and html.count('scope="col"') == 2
