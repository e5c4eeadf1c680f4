"""The turbulence study as a graph: what each size plans, and each figure of an overlay."""

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
        "evaluate_model": sum(count[m] for m in runs),
        "turbulence_compare_realism": len(pairs),
        "turbulence_draw_panel": len(pairs),
        "evaluate_transfer": sum(count[m] * len(names) for m, names in transfers.items()),
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


STUDIED = {
    "seeds": [0],
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
    "variants": {"models": ["cnn_wide"]},
    "training_size": {"models": ["cnn", "cnn_few"]},
}


def test_each_figure_is_planned_of_the_models_that_it_shows(house):
    output = plan(house, "demo", "-p", overlay=STUDIED)
    planned = {
        rule: n
        for rule, n in counts(output).items()
        if rule.startswith(
            ("turbulence_plot", "tabulate_", "compare_pairs", "plot_scheme", "plot_training")
        )
    }
    assert planned == {
        "turbulence_plot_images": 1,
        "plot_scheme": 1,
        # of `quarter`; `few` is a point of the figure of training sizes
        "turbulence_plot_scores": 3,
        "turbulence_plot_index": 1,
        "turbulence_plot_continuum": 1,
        "turbulence_plot_transfer": 2,
        "plot_training_size": 1,
        # bands, saliency, controls and embedding of the network
        "turbulence_plot_explanation": 4,
        "compare_pairs": 1,
        "tabulate_training": 1,
        "tabulate_transfer": 1,
        "tabulate_variants": 1,
    }
    continuum = r"turbulence_plot_continuum.py --config '(.*?)' --curves (.*?) --output"
    config, curves = re.search(continuum, output).groups()
    assert re.findall(r"turbulence/(\w+/\w+)/", curves) == ["transfer/cnn", "test/power_index"]
    labels = {model: look["label"] for model, look in json.loads(config)["models"].items()}
    assert labels == {"cnn": "CNN (cnn)", "power_index": "power spectrum"}
    roc = r"plot_scores.py --figure roc --config '(.*?)' --curves \S*test/cnn/"
    drawn = json.loads(re.search(roc, output)[1])
    assert [*drawn["models"]] == ["cnn", "cnn_wide", "hog"] and drawn["set"] == "quarter images"
    ladders = json.loads(re.search(r"--figure nuisances --config '(.*?)'", output)[1])["ladders"]
    assert ladders == [{"key": "zoom", "values": {"quarter": 1, "zoomed": 2}}]
    variants = json.loads(re.search(r"tabulate_variants.py --config '(.*?)'", output)[1])
    assert [*variants["entries"]] == ["cnn", "cnn_wide"]
    assert variants["entries"]["cnn_wide"]["width"] == 32 and variants["split"] == "validation"
