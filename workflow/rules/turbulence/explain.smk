# Why models of the turbulence study answer what they answer: pixels, waves, phases, neighbours.


rule turbulence_explain_model:
    """Attributions of a network, and any model's accuracy without bands of waves, phases or
    amplitudes.
    """
    input:
        code=lambda w: turbulence.code("turbulence_explain_model.py", w.model),
        patches=lambda w: turbulence.training_set(w.model),
        checkpoint=lambda w: turbulence.checkpoints([w.model], first=True),
    output:
        turbulence.path("explain/{model}.nc"),
    log:
        turbulence.log("turbulence_explain_model", "{model}"),
    benchmark:
        turbulence.benchmark("turbulence_explain_model", "{model}")
    wildcard_constraints:
        model="|".join(turbulence.explained()) or "(?!)",
    conda:
        ENV
    resources:
        runtime=growing(120),
        mem_mb=growing(8000),
    params:
        config=lambda w: as_json(
            entry=turbulence.science(w.model),
            explain=pick(turbulence["explain"], "images", "steps", "bands", "tested", "seed"),
            draws=turbulence["evaluate"]["draws"],
            grid=turbulence.grid(turbulence.entry(w.model)["set"]),
        ),
    message:
        "turbulence: explaining {wildcards.model}"
    shell:
        "python3 {input.code[0]:q} --model {wildcards.model} --config {params.config:q}"
        " --patches {input.patches:q}"
        " --checkpoint {input.checkpoint:q} --output {output:q} > {log:q} 2>&1"


rule turbulence_embed_images:
    """Test images of a set in a plane, by histograms of gradients and by a network's last layer."""
    input:
        code=lambda w: turbulence.code("turbulence_embed_images.py", turbulence.embedded(w.set)),
        patches=turbulence.patches("{set}"),
        checkpoint=lambda w: turbulence.checkpoints([turbulence.embedded(w.set)], first=True),
    output:
        turbulence.path("explain/embedding_{set}.nc"),
    log:
        turbulence.log("turbulence_embed_images", "{set}"),
    conda:
        ENV
    resources:
        runtime=growing(60),
        mem_mb=growing(8000),
    params:
        model=lambda w: turbulence.embedded(w.set),
        config=lambda w: as_json(
            entry=turbulence.science(turbulence.embedded(w.set)),
            embedding=turbulence["explain"]["embedding"],
            seed=turbulence["explain"]["seed"],
        ),
    message:
        "turbulence: embedding the images of set {wildcards.set}"
    shell:
        "python3 {input.code[0]:q} --model {params.model} --config {params.config:q}"
        " --patches {input.patches:q}"
        " --checkpoint {input.checkpoint:q} --output {output:q} > {log:q} 2>&1"


rule turbulence_plot_explanation:
    """Maps of pixels or scores by wave number of a model, controls or embedding of a set."""
    input:
        code=code("turbulence_plot_explanation.py"),
        explanations=lambda w: turbulence.explanations(w.figure, w.of),
    output:
        png=report(
            turbulence.path("figures/{figure}_{of}.png"),
            category=turbulence.title,
            subcategory="4 Why",
            labels=turbulence.titled(turbulence.explanation_figures),
            caption="../../report/turbulence/explanation.rst",
        ),
        pdf=turbulence.path("figures/{figure}_{of}.pdf"),
    log:
        turbulence.log("turbulence_plot_explanation", "{figure}_{of}"),
    wildcard_constraints:
        figure="|".join(turbulence.explanation_figures),
        of=NAME,
    conda:
        ENV
    resources:
        runtime=growing(15),
        mem_mb=growing(2000),
    params:
        config=as_json(
            models=turbulence.looks_across_sets(turbulence.explained()),
            sets=turbulence.set_labels,
        ),
    message:
        "turbulence: plotting {wildcards.figure} of {wildcards.of}"
    shell:
        "python3 {input.code[0]:q} --figure {wildcards.figure} --config {params.config:q}"
        " --explanations {input.explanations:q} --output {output.png:q}"
        " > {log:q} 2>&1"
