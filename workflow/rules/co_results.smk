# What the CO study shows of its tiles and models: figures and tables.


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
            snr=CO["tiles"]["snr_threshold"],
            line=CO["sets"][w.set]["line"],
            size_deg=CO["tiles"]["size_deg"],
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
        predictions=lambda w: one_seed_of(
            "co", w.set, f"{TEST}/predictions.nc", CO["panels"]["models"]
        ),
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
    """Correlation with the observed CO and ratio of power against multipole, one line a model of a
    set.
    """
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
    """One figure of the scores of a set's models: morphology, distribution, latitude, calibration,
    all in one plane.
    """
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
    """Score a set's predictions against a second CO map beside the first: Type 2 contains dust
    leakage.
    """
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
        config=as_json(
            second_map=CO["second_map"], co_to_cmb=CO["co_to_cmb"], evaluate=CO["evaluate"]
        ),
    shell:
        f"{PYTHON} "
        "{input.code[0]} --config {params.config:q} --second-map {input.second} --maps {input.maps}"
        " --patches {input.patches} --predictions {input.predictions} --output {output} > {log} 2>&1"


rule co_test_steganography:
    """What a CycleGAN hides in its CO: the rise of the cycle's error with faint noise on the way
    back.
    """
    input:
        code=model_code("co_test_steganography.py"),
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
            entry=science(model_entry(w)),
            **{k: CO["steganography"][k] for k in ("amplitudes", "tiles", "seed")},
        ),
    shell:
        f"{PYTHON} "
        "{input.code[0]} --config {params.config:q} --data {input.data} --checkpoint {input.checkpoint}"
        " --output {output} > {log} 2>&1"


rule co_plot_steganography:
    """The rise of the cycle's error with noise, one line a CycleGAN."""
    input:
        code=code("co_plot_steganography.py"),
        scores=of_models("co", CO_CYCLEGANS, f"{TEST}/steganography.csv"),
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
        metrics=of_models("co", CO_ABLATIONS, f"{TEST}/metrics.json"),
        predictions=of_models("co", CO_ABLATIONS, f"{TEST}/predictions.nc"),
        runs=of_models("co", CO_ABLATIONS, f"{MODEL}/run.json"),
        hidden=of_models(
            "co", [m for m in CO_ABLATIONS if m in CO_CYCLEGANS], f"{TEST}/steganography.csv"
        ),
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
                m: science(CO["models"][m])
                for m in {CO["ablations"]["base"], *CO_ABLATIONS}
                if m in CO["models"]
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
