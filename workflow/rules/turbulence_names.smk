# File names, checks of the config and input functions of the turbulence study.
TURBULENCE = config["turbulence"]
TURBULENCE_R = R.format(study="turbulence")
TURBULENCE_LOG = LOG.format(study="turbulence")
TURBULENCE_BENCHMARK = BENCHMARK.format(study="turbulence")
TURBULENCE_SET = f"{TURBULENCE_R}/sets/{{set}}"
TURBULENCE_FAMILY = f"{TURBULENCE_R}/simulations/{{family}}"
TURBULENCE_TRANSFER = f"{TURBULENCE_R}/transfer/{{model}}/seed{{seed}}/{{set}}"
TURBULENCE_OWN = ("simulated", "early")  # sources that this repository makes itself
# Keys of a family that scripts/turbulence_simulate_clouds.py reads, and those of what follows.
TURBULENCE_CLOUDS = (
    "simulations",
    "seed",
    "index",
    "mach",
    "time_myr",
    "box_pc",
    "mass_msun",
    "temperature_k",
    "mu",
)
TURBULENCE_CLOUDS += ("grid", "initial_kmax", "order", "courant", "backend", "precision", "batch")
TURBULENCE_MAPS = ("box_pc", "mass_msun", "pixels", "refine")
TURBULENCE_READ = (
    *TURBULENCE_MAPS,
    "source",
    "mu",
    "temperature_k",
    "isothermal",
    "density",
    "velocity",
    "axes",
)
TURBULENCE_READ += ("assume", "distance_pc")


def turbulence_seeds(family):
    """The seeds of a family that is made here: one a simulation, counted up."""
    entry = TURBULENCE["families"][family]
    made = entry["source"] in TURBULENCE_OWN
    return range(entry["seed"], entry["seed"] + entry["simulations"]) if made else range(0)


def turbulence_overlap(families):
    """Two of these families that share a seed, None where none do: one seed is one
    velocity field.
    """
    spans = sorted(
        (turbulence_seeds(f).start, turbulence_seeds(f).stop, f)
        for f in families
        if turbulence_seeds(f)
    )
    return next(((a[2], b[2]) for a, b in zip(spans, spans[1:]) if b[0] < a[1]), None)


def turbulence_learned(model):
    """The sets that a model's weights have learned from: its own, and those of the models that it
    starts from.
    """
    models, found = TURBULENCE["models"], []
    while model in models and model not in found:
        found.append(model)
        model = models[model].get("start")
    return list(
        dict.fromkeys(s for s in (models[m]["set"] for m in found) if s in TURBULENCE["sets"])
    )


def turbulence_check_sets():
    """Refuse sets of unknown families, of one simulation twice, and models that would see a test
    set beforehand.
    """
    families, sets, models = (TURBULENCE[section] for section in ("families", "sets", "models"))
    for name in families:
        if not re.fullmatch(NAME, str(name)):
            refuse(
                f"turbulence.families.{name}", f"a name that stands in file names, expected {NAME}"
            )
    for name, entry in sets.items():
        key = f"turbulence.sets.{name}.families"
        for family in entry["families"]:
            if family not in families:
                refuse(
                    key,
                    f"unknown family '{family}'; {nearest(family, families)}known: {', '.join(families)}",
                )
        if shared := turbulence_overlap(entry["families"]):
            refuse(
                key,
                f"'{shared[0]}' and '{shared[1]}' share seeds, which are the same velocity fields",
            )
        if entry["valid_share"] + entry["test_share"] > 1:
            refuse(f"turbulence.sets.{name}", "valid_share and test_share are more than 1 together")
    for model, entry in models.items():
        for trained in turbulence_learned(entry.get("start")) if entry["set"] in sets else ():
            turbulence_check_split(f"turbulence.models.{model}.start", entry["set"], trained)


def turbulence_check_split(key, tested, trained):
    """Refuse to test on set `tested` what was trained on set `trained`, where a seed may be in
    training there.
    """
    a, b = TURBULENCE["sets"][tested], TURBULENCE["sets"][trained]
    shared = [
        (f, g)
        for f in a["families"]
        for g in b["families"]
        if f == g or turbulence_overlap([f, g]) is not None
    ]
    same = all(a[name] == b[name] for name in ("seed", "valid_share", "test_share"))
    if shared and not same:
        names = "seed, valid_share and test_share"
        refuse(
            key,
            f"sets '{tested}' and '{trained}' share simulations, but not {names}: test would be seen in training",
        )


def turbulence_check_transfer():
    """Refuse transfers of unknown models and to unknown sets."""
    models, sets = TURBULENCE["models"], TURBULENCE["sets"]
    for model, names in TURBULENCE["transfer"].items():
        key = f"turbulence.transfer.{model}"
        if model not in models:
            refuse(key, f"unknown model; {nearest(model, models)}known: {', '.join(models)}")
        for name in names:
            if name not in sets:
                refuse(key, f"unknown set '{name}'; {nearest(name, sets)}known: {', '.join(sets)}")
            for trained in turbulence_learned(model):
                turbulence_check_split(key, name, trained)


turbulence_check_sets()
turbulence_check_transfer()


def turbulence_families(*sources):
    """A pattern of the families of these sources, which no name fits where there are none."""
    return (
        "|".join(
            name for name, entry in TURBULENCE["families"].items() if entry["source"] in sources
        )
        or "(?!)"
    )


