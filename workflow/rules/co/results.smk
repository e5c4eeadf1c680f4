# What the CO study shows of its tiles and models: figures and tables.


rule co_plot_selection:
    """The sky with the tiles of a set, coloured by split, over the signal-to-noise of CO."""
    input:
        code=code("co_plot_selection.py"),
        maps=lambda w: co.snr_map(w.set),
        tiles=co.path("sets/{set}/tiles.csv"),
    output:
        png=report(
            co.path("figures/selection_{set}.png"),
            category=co.title,
            subcategory="5 Data and training",
            labels=co.titled("1 Places of the tiles"),
            caption="../../report/co/selection.rst",
        ),
        pdf=co.path("figures/selection_{set}.pdf"),
    log:
        co.log("co_plot_selection", "{set}"),
    conda:
        ENV
    resources:
        runtime=growing(15),
        mem_mb=growing(8000),
    params:
        config=lambda w: as_json(
            snr=co["tiles"]["snr_threshold"],
            line=co["sets"][w.set]["line"],
            size_deg=co["tiles"]["size_deg"],
        ),
    message:
        "co: plotting the tiles of set {wildcards.set}"
    shell:
        "python3 {input.code[0]:q} --config {params.config:q} --maps {input.maps:q}"
        " --tiles {input.tiles:q}"
        " --output {output.png:q} > {log:q} 2>&1"


rule co_plot_panels:
    """Test tiles: inputs, the chosen network and the best baseline; their residuals; all models."""
    input:
        code=code("co_plot_panels.py"),
        patches=co.patches("{set}"),
        denoised=lambda w: co.denoised(w.set),
        predictions=lambda w: co.tests("predictions.nc", co.models(w.set), first=True),
        comparison=co.path("comparison.csv"),
    output:
        png=report(
            co.path("figures/panels_{set}.png"),
            category=co.title,
            subcategory="2 Maps and images",
            labels=co.titled("1 Predicted and observed CO"),
            caption="../../report/co/panels.rst",
        ),
        residuals=report(
            co.path("figures/panels_residuals_{set}.png"),
            category=co.title,
            subcategory="2 Maps and images",
            labels=co.titled("1 Residuals on test tiles"),
            caption="../../report/co/panels_residuals.rst",
        ),
        all=report(
            co.path("figures/panels_all_{set}.png"),
            category=co.title,
            subcategory="2 Maps and images",
            labels=co.titled("6 Test tiles, all models"),
            caption="../../report/co/panels_all.rst",
        ),
        pdf=[
            co.path(f"figures/{name}_{{set}}.pdf")
            for name in ("panels", "panels_residuals", "panels_all")
        ],
    log:
        co.log("co_plot_panels", "{set}"),
    conda:
        ENV
    resources:
        runtime=growing(15),
        mem_mb=growing(8000),
    params:
        config=lambda w: as_json(
            tiles=co["panels"]["tiles"],
            bright_fraction=co["tiles"]["bright_fraction"],
            models=co.looks(co.models(w.set)),
            all=co["panels"]["models"],
        ),
        denoised=lambda w, input: option("--denoised", input.denoised),
    message:
        "co: plotting test tiles of set {wildcards.set}"
    shell:
        "python3 {input.code[0]:q} --config {params.config:q}"
        " --patches {input.patches:q} {params.denoised}"
        " --predictions {input.predictions:q} --comparison {input.comparison:q}"
        " --output {output.png:q} --output-residuals {output.residuals:q}"
        " --output-all {output.all:q} > {log:q} 2>&1"


rule co_plot_spectra:
    """Power, correlation with the observed CO and with dust, and ratio of power against multipole;
    all models in all bands.
    """
    input:
        code=code("co_plot_spectra.py"),
        curves=lambda w: co.tests("curves.nc", co.models(w.set)),
        comparison=co.path("comparison.csv"),
        published=f"{CONFIG}/co/published.yaml",
    output:
        png=report(
            co.path("figures/spectra_{set}.png"),
            category=co.title,
            subcategory="3 Scores",
            labels=co.titled("1 Correlation and power against scale"),
            caption="../../report/co/spectra.rst",
        ),
        full=report(
            co.path("figures/spectra_full_{set}.png"),
            category=co.title,
            subcategory="3 Scores",
            labels=co.titled("1 Correlation and power, all models and scales"),
            caption="../../report/co/spectra_full.rst",
        ),
        pdf=[co.path(f"figures/{name}_{{set}}.pdf") for name in ("spectra", "spectra_full")],
    log:
        co.log("co_plot_spectra", "{set}"),
    conda:
        ENV
    resources:
        runtime=growing(15),
        mem_mb=growing(4000),
    params:
        config=lambda w: as_json(subset="bright", models=co.looks(co.models(w.set))),
    message:
        "co: plotting spectra of set {wildcards.set}"
    shell:
        "python3 {input.code[0]:q} --config {params.config:q} --curves {input.curves:q}"
        " --comparison {input.comparison:q} --published {input.published:q}"
        " --output {output.png:q} --output-full {output.full:q} > {log:q} 2>&1"


