# 3D extinction of the Milky Way from colour-magnitude diagrams.
extinction = studies["extinction"]


localrules:
    extinction,


rule extinction:
    """Everything of the study: tables, figures, the cube of each region."""
    input:
        extinction.results,
        extinction.figures("profiles", extinction.sets),
        extinction.figures("scatter", extinction.sets),
        extinction.figures("scores", extinction.sets),
        [extinction.product(*pair, "cube.fits") for pair in extinction.mapped],


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
    """A_V(d) of test sightlines: truth, predictions, and intervals of the first model."""
    input:
        code=code("extinction_plot_profiles.py"),
        patches=extinction.patches("{set}"),
        predictions=lambda w: extinction.tests(
            "predictions.nc", extinction.models(w.set), first=True
        ),
    output:
        png=report(
            extinction.path("figures/profiles_{set}.png"),
            category=extinction.title,
            subcategory="2 Maps and images",
            labels=extinction.titled("1 Predicted and true profiles"),
            caption="../../report/extinction/profiles.rst",
        ),
        pdf=extinction.path("figures/profiles_{set}.pdf"),
    log:
        extinction.log("extinction_plot_profiles", "{set}"),
    conda:
        ENV
    resources:
        runtime=growing(10),
        mem_mb=growing(4000),
    params:
        config=lambda w: as_json(models=extinction.looks(extinction.models(w.set))),
    message:
        "extinction: plotting profiles of set {wildcards.set}"
    shell:
        "python3 {input.code[0]:q} --config {params.config:q} --patches {input.patches:q}"
        " --predictions {input.predictions:q} --output {output.png:q} > {log:q} 2>&1"


rule extinction_plot_scatter:
    """Predicted against true A_V of all test sightlines and distances."""
    input:
        code=code("extinction_plot_scatter.py"),
        patches=extinction.patches("{set}"),
        predictions=lambda w: extinction.tests(
            "predictions.nc", extinction.models(w.set), first=True
        ),
    output:
        png=report(
            extinction.path("figures/scatter_{set}.png"),
            category=extinction.title,
            subcategory="3 Scores",
            labels=extinction.titled("2 Predicted against true A_V"),
            caption="../../report/extinction/scatter.rst",
        ),
        pdf=extinction.path("figures/scatter_{set}.pdf"),
    log:
        extinction.log("extinction_plot_scatter", "{set}"),
    conda:
        ENV
    resources:
        runtime=growing(10),
        mem_mb=growing(4000),
    params:
        config=lambda w: as_json(models=extinction.looks(extinction.models(w.set))),
    message:
        "extinction: plotting predicted against true A_V of set {wildcards.set}"
    shell:
        "python3 {input.code[0]:q} --config {params.config:q} --patches {input.patches:q}"
        " --predictions {input.predictions:q} --output {output.png:q} > {log:q} 2>&1"


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


rule extinction_observe_region:
    """Draw the diagrams of a region on a coherent mock sky, with the true profiles."""
    input:
        code=code("extinction_observe_region.py"),
    output:
        ensure(extinction.path("raw/region_{region}.nc"), non_empty=True),
    log:
        extinction.log("extinction_observe_region", "{region}"),
    benchmark:
        extinction.benchmark("extinction_observe_region", "{region}")
    wildcard_constraints:
        region="|".join(map(re.escape, extinction["regions"])) or "none",
    conda:
        ENV
    resources:
        runtime=growing(120),
        mem_mb=growing(4000),
    params:
        config=lambda w: as_json(**extinction.region(w.region)),
    message:
        "extinction: observing the region {wildcards.region}"
    shell:
        "python3 {input.code[0]:q} --config {params.config:q} --output {output:q} > {log:q} 2>&1"


rule extinction_predict_region:
    """Quantiles of A_V along the sightlines of a region by a trained model."""
    input:
        code=lambda w: extinction.code("extinction_predict_region.py", w.model),
        region=extinction.path("raw/region_{region}.nc"),
        checkpoint=lambda w: extinction.checkpoints([w.model], first=True),
    output:
        ensure(extinction.product("{region}", "{model}", "profiles.nc"), non_empty=True),
    log:
        extinction.log("extinction_predict_region", "{region}_{model}"),
    benchmark:
        extinction.benchmark("extinction_predict_region", "{region}_{model}")
    wildcard_constraints:
        region="|".join(map(re.escape, extinction["regions"])) or "none",
    conda:
        ENV
    resources:
        runtime=growing(30),
        mem_mb=growing(8000),
    params:
        config=lambda w: as_json(entry=extinction.science(w.model)),
    message:
        "extinction: predicting the region {wildcards.region} with {wildcards.model}"
    shell:
        "python3 {input.code[0]:q} --config {params.config:q} --region {input.region:q}"
        " --checkpoint {input.checkpoint:q} --output {output:q} > {log:q} 2>&1"


rule extinction_write_cube:
    """The 3D cube of a region: FITS by l, b and distance, and the same by pixels of HEALPix."""
    input:
        code=code("extinction_write_cube.py"),
        profiles=extinction.product("{region}", "{model}", "profiles.nc"),
    output:
        cube=ensure(extinction.product("{region}", "{model}", "cube.fits"), non_empty=True),
        healpix=extinction.product("{region}", "{model}", "cube_healpix.nc"),
    log:
        extinction.log("extinction_write_cube", "{region}_{model}"),
    wildcard_constraints:
        region="|".join(map(re.escape, extinction["regions"])) or "none",
    conda:
        ENV
    resources:
        runtime=growing(30),
        mem_mb=growing(8000),
    params:
        config=as_json(nside=extinction["maps"]["nside"]),
    message:
        "extinction: writing the cube of {wildcards.region} by {wildcards.model}"
    shell:
        "python3 {input.code[0]:q} --config {params.config:q} --predictions {input.profiles:q}"
        " --output {output.cube:q} --output-healpix {output.healpix:q} > {log:q} 2>&1"
