# How well the models predict the class or the index: figures and tables.


rule turbulence_plot_scores:
    """One figure of how well a set's models tell the two classes apart: ROC, confusion,
    reliability.
    """
    input:
        code=code("turbulence_plot_scores.py"),
        curves=lambda w: turbulence.tests("curves.nc", turbulence.learning(w.set, "class")),
        metrics=lambda w: turbulence.tests("metrics.json", turbulence.learning(w.set, "class")),
        scores=lambda w: turbulence.tests("scores.nc", turbulence.learning(w.set, "class")),
        verdict=turbulence.path("verdict.json"),
        published=f"{CONFIG}/turbulence/published.yaml",
    output:
        png=report(
            turbulence.path("figures/{figure}_{set}.png"),
            category=turbulence.title,
            subcategory="3 Scores",
            labels=turbulence.titled(turbulence.score_figures),
            caption="../../report/turbulence/scores.rst",
        ),
        pdf=turbulence.path("figures/{figure}_{set}.pdf"),
    log:
        turbulence.log("turbulence_plot_scores", "{figure}_{set}"),
    wildcard_constraints:
        figure="|".join(turbulence.score_figures),
    conda:
        ENV
    resources:
        runtime=growing(15),
        mem_mb=growing(4000),
    params:
        config=lambda w: as_json(
            models=turbulence.looks(turbulence.learning(w.set, "class")),
            set=turbulence.set_labels[w.set],
        ),
    message:
        "turbulence: plotting {wildcards.figure} of set {wildcards.set}"
    shell:
        "python3 {input.code[0]:q} --figure {wildcards.figure} --config {params.config:q}"
        " --curves {input.curves:q} --metrics {input.metrics:q}"
        " --verdict {input.verdict:q} --published {input.published:q}"
        " --output {output.png:q} > {log:q} 2>&1"


rule turbulence_plot_index:
    """Predicted against true index, and whether the stated intervals hold."""
    input:
        code=code("turbulence_plot_index.py"),
        curves=lambda w: turbulence.tests("curves.nc", turbulence.learning(w.set, "index")),
        metrics=lambda w: turbulence.tests("metrics.json", turbulence.learning(w.set, "index")),
        scores=lambda w: turbulence.tests("scores.nc", turbulence.learning(w.set, "index")),
        predictions=lambda w: turbulence.tests(
            "predictions.nc", turbulence.learning(w.set, "index"), first=True
        ),
        verdict=turbulence.path("verdict.json"),
        published=f"{CONFIG}/turbulence/published.yaml",
    output:
        png=report(
            turbulence.path("figures/index_{set}.png"),
            category=turbulence.title,
            subcategory="3 Scores",
            labels=turbulence.titled("4 Predicted against true index"),
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
            models=turbulence.looks(turbulence.learning(w.set, "index")),
            set=turbulence.set_labels[w.set],
        ),
    message:
        "turbulence: plotting predicted indices of set {wildcards.set}"
    shell:
        "python3 {input.code[0]:q} --config {params.config:q} --curves {input.curves:q}"
        " --metrics {input.metrics:q}"
        " --predictions {input.predictions:q}"
        " --verdict {input.verdict:q} --published {input.published:q}"
        " --output {output.png:q} > {log:q} 2>&1"


rule turbulence_plot_continuum:
    """Where between the two indices the decision of a classifier turns."""
    input:
        code=code("turbulence_plot_continuum.py"),
        curves=lambda w: turbulence.continuum(w.set),
    output:
        png=report(
            turbulence.path("figures/continuum_{set}.png"),
            category=turbulence.title,
            subcategory="3 Scores",
            labels=turbulence.titled("5 Predicted class against true index"),
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
    params:
        config=lambda w: as_json(
            models=turbulence.looks_across_sets(
                [*turbulence.crossed(w.set), *turbulence.learning(w.set, "index")]
            ),
            sets=turbulence.set_labels,
        ),
    message:
        "turbulence: plotting class against index of set {wildcards.set}"
    shell:
        "python3 {input.code[0]:q} --config {params.config:q} --curves {input.curves:q}"
        " --output {output.png:q} > {log:q} 2>&1"


rule turbulence_plot_transfer:
    """What is left of accuracies on other sets: as a matrix, and against single nuisances."""
    input:
        code=code("turbulence_plot_transfer.py"),
        table=turbulence.path("transfer.csv"),
    output:
        png=report(
            turbulence.path("figures/transfer_{figure}.png"),
            category=turbulence.title,
            subcategory="3 Scores",
            labels=turbulence.titled(turbulence.transfer_figures),
            caption="../../report/turbulence/transfer_figure.rst",
        ),
        pdf=turbulence.path("figures/transfer_{figure}.pdf"),
    log:
        turbulence.log("turbulence_plot_transfer", "{figure}"),
    wildcard_constraints:
        figure="|".join(turbulence.transfer_figures),
    conda:
        ENV
    resources:
        runtime=growing(15),
        mem_mb=growing(2000),
    params:
        config=as_json(
            models=turbulence.looks_across_sets(turbulence.transfers),
            sets=turbulence.set_labels,
            ladders=turbulence.ladders,
        ),
    message:
        "turbulence: plotting the transfer, {wildcards.figure}"
    shell:
        "python3 {input.code[0]:q} --figure {wildcards.figure} --config {params.config:q}"
        " --table {input.table:q}"
        " --output {output.png:q} > {log:q} 2>&1"
