# Regions of the extinction study: star tables, predicted sightlines, their cube, what is measured.
REGION = "|".join(map(re.escape, extinction["regions"])) or "none"
MAPPED = "|".join(dict.fromkeys(model for _, model in extinction.mapped)) or "none"


# the nodes of a cluster have no way to the Internet
localrules:
    extinction_download_stars,


rule extinction_download_stars:
    """Star tables of the sightlines of a region by TAP. Those that are there are not asked again.

    The tables are no declared outputs, which Snakemake deletes where a job fails. Code is no input:
    an edit must not ask an archive again.
    """
    output:
        f"{extinction.resources}/stars/{{region}}_{{survey}}.csv",
    log:
        extinction.log("extinction_download_stars", "{region}_{survey}"),
    wildcard_constraints:
        region=REGION,
        survey="2mass|gaia|panstarrs",
    conda:
        ENV
    params:
        code=os.path.relpath(BASE / "scripts" / "extinction_download_stars.py"),
        config=lambda w: as_json(**extinction.download(w.region, w.survey)),
        folder=f"{extinction.resources}/stars/{{region}}_{{survey}}",
    message:
        "extinction: fetching stars of {wildcards.survey} in {wildcards.region}"
    shell:
        "python3 {params.code:q} --config {params.config:q} --folder {params.folder:q}"
        " --output {output:q} > {log:q} 2>&1"


rule extinction_observe_region:
    """The diagrams of the sightlines of a region, drawn on a mock sky or of star tables, and the
    verdict on the star counts of each.
    """
    input:
        code=code("extinction_observe_region.py"),
        lists=lambda w: extinction.star_lists(w.region),
    output:
        region=ensure(extinction.path("raw/region_{region}.nc"), non_empty=True),
        table=extinction.path("products/sightlines_{region}.csv"),
    log:
        extinction.log("extinction_observe_region", "{region}"),
    benchmark:
        extinction.benchmark("extinction_observe_region", "{region}")
    wildcard_constraints:
        region=REGION,
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
        "python3 {input.code[0]:q} --config {params.config:q} --lists {input.lists:q}"
        " --output {output.region:q} --output-table {output.table:q} > {log:q} 2>&1"


rule extinction_predict_region:
    """Quantiles of A_V along the sightlines of a region by a trained model. A refused sightline is
    left blank.
    """
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
        region=REGION,
        model=MAPPED,
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
        region=REGION,
        model=MAPPED,
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


rule extinction_plot_cube:
    """A figure of a cube: the sky, the plane from above, how far it reaches, its mean profile. The
    cube of a mock sky is drawn with the truth.
    """
    input:
        code=code("extinction_plot_cube.py"),
        cube=extinction.product("{region}", "{model}", "cube.fits"),
        truth=lambda w: extinction.truth(w.region),
        files=lambda w: ancient(extinction.shown_files(w.region)),
    output:
        png=report(
            extinction.path("figures/cube_{figure}_{region}_{model}.png"),
            category=extinction.title,
            subcategory="2 Maps and images",
            labels=extinction.titled(extinction.cube_figures),
            caption="../../report/extinction/cube.rst",
        ),
        pdf=extinction.path("figures/cube_{figure}_{region}_{model}.pdf"),
    log:
        extinction.log("extinction_plot_cube", "{figure}_{region}_{model}"),
    wildcard_constraints:
        figure="|".join(extinction.cube_figures),
        region=REGION,
        model=MAPPED,
    conda:
        ENV
    resources:
        runtime=growing(10),
        mem_mb=growing(4000),
    params:
        config=lambda w: as_json(**extinction.shown(w.region)),
        truth=lambda w, input: option("--truth", input.truth),
    message:
        "extinction: plotting {wildcards.figure} of the cube of {wildcards.region}"
    shell:
        "python3 {input.code[0]:q} --figure {wildcards.figure} --config {params.config:q}"
        " --cube {input.cube:q} {params.truth} --output {output.png:q} > {log:q} 2>&1"


rule extinction_measure_cube:
    """Artefacts of the cube of a mock sky next to the truth, and how far the cube is reliable."""
    input:
        code=code("extinction_measure_cube.py"),
        cube=extinction.product("{region}", "{model}", "cube.fits"),
        truth=extinction.path("raw/region_{region}.nc"),
    output:
        extinction.product("{region}", "{model}", "artefacts.csv"),
    log:
        extinction.log("extinction_measure_cube", "{region}_{model}"),
    wildcard_constraints:
        region=REGION,
        model=MAPPED,
    conda:
        ENV
    resources:
        runtime=growing(10),
        mem_mb=growing(4000),
    params:
        config=as_json(reach=extinction["maps"]["reach"]),
    message:
        "extinction: measuring the cube of {wildcards.region} by {wildcards.model}"
    shell:
        "python3 {input.code[0]:q} --config {params.config:q} --cube {input.cube:q}"
        " --truth {input.truth:q} --output {output:q} > {log:q} 2>&1"


rule extinction_compare_maps:
    """The cube of star tables next to published maps that the user has. Nothing is fetched."""
    input:
        code=code("extinction_compare_maps.py"),
        cube=extinction.product("{region}", "{model}", "cube.fits"),
        maps=ancient([entry["path"] for entry in extinction["maps"]["published"].values()]),
    output:
        extinction.product("{region}", "{model}", "published.csv"),
    log:
        extinction.log("extinction_compare_maps", "{region}_{model}"),
    wildcard_constraints:
        region=REGION,
        model=MAPPED,
    conda:
        ENV
    resources:
        runtime=growing(60),
        mem_mb=growing(16000),
    params:
        config=as_json(maps=extinction["maps"]["published"]),
    message:
        "extinction: comparing the cube of {wildcards.region} with published maps"
    shell:
        "python3 {input.code[0]:q} --config {params.config:q} --cube {input.cube:q}"
        " --output {output:q} > {log:q} 2>&1"
