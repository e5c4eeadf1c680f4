# Do the images of two sets look alike: to the features that models use, and to a person?


rule turbulence_compare_realism:
    """Whether the images of two sets are told apart by a classifier of their features, and by an
    autoencoder.
    """
    input:
        code=code("turbulence_compare_realism.py", "skyloom/turbulence/models/autoencoder.py"),
        patches=lambda w: [turbulence.patches(name) for name in (w.first, w.second)],
        first=lambda w: turbulence.columns(w.first),
        second=lambda w: turbulence.columns(w.second),
        checkpoint=lambda w: turbulence.autoencoder(w.first, w.second),
    output:
        table=turbulence.path("realism_{first}_{second}.csv"),
        verdict=turbulence.path("realism_{first}_{second}.txt"),
        png=report(
            turbulence.path("figures/realism_{first}_{second}.png"),
            category=turbulence.title,
            subcategory="4 Why",
            labels=turbulence.titled("6 Do two sets look alike?"),
            caption="../../report/turbulence/realism_figure.rst",
        ),
        pdf=turbulence.path("figures/realism_{first}_{second}.pdf"),
    log:
        turbulence.log("turbulence_compare_realism", "{first}_{second}"),
    wildcard_constraints:
        **turbulence.pair_patterns(),
    conda:
        ENV
    resources:
        runtime=growing(60),
        mem_mb=growing(8000),
    params:
        config=lambda w: as_json(**turbulence.realism(w.first, w.second)),
        checkpoint=lambda w, input: option("--checkpoint", input.checkpoint),
    message:
        "turbulence: comparing the images of {wildcards.first} and {wildcards.second}"
    shell:
        "python3 {input.code[0]:q} --config {params.config:q} --patches {input.patches:q}"
        " --columns-first {input.first:q}"
        " --columns-second {input.second:q} {params.checkpoint} --output {output.table:q}"
        " --verdict {output.verdict:q}"
        " --figure {output.png:q}"
        " > {log:q} 2>&1"


rule turbulence_draw_panel:
    """Shuffled images of two sets for a person to tell apart; the key is no part of the report."""
    input:
        code=code("turbulence_draw_panel.py"),
        patches=lambda w: [turbulence.patches(name) for name in (w.first, w.second)],
    output:
        png=report(
            turbulence.path("figures/panel_{first}_{second}.png"),
            category=turbulence.title,
            subcategory="4 Why",
            labels=turbulence.titled("8 Panel for a person"),
            caption="../../report/turbulence/panel.rst",
        ),
        pdf=turbulence.path("figures/panel_{first}_{second}.pdf"),
        key=turbulence.path("panel_keys/{first}_{second}.csv"),
    log:
        turbulence.log("turbulence_draw_panel", "{first}_{second}"),
    wildcard_constraints:
        **turbulence.pair_patterns(),
    conda:
        ENV
    resources:
        runtime=growing(10),
        mem_mb=growing(4000),
    params:
        config=lambda w: as_json(
            **pick(turbulence.pair(w.first, w.second), "first", "second", "panel", "seed")
        ),
    message:
        "turbulence: drawing the panel of {wildcards.first} and {wildcards.second}"
    shell:
        "python3 {input.code[0]:q} --config {params.config:q} --patches {input.patches:q}"
        " --output {output.png:q} --key {output.key:q}"
        " > {log:q} 2>&1"
