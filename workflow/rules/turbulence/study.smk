# The turbulence index of molecular clouds from images of their column density.
turbulence = studies["turbulence"]


localrules:
    turbulence,


rule turbulence:
    """Everything of the turbulence study: tables and figures."""
    input:
        turbulence.results,
        turbulence.figures("images", turbulence.shown),
        [turbulence.figures(name, turbulence.classified) for name in turbulence.score_figures],
        turbulence.figures("index", turbulence.regressed),
        turbulence.figures("continuum", turbulence.continua),
        turbulence.figures("transfer", ["matrix"] * bool(turbulence.transfers)),
        turbulence.figures("transfer", ["nuisances"] * bool(turbulence.ladders)),
        turbulence.figures("bands", turbulence.explained()),
        turbulence.figures("saliency", turbulence.explained(kind="network")),
        turbulence.figures("controls", [s for s in turbulence.sets if turbulence.explained(s)]),
        turbulence.figures("embedding", turbulence.embedded_sets),
        turbulence.figures("realism", [f"{a}_{b}" for a, b in turbulence.pairs]),
        turbulence.figures("panel", [f"{a}_{b}" for a, b in turbulence.panels]),


include: "images.smk"
include: "results.smk"
include: "explain.smk"
include: "realism.smk"
