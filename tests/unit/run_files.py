"""A finished run of one made-up study, with the files that its pages read."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from skyloom.pages.document import document
from skyloom.pages.run import Run
from skyloom.scores.records import write_csv

CLAUSE = {
    "result": "better",
    "score": "rho",
    "subset": "bright",
    "label": "correlation",
    "unit": "",
    "better": "higher",
    "value": 0.879,
    "lo": 0.866,
    "hi": 0.888,
    "rival": "excess",
    "rival_label": "dust excess",
    "rival_value": 0.801,
    "difference": 0.078,
    "difference_lo": 0.06,
    "difference_hi": 0.09,
    "n": 124,
    "blocks": 30,
}
WORSE = CLAUSE | {
    "result": "worse",
    "score": "rmse",
    "label": "RMSE",
    "unit": "K",
    "better": "lower",
    "value": 39.6,
    "lo": 32.7,
    "hi": 45.8,
    "rival_label": "dust law",
    "rival_value": 29.4,
    "difference": 10.2,
    "difference_lo": 2.1,
    "difference_hi": 18.0,
}
VERDICT = {
    "study": "toy",
    "text": "Res-UNet is better.",
    "sets": [
        {
            "set": "one",
            "group": "",
            "data": "simulated",
            "model": "net",
            "label": "Res-UNet",
            "seeds": 1,
            "networks": 2,
            "about": "best of 2 networks; one seed; simulated sky, 124 bright test tiles",
            "clauses": [CLAUSE, WORSE],
            "remarks": ["Correlation below dust map: CycleGAN."],
            "text": "Res-UNet is better.",
        }
    ],
}


def write_run(folder: Path, **about) -> Run:
    """Write the files of a run to `folder`; about : what differs in its run.json."""
    study = folder / "toy"
    for name in ("figures", "models/net/seed0", "benchmarks/train_model", "sets", "raw"):
        (study / name).mkdir(parents=True)
    (study / "verdict.json").write_text(json.dumps(VERDICT))
    write_csv(_comparison(), study / "comparison.csv")
    write_csv(_columns(), study / "comparison_columns.csv")
    table = '<div class="table"><table><tr><td>0.879</td></tr></table></div>'
    (study / "comparison.html").write_text(document("Models compared", table))
    noise = np.random.default_rng(0).integers(0, 255, (300, 800, 3)).astype(np.uint8)
    Image.fromarray(noise).save(study / "figures" / "panels.png")
    (study / "figures" / "panels.pdf").write_text("pdf")
    (study / "raw" / "sky.fits").write_bytes(b"0" * 20_000_000)
    training = {"study": "toy", "model": "net", "seed": 0, "data_kind": "simulated"}
    training |= {"device": "cpu", "device_seconds": 360.0, "wall_seconds": 360.0, "steps": 510}
    training |= {"best": {"valid_rmse": 7.83}, "best_step": 360, "packages": {"torch": "2.13.0"}}
    training |= {"git": {"commit": "a" * 40, "dirty": False}}
    (study / "models/net/seed0/run.json").write_text(json.dumps(training))
    benchmark = study / "benchmarks" / "train_model" / "net_seed0.tsv"
    benchmark.write_text("s\th:m:s\tmax_rss\n372.0\t0:06:12\t1500.5\n")
    figure = {"study": "toy", "rule": "plot_panels", "section": "2 Maps and images"}
    figure |= {
        "file": str(study / "figures/panels.png"),
        "result": "1 Predicted CO",
        "of": "CO 1-0",
    }
    page = {"study": "toy", "rule": "compare_models", "section": "1 Result", "of": ""}
    page |= {"file": str(study / "comparison.html"), "result": "1 Models compared"}
    items = [page | {"caption": "<p>All.</p>"}, figure | {"caption": "<p>Tiles.</p>"}]
    toy = {"title": "Toy", "sets": {"one": "CO 1-0"}, "labels": {"net": "Res-UNet"}}
    toy |= {"figure": None, "docs": ["panels"], "verdict": "current"}
    run = {"run": folder.name, "size": "demo", "status": "finished", "seconds": 432.0}
    run |= {"started": "2026-11-27T14:34:58+00:00", "ended": "2026-11-27T14:42:10+00:00"}
    run |= {"command": ["snakemake", "--config", "run=mine", "studies=[toy]"], "cores": 2}
    run |= {"machine": {"cpu": "Some CPU", "cores": 2, "memory_gb": 8.0}, "logs": []}
    run |= {"git": {"commit": "a" * 40, "dirty": False}, "studies": {"toy": toy}, "items": items}
    run |= about
    (folder / "run.json").write_text(json.dumps(run))
    return Run(folder, run)


def _comparison() -> pd.DataFrame:
    kinds = {"net": "network", "cyclegan": "network", "excess": "baseline", "dust": "reference"}
    rows = pd.DataFrame({"model": list(kinds), "kind": list(kinds.values())})
    rows["chosen"] = ["chosen", "", "", ""]
    rows["set"] = "one"
    rows["rho_bright"] = [0.879, 0.731, 0.801, 0.797]
    rows["rho_bright_lo"] = rows.rho_bright - 0.011
    rows["rho_bright_hi"] = rows.rho_bright + 0.011
    rows["rmse_bright"] = [39.6, 54.7, 29.4, None]
    rows["rmse_bright_lo"] = rows.rmse_bright - 6.5
    rows["rmse_bright_hi"] = rows.rmse_bright + 6.5
    rows["published_rho"] = [None, 0.33, None, 0.71]
    rows["published_on"] = [None, "real sky", None, "real sky"]
    return rows


def _columns() -> pd.DataFrame:
    rows = [("model", "name", "", ""), ("kind", "kind", "", ""), ("chosen", "chosen", "", "")]
    for name, meaning, unit, better in (
        ("rho", "correlation (bright)", "", "higher"),
        ("rmse", "RMSE (bright)", "K", "lower"),
    ):
        rows.append((f"{name}_bright", meaning, unit, better))
        rows += [(f"{name}_bright_{end}", f"{meaning}: end", unit, "") for end in ("lo", "hi")]
    rows += [("published_rho", "correlation: published", "", ""), ("published_on", "data", "", "")]
    return pd.DataFrame(rows, columns=["column", "meaning", "unit", "better"])