rule co_plot_scores:
    """One figure of the scores of a set's models: morphology, distribution, latitude, calibration,
    all in one plane.
    """
    input:
        code=code("co_plot_scores.py"),
        curves=lambda w: co.tests("curves.nc", co.models(w.set)),
        comparison=co.path("comparison.csv"),
        published=f"{CONFIG}/co/published.yaml",
    output:
        png=report(
            co.path("figures/{figure}_{set}.png"),
            category=co.title,
            subcategory="3 Scores",
            labels=co.titled(co.score_figures),
            caption="../../report/co/scores.rst",
        ),
        pdf=co.path("figures/{figure}_{set}.pdf"),
    log:
        co.log("co_plot_scores", "{figure}_{set}"),
    wildcard_constraints:
        figure="|".join(co.score_figures),
    conda:
        ENV
    resources:
        runtime=growing(15),
        mem_mb=growing(4000),
    params:
        config=lambda w: as_json(subset="bright", models=co.looks(co.models(w.set))),
    message:
        "co: plotting {wildcards.figure} of set {wildcards.set}"
    shell:
        "python3 {input.code[0]:q} --figure {wildcards.figure} --config {params.config:q}"
        " --curves {input.curves:q} --comparison {input.comparison:q}"
        " --published {input.published:q} --output {output.png:q} > {log:q} 2>&1"


rule co_compare_second_map:
    """Score a set's predictions against a second CO map beside the first: Type 2 contains dust
    leakage.
    """
    input:
        code=code("co_compare_second_map.py"),
        second=ancient(co["second_map"]["path"]) if co["second_map"] else [],
        maps=co.path("maps.nc"),
        patches=co.patches("{set}"),
        predictions=lambda w: co.tests("predictions.nc", co.models(w.set), first=True),
    output:
        co.path("second_map_{set}.csv"),
    log:
        co.log("co_compare_second_map", "{set}"),
    benchmark:
        co.benchmark("co_compare_second_map", "{set}")
    conda:
        ENV
    threads: 4
    resources:
        runtime=growing(60),
        mem_mb=growing(12000),
    params:
        config=as_json(
            second_map=co["second_map"], co_to_cmb=co["co_to_cmb"], evaluate=co["evaluate"]
        ),
    message:
        "co: scoring set {wildcards.set} against the second CO map"
    shell:
        "python3 {input.code[0]:q} --config {params.config:q} --second-map {input.second:q}"
        " --maps {input.maps:q}"
        " --patches {input.patches:q} --predictions {input.predictions:q}"
        " --output {output:q} > {log:q} 2>&1"


rule co_test_steganography:
    """What a CycleGAN hides in its CO: the rise of the cycle's error with faint noise on the way
    back.
    """
    input:
        code=lambda w: co.code("co_test_steganography.py", w.model),
        data=lambda w: co.training_set(w.model),
        checkpoint=co.checkpoint("{model}", "{seed}"),
    output:
        co.test("{model}", "{seed}", "steganography.csv"),
    log:
        co.log("co_test_steganography", "{model}_seed{seed}"),
    conda:
        ENV
    threads: lambda w: co.prediction(w.model)["threads"]
    resources:
        **site.predicting(lambda w: co.prediction(w.model)),
    params:
        config=lambda w: as_json(
            entry=co.science(w.model),
            **pick(co["steganography"], "amplitudes", "tiles", "seed"),
        ),
    message:
        "co: testing what {wildcards.model} hides, seed {wildcards.seed}"
    shell:
        "python3 {input.code[0]:q} --config {params.config:q} --data {input.data:q}"
        " --checkpoint {input.checkpoint:q} --gpus {resources.gpu_slots}"
        " --output {output:q} > {log:q} 2>&1"