def turbulence_clouds(family):
    """The plan of a family's simulations, as scripts/turbulence_simulate_clouds.py reads it."""
    entry = TURBULENCE["families"][family]
    early = {"backend": "early"} if entry["source"] == "early" else {}
    return {key: entry[key] for key in TURBULENCE_CLOUDS} | early


def turbulence_mem_mb(family):
    """Memory of a shard's job [MB]: 190 bytes a cell of each simulation at once (simulate/cost.py),
    and libraries.
    """
    entry = TURBULENCE["families"][family]
    return 2000 + 400 * entry["grid"] ** 3 * entry["batch"] // 10**6


def turbulence_maps_mb(*families):
    """Memory of a job on the column maps of these families [MB]: three copies of two fields in
    three views.
    """
    entries = [TURBULENCE["families"][family] for family in families]
    return (
        4000
        + sum(3 * 2 * 3 * 4 * (e["pixels"] or e["grid"]) ** 2 * e["simulations"] for e in entries)
        // 10**6
    )


def turbulence_shards(w):
    """The shards of a family's simulations."""
    count = TURBULENCE["families"][w.family]["shards"]
    return expand(f"{TURBULENCE_FAMILY}/shards/{{shard}}.nc", family=w.family, shard=range(count))


def turbulence_outputs(w):
    """The user's outputs of a family, in the order of their names."""
    folder = Path(f"{RESOURCES}/raw/turbulence/{w.family}")
    found = sorted(str(path) for path in folder.glob("*") if not path.name.startswith("."))
    if not found:
        refuse(
            f"turbulence.families.{w.family}",
            f"no output in {folder}/: expected folders output_NNNNN, cubes or maps",
        )
    return ancient(found)


def turbulence_columns(w):
    """The column maps of a set's families."""
    return expand(f"{TURBULENCE_FAMILY}/columns.nc", family=TURBULENCE["sets"][w.set]["families"])


def turbulence_own_patches(w):
    """The set that model `{model}` was trained on."""
    return patches_of("turbulence", TURBULENCE["models"][w.model]["set"])


# Tables and panels of pairs of sets that are compared for realism.
TURBULENCE_LIKENESS = [
    f"{TURBULENCE_R}/{name}_{entry['first']}_{entry['second']}.{kind}"
    for entry in TURBULENCE["realism"]["pairs"]
    for name, kind in [
        ("realism", "csv"),
        *[("figures/panel", "png")] * bool(TURBULENCE["realism"]["panel"]),
    ]
]

# Transfers of this run, and the sets in which a network can be compared with a baseline.
TURBULENCE_TRANSFERS = {
    m: names for m, names in TURBULENCE["transfer"].items() if m in TURBULENCE["run_models"]
}
TURBULENCE_PAIRS = [
    name
    for name in sets_of("turbulence")
    if {"network", "baseline"}
    <= {TURBULENCE["models"][m]["kind"] for m in models_of_set("turbulence", name)}
]


def turbulence_transfers():
    """metrics.json of each transfer and, to compare it with, of the same models on their
    own sets.
    """
    return [
        f
        for m, names in TURBULENCE_TRANSFERS.items()
        for s in seeds("turbulence", m)
        for f in [
            f"{TEST}/metrics.json".format(study="turbulence", model=m, seed=s),
            *expand(f"{TURBULENCE_TRANSFER}/metrics.json", model=m, seed=s, set=names),
        ]
    ]


def turbulence_training_examples(entry):
    """Of a model's set: the parts of three views of each simulation."""
    used = TURBULENCE["sets"][entry["set"]]
    simulations = sum(TURBULENCE["families"][family]["simulations"] for family in used["families"])
    train = used["train_simulations"] or round(
        simulations * (1 - used["valid_share"] - used["test_share"])
    )
    return train * 3 * used["parts"] ** 2


def turbulence_estimate():
    """What the simulations of this run cost that are still to be made: lines for people."""
    sys.path.insert(0, str(BASE / "scripts"))
    from skyloom.turbulence.simulate.cost import cost
    from skyloom.turbulence.simulate.plan import simulations

    used = [
        *sets_of("turbulence"),
        *(name for names in TURBULENCE_TRANSFERS.values() for name in names),
    ]
    used += [
        entry[place] for entry in TURBULENCE["realism"]["pairs"] for place in ("first", "second")
    ]
    lines, hours = ["Estimate: turbulence, simulations still to be made"], {"GPU": 0.0, "core": 0.0}
    for family in dict.fromkeys(f for name in used for f in TURBULENCE["sets"][name]["families"]):
        entry, plan = TURBULENCE["families"][family], turbulence_clouds(family)
        if (
            entry["source"] not in TURBULENCE_OWN
            or Path(f"{TURBULENCE_FAMILY}/columns.nc".format(family=family)).exists()
        ):
            continue
        needed = cost(plan, simulations(plan))
        unit = "GPU" if plan["backend"] == "torch" and entry["gpus"] else "core"
        spent = needed.gpu_hours if unit == "GPU" else needed.core_seconds / 3600
        hours[unit] += spent
        size = f"{needed.simulations} x {entry['grid']}^3 in {entry['shards']} jobs"
        lines.append(
            f"  {family:20s} {size:28s} {spent:8.2f} {unit}-hours, {needed.memory_gib:5.1f} GiB of memory,"
            f" {needed.disk_gib:6.1f} GiB on disk"
        )
    return [
        *lines,
        f"  {'sum':20s} {'':28s} {hours['GPU']:8.2f} GPU-hours, {hours['core']:.2f} core-hours",
    ]


TRAINING_EXAMPLES["turbulence"] = turbulence_training_examples
ESTIMATES["turbulence"] = turbulence_estimate
