"""The turbulence study as a graph: what each size plans, and which configs are refused by name."""

import json
import re
import subprocess
import sys

import pytest
import yaml
from conftest import copy_repository, snakemake
from test_dag_structure import counts

ALONE = ("studies=[turbulence]",)


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    return copy_repository(tmp_path_factory.mktemp("turbulence") / "skyloom")


def plan(folder, size: str, *arguments: str, overlay: dict | None = None) -> str:
    """Both streams of a dry run of the study alone, the user's values as an overlay."""
    mine = folder / "mine.yaml"
    mine.write_text(yaml.safe_dump({"turbulence": overlay or {}}))
    words = ("--configfile", str(mine), "--config", f"size={size}", f"run={size}", *ALONE)
    return snakemake(folder, "-n", *arguments, *words).stdout


def expected(folder, size: str) -> dict[str, int]:
    """Jobs as the config's files say: of the demo's values, with those of the size over them."""
    files = [
        yaml.safe_load((folder / f"config/turbulence/{name}.yaml").read_text())
        for name in ("demo", size)
    ]
    merged: dict[str, dict] = {}
    for section in ("families", "sets", "models", "transfer"):
        merged[section] = {}
        for file in files:
            for name, entry in file.get(section, {}).items():
                old = merged[section].get(name)
                merged[section][name] = {**old, **entry} if isinstance(old, dict) else entry
    models, runs = merged["models"], files[-1].get("run_models") or files[0]["run_models"]
    seeds = files[-1].get("seeds", files[0]["seeds"])
    networks = ("cnn", "residual", "hybrid", "autoencoder")
    count = {
        m: len(e.get("seeds", seeds)) if e["module"] in networks else 1 for m, e in models.items()
    }
    pairs = files[-1].get("realism", {}).get("pairs", [])
    trained = {*runs, *(models[m]["start"] for m in runs if "start" in models[m])}
    trained |= {pair["autoencoder"] for pair in pairs if "autoencoder" in pair}
    transfers = {m: names for m, names in merged["transfer"].items() if m in runs}
    sets = {models[m]["set"] for m in runs} | {
        name for names in transfers.values() for name in names
    }
    sets |= {pair[place] for pair in pairs for place in ("first", "second")}
    families = {f for name in sets for f in merged["sets"][name]["families"]}
    found = {
        "turbulence_simulate_clouds": sum(merged["families"][f].get("shards", 2) for f in families),
        "turbulence_project_columns": len(families),
        "turbulence_cut_images": len(sets),
        "train_model": sum(count[m] for m in trained),
        "predict_test": sum(count[m] for m in runs),
        "turbulence_compare_realism": len(pairs),
        "turbulence_draw_panel": len(pairs),
        "turbulence_test_transfer": sum(count[m] * len(names) for m, names in transfers.items()),
    }
    return {rule: jobs for rule, jobs in found.items() if jobs}


@pytest.mark.parametrize("size", ["demo", "test", "workstation", "survey"])
def test_each_size_plans_the_jobs_that_its_config_names(house, size):
    planned = counts(plan(house, size))
    wanted = expected(house, size)
    assert {rule: planned.get(rule) for rule in wanted} == wanted
    assert planned["compare_models"] == 1 and sum(planned.values()) < 2000


def test_parsing_the_study_loads_no_scientific_library(house):
    """Survey size too, which counts what the simulations cost."""
    program = (
        "import sys, runpy; sys.argv = ['snakemake', '-n', '--quiet', 'all', '--config', "
        "'size=survey',"
        " 'studies=[turbulence]']\n"
        "try: runpy.run_module('snakemake', run_name='__main__')\n"
        "except SystemExit: pass\n"
        "print('LOADED', [m for m in ('torch', 'scipy', 'xarray', 'numba') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=house, capture_output=True, text=True
    )
    assert "LOADED []" in done.stdout and "Estimate: turbulence" in done.stderr, (
        done.stdout + done.stderr
    )


def test_survey_announces_the_hours_of_its_simulations(house):
    lines = plan(house, "survey").splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith("Estimate: turbulence, sim"))
    rows = {line.split()[0]: line for line in lines[start + 1 : start + 4]}
    assert rows["clouds"].split()[1:6] == ["2000", "x", "256^3", "in", "100"]
    hours = {name: float(re.search(r"([\d.]+) GPU-hours", line)[1]) for name, line in rows.items()}
    # 44 steps of 256^3 cells (docs of the solver: measured), 1e8 of them a second
    assert hours["clouds"] == pytest.approx(2000 * 44 * 256**3 / 1e8 / 3600, rel=0.1)
    assert hours["sum"] == pytest.approx(hours["clouds"] + hours["continuous"], abs=0.02)


