# Train, test, compare: one rule each for every study and every model, networks and baselines alike.


rule train_model:
    """Train one network, or fit one baseline, with one seed; resumes where an earlier attempt
    stopped.
    """
    input:
        code=lambda w: study(w).code("train_model.py", w.model),
        data=lambda w: study(w).training_set(w.model),
        start=lambda w: study(w).start(w.model, int(w.seed)),
    output:
        checkpoint=ensure(shared.checkpoint("{model}", "{seed}"), non_empty=True),
        history=shared.training("{model}", "{seed}", "history.csv"),
        run=shared.training("{model}", "{seed}", "run.json"),
    log:
        shared.log("train_model", "{model}_seed{seed}"),
    benchmark:
        shared.benchmark("train_model", "{model}_seed{seed}")
    conda:
        ENV
    threads: lambda w: study(w).entry(w.model)["threads"]
    resources:
        nodes=1,
        gres=lambda w: gres(study(w).entry(w.model)["gpus"]),
        gpu_slots=lambda w: study(w).entry(w.model)["gpus"],
        runtime=lambda w: study(w).entry(w.model)["runtime"],
        mem_mb=lambda w, attempt: study(w).entry(w.model)["mem_mb"] * attempt,
    params:
        config=lambda w: as_json(**study(w).science(w.model)),
        start=lambda w, input: f"--start {input.start}" if input.start else "",
    message:
        "{wildcards.study}: training {wildcards.model}, seed {wildcards.seed}"
    shell:
        f"{PYTHON} "
        "{input.code[0]} --study {wildcards.study} --model {wildcards.model}"
        " --seed {wildcards.seed}"
        " --config {params.config:q} --data {input.data} {params.start} --code {input.code}"
        f" --state {RUN}/state/{{wildcards.study}}/{{wildcards.model}}/seed{{wildcards.seed}}"
        " --checkpoint {output.checkpoint} --history {output.history} --run-json {output.run}"
        " --gpus {resources.gpu_slots} --runtime {resources.runtime}"
        " --threads {threads} > {log} 2>&1"


rule predict_test:
    """Predict the test set with a trained model and score it against the raw data."""
    input:
        code=lambda w: study(w).code("predict_test.py", w.model, "evaluate"),
        data=lambda w: study(w).training_set(w.model),
        checkpoint=shared.checkpoint("{model}", "{seed}"),
    output:
        predictions=shared.test("{model}", "{seed}", "predictions.nc"),
        metrics=shared.test("{model}", "{seed}", "metrics.json"),
        curves=shared.test("{model}", "{seed}", "curves.nc"),
    log:
        shared.log("predict_test", "{model}_seed{seed}"),
    benchmark:
        shared.benchmark("predict_test", "{model}_seed{seed}")
    conda:
        ENV
    threads: 2
    resources:
        runtime=growing(60),
        mem_mb=growing(8000),
    params:
        config=lambda w: as_json(entry=study(w).science(w.model), evaluate=study(w)["evaluate"]),
    message:
        "{wildcards.study}: testing {wildcards.model}, seed {wildcards.seed}"
    shell:
        f"{PYTHON} "
        "{input.code[0]} --study {wildcards.study} --model {wildcards.model}"
        " --seed {wildcards.seed}"
        " --config {params.config:q} --data {input.data} --checkpoint {input.checkpoint}"
        " --predictions {output.predictions} --metrics {output.metrics}"
        " --curves {output.curves} > {log} 2>&1"


rule compare_models:
    """One table of all models of a study, baselines and published numbers beside them."""
    input:
        code=code("compare_models.py"),
        metrics=lambda w: study(w).tests("metrics.json"),
        published=f"{CONFIG}/{{study}}/published.yaml",
    output:
        metrics=shared.path("metrics.csv"),
        comparison=shared.path("comparison.csv"),
        html=report(
            shared.path("comparison.html"),
            category="{study}",
            labels={"result": "comparison of models"},
            caption="../report/comparison.rst",
        ),
        bands=report(
            shared.path("bands.csv"),
            category="{study}",
            labels={"result": "comparison band by band"},
            caption="../report/bands.rst",
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
        config=lambda w: as_json(**study(w)["comparison"]),
    message:
        "{wildcards.study}: comparing the models"
    shell:
        f"{PYTHON} "
        "{input.code[0]} --study {wildcards.study} --config {params.config:q}"
        " --metrics {input.metrics}"
        " --published {input.published} --output-metrics {output.metrics}"
        " --output-comparison {output.comparison}"
        " --output-html {output.html} --output-bands {output.bands}"
        " --output-subsets {output.subsets} > {log} 2>&1"


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
    message:
        "{wildcards.study}: plotting the loss curves"
    shell:
        f"{PYTHON} "
        "{input.code[0]} --history {input.history} --data-kind {input.data}"
        " --output {output.png} > {log} 2>&1"


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
