"""Items and captions of the report, and what a run leaves for its pages."""

import json
import re
from types import SimpleNamespace

import pytest
import yaml
from conftest import REPOSITORY, plan
from snakemake.exceptions import WorkflowError
from snakemake.io import AnnotatedString
from snakemake.io import report as reported
from snakemake.iocontainers import Wildcards

from dag import report
from dag.report import Report

CAPTIONS = [
    path
    for folder in (REPOSITORY / "workflow/report", REPOSITORY / "tests/studies")
    for path in folder.rglob("*.rst")
    if path.name not in ("workflow.rst", "table.rst")
]
PROFILES = [*REPOSITORY.glob("profiles/*/config.yaml")]
RULES = [*(REPOSITORY / "workflow/rules").rglob("*.smk")]


@pytest.fixture
def co(tmp_path):
    """The CO study of a run below `tmp_path`, with a verdict on simulated data."""
    study = plan("co")
    study.folder = str(tmp_path / "co")
    (tmp_path / "co").mkdir()
    verdict = {"sets": [{"set": "co10", "data": "simulated"}]}
    (tmp_path / "co/verdict.json").write_text(json.dumps(verdict))
    return study


def snakemake(co, file: str, **wildcards):
    """What the caption of an item gets."""
    config = {"report": Report({"co": co}, co.folder.removesuffix("/co"))}
    w = Wildcards(fromdict=wildcards)
    return SimpleNamespace(config=config, output=[co.path(file)], wildcards=w)


@pytest.mark.parametrize("path", CAPTIONS, ids=lambda path: path.stem)
def test_every_caption_ends_with_the_kind_of_its_data(path):
    text = path.read_text()
    assert text.startswith('{% set item = snakemake.config["report"].item(snakemake) -%}\n')
    assert text.endswith("\n\n{{ item.data }}\n") and max(map(len, text.splitlines())) <= 100


@pytest.mark.parametrize("path", [p for p in CAPTIONS if p.parent.name == "report"])
def test_captions_of_all_studies_hold_no_word_of_one(path):
    assert not re.search(
        r"\b(CO|dust|sky|tiles?|turbulence|simulations?|images?)\b",
        re.sub(r"\{[{%].*?[%}]\}|above the images", "", path.read_text()),
    )


@pytest.mark.parametrize("path", RULES, ids=lambda path: path.name)
def test_items_of_the_report_have_numbered_sections_and_labels(path):
    text = path.read_text()
    items = re.findall(r"report\(\n(.*?)\n {8,12}\)", text, re.S)
    for item in items:
        assert "caption=" in item and re.search(r"labels=", item)
        assert re.search(r'subcategory=("[1-5] [A-Z]|lambda)', item), item
    assert all(re.match(r"\d ", label) for label in re.findall(r'titled\("([^"]+)"', text))


def test_captions_render_without_an_error_of_restructured_text(co, capsys):
    figures = {"scores": ["plane", "pdf", "minkowski", "latitude", "calibration"]}
    for path in CAPTIONS:
        for figure in figures.get(path.stem, [""]):
            context = snakemake(co, "x.png", set="co10", figure=figure)
            html = report.as_html(report.render(path.read_text(), context))
            assert "system-message" not in html and "{{" not in html, path
            assert html.endswith("<p><strong>Data: simulated sky.</strong></p>")
    assert "ERROR" not in capsys.readouterr().err


def test_caption_names_sets_by_their_words_and_blocks_by_the_studys(co):
    text = (REPOSITORY / "workflow/report/pairs.rst").read_text()
    html = report.as_html(report.render(text, snakemake(co, "x.html", set="co10")))
    assert "Each network of CO 1-0 with each baseline, on the same test tiles" in html
    assert "over blocks of sky" in html


