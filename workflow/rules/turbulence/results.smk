# How well the models predict the class or the index: figures and tables.


rule turbulence_compare_pairs:
    """Each network against each baseline of a set, image by image."""
    input:
        code=code("turbulence_compare_pairs.py"),
        patches=turbulence.patches("{set}"),
        predictions=lambda w: turbulence.tests("predictions.nc", turbulence.models(w.set)),
    output:
        report(
            turbulence.path("pairs_{set}.csv"),
            category="turbulence",
            labels={"result": "networks against baselines", "set": "{set}"},
            caption="../../report/turbulence/pairs.rst",
        ),
    log:
        turbulence.log("turbulence_compare_pairs", "{set}"),
    conda:
        ENV
    resources:
        runtime=growing(15),
        mem_mb=growing(4000),
    params:
        config=as_json(
            highlight=turbulence["comparison"]["highlight"], evaluate=turbulence["evaluate"]
        ),
    message:
        "turbulence: comparing networks with baselines on set {wildcards.set}"
    shell:
        f"{PYTHON} "
        "{input.code[0]} --config {params.config:q} --patches {input.patches}"
        " --predictions {input.predictions}"
        " --output {output} > {log} 2>&1"


rule turbulence_plot_scheme:
    """The layers of a network and their shapes."""
    input:
        code=lambda w: turbulence.code("turbulence_plot_scheme.py", w.model),
        checkpoint=lambda w: turbulence.checkpoints([w.model], first=True),
        patches=lambda w: turbulence.training_set(w.model),
    output:
        png=report(
            turbulence.path("figures/scheme_{model}.png"),
            category="turbulence",
            labels={"result": "scheme of a network", "model": "{model}"},
            caption="../../report/turbulence/scheme.rst",
        ),
        pdf=turbulence.path("figures/scheme_{model}.pdf"),
        description=turbulence.path("figures/scheme_{model}.json"),
    log:
        turbulence.log("turbulence_plot_scheme", "{model}"),
    conda:
        ENV
    resources:
        runtime=growing(15),
        mem_mb=growing(4000),
    params:
        config=lambda w: as_json(entry=turbulence.science(w.model)),
    message:
        "turbulence: drawing the layers of {wildcards.model}"
    shell:
        f"{PYTHON} "
        "{input.code[0]} --config {params.config:q} --checkpoint {input.checkpoint}"
        " --patches {input.patches}"
        " --description {output.description} --output {output.png} > {log} 2>&1"


rule turbulence_plot_scores:
    """One figure of how well a set's models tell the two classes apart: ROC, confusion,
    reliability.
    """
    input:
        code=code("turbulence_plot_scores.py"),
        curves=lambda w: turbulence.tests("curves.nc", turbulence.learning(w.set, "class")),
        metrics=lambda w: turbulence.tests("metrics.json", turbulence.learning(w.set, "class")),
        published=f"{CONFIG}/turbulence/published.yaml",
    output:
        png=report(
            turbulence.path("figures/{figure}_{set}.png"),
            category="turbulence",
            labels={"result": "scores: {figure}", "set": "{set}"},
            caption="../../report/turbulence/scores.rst",
        ),
        pdf=turbulence.path("figures/{figure}_{set}.pdf"),
    log:
        turbulence.log("turbulence_plot_scores", "{figure}_{set}"),
    wildcard_constraints:
        figure="roc|confusion|reliability",
    conda:
        ENV
    resources:
        runtime=growing(15),
        mem_mb=growing(4000),
    params:
        config=lambda w: as_json(
            highlight=turbulence.highlight(turbulence.learning(w.set, "class"))
        ),
    message:
        "turbulence: plotting {wildcards.figure} of set {wildcards.set}"
    shell:
        f"{PYTHON} "
        "{input.code[0]} --figure {wildcards.figure} --config {params.config:q}"
        " --curves {input.curves}"
        " --metrics {input.metrics} --published {input.published}"
        " --output {output.png} > {log} 2>&1"


