# Figures and tables of what the turbulence study's models scored, in the order of the report.


rule turbulence_plot_images:
    """Maps of log N of both classes, and the images that a set cuts from them."""
    input:
        code=code("turbulence_plot_images.py"),
        patches=f"{TURBULENCE_SET}/patches.nc",
        columns=turbulence_columns,
    output:
        png=report(
            f"{TURBULENCE_FIGURES}/images_{{set}}.png",
            category="turbulence",
            labels={"result": "maps and images", "set": "{set}"},
            caption="../report/turbulence/images.rst",
        ),
        pdf=f"{TURBULENCE_FIGURES}/images_{{set}}.pdf",
    log:
        f"{TURBULENCE_LOG}/turbulence_plot_images/{{set}}.log",
    conda:
        ENV
    resources:
        runtime=growing(15),
        mem_mb=growing(4000),
    params:
        config=lambda w: as_json(
            families=TURBULENCE["sets"][w.set]["families"], count=TURBULENCE["images"]["count"]
        ),
    shell:
        f"{PYTHON} "
        "{input.code[0]} --config {params.config:q} --patches {input.patches} --columns {input.columns}"
        " --output {output.png} > {log} 2>&1"


rule turbulence_plot_scheme:
    """The layers of a network and their shapes."""
    input:
        code=in_study("turbulence", model_code("turbulence_plot_scheme.py")),
        checkpoint=lambda w: of_models("turbulence", [w.model], f"{MODEL}/best.ckpt", first=True),
        patches=turbulence_own_patches,
    output:
        png=report(
            f"{TURBULENCE_FIGURES}/scheme_{{model}}.png",
            category="turbulence",
            labels={"result": "scheme of a network", "model": "{model}"},
            caption="../report/turbulence/scheme.rst",
        ),
        pdf=f"{TURBULENCE_FIGURES}/scheme_{{model}}.pdf",
        description=f"{TURBULENCE_FIGURES}/scheme_{{model}}.json",
    log:
        f"{TURBULENCE_LOG}/turbulence_plot_scheme/{{model}}.log",
    conda:
        ENV
    resources:
        runtime=growing(15),
        mem_mb=growing(4000),
    params:
        config=lambda w: as_json(entry=science(TURBULENCE["models"][w.model])),
    shell:
        f"{PYTHON} "
        "{input.code[0]} --config {params.config:q} --checkpoint {input.checkpoint} --patches {input.patches}"
        " --description {output.description} --output {output.png} > {log} 2>&1"


rule turbulence_plot_scores:
    """One figure of how well a set's models tell the two classes apart: ROC, confusion,
    reliability.
    """
    input:
        code=code("turbulence_plot_scores.py"),
        curves=lambda w: of_models(
            "turbulence", turbulence_learning(w.set, "class"), f"{TEST}/curves.nc"
        ),
        metrics=lambda w: of_models(
            "turbulence", turbulence_learning(w.set, "class"), f"{TEST}/metrics.json"
        ),
        published=f"{CONFIG}/turbulence/published.yaml",
    output:
        png=report(
            f"{TURBULENCE_FIGURES}/{{figure}}_{{set}}.png",
            category="turbulence",
            labels={"result": "scores: {figure}", "set": "{set}"},
            caption="../report/turbulence/scores.rst",
        ),
        pdf=f"{TURBULENCE_FIGURES}/{{figure}}_{{set}}.pdf",
    log:
        f"{TURBULENCE_LOG}/turbulence_plot_scores/{{figure}}_{{set}}.log",
    wildcard_constraints:
        figure="roc|confusion|reliability",
    conda:
        ENV
    resources:
        runtime=growing(15),
        mem_mb=growing(4000),
    params:
        config=lambda w: as_json(
            highlight=turbulence_highlight(turbulence_learning(w.set, "class"))
        ),
    shell:
        f"{PYTHON} "
        "{input.code[0]} --figure {wildcards.figure} --config {params.config:q} --curves {input.curves}"
        " --metrics {input.metrics} --published {input.published} --output {output.png} > {log} 2>&1"


rule turbulence_plot_index:
    """Predicted against true index, and whether the stated intervals hold."""
    input:
        code=code("turbulence_plot_index.py"),
        curves=lambda w: of_models(
            "turbulence", turbulence_learning(w.set, "index"), f"{TEST}/curves.nc"
        ),
        metrics=lambda w: of_models(
            "turbulence", turbulence_learning(w.set, "index"), f"{TEST}/metrics.json"
        ),
        predictions=lambda w: of_models(
            "turbulence", turbulence_learning(w.set, "index"), f"{TEST}/predictions.nc", first=True
        ),
        published=f"{CONFIG}/turbulence/published.yaml",
    output:
        png=report(
            f"{TURBULENCE_FIGURES}/index_{{set}}.png",
            category="turbulence",
            labels={"result": "predicted against true index", "set": "{set}"},
            caption="../report/turbulence/index.rst",
        ),
        pdf=f"{TURBULENCE_FIGURES}/index_{{set}}.pdf",
    log:
        f"{TURBULENCE_LOG}/turbulence_plot_index/{{set}}.log",
    conda:
        ENV
    resources:
        runtime=growing(15),
        mem_mb=growing(4000),
    params:
        config=lambda w: as_json(
            highlight=turbulence_highlight(turbulence_learning(w.set, "index"))
        ),
    shell:
        f"{PYTHON} "
        "{input.code[0]} --config {params.config:q} --curves {input.curves} --metrics {input.metrics}"
        " --predictions {input.predictions} --published {input.published} --output {output.png} > {log} 2>&1"


