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
        [f"{CO_R}/figures/saturation.png"] * (set(CO["saturation"].values()) <= set(CO["run_models"])),
        expand(f"{CO_R}/figures/latent_{{model}}.png", model=[m for m in CO["latent"] if m in CO["run_models"]]),
        expand(f"{CO_R}/figures/{{figure}}_{{set}}.png", figure=["spectra", *CO_SCORES], set=sets_of("co")),
        expand(f"{CO_R}/figures/{{figure}}_{{set}}.png", figure=["panels", "selection"], set=sets_of("co")),
        expand(f"{CO_R}/second_map_{{set}}.csv", set=CO_SECOND_SETS),
        [f"{CO_R}/raw/anchors.csv"] * (CO["train"]["source"] == "simulated"),
        [f"{CO_R}/figures/steganography.png"] * bool(CO_CYCLEGANS),
        [f"{CO_R}/ablations.csv"] * bool(CO_ABLATIONS),
        [f"{CO_R}/patch_counts.csv", f"{CO_R}/figures/denoisers.png"] * bool(CO_LINES),
        expand(f"{CO_R}/denoised/co{{line}}_scores.csv", line=CO_LINES),
        expand([CO_PRODUCT, f"{CO_R}/products/{{product}}_footprints.csv"], product=CO["run_products"]),
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
        predictions=lambda w: one_seed_of("co", w.set, f"{TEST}/predictions.nc", CO["panels"]["models"]),
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


rule co_predict_sky:
    """Predict the sky of a product with one model and seed, and blend its tiles on the sphere."""
    input:
        code=in_study("co", model_code("co_predict_sky.py")),
        maps=f"{CO_R}/maps.nc",
        checkpoint=f"{MODEL.format(study='co', model='{model}', seed='{seed}')}/best.ckpt",
    output:
        ensure(CO_SKY, non_empty=True),
    log:
        f"{CO_LOG}/co_predict_sky/{{product}}_{{model}}_seed{{seed}}.log",
    benchmark:
        f"{CO_BENCHMARK}/co_predict_sky/{{product}}_{{model}}_seed{{seed}}.tsv"
    conda:
        ENV
    threads: lambda w: CO["products"][w.product]["threads"]
    resources:
        gres=lambda w: f"gpu:{CO['products'][w.product]['gpus']}" if CO["products"][w.product]["gpus"] else "",
        gpu_slots=lambda w: CO["products"][w.product]["gpus"],
        runtime=lambda w, attempt: CO["products"][w.product]["runtime"] * 2 ** (attempt - 1),
        mem_mb=lambda w, attempt: (6000 + 250 * CO["products"][w.product]["samples"]) * 2 ** (attempt - 1),
    params:
        config=lambda w: as_json(
            entry=science(CO["models"][w.model]),
            line=co_line_of(w),
            tiles={key: CO["tiles"][key] for key in ("size_deg", "pixels")},
            product={key: CO["products"][w.product][key] for key in ("area", "tile_nside", "samples", "seed")},
            bands={key: CO["evaluate"][key] for key in ("l_first", "l_width", "l_count", "taper_deg")},
        ),
    shell:
        f"{PYTHON} "
        "{input.code[0]} --model {wildcards.model} --seed {wildcards.seed} --config {params.config:q}"
        " --maps {input.maps} --checkpoint {input.checkpoint} --output {output} > {log} 2>&1"


rule co_write_product:
    """Join the seeds and lines of a product; uncertainty, mask, provenance; a template for PySM."""
    input:
        code=code("co_write_product.py"),
        maps=f"{CO_R}/maps.nc",
        skies=lambda w: co_skies(w.product),
        tiles=lambda w: expand(f"{CO_SET}/tiles.csv", set=co_sets_of(w.product).values()),
    output:
        product=ensure(CO_PRODUCT, non_empty=True),
        pysm=f"{CO_R}/products/{{product}}_pysm.fits",
    log:
        f"{CO_LOG}/co_write_product/{{product}}.log",
    conda:
        ENV
    resources:
        runtime=growing(60),
        mem_mb=growing(16000),
    params:
        config=lambda w: as_json(
            name=w.product,
            product={key: CO["products"][w.product][key] for key in ("area", "tile_nside")},
            cnv=CO["co_to_cmb"],
            tiles={key: CO["tiles"][key] for key in ("size_deg", "snr_threshold", "seed")},
            sets={l: keys_of_set("co", name, "views", "shift_deg") for l, name in co_sets_of(w.product).items()},
        ),
    shell:
        f"{PYTHON} "
        "{input.code[0]} --config {params.config:q} --maps {input.maps} --skies {input.skies} --tiles {input.tiles}"
        " --output {output.product} --output-pysm {output.pysm} > {log} 2>&1"


