# CO emission of molecular clouds from N(HI) and 857 GHz dust: the study's rules in the order in which its data flows.
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
CO_SOURCE = f"{CO_R}/raw" if CO["train"]["source"] == "simulated" else f"{RESOURCES}/raw/co"
CO_RAW = {name: f"{CO_SOURCE}/{file}" for name, file in CO_RAW_FILES.items()}

CO_SCORES = ["minkowski", "plane", "pdf", "latitude", "calibration"]  # figures of rule co_plot_scores

CO_SECOND_SETS = [s for s in sets_of("co") if CO["second_map"] and CO["sets"][s]["line"] == CO["second_map"]["line"]]


localrules:
    co,


rule co:
    """Everything of the CO study: tables and figures."""
    input:
        f"{CO_R}/comparison.csv",
        f"{CO_R}/training.csv",
        [f"{CO_R}/figures/history.png"] * bool(of_all_networks("co", MODEL)),
        expand(f"{CO_R}/figures/{{figure}}_{{set}}.png", figure=["spectra", *CO_SCORES], set=sets_of("co")),
        expand(f"{CO_R}/figures/{{figure}}_{{set}}.png", figure=["panels", "selection"], set=sets_of("co")),
        expand(f"{CO_R}/second_map_{{set}}.csv", set=CO_SECOND_SETS),
        [f"{CO_R}/raw/anchors.csv"] * (CO["train"]["source"] == "simulated"),


