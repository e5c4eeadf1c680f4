# Models on the test split of other sets than their own.


rule turbulence_test_transfer:
    """Predict the test split of another set than the model's own, and score it."""
    input:
        code=lambda w: turbulence.code("turbulence_test_transfer.py", w.model),
        patches=turbulence.patches("{set}"),
        trained_on=lambda w: turbulence.training_set(w.model),
        checkpoint=turbulence.checkpoint("{model}", "{seed}"),
    output:
        predictions=turbulence.transfer("{model}", "{seed}", "{set}", "predictions.nc"),
        metrics=turbulence.transfer("{model}", "{seed}", "{set}", "metrics.json"),
        curves=turbulence.transfer("{model}", "{seed}", "{set}", "curves.nc"),
    log:
        turbulence.log("turbulence_test_transfer", "{model}_seed{seed}_{set}"),
    conda:
        ENV
    resources:
        runtime=growing(30),
        mem_mb=growing(8000),
    params:
        config=lambda w: as_json(entry=turbulence.science(w.model), evaluate=turbulence["evaluate"]),
    message:
        "turbulence: testing {wildcards.model} on set {wildcards.set}, seed {wildcards.seed}"
    shell:
        f"{PYTHON} "
        "{input.code[0]} --model {wildcards.model} --seed {wildcards.seed}"
        " --config {params.config:q}"
        " --patches {input.patches} --trained-on {input.trained_on} --checkpoint {input.checkpoint}"
        " --predictions {output.predictions} --metrics {output.metrics}"
        " --curves {output.curves} > {log} 2>&1"


rule turbulence_tabulate_transfer:
    """What is left of each model's accuracy on simulations and images of another kind."""
    input:
        code=code("turbulence_tabulate_transfer.py"),
        metrics=turbulence.transfer_metrics(),
    output:
        report(
            turbulence.path("transfer.csv"),
            category="turbulence",
            labels={"result": "transfer to other sets"},
            caption="../../report/turbulence/transfer.rst",
        ),
    log:
        turbulence.log("turbulence_tabulate_transfer"),
    conda:
        ENV
    resources:
        runtime=growing(10),
        mem_mb=growing(2000),
    params:
        config=as_json(
            trained_on={model: turbulence.entry(model)["set"] for model in turbulence.transfers}
        ),
    message:
        "turbulence: tabulating the transfer"
    shell:
        f"{PYTHON} "
        "{input.code[0]} --config {params.config:q} --metrics {input.metrics}"
        " --output {output} > {log} 2>&1"


rule turbulence_plot_transfer:
    """What is left of accuracies on other sets: as a matrix, and against single nuisances."""
    input:
        code=code("turbulence_plot_transfer.py"),
        table=turbulence.path("transfer.csv"),
    output:
        png=report(
            turbulence.path("figures/transfer_{figure}.png"),
            category="turbulence",
            labels={"result": "transfer: {figure}"},
            caption="../../report/turbulence/transfer_figure.rst",
        ),
        pdf=turbulence.path("figures/transfer_{figure}.pdf"),
    log:
        turbulence.log("turbulence_plot_transfer", "{figure}"),
    wildcard_constraints:
        figure="matrix|nuisances",
    conda:
        ENV
    resources:
        runtime=growing(15),
        mem_mb=growing(2000),
    params:
        config=as_json(ladders=turbulence.ladders),
    message:
        "turbulence: plotting the transfer, {wildcards.figure}"
    shell:
        f"{PYTHON} "
        "{input.code[0]} --figure {wildcards.figure} --config {params.config:q}"
        " --table {input.table}"
        " --output {output.png} > {log} 2>&1"