def test_table_has_the_caption_of_its_kind(co):
    context = snakemake(co, "pairs_co10.html", study="co", table="pairs_co10")
    assert "Each network of" in context.config["report"].caption(context)
    context = snakemake(co, "bands.html", study="co", table="bands")
    assert "noise ceiling" in context.config["report"].caption(context)


def test_kind_of_the_data_is_that_of_the_files_and_not_of_the_config(co, tmp_path):
    parts = [{"data": "survey"}, {"data": "simulated"}, {"data": "survey"}]
    (tmp_path / "co/verdict.json").write_text(json.dumps({"sets": parts}))
    item = snakemake(co, "x.png").config["report"].item(snakemake(co, "x.png"))
    assert item.data == "**Data: real sky and simulated sky.**"
    (tmp_path / "co/verdict.json").write_text('{"sets": [')
    with pytest.raises(WorkflowError, match=r"co/verdict\.json: no JSON"):
        snakemake(co, "x.png").config["report"].data(co)
    (tmp_path / "co/verdict.json").unlink()
    assert snakemake(co, "x.png").config["report"].item(snakemake(co, "x.png")).data == ""


def test_every_table_of_the_report_has_its_caption(co):
    for table in co.tables.values():
        paths = [REPOSITORY / "workflow/report" / part for part in ("", "co")]
        assert any((path / f"{table.name}.rst").exists() for path in paths), table


def rule(co, pattern: str, name: str = "plot"):
    """A rule with one item of the report and its twin."""

    class Output(AnnotatedString):
        def match(self, path):
            return re.fullmatch(re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>\\w+)", re.escape(self)), path)

    caption = REPOSITORY / "workflow/report/co/panels.rst"
    item = reported(
        co.path(f"{pattern}.png"),
        category="CO",
        subcategory="2 Maps and images",
        labels=co.titled("1 Predicted and observed CO"),
        caption=SimpleNamespace(get_path_or_uri=lambda secret_free: str(caption)),
    )
    figure = Output(str(item))
    figure.flags = item.flags
    return SimpleNamespace(name=name, output=[figure, Output(co.path(f"{pattern}.pdf"))])


def test_items_are_the_marked_outputs_that_exist_of_the_rules_that_make_the_targets(co, tmp_path):
    workflow = SimpleNamespace(rules=[rule(co, "panels_{set}"), rule(co, "spectra_{set}")])
    for name in ("panels_co10.png", "panels_co21.png", "spectra_co10.png"):
        (tmp_path / "co" / name).write_text("")
    # a twin is a target, too; what no target asks for is of an earlier config
    targets = [co.path("panels_co10.pdf"), co.path("spectra_co21.png")]
    config = {"report": Report({"co": co}, str(tmp_path))}
    (item,) = report.items(workflow, targets, config)
    assert item["file"] == co.path("panels_co10.png") and item["study"] == "co"
    assert item["result"] == "1 Predicted and observed CO" and item["of"] == "CO 1-0"
    assert item["section"] == "2 Maps and images" and item["rule"] == "plot"
    assert "simulated sky" in item["caption"]


def test_verdict_is_old_where_the_run_was_to_make_it_and_did_not():
    jobs = {name: SimpleNamespace(output=[f"{name}.json"]) for name in ("new", "kept", "failed")}
    dag = SimpleNamespace(
        jobs=jobs.values(),
        finished=lambda job: job is jobs["new"],
        needrun=lambda job: job is not jobs["kept"],
    )
    workflow = SimpleNamespace(dag=dag)
    states = [report.state(workflow, f"{name}.json") for name in (*jobs, "other")]
    assert states == ["current", "current", "old", "unchecked"]


def test_config_with_the_report_is_json(co):
    assert json.dumps({"report": Report({"co": co}, "results/demo")}) == '{"report": {}}'


@pytest.mark.parametrize("path", PROFILES, ids=lambda p: p.parent.name)
def test_every_profile_shows_long_figures_from_their_top(path):
    assert (REPOSITORY / yaml.safe_load(path.read_text())["report-stylesheet"]).exists()
