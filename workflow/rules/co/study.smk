# CO emission of molecular clouds from N(HI) and 857 GHz dust.
co = studies["co"]


localrules:
    co,


rule co:
    """Everything of the CO study: tables, figures, products."""
    input:
        co.results,
        co.figures("selection", co.sets),
        [co.path("figures/denoisers.png")] * bool(co.denoised_lines),
        [co.figures(name, co.sets) for name in ("panels", "spectra", *co.score_figures)],
        [co.path("figures/saturation.png")] * ({*co["saturation"].values()} <= {*co.models()}),
        co.figures("latent", co.bottlenecks),
        [co.path("figures/steganography.png")] * bool(co.cyclegans),
        [
            path
            for name in co["run_products"]
            for path in (
                co.product(name),
                co.path(f"figures/product_{name}_sky.png"),
            )
        ],


include: "maps.smk"
include: "patches.smk"
include: "results.smk"
include: "products.smk"