rule turbulence_plot_continuum:
    """Where between the two indices the decision of a classifier turns."""
    input:
        code=code("turbulence_plot_continuum.py"),
        curves=lambda w: turbulence_continuum(w.set),
    output:
        png=report(
            f"{TURBULENCE_FIGURES}/continuum_{{set}}.png",
            category="turbulence",
            labels={"result": "predicted class against true index", "set": "{set}"},
            caption="../report/turbulence/continuum.rst",
        ),
        pdf=f"{TURBULENCE_FIGURES}/continuum_{{set}}.pdf",
    log:
        f"{TURBULENCE_LOG}/turbulence_plot_continuum/{{set}}.log",
    conda:
        ENV
    resources:
        runtime=growing(15),
        mem_mb=growing(4000),
    shell:
        f"{PYTHON} " "{input.code[0]} --curves {input.curves} --output {output.png} > {log} 2>&1"


rule turbulence_plot_transfer:
    """What is left of accuracies on other sets: as a matrix, and against single nuisances."""
    input:
        code=code("turbulence_plot_transfer.py"),
        table=f"{TURBULENCE_R}/transfer.csv",
    output:
        png=report(
            f"{TURBULENCE_FIGURES}/transfer_{{figure}}.png",
            category="turbulence",
            labels={"result": "transfer: {figure}"},
            caption="../report/turbulence/transfer_figure.rst",
        ),
        pdf=f"{TURBULENCE_FIGURES}/transfer_{{figure}}.pdf",
    log:
        f"{TURBULENCE_LOG}/turbulence_plot_transfer/{{figure}}.log",
    wildcard_constraints:
        figure="matrix|nuisances",
    conda:
        ENV
    resources:
        runtime=growing(15),
        mem_mb=growing(2000),
    params:
        config=as_json(ladders=TURBULENCE_LADDERS),
    shell:
        f"{PYTHON} "
        "{input.code[0]} --figure {wildcards.figure} --config {params.config:q} --table {input.table}"
        " --output {output.png} > {log} 2>&1"


rule turbulence_tabulate_sweep:
    """The hyper-parameters of a network and what each is worth, judged on validation only."""
    input:
        code=code("turbulence_tabulate_sweep.py"),
        metrics=of_models("turbulence", TURBULENCE_SWEEP, f"{TEST}/metrics.json"),
    output:
        report(
            f"{TURBULENCE_R}/sweep.csv",
            category="turbulence",
            labels={"result": "hyper-parameters"},
            caption="../report/turbulence/sweep.rst",
        ),
    log:
        f"{TURBULENCE_LOG}/turbulence_tabulate_sweep.log",
    conda:
        ENV
    resources:
        runtime=growing(10),
        mem_mb=growing(2000),
    params:
        config=as_json(
            base=TURBULENCE["sweep"]["base"],
            entries={m: science(TURBULENCE["models"][m]) for m in TURBULENCE_SWEEP},
            models=TURBULENCE_SWEEP,
            chosen_by=TURBULENCE["comparison"]["chosen_by"],
        ),
    shell:
        f"{PYTHON} "
        "{input.code[0]} --config {params.config:q} --metrics {input.metrics} --output {output} > {log} 2>&1"


rule turbulence_plot_training_size:
    """Scores against the number of training simulations."""
    input:
        code=code("turbulence_plot_training_size.py"),
        metrics=of_models("turbulence", TURBULENCE_SIZES, f"{TEST}/metrics.json"),
        patches=[
            patches_of("turbulence", s)
            for s in {TURBULENCE["models"][m]["set"]: 0 for m in TURBULENCE_SIZES}
        ],
    output:
        png=report(
            f"{TURBULENCE_FIGURES}/training_size.png",
            category="turbulence",
            labels={"result": "accuracy against training simulations"},
            caption="../report/turbulence/training_size.rst",
        ),
        pdf=f"{TURBULENCE_FIGURES}/training_size.pdf",
    log:
        f"{TURBULENCE_LOG}/turbulence_plot_training_size.log",
    conda:
        ENV
    resources:
        runtime=growing(15),
        mem_mb=growing(2000),
    params:
        config=as_json(groups={m: TURBULENCE["models"][m]["module"] for m in TURBULENCE_SIZES}),
    shell:
        f"{PYTHON} "
        "{input.code[0]} --config {params.config:q} --metrics {input.metrics} --patches {input.patches}"
        " --output {output.png} > {log} 2>&1"