rule co_tabulate_footprints:
    """What a product predicts where ground-based CMB telescopes observe."""
    input:
        code=code("co_tabulate_footprints.py"),
        maps=f"{CO_R}/maps.nc",
        product=CO_PRODUCT,
    output:
        report(
            f"{CO_R}/products/{{product}}_footprints.csv",
            category="co",
            labels={"result": "CO in the footprints of CMB surveys", "product": "{product}"},
            caption="../report/co/footprints.rst",
        ),
    log:
        f"{CO_LOG}/co_tabulate_footprints/{{product}}.log",
    conda:
        ENV
    resources:
        runtime=growing(30),
        mem_mb=growing(12000),
    params:
        config=json.dumps(CO["footprints"], sort_keys=True),
    shell:
        f"{PYTHON} "
        "{input.code[0]} --config {params.config:q} --maps {input.maps} --product {input.product}"
        " --output {output} > {log} 2>&1"


rule co_plot_product:
    """A product's whole sky, views at high latitude, angular power."""
    input:
        code=code("co_plot_product.py"),
        maps=f"{CO_R}/maps.nc",
        product=CO_PRODUCT,
        skies=lambda w: co_skies(w.product, first=True),
    output:
        sky=report(
            f"{CO_R}/figures/product_{{product}}_sky.png",
            category="co",
            labels={"result": "predicted sky", "product": "{product}"},
            caption="../report/co/product_sky.rst",
        ),
        zooms=report(
            f"{CO_R}/figures/product_{{product}}_zooms.png",
            category="co",
            labels={"result": "predicted CO at high latitude", "product": "{product}"},
            caption="../report/co/product_zooms.rst",
        ),
        power=report(
            f"{CO_R}/figures/product_{{product}}_power.png",
            category="co",
            labels={"result": "angular power of the product", "product": "{product}"},
            caption="../report/co/product_power.rst",
        ),
        pdf=[f"{CO_R}/figures/product_{{product}}_{part}.pdf" for part in ("sky", "zooms", "power")],
    log:
        f"{CO_LOG}/co_plot_product/{{product}}.log",
    conda:
        ENV
    resources:
        runtime=growing(60),
        mem_mb=growing(12000),
    params:
        config=lambda w: as_json(area=CO["products"][w.product]["area"], **CO["product_figures"]),
    shell:
        f"{PYTHON} "
        "{input.code[0]} --config {params.config:q} --maps {input.maps} --product {input.product}"
        " --skies {input.skies} --output-sky {output.sky} --output-zooms {output.zooms}"
        " --output-power {output.power} > {log} 2>&1"


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
        config=as_json(second_map=CO["second_map"], co_to_cmb=CO["co_to_cmb"], evaluate=CO["evaluate"]),
    shell:
        f"{PYTHON} "
        "{input.code[0]} --config {params.config:q} --second-map {input.second} --maps {input.maps}"
        " --patches {input.patches} --predictions {input.predictions} --output {output} > {log} 2>&1"


rule co_test_steganography:
    """What a CycleGAN hides in its CO: the rise of the cycle's error with faint noise on the way back."""
    input:
        code=code("co_test_steganography.py"),
        data=training_set,
        checkpoint=f"{MODEL}/best.ckpt",
    output:
        f"{TEST}/steganography.csv",
    log:
        f"{LOG}/co_test_steganography/{{model}}_seed{{seed}}.log",
    wildcard_constraints:
        study="co",
    conda:
        ENV
    threads: 2
    resources:
        runtime=growing(60),
        mem_mb=growing(8000),
    params:
        config=lambda w: as_json(
            entry=science(model_entry(w)), **{k: CO["steganography"][k] for k in ("amplitudes", "tiles", "seed")}
        ),
    shell:
        f"{PYTHON} "
        "{input.code[0]} --config {params.config:q} --data {input.data} --checkpoint {input.checkpoint}"
        " --output {output} > {log} 2>&1"