rule turbulence_plot_index:
    """Predicted against true index, and whether the stated intervals hold."""
    input:
        code=code("turbulence_plot_index.py"),
        curves=lambda w: turbulence.tests("curves.nc", turbulence.learning(w.set, "index")),
        metrics=lambda w: turbulence.tests("metrics.json", turbulence.learning(w.set, "index")),
        predictions=lambda w: turbulence.tests(
            "predictions.nc", turbulence.learning(w.set, "index"), first=True
        ),
        published=f"{CONFIG}/turbulence/published.yaml",
    output:
        png=report(
            turbulence.path("figures/index_{set}.png"),
            category="turbulence",
            labels={"result": "predicted against true index", "set": "{set}"},
            caption="../../report/turbulence/index.rst",
        ),
        pdf=turbulence.path("figures/index_{set}.pdf"),
    log:
        turbulence.log("turbulence_plot_index", "{set}"),
    conda:
        ENV
    resources:
        runtime=growing(15),
        mem_mb=growing(4000),
    params:
        config=lambda w: as_json(
            highlight=turbulence.highlight(turbulence.learning(w.set, "index"))
        ),
    message:
        "turbulence: plotting predicted indices of set {wildcards.set}"
    shell:
        f"{PYTHON} "
        "{input.code[0]} --config {params.config:q} --curves {input.curves}"
        " --metrics {input.metrics}"
        " --predictions {input.predictions} --published {input.published}"
        " --output {output.png} > {log} 2>&1"


rule turbulence_plot_continuum:
    """Where between the two indices the decision of a classifier turns."""
    input:
        code=code("turbulence_plot_continuum.py"),
        curves=lambda w: turbulence.continuum(w.set),
    output:
        png=report(
            turbulence.path("figures/continuum_{set}.png"),
            category="turbulence",
            labels={"result": "predicted class against true index", "set": "{set}"},
            caption="../../report/turbulence/continuum.rst",
        ),
        pdf=turbulence.path("figures/continuum_{set}.pdf"),
    log:
        turbulence.log("turbulence_plot_continuum", "{set}"),
    conda:
        ENV
    resources:
        runtime=growing(15),
        mem_mb=growing(4000),
    message:
        "turbulence: plotting class against index of set {wildcards.set}"
    shell:
        f"{PYTHON} " "{input.code[0]} --curves {input.curves} --output {output.png} > {log} 2>&1"


rule turbulence_tabulate_sweep:
    """The hyper-parameters of a network and what each is worth, judged on validation only."""
    input:
        code=code("turbulence_tabulate_sweep.py"),
        metrics=turbulence.tests("metrics.json", turbulence.sweep),
    output:
        report(
            turbulence.path("sweep.csv"),
            category="turbulence",
            labels={"result": "hyper-parameters"},
            caption="../../report/turbulence/sweep.rst",
        ),
    log:
        turbulence.log("turbulence_tabulate_sweep"),
    conda:
        ENV
    resources:
        runtime=growing(10),
        mem_mb=growing(2000),
    params:
        config=as_json(
            base=turbulence["sweep"]["base"],
            entries={model: turbulence.science(model) for model in turbulence.sweep},
            models=turbulence.sweep,
            chosen_by=turbulence["comparison"]["chosen_by"],
        ),
    message:
        "turbulence: tabulating the hyper-parameters"
    shell:
        f"{PYTHON} "
        "{input.code[0]} --config {params.config:q} --metrics {input.metrics}"
        " --output {output} > {log} 2>&1"


rule turbulence_plot_training_size:
    """Scores against the number of training simulations."""
    input:
        code=code("turbulence_plot_training_size.py"),
        metrics=turbulence.tests("metrics.json", turbulence.sizes),
        patches=[
            turbulence.patches(name)
            for name in dict.fromkeys(turbulence.entry(m)["set"] for m in turbulence.sizes)
        ],
    output:
        png=report(
            turbulence.path("figures/training_size.png"),
            category="turbulence",
            labels={"result": "accuracy against training simulations"},
            caption="../../report/turbulence/training_size.rst",
        ),
        pdf=turbulence.path("figures/training_size.pdf"),
    log:
        turbulence.log("turbulence_plot_training_size"),
    conda:
        ENV
    resources:
        runtime=growing(15),
        mem_mb=growing(2000),
    params:
        config=as_json(
            groups={model: turbulence.entry(model)["module"] for model in turbulence.sizes}
        ),
    message:
        "turbulence: plotting scores against training size"
    shell:
        f"{PYTHON} "
        "{input.code[0]} --config {params.config:q} --metrics {input.metrics}"
        " --patches {input.patches}"
        " --output {output.png} > {log} 2>&1"
