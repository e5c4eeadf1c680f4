# 3D extinction of the Milky Way from colour-magnitude diagrams.
extinction = studies["extinction"]


localrules:
    extinction,


rule extinction:
    """Everything of the study: tables, figures, the cube of each region."""
    input:
        extinction.results,
        [extinction.figures(figure, extinction.sets) for figure in extinction.profile_figures],
        extinction.figures("scores", extinction.sets),
        [extinction.product(*pair, "cube.fits") for pair in extinction.mapped],
        extinction.figures_of_cubes,


rule extinction_draw_stars:
    """Draw the model stars of the sightlines, or read those of the Besançon service."""
    input:
        code=code("extinction_draw_stars.py"),
        files=lambda w: ancient(sum(extinction["fields"][w.fields]["files"].values(), [])),
    output:
        ensure(extinction.stars("{fields}"), non_empty=True),
    log:
        extinction.log("extinction_draw_stars", "{fields}"),
    benchmark:
        extinction.benchmark("extinction_draw_stars", "{fields}")
    conda:
        ENV
    resources:
        runtime=growing(60),
        mem_mb=growing(4000),
    params:
        config=lambda w: as_json(**extinction["fields"][w.fields]),
    message:
        "extinction: drawing the stars of {wildcards.fields}"
    shell:
        "python3 {input.code[0]:q} --config {params.config:q} --output {output:q} > {log:q} 2>&1"


rule extinction_draw_patches:
    """Draw the validation and test diagrams of a set, and check their star counts."""
    input:
        code=code("extinction_draw_patches.py"),
        stars=lambda w: extinction.stars(extinction["sets"][w.set]["fields"]),
    output:
        ensure(extinction.patches("{set}"), non_empty=True),
    log:
        extinction.log("extinction_draw_patches", "{set}"),
    benchmark:
        extinction.benchmark("extinction_draw_patches", "{set}")
    conda:
        ENV
    resources:
        runtime=growing(60),
        mem_mb=growing(4000),
    params:
        config=lambda w: as_json(**extinction["sets"][w.set]),
    message:
        "extinction: drawing the diagrams of set {wildcards.set}"
    shell:
        "python3 {input.code[0]:q} --config {params.config:q} --stars {input.stars:q}"
        " --output {output:q} > {log:q} 2>&1"


rule extinction_plot_profiles:
    """A_V of the test sightlines of a set: profiles with intervals, or predicted against true."""
    input:
        code=code("extinction_plot_profiles.py"),
        patches=extinction.patches("{set}"),
        predictions=lambda w: extinction.tests(
            "predictions.nc", extinction.models(w.set), first=True
        ),
    output:
        png=report(
            extinction.path("figures/{figure}_{set}.png"),
            category=extinction.title,
            subcategory="2 Maps and images",
            labels=extinction.titled(extinction.profile_figures),
            caption="../../report/extinction/profiles.rst",
        ),
        pdf=extinction.path("figures/{figure}_{set}.pdf"),
    log:
        extinction.log("extinction_plot_profiles", "{figure}_{set}"),
    wildcard_constraints:
        figure="|".join(extinction.profile_figures),
    conda:
        ENV
    resources:
        runtime=growing(10),
        mem_mb=growing(4000),
    params:
        config=lambda w: as_json(models=extinction.looks(extinction.models(w.set))),
    message:
        "extinction: plotting {wildcards.figure} of set {wildcards.set}"
    shell:
        "python3 {input.code[0]:q} --figure {wildcards.figure} --config {params.config:q}"
        " --patches {input.patches:q} --predictions {input.predictions:q}"
        " --output {output.png:q} > {log:q} 2>&1"


rule extinction_plot_scores:
    """Errors and coverage of the models of a set against distance and A_V."""
    input:
        code=code("extinction_plot_scores.py"),
        curves=lambda w: extinction.tests("curves.nc", extinction.models(w.set), first=True),
    output:
        png=report(
            extinction.path("figures/scores_{set}.png"),
            category=extinction.title,
            subcategory="3 Scores",
            labels=extinction.titled("1 Errors and coverage by distance"),
            caption="../../report/extinction/scores.rst",
        ),
        pdf=extinction.path("figures/scores_{set}.pdf"),
    log:
        extinction.log("extinction_plot_scores", "{set}"),
    conda:
        ENV
    resources:
        runtime=growing(10),
        mem_mb=growing(4000),
    params:
        config=lambda w: as_json(models=extinction.looks(extinction.models(w.set))),
    message:
        "extinction: plotting the scores of set {wildcards.set}"
    shell:
        "python3 {input.code[0]:q} --config {params.config:q} --curves {input.curves:q}"
        " --output {output.png:q} > {log:q} 2>&1"


include: "products.smk"
