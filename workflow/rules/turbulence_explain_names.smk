# What explanations of the turbulence study are made of: which models and sets, and their figures.
TURBULENCE_EXPLAINED = [m for m in TURBULENCE["explain"]["models"] if m in TURBULENCE["run_models"]]
TURBULENCE_EXPLAIN = (
    "images",
    "steps",
    "bands",
    "tested",
    "seed",
)  # keys that turbulence_explain_model reads


def turbulence_explained(name, kinds=("network", "baseline")):
    """The explained models of set `name`."""
    models = TURBULENCE["models"]
    return [
        m for m in TURBULENCE_EXPLAINED if models[m]["set"] == name and models[m]["kind"] in kinds
    ]


def turbulence_embedded(w):
    """The network whose features stand for set `{set}`: the first that is explained."""
    return turbulence_explained(w.set, ("network",))[0]


def turbulence_grid(name):
    """Cells along a side of the coarsest grid of set `name`; None where a family is the user's own:
    its pixels.
    """
    families = [TURBULENCE["families"][f] for f in TURBULENCE["sets"][name]["families"]]
    own = all(entry["source"] in TURBULENCE_OWN for entry in families)
    return min(entry["grid"] for entry in families) if own else None


def turbulence_explanations(w):
    """What a figure is drawn from: a model's explanation, those of a set's models, or a set's
    embedding.
    """
    if w.figure == "embedding":
        return f"{TURBULENCE_R}/explain/embedding_{w.of}.nc"
    models = turbulence_explained(w.of) if w.figure == "controls" else [w.of]
    return [f"{TURBULENCE_R}/explain/{model}.nc" for model in models]


def turbulence_explain_figures():
    """The figures of explanations of this run."""
    models = {m: TURBULENCE["models"][m] for m in TURBULENCE_EXPLAINED}
    sets = list(dict.fromkeys(entry["set"] for entry in models.values()))
    names = [f"bands_{m}" for m in models]
    names += [f"saliency_{m}" for m, entry in models.items() if entry["kind"] == "network"]
    names += [f"controls_{name}" for name in sets]
    names += [f"embedding_{name}" for name in sets if turbulence_explained(name, ("network",))]
    return expand(f"{TURBULENCE_R}/figures/{{name}}.png", name=names)


for unknown in [m for m in TURBULENCE["explain"]["models"] if m not in TURBULENCE["models"]]:
    known = TURBULENCE["models"]
    refuse(
        "turbulence.explain.models",
        f"unknown model '{unknown}'; {nearest(unknown, known)}known: {', '.join(known)}",
    )
