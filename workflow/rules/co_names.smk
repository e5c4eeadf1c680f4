# File names, checks of the config and input functions of the CO study.
CO = config["co"]
CO_R = R.format(study="co")
CO_LOG = LOG.format(study="co")
CO_BENCHMARK = BENCHMARK.format(study="co")
CO_SET = f"{CO_R}/sets/{{set}}"
CO_RAW_FILES = {
    "co": "HFI_CompMap_CO-Type2_2048_R1.10.fits",
    "dust": "COM_CompMap_Dust-GNILC-F857_2048_R2.00.fits",
    "hi": "NHI_HPX.fits",
}
CO_DENOISED = f"{CO_R}/denoised/co{{line}}_nlm_sphere.nc"
# The lines that are denoised on the sphere, for the sets of this run that ask for it.
CO_LINES = sorted(
    {
        CO["sets"][name]["line"]
        for name in sets_of("co")
        if CO["sets"][name]["denoiser"] == "nlm_sphere"
    }
)
CO_SOURCE = f"{CO_R}/raw" if CO["train"]["source"] == "simulated" else f"{RESOURCES}/raw/co"
CO_RAW = {name: f"{CO_SOURCE}/{file}" for name, file in CO_RAW_FILES.items()}
CO_SCORES = [
    "minkowski",
    "plane",
    "pdf",
    "latitude",
    "calibration",
]  # figures of rule co_plot_scores
CO_SECOND_SETS = [
    s
    for s in sets_of("co")
    if CO["second_map"] and CO["sets"][s]["line"] == CO["second_map"]["line"]
]
CO_SKY = f"{CO_R}/sky/{{product}}/{{model}}/seed{{seed}}.nc"
CO_PRODUCT = f"{CO_R}/products/{{product}}.fits"


def co_split():
    """Section `split` with the boxes of the complexes that this run holds out."""
    known, held_out = CO["split"]["complexes"], CO["split"]["held_out"]
    for name in held_out:
        if name not in known:
            refuse(
                "co.split.held_out",
                f"unknown complex '{name}'; {nearest(name, known)}known: {', '.join(known)}",
            )
    split = {key: value for key, value in CO["split"].items() if key != "held_out"}
    return split | {"complexes": {name: known[name] for name in held_out}}


CO_SPLIT = co_split()


def co_check_products():
    """Refuse products whose models are not there, or learn another line than they are to
    predict.
    """
    for name in CO["run_products"]:
        if name not in CO["products"]:
            known = CO["products"]
            refuse(
                "co.run_products",
                f"unknown product '{name}'; {nearest(name, known)}known: {', '.join(known)}",
            )
    for name, product in CO["products"].items():
        if not re.fullmatch(NAME, str(name)):
            refuse(f"co.products.{name}", f"a name that stands in file names, expected {NAME}")
        if not product["lines"]:
            refuse(f"co.products.{name}.lines", "empty; expected a model for line 10, 21 or both")
        for line, model in product["lines"].items():
            key, known = f"co.products.{name}.lines.{line}", CO["models"]
            if model not in known:
                refuse(
                    key,
                    f"unknown model '{model}'; {nearest(model, known)}known: {', '.join(known)}",
                )
            learned = CO["sets"].get(known[model]["set"], {}).get("line")
            if learned != line:
                refuse(
                    key,
                    f"model '{model}' learns line {learned} from set '{known[model]['set']}'; expected {line}",
                )


co_check_products()


def co_sets_of(product):
    """Line -> set of the model that predicts it in a product."""
    return {
        line: CO["models"][model]["set"] for line, model in CO["products"][product]["lines"].items()
    }


def co_skies(product, first=False):
    """The predicted skies of a product: of each line, every seed of its model, or the
    first alone.
    """
    return of_models(
        "co", CO["products"][product]["lines"].values(), CO_SKY.replace("{product}", product), first
    )


def co_line_of(w):
    """The line that model `{model}` predicts in product `{product}`."""
    return next(
        line for line, model in CO["products"][w.product]["lines"].items() if model == w.model
    )


def co_snr_map(w):
    """The map whose signal-to-noise chooses the tiles of a set; both have the same names for it."""
    entry = CO["sets"][w.set]
    return (
        CO_DENOISED.format(line=entry["line"])
        if entry["snr_from"] == "denoised"
        else f"{CO_R}/maps.nc"
    )


def co_denoiser(w):
    """What a set's denoiser reads beside the patches: from the sphere, its map and what the patches
    were cut from.
    """
    entry = CO["sets"][w.set]
    if entry["denoiser"] != "nlm_sphere":
        return {}
    return {"maps": f"{CO_R}/maps.nc", "denoised_map": CO_DENOISED.format(line=entry["line"])}


CO_CYCLEGANS = [m for m in CO["run_models"] if CO["models"][m]["module"] == "cyclegan"]
CO_BASE, CO_CHANGED = CO["ablations"]["base"], CO["ablations"]["models"]
for model in (CO_BASE, *CO_CHANGED) if CO_CHANGED else ():
    if model not in CO["models"]:
        known = CO["models"]
        refuse(
            "co.ablations",
            f"unknown model '{model}'; {nearest(model, known)}known: {', '.join(known)}",
        )
# The rows of the table of ablations, the base first; none where no ablation runs.
CO_ABLATIONS = [
    m
    for m in (CO_BASE, *CO_CHANGED)
    if m in CO["run_models"] and {*CO_CHANGED} & {*CO["run_models"]}
]


# What a set is taken for until its tiles are chosen, by `selection`: of the presentation's training images, thrice
# flipped, 10,488 chosen after denoising; and 5,650 before, with half as many faint tiles again.
CO_TRAIN_TILES = {"weighted": 2825, "published": 3496}


def co_training_examples(entry):
    """Of a model's set: counted where its tiles are chosen, else the presentation's."""
    used = CO["sets"][entry["set"]]
    table = Path(f"{CO_SET}/tiles.csv".format(set=entry["set"]))
    if not table.exists():
        return CO_TRAIN_TILES[used["selection"]] * used["views"]
    with open(table, newline="") as file:
        return sum(row["split"] == "train" for row in csv.DictReader(file)) * used["views"]


TRAINING_EXAMPLES["co"] = co_training_examples