rule co_simulate_sky:
    """The embedded stand-in sky, written as the real products' files."""
    input:
        code=code("co_simulate_sky.py"),
    output:
        **{name: f"{CO_R}/raw/{file}" for name, file in CO_RAW_FILES.items()},
    log:
        f"{CO_LOG}/co_simulate_sky.log",
    benchmark:
        f"{CO_BENCHMARK}/co_simulate_sky.tsv"
    conda:
        ENV
    threads: 4
    resources:
        runtime=growing(120),
        mem_mb=growing(4000 + 2000 * CO["sky"]["nside"] ** 2 // 512**2),
    params:
        config=json.dumps(CO["sky"], sort_keys=True),
    shell:
        f"{PYTHON} "
        "{input.code[0]} --config {params.config:q}"
        " --co-map {output.co} --dust-map {output.dust} --hi-map {output.hi} > {log} 2>&1"


rule co_check_sky:
    """The stand-in sky's statistics beside those measured on the real sky."""
    input:
        code=code("co_check_sky.py"),
        co=f"{CO_R}/raw/{CO_RAW_FILES['co']}",
        dust=f"{CO_R}/raw/{CO_RAW_FILES['dust']}",
        hi=f"{CO_R}/raw/{CO_RAW_FILES['hi']}",
    output:
        report(
            f"{CO_R}/raw/anchors.csv",
            category="co",
            labels={"result": "stand-in sky beside the real one"},
            caption="../report/co/anchors.rst",
        ),
    log:
        f"{CO_LOG}/co_check_sky.log",
    conda:
        ENV
    threads: 2
    resources:
        runtime=growing(60),
        mem_mb=growing(8000),
    shell:
        f"{PYTHON} "
        "{input.code[0]} --co-map {input.co} --dust-map {input.dust} --hi-map {input.hi}"
        " --output {output} > {log} 2>&1"


rule co_prepare_maps:
    """Check the raw maps and bring them to one ordering, unit and beam."""
    input:
        code=code("co_prepare_maps.py"),
        co=ancient(CO_RAW["co"]) if CO["train"]["source"] == "survey" else CO_RAW["co"],
        dust=ancient(CO_RAW["dust"]) if CO["train"]["source"] == "survey" else CO_RAW["dust"],
        hi=ancient(CO_RAW["hi"]) if CO["train"]["source"] == "survey" else CO_RAW["hi"],
    output:
        f"{CO_R}/maps.nc",
    log:
        f"{CO_LOG}/co_prepare_maps.log",
    benchmark:
        f"{CO_BENCHMARK}/co_prepare_maps.tsv"
    conda:
        ENV
    threads: 4
    resources:
        runtime=growing(60),
        mem_mb=growing(12000),
    params:
        config=json.dumps(CO["maps"], sort_keys=True),
    shell:
        f"{PYTHON} "
        "{input.code[0]} --config {params.config:q}"
        " --co-map {input.co} --dust-map {input.dust} --hi-map {input.hi} --output {output} > {log} 2>&1"


rule co_select_tiles:
    """Choose the tiles of a set, and the split of each by its place on the sky."""
    input:
        code=code("co_select_tiles.py"),
        maps=f"{CO_R}/maps.nc",
    output:
        f"{CO_SET}/tiles.csv",
    log:
        f"{CO_LOG}/co_select_tiles/{{set}}.log",
    conda:
        ENV
    resources:
        runtime=growing(30),
        mem_mb=growing(8000),
    params:
        config=lambda w: as_json(
            tiles=CO["tiles"],
            split=CO["split"],
            set=keys_of_set("co", w.set, "line", "selection", "faint_share", "shift_deg"),
        ),
    shell:
        f"{PYTHON} " "{input.code[0]} --config {params.config:q} --maps {input.maps} --output {output} > {log} 2>&1"


rule co_cut_patches:
    """Cut one shard of a set's patches from the sphere, all maps with one set of interpolation weights."""
    input:
        code=code("co_cut_patches.py"),
        maps=f"{CO_R}/maps.nc",
        tiles=f"{CO_SET}/tiles.csv",
    output:
        temp(f"{CO_SET}/shards/{{shard}}.nc"),
    log:
        f"{CO_LOG}/co_cut_patches/{{set}}_{{shard}}.log",
    benchmark:
        f"{CO_BENCHMARK}/co_cut_patches/{{set}}_{{shard}}.tsv"
    conda:
        ENV
    resources:
        runtime=growing(60),
        mem_mb=growing(8000),
    params:
        config=lambda w: as_json(
            tiles=CO["tiles"],
            set=keys_of_set("co", w.set, "line", "views", "shift_deg"),
            complexes=[*CO["split"]["complexes"]],
            block_deg=CO["split"]["block_deg"],
        ),
        shards=CO["shards"],
    shell:
        f"{PYTHON} "
        "{input.code[0]} --config {params.config:q} --maps {input.maps} --tiles {input.tiles}"
        " --shard {wildcards.shard} --shards {params.shards} --output {output} > {log} 2>&1"


rule co_merge_patches:
    """Join a set's shards and fit its normalisation on the training split."""
    input:
        code=code("co_merge_patches.py"),
        shards=expand(f"{CO_SET}/shards/{{shard}}.nc", shard=range(CO["shards"]), allow_missing=True),
    output:
        ensure(f"{CO_SET}/patches.nc", non_empty=True),
    log:
        f"{CO_LOG}/co_merge_patches/{{set}}.log",
    conda:
        ENV
    resources:
        runtime=growing(30),
        mem_mb=growing(8000),
    shell:
        f"{PYTHON} " "{input.code[0]} --shards {input.shards} --output {output} > {log} 2>&1"


rule co_denoise_patches:
    """Denoise the CO patches of a set; they train, they never score."""
    input:
        code=code("co_denoise_patches.py"),
        patches=f"{CO_SET}/patches.nc",
    output:
        ensure(f"{CO_SET}/denoised.nc", non_empty=True),
    log:
        f"{CO_LOG}/co_denoise_patches/{{set}}.log",
    benchmark:
        f"{CO_BENCHMARK}/co_denoise_patches/{{set}}.tsv"
    conda:
        ENV
    resources:
        runtime=growing(120),
        mem_mb=growing(8000),
    params:
        config=lambda w: as_json(method=CO["sets"][w.set]["denoiser"], **CO["denoisers"][CO["sets"][w.set]["denoiser"]]),
    shell:
        f"{PYTHON} "
        "{input.code[0]} --config {params.config:q} --patches {input.patches} --output {output} > {log} 2>&1"


rule co_plot_selection:
    """The sky with the tiles of a set, coloured by split, over the signal-to-noise of CO."""
    input:
        code=code("co_plot_selection.py"),
        maps=f"{CO_R}/maps.nc",
        tiles=f"{CO_SET}/tiles.csv",
    output:
        png=report(
            f"{CO_R}/figures/selection_{{set}}.png",
            category="co",
            labels={"result": "selection of tiles", "set": "{set}"},
            caption="../report/co/selection.rst",
        ),
        pdf=f"{CO_R}/figures/selection_{{set}}.pdf",
    log:
        f"{CO_LOG}/co_plot_selection/{{set}}.log",
    conda:
        ENV
    resources:
        runtime=growing(15),
        mem_mb=growing(8000),
    params:
        config=lambda w: as_json(
            snr=CO["tiles"]["snr_threshold"], line=CO["sets"][w.set]["line"], size_deg=CO["tiles"]["size_deg"]
        ),
    shell:
        f"{PYTHON} "
        "{input.code[0]} --config {params.config:q} --maps {input.maps} --tiles {input.tiles}"
        " --output {output.png} > {log} 2>&1"


rule co_plot_panels:
    """Dust, HI, CO, denoised CO, every model and its residual on test tiles."""
    input:
        code=code("co_plot_panels.py"),
        patches=f"{CO_SET}/patches.nc",
        denoised=lambda w: denoised_of("co", w.set),
        predictions=lambda w: one_seed_of("co", w.set, f"{TEST}/predictions.nc"),
    output:
        png=report(
            f"{CO_R}/figures/panels_{{set}}.png",
            category="co",
            labels={"result": "predicted and observed CO", "set": "{set}"},
            caption="../report/co/panels.rst",
        ),
        pdf=f"{CO_R}/figures/panels_{{set}}.pdf",
    log:
        f"{CO_LOG}/co_plot_panels/{{set}}.log",
    conda:
        ENV
    resources:
        runtime=growing(15),
        mem_mb=growing(8000),
    params:
        config=as_json(tiles=CO["panels"]["tiles"], bright_fraction=CO["tiles"]["bright_fraction"]),
        denoised=lambda w, input: f"--denoised {input.denoised}" if input.denoised else "",
    shell:
        f"{PYTHON} "
        "{input.code[0]} --config {params.config:q} --patches {input.patches} {params.denoised}"
        " --predictions {input.predictions} --output {output.png} > {log} 2>&1"


rule co_plot_spectra:
    """Correlation with the observed CO and ratio of power against multipole, one line a model of a set."""
    input:
        code=code("co_plot_spectra.py"),
        curves=lambda w: all_seeds_of("co", w.set, f"{TEST}/curves.nc"),
        published=f"{CONFIG}/co/published.yaml",
    output:
        png=report(
            f"{CO_R}/figures/spectra_{{set}}.png",
            category="co",
            labels={"result": "correlation and power against scale", "set": "{set}"},
            caption="../report/co/spectra.rst",
        ),
        pdf=f"{CO_R}/figures/spectra_{{set}}.pdf",
    log:
        f"{CO_LOG}/co_plot_spectra/{{set}}.log",
    conda:
        ENV
    resources:
        runtime=growing(15),
        mem_mb=growing(4000),
    params:
        config=as_json(subset="bright", highlight=CO["comparison"]["highlight"]),
    shell:
        f"{PYTHON} "
        "{input.code[0]} --config {params.config:q} --curves {input.curves} --published {input.published}"
        " --output {output.png} > {log} 2>&1"


rule co_plot_scores:
    """One figure of the scores of a set's models: morphology, distribution, latitude, calibration, all in one plane."""
    input:
        code=code("co_plot_scores.py"),
        curves=lambda w: all_seeds_of("co", w.set, f"{TEST}/curves.nc"),
        published=f"{CONFIG}/co/published.yaml",
    output:
        png=report(
            f"{CO_R}/figures/{{figure}}_{{set}}.png",
            category="co",
            labels={"result": "scores: {figure}", "set": "{set}"},
            caption="../report/co/scores.rst",
        ),
        pdf=f"{CO_R}/figures/{{figure}}_{{set}}.pdf",
    log:
        f"{CO_LOG}/co_plot_scores/{{figure}}_{{set}}.log",
    wildcard_constraints:
        figure="|".join(CO_SCORES),
    conda:
        ENV
    resources:
        runtime=growing(15),
        mem_mb=growing(4000),
    params:
        config=as_json(subset="bright", highlight=CO["comparison"]["highlight"]),
    shell:
        f"{PYTHON} "
        "{input.code[0]} --figure {wildcards.figure} --config {params.config:q} --curves {input.curves}"
        " --published {input.published} --output {output.png} > {log} 2>&1"


rule co_compare_second_map:
    """Score a set's predictions against a second CO map beside the first: Type 2 contains dust leakage."""
    input:
        code=code("co_compare_second_map.py"),
        second=ancient(CO["second_map"]["path"]) if CO["second_map"] else [],
        maps=f"{CO_R}/maps.nc",
        patches=f"{CO_SET}/patches.nc",
        predictions=lambda w: one_seed_of("co", w.set, f"{TEST}/predictions.nc"),
    output:
        report(
            f"{CO_R}/second_map_{{set}}.csv",
            category="co",
            labels={"result": "scores against a second CO map", "set": "{set}"},
            caption="../report/co/second_map.rst",
        ),
    log:
        f"{CO_LOG}/co_compare_second_map/{{set}}.log",
    benchmark:
        f"{CO_BENCHMARK}/co_compare_second_map/{{set}}.tsv"
    conda:
        ENV
    threads: 4
    resources:
        runtime=growing(60),
        mem_mb=growing(12000),
    params:
        config=as_json(second_map=CO["second_map"], evaluate=CO["evaluate"]),
    shell:
        f"{PYTHON} "
        "{input.code[0]} --config {params.config:q} --second-map {input.second} --maps {input.maps}"
        " --patches {input.patches} --predictions {input.predictions} --output {output} > {log} 2>&1"