rule co_plot_steganography:
    """The rise of the cycle's error with noise, one line a CycleGAN."""
    input:
        code=code("co_plot_steganography.py"),
        scores=co_of_models(CO_CYCLEGANS, f"{TEST}/steganography.csv"),
        patches=[patches_of("co", CO["models"][m]["set"]) for m in CO_CYCLEGANS[:1]],
    output:
        png=report(
            f"{CO_R}/figures/steganography.png",
            category="co",
            labels={"result": "what the cycle hides"},
            caption="../report/co/steganography.rst",
        ),
        pdf=f"{CO_R}/figures/steganography.pdf",
    log:
        f"{CO_LOG}/co_plot_steganography.log",
    conda:
        ENV
    resources:
        runtime=growing(15),
        mem_mb=growing(2000),
    shell:
        f"{PYTHON} "
        "{input.code[0]} --scores {input.scores} --patches {input.patches} --output {output.png} > {log} 2>&1"


rule co_tabulate_ablations:
    """What each choice of the adversarial models is worth: a row a named model and seed."""
    input:
        code=code("co_tabulate_ablations.py"),
        patches=sorted({patches_of("co", CO["models"][m]["set"]) for m in CO_ABLATIONS}),
        metrics=co_of_models(CO_ABLATIONS, f"{TEST}/metrics.json"),
        predictions=co_of_models(CO_ABLATIONS, f"{TEST}/predictions.nc"),
        runs=co_of_models(CO_ABLATIONS, f"{MODEL}/run.json"),
        hidden=co_of_models([m for m in CO_ABLATIONS if m in CO_CYCLEGANS], f"{TEST}/steganography.csv"),
    output:
        report(
            f"{CO_R}/ablations.csv",
            category="co",
            labels={"result": "ablations"},
            caption="../report/co/ablations.rst",
        ),
    log:
        f"{CO_LOG}/co_tabulate_ablations.log",
    conda:
        ENV
    resources:
        runtime=growing(15),
        mem_mb=growing(8000),
    params:
        config=as_json(
            base=CO_BASE,
            entries={
                m: science(CO["models"][m]) for m in {CO["ablations"]["base"], *CO_ABLATIONS} if m in CO["models"]
            },
            score_at=CO["steganography"]["score_at"],
            evaluate=CO["evaluate"],
        ),
    shell:
        f"{PYTHON} "
        "{input.code[0]} --config {params.config:q} --patches {input.patches} --tests {input.metrics}"
        " --runs {input.runs} --steganography {input.hidden} --output {output} > {log} 2>&1"


rule co_plot_saturation:
    """Learning curves of the same network on raw and on denoised CO."""
    input:
        code=code("co_plot_saturation.py"),
        history=lambda w: [
            f
            for m in CO["saturation"].values()
            for f in expand(f"{MODEL}/history.csv", study="co", model=m, seed=seeds("co", m))
        ],
        patches=lambda w: patches_of("co", CO["models"][CO["saturation"]["raw"]]["set"]),
    output:
        png=report(
            f"{CO_R}/figures/saturation.png",
            category="co",
            labels={"result": "learning from raw and from denoised CO"},
            caption="../report/co/saturation.rst",
        ),
        pdf=f"{CO_R}/figures/saturation.pdf",
    log:
        f"{CO_LOG}/co_plot_saturation.log",
    conda:
        ENV
    resources:
        runtime=growing(10),
        mem_mb=growing(2000),
    params:
        config=as_json(**CO["saturation"]),
    shell:
        f"{PYTHON} "
        "{input.code[0]} --config {params.config:q} --history {input.history} --patches {input.patches}"
        " --output {output.png} > {log} 2>&1"


rule co_plot_latent:
    """The bottleneck features of a network against dust, N(HI), W(CO), latitude and complex."""
    input:
        code=in_study("co", model_code("co_plot_latent.py")),
        data=in_study("co", training_set),
        checkpoint=lambda w: f"{CO_R}/models/{w.model}/seed{seeds('co', w.model)[0]}/best.ckpt",
    output:
        png=report(
            f"{CO_R}/figures/latent_{{model}}.png",
            category="co",
            labels={"result": "latent space", "model": "{model}"},
            caption="../report/co/latent.rst",
        ),
        pdf=f"{CO_R}/figures/latent_{{model}}.pdf",
        table=report(
            f"{CO_R}/figures/latent_{{model}}.csv",
            category="co",
            labels={"result": "latent space, table", "model": "{model}"},
        ),
    log:
        f"{CO_LOG}/co_plot_latent/{{model}}.log",
    conda:
        ENV
    resources:
        runtime=growing(15),
        mem_mb=growing(8000),
    params:
        config=lambda w: as_json(entry=science(CO["models"][w.model])),
    shell:
        f"{PYTHON} "
        "{input.code[0]} --config {params.config:q} --data {input.data} --checkpoint {input.checkpoint}"
        " --output-table {output.table} --output {output.png} > {log} 2>&1"
