"""The report of a finished run, its one page, and its summary."""

import json
import re
import shutil

import pytest
from conftest import run_words, snakemake

RUN = "results/test"
WORDS = run_words("co")


@pytest.fixture(scope="module")
def finished(finished_run):
    """A clone in which CO's run has finished."""
    return finished_run("co")


@pytest.fixture(scope="module")
def reported(finished, tmp_path_factory):
    """A copy of it with a report, and what Snakemake printed."""
    folder = tmp_path_factory.mktemp("mine") / "skyloom"
    shutil.copytree(finished, folder, symlinks=True)
    done = snakemake(folder, *WORDS, "--report", f"{RUN}/report.html")
    assert done.returncode == 0, done.stdout[-2000:]
    return folder, done.stdout


@pytest.fixture(scope="module")
def page(reported):
    return (reported[0] / RUN / "report.html").read_text()


def test_no_caption_has_an_error(reported):
    assert "(ERROR/" not in reported[1] and "(WARNING/" not in reported[1]


def test_report_opens_on_the_verdict_with_table_and_figure(page):
    front = json.loads(re.search(r'var workflow_desc = (".*");\n', page)[1])
    verdict = r'<span class="(better|level|worse)">\w+</span>'
    assert len(re.findall(verdict, front)) == 2 and "simulated sky" in front
    assert front.count('<div class="table">') == 1 and "data:image/png;base64" in front
    assert "panels_co10.png" in front and "commit" in front and "cores" in front
    assert front.index("correlation within the beam") < front.index("device time of trainings")


def test_every_item_opens_and_has_a_numbered_label_in_words(page):
    """No eye of the report starts a download, as that of a CSV does."""
    results = json.loads(re.search(r"var results = (\{.*\});\n", page)[1])
    assert len(results) > 25
    assert {result["mime_type"] for result in results.values()} <= {"text/html", "image/png"}
    for result in results.values():
        assert re.match(r"[1-9] [A-Z]", result["labels"]["result"]), result["labels"]
        assert "_" not in result["labels"]["result"] + result["labels"]["of"]
        assert "Data: simulated sky." in result["caption"]
        assert "\\" not in result["job_properties"]["params"]


def test_report_changes_no_result(reported):
    assert "Nothing to be done" in snakemake(reported[0], "-n", *WORDS).stdout


def test_index_has_all_items_and_its_links_lead_to_files(finished):
    text = (finished / RUN / "index.html").read_text()
    links = {link for link in re.findall(r'(?:src|href)="([^"#:]+)"', text)}
    assert len(links) > 40 and all((finished / RUN / link).exists() for link in links)
    items = json.loads((finished / RUN / "run.json").read_text())["items"]
    assert all(item["file"].removeprefix(f"{RUN}/") in links for item in items)
    assert "system-message" not in text


def test_all_test_tiles_are_on_a_page_of_five_megabytes_at_most(finished):
    path = finished / RUN / "co/tiles_co10.html"
    errors = [float(value) for value in re.findall(r'data-rms="([^"]+)"', path.read_text())]
    assert len(errors) == 64 and errors == sorted(errors, reverse=True)
    assert path.stat().st_size < 5e6


def test_summary_has_verdict_table_costs_and_the_next_command(finished):
    summary = (finished / RUN / "summary.md").read_text()
    assert "# Run test: finished" in summary and "one seed; simulated sky" in summary
    assert "| Res-UNet" in summary and "(chosen) |" in summary
    assert re.search(r"- res_unet: 24 steps, .*, best at (12|24) \(valid rmse_over_noise ", summary)
    assert f"'studies=[co]' --report {RUN}/report.html" in summary


def test_training_ends_with_its_line(finished):
    log = (finished / RUN / "co/logs/train_model/res_unet_seed0.log").read_text()
    assert re.search(r"^res_unet: 24 steps, .*, best at (12|24) \(valid rmse", log, re.M)


def test_job_of_a_run_takes_three_lines_of_the_terminal(reported):
    target = f"{RUN}/co/training.html"
    done = snakemake(reported[0], target, *WORDS, "--force")
    lines = done.stdout.split("Job stats:")[1].split("\n\n", 1)[1].splitlines()
    shown = [line for line in lines if not line.startswith(("Complete log", "Elapsed time"))]
    assert len([line for line in shown if line]) == 2, done.stdout
    assert re.fullmatch(r"\[\d\d:\d\d:\d\d\] co: writing the table training", shown[-2])
    assert shown[-1] == "1 of 1 steps (100%) done"


def test_failed_run_says_why_in_its_summary_and_keeps_what_was_made(tmp_path, finished):
    folder = tmp_path / "skyloom"
    shutil.copytree(finished, folder, symlinks=True)
    (folder / "mine.yaml").write_text("co: {tiles: {snr_threshold: 1.0e+9}}\n")
    done = snakemake(folder, *WORDS, "--configfile", "mine.yaml")
    assert done.returncode != 0
    summary = (folder / RUN / "summary.md").read_text()
    assert "# Run test: failed" in summary
    # that of the run before
    assert "No verdict" in summary and "Res-UNet" not in summary
    assert re.search(
        r"`co_select_tiles`: error: config: co.split.train: no tile reaches SNR > "
        r"1e\+09|1000000000",
        summary,
    )
    assert (folder / RUN / "co/maps.nc").exists()
