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
CO_DENOISED = f"{CO_R}/denoised/co{{line}}_nlm_sphere.nc"
CO_LINES = sorted({entry["line"] for entry in CO["sets"].values()})
CO_SOURCE = f"{CO_R}/raw" if CO["train"]["source"] == "simulated" else f"{RESOURCES}/raw/co"
CO_RAW = {name: f"{CO_SOURCE}/{file}" for name, file in CO_RAW_FILES.items()}


def co_snr_map(w):
    """The map whose signal-to-noise chooses the tiles of a set; both have the same names for it."""
    entry = CO["sets"][w.set]
    return CO_DENOISED.format(line=entry["line"]) if entry["snr_from"] == "denoised" else f"{CO_R}/maps.nc"


def co_denoiser(w):
    """What a set's denoiser reads beside the patches: from the sphere, its map and what the patches were cut from."""
    entry = CO["sets"][w.set]
    if entry["denoiser"] != "nlm_sphere":
        return {}
    return {"maps": f"{CO_R}/maps.nc", "denoised_map": CO_DENOISED.format(line=entry["line"])}


localrules:
    co,


rule co:
    """Everything of the CO study: tables and figures."""
    input:
        f"{CO_R}/comparison.csv",
        f"{CO_R}/training.csv",
        [f"{CO_R}/figures/history.png"] * bool(of_all_networks("co", MODEL)),
        f"{CO_R}/figures/spectra.png",
        expand(f"{CO_R}/figures/{{figure}}_{{set}}.png", figure=["panels", "selection"], set=sets_of("co")),
        [f"{CO_R}/raw/anchors.csv"] * (CO["train"]["source"] == "simulated"),
        f"{CO_R}/patch_counts.csv",
        f"{CO_R}/figures/denoisers.png",
        expand(f"{CO_R}/denoised/co{{line}}_scores.csv", line=CO_LINES),


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
    """Denoise a CO map on the sphere near bright CO, with parameters cross-validated on its null map."""
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
            split=CO["split"],
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
            compare_denoisers=CO["compare_denoisers"], denoisers=CO["denoisers"], pixels=CO["tiles"]["pixels"]
        ),
    shell:
        f"{PYTHON} "
        "{input.code[0]} --config {params.config:q} --output {output.csv} --figure {output.png} > {log} 2>&1"


rule co_count_patches:
    """Bright tiles by the signal-to-noise before and after denoising, beside the published numbers of patches."""
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
        config=as_json(lines=CO_LINES, tiles=CO["tiles"], split=CO["split"]),
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
            **(CO["denoisers"]["nlm_patch"] if CO["sets"][w.set]["denoiser"] == "nlm_patch" else {}),
        ),
        sphere=lambda w, input: " ".join(f"--{key.replace('_', '-')} {input[key]}" for key in co_denoiser(w)),
    shell:
        f"{PYTHON} "
        "{input.code[0]} --config {params.config:q} --patches {input.patches} {params.sphere} --output {output} > {log} 2>&1"


rule co_plot_selection:
    """The sky with the tiles of a set, coloured by split, over the signal-to-noise of CO."""
    input:
        code=code("co_plot_selection.py"),
        maps=co_snr_map,
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
    """Correlation with the observed CO and ratio of power against multipole, one line a model."""
    input:
        code=code("co_plot_spectra.py"),
        curves=of_all_models("co", f"{TEST}/curves.nc"),
        published=f"{CONFIG}/co/published.yaml",
    output:
        png=report(
            f"{CO_R}/figures/spectra.png",
            category="co",
            labels={"result": "correlation and power against scale"},
            caption="../report/co/spectra.rst",
        ),
        pdf=f"{CO_R}/figures/spectra.pdf",
    log:
        f"{CO_LOG}/co_plot_spectra.log",
    conda:
        ENV
    resources:
        runtime=growing(15),
        mem_mb=growing(4000),
    params:
        config=as_json(subset="bright"),
    shell:
        f"{PYTHON} "
        "{input.code[0]} --config {params.config:q} --curves {input.curves} --published {input.published}"
        " --output {output.png} > {log} 2>&1"
