# Tables and figures of scores that any study has, by the sections of its config.


rule compare_models:
    """All models of a study in one table, with references, published numbers and the verdict."""
    input:
        code=code("compare_models.py"),
        metrics=lambda w: study(w).tests("metrics.json"),
        scores=lambda w: study(w).tests("scores.nc"),
        published=f"{CONFIG}/{{study}}/published.yaml",
    output:
        metrics=shared.path("metrics.csv"),
        comparison=shared.path("comparison.csv"),
        columns=shared.path("comparison_columns.csv"),
        verdict=shared.path("verdict.json"),
        html=report(
            shared.path("comparison.html"),
            category="{study}",
            labels={"result": "comparison of models"},
            caption="../report/comparison.rst",
        ),
        subsets=report(
            shared.path("subsets.html"),
            category="{study}",
            labels={"result": "scores by subset"},
            caption="../report/subsets.rst",
        ),
    log:
        shared.log("compare_models"),
    conda:
        ENV
    resources:
        runtime=growing(10),
        mem_mb=growing(2000),
    params:
        config=lambda w: as_json(**study(w).comparison()),
    message:
        "{wildcards.study}: comparing the models"
    shell:
        f"{PYTHON} "
        "{input.code[0]} --study {wildcards.study} --config {params.config:q}"
        " --metrics {input.metrics} --published {input.published}"
        " --output-metrics {output.metrics} --output-comparison {output.comparison}"
        " --output-columns {output.columns} --output-verdict {output.verdict}"
        " --output-html {output.html} --output-subsets {output.subsets} > {log} 2>&1"


rule compare_pairs:
    """Each network of a set with each baseline, draw by draw."""
    input:
        code=code("compare_pairs.py"),
        metrics=lambda w: study(w).tests("metrics.json", study(w).models(w.set)),
        scores=lambda w: study(w).tests("scores.nc", study(w).models(w.set)),
    output:
        report(
            shared.path("pairs_{set}.csv"),
            category="{study}",
            labels={"result": "networks and baselines in pairs", "set": "{set}"},
            caption="../report/pairs.rst",
        ),
    log:
        shared.log("compare_pairs", "{set}"),
    conda:
        ENV
    resources:
        runtime=growing(10),
        mem_mb=growing(2000),
    params:
        config=lambda w: as_json(**study(w).comparison("headline")),
    message:
        "{wildcards.study}: comparing networks with baselines on set {wildcards.set}"
    shell:
        f"{PYTHON} "
        "{input.code[0]} --config {params.config:q} --metrics {input.metrics}"
        " --output {output} > {log} 2>&1"


rule evaluate_transfer:
    """Predict and score the test split of another set than the model's own."""
    input:
        code=lambda w: study(w).code("evaluate_transfer.py", w.model, "evaluate"),
        patches=shared.patches("{set}"),
        trained_on=lambda w: study(w).training_set(w.model),
        checkpoint=shared.checkpoint("{model}", "{seed}"),
    output:
        predictions=shared.transfer("{model}", "{seed}", "{set}", "predictions.nc"),
        metrics=shared.transfer("{model}", "{seed}", "{set}", "metrics.json"),
        curves=shared.transfer("{model}", "{seed}", "{set}", "curves.nc"),
        scores=shared.transfer("{model}", "{seed}", "{set}", "scores.nc"),
    log:
        shared.log("evaluate_transfer", "{model}_seed{seed}_{set}"),
    conda:
        ENV
    resources:
        runtime=growing(30),
        mem_mb=growing(8000),
    params:
        config=lambda w: as_json(entry=study(w).science(w.model), evaluate=study(w)["evaluate"]),
    message:
        "{wildcards.study}: testing {wildcards.model} on set {wildcards.set}, seed {wildcards.seed}"
    shell:
        f"{PYTHON} "
        "{input.code[0]} --study {wildcards.study} --model {wildcards.model}"
        " --seed {wildcards.seed} --config {params.config:q}"
        " --patches {input.patches} --trained-on {input.trained_on}"
        " --checkpoint {input.checkpoint}"
        " --predictions {output.predictions} --metrics {output.metrics}"
        " --curves {output.curves} --scores {output.scores} > {log} 2>&1"


rule tabulate_transfer:
    """Scores of models on other sets than the one that they were trained on."""
    input:
        code=code("tabulate_transfer.py"),
        metrics=lambda w: study(w).transfer_tests("metrics.json"),
        scores=lambda w: study(w).transfer_tests("scores.nc"),
    output:
        report(
            shared.path("transfer.csv"),
            category="{study}",
            labels={"result": "transfer to other sets"},
            caption="../report/transfer.rst",
        ),
    log:
        shared.log("tabulate_transfer"),
    conda:
        ENV
    resources:
        runtime=growing(10),
        mem_mb=growing(2000),
    params:
        config=lambda w: as_json(
            trained_on={model: study(w).entry(model)["set"] for model in study(w).transfers},
            **study(w).comparison("headline", "transfer_score"),
        ),
    message:
        "{wildcards.study}: tabulating the transfer"
    shell:
        f"{PYTHON} "
        "{input.code[0]} --config {params.config:q} --metrics {input.metrics}"
        " --output {output} > {log} 2>&1"