rule co_plot_steganography:
    """The rise of the cycle's error with noise, one line a CycleGAN."""
    input:
        code=code("co_plot_steganography.py"),
        scores=co.tests("steganography.csv", co.cyclegans),
        patches=[co.patches(co.entry(model)["set"]) for model in co.cyclegans[:1]],
    output:
        png=report(
            co.path("figures/steganography.png"),
            category=co.title,
            subcategory="4 Why",
            labels=co.titled("3 Signals that a CycleGAN hides"),
            caption="../../report/co/steganography.rst",
        ),
        pdf=co.path("figures/steganography.pdf"),
    log:
        co.log("co_plot_steganography"),
    conda:
        ENV
    resources:
        runtime=growing(15),
        mem_mb=growing(2000),
    params:
        config=as_json(models=co.looks(co.cyclegans)),
    message:
        "co: plotting what CycleGANs hide"
    shell:
        "python3 {input.code[0]:q} --config {params.config:q} --scores {input.scores:q}"
        " --patches {input.patches:q}"
        " --output {output.png:q} > {log:q} 2>&1"


rule co_measure_failures:
    """Failures of adversarial models, columns of the table of variants."""
    input:
        code=code("co_measure_failures.py"),
        patches=co.set_patches(co.variants),
        predictions=co.tests("predictions.nc", co.variants),
        hidden=co.tests("steganography.csv", [m for m in co.variants if m in co.cyclegans]),
    output:
        co.path("failures.csv"),
    log:
        co.log("co_measure_failures"),
    conda:
        ENV
    resources:
        runtime=growing(15),
        mem_mb=growing(8000),
    params:
        config=as_json(score_at=co["steganography"]["score_at"], evaluate=co["evaluate"]),
    message:
        "co: measuring the failures of adversarial models"
    shell:
        "python3 {input.code[0]:q} --config {params.config:q} --patches {input.patches:q}"
        " --predictions {input.predictions:q} --steganography {input.hidden:q}"
        " --output {output:q} > {log:q} 2>&1"


rule co_tabulate_bands:
    """Correlation and power of every model in each band within the beam."""
    input:
        code=code("co_tabulate_bands.py"),
        metrics=co.tests("metrics.json"),
        scores=co.tests("scores.nc"),
    output:
        co.path("bands.csv"),
    log:
        co.log("co_tabulate_bands"),
    conda:
        ENV
    resources:
        runtime=growing(10),
        mem_mb=growing(2000),
    params:
        config=as_json(**co.comparison("reference", "chosen_by")),
    message:
        "co: tabulating the bands"
    shell:
        "python3 {input.code[0]:q} --config {params.config:q} --metrics {input.metrics:q}"
        " --output {output:q} > {log:q} 2>&1"


rule co_plot_saturation:
    """Learning curves of the same network on raw and on denoised CO."""
    input:
        code=code("co_plot_saturation.py"),
        history=lambda w: co.trainings("history.csv", co["saturation"].values()),
        patches=lambda w: co.patches(co.entry(co["saturation"]["raw"])["set"]),
        words=co.words,
    output:
        png=report(
            co.path("figures/saturation.png"),
            category=co.title,
            subcategory="4 Why",
            labels=co.titled("4 Training on raw and on denoised CO"),
            caption="../../report/co/saturation.rst",
        ),
        pdf=co.path("figures/saturation.pdf"),
    log:
        co.log("co_plot_saturation"),
    conda:
        ENV
    resources:
        runtime=growing(10),
        mem_mb=growing(2000),
    params:
        config=lambda w: as_json(
            targets=co["saturation"], models=co.looks(co["saturation"].values())
        ),
    message:
        "co: plotting learning from raw and from denoised CO"
    shell:
        "python3 {input.code[0]:q} --config {params.config:q} --history {input.history:q}"
        " --words {input.words:q} --patches {input.patches:q}"
        " --output {output.png:q} > {log:q} 2>&1"


rule co_plot_latent:
    """The bottleneck features of a network against dust, N(HI), W(CO), latitude and complex."""
    input:
        code=lambda w: co.code("co_plot_latent.py", w.model),
        data=lambda w: co.training_set(w.model),
        checkpoint=lambda w: co.checkpoints([w.model], first=True),
    output:
        png=report(
            co.path("figures/latent_{model}.png"),
            category=co.title,
            subcategory="4 Why",
            labels=co.titled("2 Bottleneck features"),
            caption="../../report/co/latent.rst",
        ),
        pdf=co.path("figures/latent_{model}.pdf"),
        table=co.path("figures/latent_{model}.csv"),
    log:
        co.log("co_plot_latent", "{model}"),
    conda:
        ENV
    resources:
        runtime=growing(15),
        mem_mb=growing(8000),
    params:
        config=lambda w: as_json(entry=co.science(w.model), models=co.looks([w.model])),
    message:
        "co: plotting the latent space of {wildcards.model}"
    shell:
        "python3 {input.code[0]:q} --config {params.config:q} --data {input.data:q}"
        " --checkpoint {input.checkpoint:q}"
        " --output-table {output.table:q} --output {output.png:q} > {log:q} 2>&1"