def test_early_family_is_simulated_by_the_analytic_backend(house):
    output = plan(house, "test", "-p")
    found = re.findall(r"turbulence_simulate_clouds.py --config '(.*?)'", output)
    assert sorted(json.loads(text)["backend"] for text in found) == [
        "early",
        "numba",
        "numba",
        "numba",
    ]


def test_model_starts_from_the_same_seed_or_the_first_of_the_other(house):
    models = {
        "cnn": {"seeds": [5, 6]},
        "other": {"module": "cnn", "set": "quarter", "start": "cnn", "seeds": [6, 7]},
    }
    output = plan(house, "demo", "-p", overlay={"models": models, "run_models": ["other"]})
    starts = dict(
        re.findall(
            r"--model other --seed (\d) .*?--start \S*/models/cnn/(seed\d)/best.ckpt", output
        )
    )
    assert starts == {"6": "seed6", "7": "seed5"}
    assert counts(output)["train_model"] == 4 and counts(output)["predict_test"] == 2


def test_users_outputs_are_read_from_resources_and_asked_for_where_they_are_not(house):
    overlay = {
        "families": {"mine": {"source": "ramses"}},
        "sets": {"quarter": {"families": ["mine"]}},
    }
    refused = plan(house, "demo", overlay=overlay)
    assert "turbulence.families.mine: no output in resources/raw/turbulence/mine/" in refused
    for number in (2, 1):
        (house / f"resources/raw/turbulence/mine/output_0000{number}").mkdir(parents=True)
    output = plan(house, "demo", "-p", overlay=overlay)
    assert "turbulence_simulate_clouds" not in output and "download_raw" not in output
    assert re.search(r"--inputs \S*mine/output_00001 \S*mine/output_00002 --output", output)


STUDIED = {
    "sets": {
        "few": {"families": ["clouds"], "train_simulations": 8},
        "zoomed": {"families": ["clouds"], "zoom": 2},
        "continuous": {"families": ["continuous"], "valid_share": 0.2},
    },
    "families": {
        "continuous": {
            "simulations": 20,
            "grid": 32,
            "seed": 5000,
            "index": {"low": 3.0, "high": 4.5},
        }
    },
    "models": {
        "cnn_wide": {"module": "cnn", "set": "quarter", "width": 32},
        "cnn_few": {"module": "cnn", "set": "few"},
        "power_index": {
            "module": "power",
            "set": "continuous",
            "learns": "index",
            "learner": "ridge",
        },
    },
    "run_models": ["cnn", "cnn_wide", "cnn_few", "hog", "power_index"],
    "transfer": {"cnn": ["continuous", "zoomed"]},
    "sweep": {"base": "cnn", "models": ["cnn_wide"]},
    "training_size": {"models": ["cnn", "cnn_few"]},
}


def test_each_figure_is_planned_of_the_models_that_it_shows(house):
    output = plan(house, "demo", "-p", overlay=STUDIED)
    planned = {
        rule: n
        for rule, n in counts(output).items()
        if rule.startswith(("turbulence_plot", "turbulence_tab"))
    }
    assert planned == {
        "turbulence_plot_images": 1,
        "turbulence_plot_scheme": 1,
        # of `quarter`; `few` is a point of the figure of training sizes
        "turbulence_plot_scores": 3,
        "turbulence_plot_index": 1,
        "turbulence_plot_continuum": 1,
        "turbulence_plot_transfer": 2,
        "turbulence_plot_training_size": 1,
        # bands, saliency, controls and embedding of the network
        "turbulence_plot_explanation": 4,
        "turbulence_tabulate_sweep": 1,
        "turbulence_tabulate_transfer": 1,
    }
    found = re.search(r"turbulence_plot_continuum.py --curves (.*?) --output", output)[1]
    assert re.findall(r"turbulence/(\w+/\w+)/", found) == ["transfer/cnn", "test/power_index"]
    highlighted = re.search(
        r"plot_scores.py --figure roc --config '(.*?)' --curves \S*test/cnn/", output
    )[1]
    assert json.loads(highlighted) == {"highlight": ["cnn", "cnn_wide", "hog"]}
    ladders = json.loads(re.search(r"--figure nuisances --config '(.*?)'", output)[1])["ladders"]
    assert ladders == [{"key": "zoom", "values": {"quarter": 1, "zoomed": 2}}]
    swept = json.loads(re.search(r"turbulence_tabulate_sweep.py --config '(.*?)'", output)[1])
    assert swept["models"] == ["cnn", "cnn_wide"] and swept["entries"]["cnn_wide"]["width"] == 32