rule tabulate_variants:
    """Models that differ from a base model in a key or two, and their scores."""
    input:
        code=code("tabulate_variants.py"),
        metrics=lambda w: study(w).tests("metrics.json", study(w).variants),
        scores=lambda w: study(w).tests("scores.nc", study(w).variants),
        runs=lambda w: study(w).trainings("run.json", study(w).variants),
        columns=lambda w: study(w).variant_columns(),
    output:
        report(
            shared.path("variants.csv"),
            category="{study}",
            labels={"result": "variants of a model"},
            caption="../report/variants.rst",
        ),
    log:
        shared.log("tabulate_variants"),
    conda:
        ENV
    resources:
        runtime=growing(10),
        mem_mb=growing(2000),
    params:
        config=lambda w: as_json(**study(w).variant_config()),
    message:
        "{wildcards.study}: tabulating the variants of a model"
    shell:
        f"{PYTHON} "
        "{input.code[0]} --config {params.config:q} --metrics {input.metrics}"
        " --runs {input.runs} --columns {input.columns} --output {output} > {log} 2>&1"


rule plot_training_size:
    """Scores against the size of the training set."""
    input:
        code=code("plot_training_size.py"),
        metrics=lambda w: study(w).tests("metrics.json", study(w).sizes),
        scores=lambda w: study(w).tests("scores.nc", study(w).sizes),
        patches=lambda w: study(w).set_patches(study(w).sizes),
    output:
        png=report(
            shared.path("figures/training_size.png"),
            category="{study}",
            labels={"result": "scores against the size of the training set"},
            caption="../report/training_size.rst",
        ),
        pdf=shared.path("figures/training_size.pdf"),
    log:
        shared.log("plot_training_size"),
    conda:
        ENV
    resources:
        runtime=growing(15),
        mem_mb=growing(2000),
    params:
        config=lambda w: as_json(**study(w).size_config()),
    message:
        "{wildcards.study}: plotting scores against the size of the training set"
    shell:
        f"{PYTHON} "
        "{input.code[0]} --config {params.config:q} --metrics {input.metrics}"
        " --patches {input.patches} --output {output.png} > {log} 2>&1"


rule plot_scheme:
    """The layers of a network and their shapes."""
    input:
        code=lambda w: study(w).code("plot_scheme.py", w.model),
        checkpoint=lambda w: study(w).checkpoints([w.model], first=True),
        patches=lambda w: study(w).set_patches([w.model]),
    output:
        png=report(
            shared.path("figures/scheme_{model}.png"),
            category="{study}",
            labels={"result": "scheme of a network", "model": "{model}"},
            caption="../report/scheme.rst",
        ),
        pdf=shared.path("figures/scheme_{model}.pdf"),
        description=shared.path("figures/scheme_{model}.json"),
    log:
        shared.log("plot_scheme", "{model}"),
    conda:
        ENV
    resources:
        runtime=growing(15),
        mem_mb=growing(4000),
    params:
        config=lambda w: as_json(
            entry=study(w).science(w.model), label=study(w).entry(w.model).get("label")
        ),
    message:
        "{wildcards.study}: drawing the layers of {wildcards.model}"
    shell:
        f"{PYTHON} "
        "{input.code[0]} --study {wildcards.study} --model {wildcards.model}"
        " --config {params.config:q} --checkpoint {input.checkpoint} --patches {input.patches}"
        " --description {output.description} --output {output.png} > {log} 2>&1"


rule plot_history:
    """Training and validation scores of every network against the step."""
    input:
        code=code("plot_history.py"),
        history=lambda w: study(w).trainings("history.csv", study(w).models(kind="network")),
        data=lambda w: study(w).patches(study(w).sets[0]),
    output:
        png=report(
            shared.path("figures/history.png"),
            category="{study}",
            labels={"result": "loss curves"},
            caption="../report/history.rst",
        ),
        pdf=shared.path("figures/history.pdf"),
    log:
        shared.log("plot_history"),
    conda:
        ENV
    resources:
        runtime=growing(10),
        mem_mb=growing(2000),
    params:
        config=lambda w: as_json(models=study(w).looks(study(w).models(kind="network"))),
    message:
        "{wildcards.study}: plotting the loss curves"
    shell:
        f"{PYTHON} "
        "{input.code[0]} --config {params.config:q} --history {input.history}"
        " --data-kind {input.data} --output {output.png} > {log} 2>&1"


rule tabulate_training:
    """What each training cost, in wall time and device hours."""
    input:
        code=code("tabulate_training.py"),
        runs=lambda w: study(w).trainings("run.json"),
    output:
        report(
            shared.path("training.csv"),
            category="{study}",
            labels={"result": "cost of training"},
            caption="../report/training.rst",
        ),
    log:
        shared.log("tabulate_training"),
    conda:
        ENV
    resources:
        runtime=growing(10),
        mem_mb=growing(2000),
    message:
        "{wildcards.study}: tabulating what training cost"
    shell:
        f"{PYTHON} " "{input.code[0]} --runs {input.runs} --output {output} > {log} 2>&1"
