# CO emission of molecular clouds from N(HI) and 857 GHz dust: the study's rules in the order in which its data flows.
include: "co_names.smk"


localrules:
    co,


rule co:
    """Everything of the CO study: tables and figures."""
    input:
        f"{CO_R}/comparison.csv",
        f"{CO_R}/training.csv",
        [f"{CO_R}/figures/history.png"] * bool(of_all_networks("co", MODEL)),
        [f"{CO_R}/figures/saturation.png"]
        * (set(CO["saturation"].values()) <= set(CO["run_models"])),
        expand(
            f"{CO_R}/figures/latent_{{model}}.png",
            model=[m for m in CO["latent"] if m in CO["run_models"]],
        ),
        expand(
            f"{CO_R}/figures/{{figure}}_{{set}}.png",
            figure=["spectra", *CO_SCORES],
            set=sets_of("co"),
        ),
        expand(
            f"{CO_R}/figures/{{figure}}_{{set}}.png",
            figure=["panels", "selection"],
            set=sets_of("co"),
        ),
        expand(f"{CO_R}/second_map_{{set}}.csv", set=CO_SECOND_SETS),
        [f"{CO_R}/raw/anchors.csv"] * (CO["train"]["source"] == "simulated"),
        [f"{CO_R}/figures/steganography.png"] * bool(CO_CYCLEGANS),
        [f"{CO_R}/ablations.csv"] * bool(CO_ABLATIONS),
        [f"{CO_R}/patch_counts.csv", f"{CO_R}/figures/denoisers.png"] * bool(CO_LINES),
        expand(f"{CO_R}/denoised/co{{line}}_scores.csv", line=CO_LINES),
        expand(
            [CO_PRODUCT, f"{CO_R}/products/{{product}}_footprints.csv"], product=CO["run_products"]
        ),
        expand(f"{CO_R}/figures/product_{{product}}_sky.png", product=CO["run_products"]),


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


rule co_denoise_sphere:
    """Denoise a CO map on the sphere near bright CO, with parameters cross-validated on its null
    map.
    """
    input:
        code=code("co_denoise_sphere.py"),
        maps=f"{CO_R}/maps.nc",
    output:
        map=ensure(CO_DENOISED, non_empty=True),
        scores=report(
            f"{CO_R}/denoised/co{{line}}_scores.csv",
            category="co",
            labels={"result": "choice of the denoiser", "line": "{line}"},
            caption="../report/co/denoiser_scores.rst",
        ),
    log:
        f"{CO_LOG}/co_denoise_sphere/{{line}}.log",
    benchmark:
        f"{CO_BENCHMARK}/co_denoise_sphere/{{line}}.tsv"
    wildcard_constraints:
        line="10|21",
    conda:
        ENV
    threads: 4
    resources:
        runtime=growing(120),
        mem_mb=growing(16000),
    params:
        config=lambda w: as_json(
            line=w.line,
            nlm_sphere=CO["denoisers"]["nlm_sphere"],
            split=CO_SPLIT,
            snr=CO["tiles"]["snr_threshold"],
        ),
    shell:
        f"{PYTHON} "
        "{input.code[0]} --config {params.config:q} --maps {input.maps}"
        " --output {output.map} --scores {output.scores} > {log} 2>&1"


rule co_compare_denoisers:
    """Denoisers on a sky whose truth is known, with white and with beam-correlated noise."""
    input:
        code=code("co_compare_denoisers.py"),
    output:
        csv=report(
            f"{CO_R}/denoisers.csv",
            category="co",
            labels={"result": "denoisers compared, table"},
            caption="../report/co/denoisers.rst",
        ),
        png=report(
            f"{CO_R}/figures/denoisers.png",
            category="co",
            labels={"result": "denoisers compared"},
            caption="../report/co/denoisers.rst",
        ),
        pdf=f"{CO_R}/figures/denoisers.pdf",
    log:
        f"{CO_LOG}/co_compare_denoisers.log",
    benchmark:
        f"{CO_BENCHMARK}/co_compare_denoisers.tsv"
    conda:
        ENV
    threads: 2
    resources:
        runtime=growing(30),
        mem_mb=growing(8000),
    params:
        config=as_json(
            compare_denoisers=CO["compare_denoisers"],
            denoisers=CO["denoisers"],
            pixels=CO["tiles"]["pixels"],
        ),
    shell:
        f"{PYTHON} "
        "{input.code[0]} --config {params.config:q} --output {output.csv} --figure {output.png} > {log} 2>&1"


rule co_count_patches:
    """Bright tiles by the signal-to-noise before and after denoising, beside the published numbers
    of patches.
    """
    input:
        code=code("co_count_patches.py"),
        maps=f"{CO_R}/maps.nc",
        denoised=expand(CO_DENOISED, line=CO_LINES),
        published=f"{CONFIG}/co/published.yaml",
    output:
        report(
            f"{CO_R}/patch_counts.csv",
            category="co",
            labels={"result": "patches before and after denoising"},
            caption="../report/co/patch_counts.rst",
        ),
    log:
        f"{CO_LOG}/co_count_patches.log",
    conda:
        ENV
    resources:
        runtime=growing(30),
        mem_mb=growing(8000),
    params:
        config=as_json(lines=CO_LINES, tiles=CO["tiles"], split=CO_SPLIT),
    shell:
        f"{PYTHON} "
        "{input.code[0]} --config {params.config:q} --maps {input.maps} --denoised {input.denoised}"
        " --published {input.published} --output {output} > {log} 2>&1"


rule co_select_tiles:
    """Choose the tiles of a set, and the split of each by its place on the sky."""
    input:
        code=code("co_select_tiles.py"),
        maps=co_snr_map,
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
            split=CO_SPLIT,
            set=keys_of_set("co", w.set, "line", "selection", "faint_share", "shift_deg"),
        ),
    shell:
        f"{PYTHON} "
        "{input.code[0]} --config {params.config:q} --maps {input.maps} --output {output} > {log} 2>&1"


rule co_cut_patches:
    """Cut one shard of a set's patches from the sphere, all maps with one set of interpolation
    weights.
    """
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
            complexes=[*CO_SPLIT["complexes"]],
            block_deg=CO_SPLIT["block_deg"],
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
        shards=expand(
            f"{CO_SET}/shards/{{shard}}.nc", shard=range(CO["shards"]), allow_missing=True
        ),
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
        unpack(co_denoiser),
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
        config=lambda w: as_json(
            method=CO["sets"][w.set]["denoiser"],
            **(
                CO["denoisers"]["nlm_patch"]
                if CO["sets"][w.set]["denoiser"] == "nlm_patch"
                else {}
            ),
        ),
        sphere=lambda w, input: " ".join(
            f"--{key.replace('_', '-')} {input[key]}" for key in co_denoiser(w)
        ),
    shell:
        f"{PYTHON} "
        "{input.code[0]} --config {params.config:q} --patches {input.patches} {params.sphere} --output {output} > {log} 2>&1"


include: "co_results.smk"
include: "co_products.smk"
