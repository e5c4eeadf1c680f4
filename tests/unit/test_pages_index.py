"""index.html of a run, and the first page of its report."""

import re

from run_files import write_run

from skyloom.pages import index


def test_index_has_verdict_table_figure_and_caption_below_one_another(tmp_path):
    html = index.index(write_run(tmp_path / "mine"))
    places = [html.index(text) for text in ("0.879", "<p>All.</p>", "panels.png", "<p>Tiles.</p>")]
    assert places == sorted(places)
    assert "Finished 2026-11-27 14:42 UTC, size demo, commit aaaaaaa. Data: simulated." in html
    assert '<a href="toy/figures/panels.pdf">' in html and '<a href="toy/comparison.csv">' in html
    assert "<strong>Predicted CO: CO 1-0</strong>" in html
    assert "Some CPU, 2 cores, 8 GB" in html and "device time of trainings" in html


def test_index_reads_without_scripts_and_its_links_lead_to_files(tmp_path):
    run = write_run(tmp_path / "mine")
    html = index.index(run)
    links = re.findall(r'(?:src|href)="([^"#]+)"', html)
    assert links and all((run.folder / link).exists() for link in links)
    # what a script adds is an order of rows alone
    assert "hidden" not in html.split("<main>")[1]


def test_large_pages_are_linked_and_not_held(tmp_path, monkeypatch):
    run = write_run(tmp_path / "mine")
    monkeypatch.setattr(index, "INLINE", 10)
    html = index.index(run)
    assert "0.879" not in html and '<a href="toy/comparison.html">' in html


def test_first_page_has_each_verdict_with_a_small_figure_that_leads_to_the_large_one(tmp_path):
    run = write_run(tmp_path / "mine")
    html = index.front(run)
    assert '<span class="better">Better</span> than every baseline in correlation' in html
    assert '<span class="worse">Worse</span> than dust law in RMSE' in html
    assert f"app.showResultInfo('{run.folder}/toy/figures/panels.png')" in html
    assert html.count('<div class="table">') == 1 and "Some CPU" in html
    # docutils refuses longer lines
    assert max(map(len, html.splitlines())) < 10_000


def test_study_without_a_verdict_of_this_run_shows_none(tmp_path):
    run = write_run(tmp_path / "mine")
    run.studies["toy"]["verdict"] = "old"
    assert "Better" not in index.front(run) and "This run has no verdict." in index.front(run)
    assert "This run has no verdict." in index.index(run)


def test_verdict_that_the_run_did_not_check_is_marked_on_the_first_page(tmp_path):
    run = write_run(tmp_path / "mine")
    assert "An earlier run did" not in index.front(run)
    run.studies["toy"]["verdict"] = "unchecked"
    assert "This run did not compare the models. An earlier run did" in index.front(run)


def test_commit_of_trainings_is_listed_where_it_is_another(tmp_path):
    run = write_run(tmp_path / "mine", git={"commit": "b" * 40, "dirty": True})
    assert run.commit == "bbbbbbb with local changes; trained at aaaaaaa"
    assert run.facts()["time of all jobs"] == "6.2 min"
    assert run.facts()["device time of trainings"] == "0.1 h on cpu"
