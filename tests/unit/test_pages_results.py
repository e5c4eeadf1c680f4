"""docs/results and README's table, from the files of a run."""

import json
import sys

import pytest
from conftest import REPOSITORY
from run_files import write_run

import write_results
from skyloom.cli import BadInput
from skyloom.pages import results

README = f"# Title\n\n{results.BEGIN}\nold\n{results.END}\n\nEnd.\n"


@pytest.fixture
def written(tmp_path, monkeypatch):
    """`written(*options)` runs the script on a made-up run; its docs folder and README."""
    write_run(tmp_path / "mine")
    docs, readme = tmp_path / "docs", tmp_path / "README.md"
    readme.write_text(README)

    def run(*options):
        command = ["write_results.py", "--docs", str(docs), "--readme", str(readme), *options]
        monkeypatch.setattr(sys, "argv", command)
        write_results.main()
        return docs, readme

    return run


def test_page_has_run_verdict_tables_and_figures(written, tmp_path):
    docs, _ = written("--results", str(tmp_path / "mine"))
    text = (docs / "results/toy.md").read_text()
    assert text.startswith("# Results: Toy\n")
    assert "| machine | Some CPU, 2 cores, 8 GB |" in text and "| commit | aaaaaaa |" in text
    assert "| size | demo |" in text and "| seeds | 0 |" in text and "| data | simulated |" in text
    assert "## CO 1-0" in text and "- better than every baseline in correlation" in text
    assert "| model | correlation (bright) \N{UPWARDS ARROW} | RMSE (bright) [K] " in text
    assert "| Res-UNet, chosen | 0.879 [0.868, 0.890] | 39.6 [33.1, 46.1] |" in text
    assert (
        "| cyclegan | 0.731 [0.720, 0.742] (published 0.33, real sky) | 54.7 [48.2, 61.2] |" in text
    )
    assert "| dust (reference) | 0.797 [0.786, 0.808] (published 0.71, real sky) |  |" in text
    assert "![toy panels](../images/toy_panels.png)" in text
    assert (docs / "images/toy_panels.png").exists()


def test_readme_has_a_row_a_deciding_score_won_or_lost(written, tmp_path):
    _, readme = written("--results", str(tmp_path / "mine"))
    head, table, tail = readme.read_text().partition(results.BEGIN)[0], *split(readme.read_text())
    assert head == "# Title\n\n" and tail == "\n\nEnd.\n" and "old" not in table
    rows = table.strip().splitlines()[2:]
    assert len(rows) == 2
    assert rows[0] == (
        "| [Toy](docs/results/toy.md) | correlation \N{UPWARDS ARROW} "
        "| Res-UNet 0.879 [0.866, 0.888] | dust excess 0.801 | better, 0.078 [0.060, 0.090] "
        "| cyclegan 0.33 (real sky) | simulated sky, 124 bright test tiles |"
    )
    assert "| worse, 10.2 [2.1, 18.0] |" in rows[1]


def split(readme: str) -> tuple[str, str]:
    inner = readme.split(results.BEGIN)[1]
    return tuple(inner.split(results.END))


def test_pages_that_differ_from_the_stored_numbers_are_refused(written, tmp_path):
    docs, readme = written("--results", str(tmp_path / "mine"))
    written("--check")
    path = docs / "results/toy.json"
    stored = json.loads(path.read_text())
    stored["rows"][0]["rho_bright"] = 0.95
    path.write_text(json.dumps(stored))
    with pytest.raises(BadInput, match=r"toy\.md is not what docs/results/\*\.json give"):
        written("--check")
    written()
    written("--check")
    readme.write_text(readme.read_text().replace("0.078", "0.178"))
    with pytest.raises(BadInput, match="README.md is not what"):
        written("--check")


def test_figure_that_the_run_did_not_make_is_refused_by_name(written, tmp_path):
    (tmp_path / "mine/toy/figures/panels.png").unlink()
    with pytest.raises(BadInput, match="toy.report.docs: .*panels.png not found"):
        written("--results", str(tmp_path / "mine"))


def test_readme_without_marks_is_refused():
    with pytest.raises(BadInput, match="results: begin"):
        results.with_table("# Title\n", "table")


def test_pages_of_the_repository_are_what_their_stored_numbers_give(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["write_results.py", "--check"])
    write_results.main()
    folder = REPOSITORY / "docs/results"
    assert {p.stem for p in folder.glob("*.md")} == {p.stem for p in folder.glob("*.json")}
