# What the figures and tables of the turbulence study are made of: which models and sets, and whether there are any.


def turbulence_learning(name, learns):
    """The models of set `name` in this run that learn the `class`, or the `index`."""
    entries = TURBULENCE["models"]
    return [m for m in models_of_set("turbulence", name) if entries[m]["learns"] == learns]


def turbulence_highlight(models):
    """The networks among these models, or those that the comparison highlights, and the
    presentation's HOG.
    """
    chosen, entries = TURBULENCE["comparison"]["highlight"], TURBULENCE["models"]
    networks = [m for m in models if entries[m]["kind"] == "network"]
    networks = (
        [m for m in networks if m in chosen] if chosen and {*chosen} & {*networks} else networks
    )
    return networks + [m for m in models if entries[m]["module"] == "hog"]


def turbulence_known(key, names, among):
    """These names, refused where one is not in the config's section `among`."""
    for name in names:
        if name not in TURBULENCE[among]:
            known = TURBULENCE[among]
            kind = among.removesuffix("s")
            refuse(
                f"turbulence.{key}",
                f"unknown {kind} '{name}'; {nearest(name, known)}known: {', '.join(known)}",
            )
    return names


def turbulence_continuous(name):
    """Whether the indices of a set's simulations are more than two."""
    found = set()
    for family in (TURBULENCE["families"][f] for f in TURBULENCE["sets"][name]["families"]):
        index = family["index"]
        if family["source"] not in TURBULENCE_OWN:
            found |= {output["index"] for output in family["outputs"] or [] if "index" in output}
        elif isinstance(index, dict) and index["low"] < index["high"]:
            return True
        else:
            found |= (
                {*index}
                if isinstance(index, list)
                else {*index.values()} if isinstance(index, dict) else {index}
            )
    return len(found) > 2


def turbulence_alike(key, names):
    """Whether these sets differ in nothing but `key`."""
    entries = [{k: v for k, v in TURBULENCE["sets"][name].items() if k != key} for name in names]
    return all(entry == entries[0] for entry in entries)


def turbulence_ladders():
    """Each nuisance with which sets that transfers are tested on differ in nothing else: `key`,
    `values` by set.
    """
    tested = dict.fromkeys(
        s
        for m, names in TURBULENCE_TRANSFERS.items()
        for s in (TURBULENCE["models"][m]["set"], *names)
    )
    ladders = []
    for key in ("zoom", "blur_pixels", "noise"):
        left = [name for name in tested if not isinstance(TURBULENCE["sets"][name][key], dict)]
        while left:
            group = [name for name in left if turbulence_alike(key, [left[0], name])]
            left = [name for name in left if name not in group]
            if len({TURBULENCE["sets"][name][key] for name in group}) > 1:
                ladders.append(
                    {"key": key, "values": {name: TURBULENCE["sets"][name][key] for name in group}}
                )
    return ladders


def turbulence_continuum(name):
    """curves.nc on a set of continuous indices: of class models that were tested there, then of its
    models of the index.
    """
    entries = TURBULENCE["models"]
    crossed = [
        m
        for m, names in TURBULENCE_TRANSFERS.items()
        if name in names and entries[m]["learns"] == "class"
    ]
    tested = of_models(
        "turbulence", crossed, f"{TURBULENCE_TRANSFER}/curves.nc".replace("{set}", name)
    )
    return tested and tested + of_models(
        "turbulence", turbulence_learning(name, "index"), f"{TEST}/curves.nc"
    )


TURBULENCE_RUN = TURBULENCE["run_models"]
TURBULENCE_SIZES = turbulence_known(
    "training_size.models", TURBULENCE["training_size"]["models"], "models"
)
if not turbulence_alike(
    "train_simulations", [TURBULENCE["models"][m]["set"] for m in TURBULENCE_SIZES]
):
    refuse("turbulence.training_size.models", "their sets differ in more than train_simulations")
