# CO emission of molecular clouds from N(HI) and 857 GHz dust.
co = studies["co"]


localrules:
    co,


rule co:
    """Everything of the CO study: tables, figures, products."""
    input:
        co.results,
        co.path("bands.csv"),
        [co.path("raw/anchors.csv")] * (not co.surveyed),
        co.figures("selection", co.sets),
        [co.path("patch_counts.csv"), co.path("figures/denoisers.png")] * bool(co.denoised_lines),
        [co.path(f"denoised/co{line}_scores.csv") for line in co.denoised_lines],
        [co.figures(name, co.sets) for name in ("panels", "spectra", *co.score_figures)],
        [co.path(f"second_map_{name}.csv") for name in co.second_sets],
        [co.path("figures/saturation.png")] * ({*co["saturation"].values()} <= {*co.models()}),
        co.figures("latent", [model for model in co["latent"] if model in co.models()]),
        [co.path("figures/steganography.png")] * bool(co.cyclegans),
        [
            path
            for name in co["run_products"]
            for path in (
                co.product(name),
                co.path(f"products/{name}_footprints.csv"),
                co.path(f"figures/product_{name}_sky.png"),
            )
        ],


include: "maps.smk"
include: "patches.smk"
include: "results.smk"
include: "products.smk"