def test_figures_of_what_does_not_run_are_not_planned(house):
    planned = counts(plan(house, "demo", overlay=STUDIED | {"run_models": ["hog"]}))
    drawn = {rule for rule in planned if rule.startswith(("turbulence_plot", "turbulence_tab"))}
    assert drawn == {"turbulence_plot_images", "turbulence_plot_scores"}


@pytest.mark.parametrize(
    ("overlay", "message"),
    [
        (
            {"sweep": {"base": "cnn", "models": ["cnn_wid"]}},
            "turbulence.sweep: unknown model 'cnn_wid'",
        ),
        (
            {"training_size": {"models": ["cn"]}},
            "turbulence.training_size.models: unknown model 'cn'; did you",
        ),
        (
            {
                "sets": {"blurred": {"families": ["clouds"], "blur_pixels": 1}},
                "models": {"other": {"module": "cnn", "set": "blurred"}},
                "training_size": {"models": ["cnn", "other"]},
            },
            "turbulence.training_size.models: their sets differ in more than train_simulations",
        ),
        (
            {"images": {"sets": ["quarters"]}},
            "turbulence.images.sets: unknown set 'quarters'; did you mean 'quarter'?",
        ),
        (
            {"realism": {"pairs": [{"first": "quater", "second": "quarter"}]}},
            "pairs.0.first: unknown set 'quater'; did you",
        ),
        (
            {"realism": {"pairs": [{"first": "quarter", "second": "quarter"}]}},
            "pairs.0: 'quarter' twice",
        ),
        (
            {"models": {"cnn": {"start": "residul"}}},
            "turbulence.models.cnn.start: unknown model 'residul'",
        ),
        (
            {"models": {"cnn": {"start": "power"}}},
            "turbulence.models.cnn.start: 'power' is a baseline",
        ),
        ({"models": {"cnn": {"start": "cnn"}}}, "turbulence.models.cnn.start: a circle: cnn, cnn"),
        (
            {"models": {"cnn": {"learns": "slope"}}},
            "turbulence.models.cnn.learns: 'slope' is not one of",
        ),
        (
            {"models": {"hog": {"learner": "forest"}}},
            "turbulence.models.hog.learner: 'forest' is not one of",
        ),
        (
            {"models": {"hog": {"cell": 4}}},
            "turbulence.models.hog.cell: unknown key; did you mean 'cells'?",
        ),
        (
            {"sets": {"quarter": {"families": ["cloud"]}}},
            "unknown family 'cloud'; did you mean 'clouds'?",
        ),
        (
            {"sets": {"quarter": {"zoom": "twice"}}},
            "turbulence.sets.quarter.zoom: 'twice' is not of type",
        ),
        (
            {"sets": {"quarter": {"test_share": 0.9}}},
            "valid_share and test_share are more than 1 together",
        ),
        (
            {
                "families": {"again": {"seed": 100}},
                "sets": {"quarter": {"families": ["clouds", "again"]}},
            },
            "turbulence.sets.quarter.families: 'clouds' and 'again' share seeds",
        ),
        (
            {
                "sets": {"all": {"families": ["clouds"], "test_share": 1, "valid_share": 0}},
                "transfer": {"cnn": ["all"]},
            },
            "turbulence.transfer.cnn: sets 'all' and 'quarter' share simulations",
        ),
        (
            {
                "families": {"more": {"seed": 500}, "yet": {"seed": 900}},
                "sets": {
                    "more": {"families": ["more"]},
                    "yet": {"families": ["yet"]},
                    "all_more": {"families": ["more"], "test_share": 1, "valid_share": 0},
                },
                "models": {
                    "first": {"module": "cnn", "set": "more"},
                    "second": {"module": "cnn", "set": "yet", "start": "first"},
                    "third": {"module": "cnn", "set": "quarter", "start": "second"},
                },
                "transfer": {"third": ["all_more"]},
            },
            "turbulence.transfer.third: sets 'all_more' and 'more' share simulations",
        ),
        ({"transfer": {"cnn": ["blurry"]}}, "turbulence.transfer.cnn: unknown set 'blurry'"),
        (
            {"transfer": {"cn": ["quarter"]}},
            "turbulence.transfer.cn: unknown model; did you mean 'cnn'?",
        ),
        (
            {"families": {"clouds": {"grid": 63}}},
            "turbulence.families.clouds.grid: 63 is not a multiple of 2",
        ),
        (
            {"families": {"clouds": {"courant": 1.5}}},
            "turbulence.families.clouds.courant: 1.5 is greater than",
        ),
    ],
)
def test_wrong_config_is_refused_by_key(house, overlay, message):
    assert (
        f"config: {message}" in (found := plan(house, "demo", overlay=overlay)) or message in found
    ), found[-2000:]
