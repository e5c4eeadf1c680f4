# Checks of the pairs of sets that are compared for realism, and what the comparison reads.
TURBULENCE_REALISM = {
    (entry["first"], entry["second"]): entry for entry in TURBULENCE["realism"]["pairs"]
}


def turbulence_check_realism():
    """Refuse comparisons of unknown sets, an autoencoder of another set, and one that is to predict
    an index.
    """
    sets, models = TURBULENCE["sets"], TURBULENCE["models"]
    for number, entry in enumerate(TURBULENCE["realism"]["pairs"]):
        key, model = f"turbulence.realism.pairs.{number}", entry.get("autoencoder")
        for place in ("first", "second"):
            if entry[place] not in sets:
                name = entry[place]
                refuse(
                    f"{key}.{place}",
                    f"unknown set '{name}'; {nearest(name, sets)}known: {', '.join(sets)}",
                )
        if entry["first"] == entry["second"]:
            refuse(key, f"'{entry['first']}' twice; expected two sets")
        if model and (model not in models or models[model]["module"] != "autoencoder"):
            known = [name for name in models if models[name]["module"] == "autoencoder"]
            refuse(
                f"{key}.autoencoder",
                f"'{model}' is no autoencoder; known: {', '.join(known) or 'none'}",
            )
        if model and models[model]["set"] != entry["first"]:
            refuse(
                f"{key}.autoencoder",
                f"'{model}' learns from '{models[model]['set']}'; expected the first set",
            )
    for model in TURBULENCE["run_models"]:
        if models[model]["module"] == "autoencoder":
            refuse(
                "turbulence.run_models",
                f"'{model}' predicts no index; name it in `realism`, or as a model's `start`",
            )


turbulence_check_realism()


def turbulence_pair(w):
    """The config of the comparison of sets `{first}` and `{second}`."""
    return TURBULENCE["realism"] | TURBULENCE_REALISM[w.first, w.second]


def turbulence_pair_patches(w):
    """The images of the two sets."""
    return [patches_of("turbulence", name) for name in (w.first, w.second)]


def turbulence_pair_columns(place):
    """The column maps of the families of the set `{first}` or `{second}`."""
    return lambda w: turbulence_columns(SimpleNamespace(set=w[place]))


def turbulence_autoencoder(w):
    """The first seed of the autoencoder that a comparison names."""
    model = turbulence_pair(w).get("autoencoder")
    return of_models("turbulence", [model] if model else [], f"{MODEL}/best.ckpt", first=True)


def turbulence_realism_config(w):
    """What scripts/turbulence_compare_realism.py reads."""
    entry = turbulence_pair(w)
    keys = ("first", "second", "learner", "folds", "permutations", "draws", "seed")
    model = TURBULENCE["models"].get(entry.get("autoencoder"))
    return as_json(**{key: entry[key] for key in keys}, entry=model and science(model))


# of a pattern: one wildcard each, though both are parts of a name that `_` divides
TURBULENCE_PAIR = {
    place: "|".join({pair[k] for pair in TURBULENCE_REALISM}) or "(?!)"
    for k, place in enumerate(("first", "second"))
}
