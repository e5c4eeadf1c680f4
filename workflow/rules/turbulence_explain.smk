# Why models of the turbulence study answer what they answer: pixels, waves, phases, neighbours.


rule turbulence_explain_model:
    """Attributions of a network, and any model's accuracy without bands of waves, phases or
    amplitudes.
    """
    input:
        code=in_study("turbulence", model_code("turbulence_explain_model.py")),
        patches=turbulence_own_patches,
        checkpoint=lambda w: of_models("turbulence", [w.model], f"{MODEL}/best.ckpt", first=True),
    output:
        f"{TURBULENCE_R}/explain/{{model}}.nc",
    log:
        f"{TURBULENCE_LOG}/turbulence_explain_model/{{model}}.log",
    benchmark:
        f"{TURBULENCE_BENCHMARK}/turbulence_explain_model/{{model}}.tsv"
    wildcard_constraints:
        model="|".join(TURBULENCE_EXPLAINED) or "(?!)",
    conda:
        ENV
    resources:
        runtime=growing(120),
        mem_mb=growing(8000),
    params:
        config=lambda w: as_json(
            entry=science(TURBULENCE["models"][w.model]),
            explain={key: TURBULENCE["explain"][key] for key in TURBULENCE_EXPLAIN},
            draws=TURBULENCE["evaluate"]["draws"],
            grid=turbulence_grid(TURBULENCE["models"][w.model]["set"]),
        ),
    shell:
        f"{PYTHON} "
        "{input.code[0]} --model {wildcards.model} --config {params.config:q} --patches {input.patches}"
        " --checkpoint {input.checkpoint} --output {output} > {log} 2>&1"


rule turbulence_embed_images:
    """Test images of a set in a plane, by histograms of gradients and by a network's last layer."""
    input:
        code=lambda w: model_code("turbulence_embed_images.py")(
            SimpleNamespace(study="turbulence", model=turbulence_embedded(w))
        ),
        patches=f"{TURBULENCE_SET}/patches.nc",
        checkpoint=lambda w: of_models(
            "turbulence", [turbulence_embedded(w)], f"{MODEL}/best.ckpt", first=True
        ),
    output:
        f"{TURBULENCE_R}/explain/embedding_{{set}}.nc",
    log:
        f"{TURBULENCE_LOG}/turbulence_embed_images/{{set}}.log",
    conda:
        ENV
    resources:
        runtime=growing(60),
        mem_mb=growing(8000),
    params:
        model=turbulence_embedded,
        config=lambda w: as_json(
            entry=science(TURBULENCE["models"][turbulence_embedded(w)]),
            embedding=TURBULENCE["explain"]["embedding"],
            seed=TURBULENCE["explain"]["seed"],
        ),
    shell:
        f"{PYTHON} "
        "{input.code[0]} --model {params.model} --config {params.config:q} --patches {input.patches}"
        " --checkpoint {input.checkpoint} --output {output} > {log} 2>&1"


rule turbulence_plot_explanation:
    """Maps of pixels or scores by wave number of a model, controls or embedding of a set."""
    input:
        code=code("turbulence_plot_explanation.py"),
        explanations=turbulence_explanations,
    output:
        png=report(
            f"{TURBULENCE_R}/figures/{{figure}}_{{of}}.png",
            category="turbulence",
            labels={"result": "explanation: {figure}", "of": "{of}"},
            caption="../report/turbulence/explanation.rst",
        ),
        pdf=f"{TURBULENCE_R}/figures/{{figure}}_{{of}}.pdf",
    log:
        f"{TURBULENCE_LOG}/turbulence_plot_explanation/{{figure}}_{{of}}.log",
    wildcard_constraints:
        figure="saliency|bands|controls|embedding",
        of=NAME,
    conda:
        ENV
    resources:
        runtime=growing(15),
        mem_mb=growing(2000),
    shell:
        f"{PYTHON} "
        "{input.code[0]} --figure {wildcards.figure} --explanations {input.explanations} --output {output.png}"
        " > {log} 2>&1"