TURBULENCE_SIZES = [m for m in TURBULENCE_SIZES if m in TURBULENCE_RUN]

# Sets in which two classes are told apart; not those that are a point of the figure of training sizes and nothing else.
TURBULENCE_CLASSES = [
    s
    for s in sets_of("turbulence")
    if turbulence_learning(s, "class")
    and (
        TURBULENCE["sets"][s]["train_simulations"] is None
        or {*models_of_set("turbulence", s)} - {*TURBULENCE_SIZES}
    )
]
TURBULENCE_INDICES = [name for name in sets_of("turbulence") if turbulence_learning(name, "index")]
TURBULENCE_CONTINUA = [
    s for s in TURBULENCE["sets"] if turbulence_continuous(s) and turbulence_continuum(s)
]
TURBULENCE_LADDERS = turbulence_ladders()

TURBULENCE_SHOWN = turbulence_known("images.sets", TURBULENCE["images"]["sets"] or [], "sets")
TURBULENCE_SHOWN = [s for s in TURBULENCE_SHOWN if s in sets_of("turbulence")] or [
    TURBULENCE["models"][TURBULENCE_RUN[0]]["set"]
]

TURBULENCE_NETWORKS = [m for m in TURBULENCE_RUN if TURBULENCE["models"][m]["kind"] == "network"]
TURBULENCE_SCHEMES = turbulence_known("schemes", TURBULENCE["schemes"] or [], "models")
TURBULENCE_SCHEMES = [m for m in TURBULENCE_SCHEMES if m in TURBULENCE_NETWORKS] or list(
    {TURBULENCE["models"][m]["module"]: m for m in reversed(TURBULENCE_NETWORKS)}.values()
)

# The rows of the sweep, the base first; none where none of its models runs.
TURBULENCE_SWEEP = TURBULENCE["sweep"]["models"]
if TURBULENCE_SWEEP:
    TURBULENCE_SWEEP = turbulence_known(
        "sweep", [TURBULENCE["sweep"]["base"], *TURBULENCE_SWEEP], "models"
    )
    if len({TURBULENCE["models"][m]["set"] for m in TURBULENCE_SWEEP}) > 1:
        refuse(
            "turbulence.sweep", "models of several sets; expected one, whose validation judges them"
        )
    if not {*TURBULENCE_SWEEP[1:]} & {*TURBULENCE_RUN} or TURBULENCE_SWEEP[0] not in TURBULENCE_RUN:
        TURBULENCE_SWEEP = []
    TURBULENCE_SWEEP = [m for m in TURBULENCE_SWEEP if m in TURBULENCE_RUN]

TURBULENCE_FIGURES = f"{TURBULENCE_R}/figures"
TURBULENCE_RESULTS = [
    *expand(f"{TURBULENCE_FIGURES}/images_{{set}}.png", set=TURBULENCE_SHOWN),
    *expand(f"{TURBULENCE_FIGURES}/scheme_{{model}}.png", model=TURBULENCE_SCHEMES),
    *expand(
        f"{TURBULENCE_FIGURES}/{{figure}}_{{set}}.png",
        figure=["roc", "confusion", "reliability"],
        set=TURBULENCE_CLASSES,
    ),
    *expand(f"{TURBULENCE_FIGURES}/index_{{set}}.png", set=TURBULENCE_INDICES),
    *expand(f"{TURBULENCE_FIGURES}/continuum_{{set}}.png", set=TURBULENCE_CONTINUA),
    *[f"{TURBULENCE_FIGURES}/transfer_matrix.png"] * bool(TURBULENCE_TRANSFERS),
    *[f"{TURBULENCE_FIGURES}/transfer_nuisances.png"] * bool(TURBULENCE_LADDERS),
    *[f"{TURBULENCE_R}/sweep.csv"] * bool(TURBULENCE_SWEEP),
    *[f"{TURBULENCE_FIGURES}/training_size.png"] * bool(TURBULENCE_SIZES),
]
