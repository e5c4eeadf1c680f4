# Train, test, compare: one rule each for every study and every model, networks and baselines alike.


rule train_model:
    """Train one network, or fit one baseline, with one seed; resumes where an earlier attempt
    stopped.
    """
    input:
        code=model_code("train_model.py"),
        data=training_set,
        start=start_of,
    output:
        checkpoint=ensure(f"{MODEL}/best.ckpt", non_empty=True),
        history=f"{MODEL}/history.csv",
        run=f"{MODEL}/run.json",
    log:
        f"{LOG}/train_model/{{model}}_seed{{seed}}.log",
    benchmark:
        f"{BENCHMARK}/train_model/{{model}}_seed{{seed}}.tsv"
    conda:
        ENV
    threads: lambda w: model_entry(w)["threads"]
    resources:
        nodes=1,
        gres=lambda w: f"gpu:{model_entry(w)['gpus']}" if model_entry(w)["gpus"] else "",
        gpu_slots=lambda w: model_entry(w)["gpus"],
        runtime=lambda w: model_entry(w)["runtime"],
        mem_mb=lambda w, attempt: model_entry(w)["mem_mb"] * attempt,
    params:
        config=lambda w: json.dumps(science(model_entry(w)), sort_keys=True),
        start=lambda w, input: f"--start {input.start}" if input.start else "",
    shell:
        f"{PYTHON} "
        "{input.code[0]} --study {wildcards.study} --model {wildcards.model} --seed {wildcards.seed}"
        " --config {params.config:q} --data {input.data} {params.start} --code {input.code}"
        f" --state {RUN}/state/{{wildcards.study}}/{{wildcards.model}}/seed{{wildcards.seed}}"
        " --checkpoint {output.checkpoint} --history {output.history} --run-json {output.run}"
        " --gpus {resources.gpu_slots} --runtime {resources.runtime} --threads {threads} > {log} 2>&1"


rule predict_test:
    """Predict the test set with a trained model and score it against the raw data."""
    input:
        code=model_code("predict_test.py"),
        data=training_set,
        checkpoint=f"{MODEL}/best.ckpt",
    output:
        predictions=f"{TEST}/predictions.nc",
        metrics=f"{TEST}/metrics.json",
        curves=f"{TEST}/curves.nc",
    log:
        f"{LOG}/predict_test/{{model}}_seed{{seed}}.log",
    benchmark:
        f"{BENCHMARK}/predict_test/{{model}}_seed{{seed}}.tsv"
    conda:
        ENV
    threads: 2
    resources:
        runtime=growing(60),
        mem_mb=growing(8000),
    params:
        config=lambda w: as_json(
            entry=science(model_entry(w)), evaluate=config[w.study]["evaluate"]
        ),
    shell:
        f"{PYTHON} "
        "{input.code[0]} --study {wildcards.study} --model {wildcards.model} --seed {wildcards.seed}"
        " --config {params.config:q} --data {input.data} --checkpoint {input.checkpoint}"
        " --predictions {output.predictions} --metrics {output.metrics} --curves {output.curves} > {log} 2>&1"


rule compare_models:
    """One table of all models of a study, baselines and published numbers beside them."""
    input:
        code=code("compare_models.py"),
        metrics=lambda w: of_all_models(w.study, f"{TEST}/metrics.json"),
        published=f"{CONFIG}/{{study}}/published.yaml",
    output:
        metrics=f"{R}/metrics.csv",
        comparison=f"{R}/comparison.csv",
        html=report(
            f"{R}/comparison.html",
            category="{study}",
            labels={"result": "comparison of models"},
            caption="../report/comparison.rst",
        ),
        bands=report(
            f"{R}/bands.csv",
            category="{study}",
            labels={"result": "comparison band by band"},
            caption="../report/bands.rst",
        ),
        subsets=report(
            f"{R}/subsets.html",
            category="{study}",
            labels={"result": "scores by subset"},
            caption="../report/subsets.rst",
        ),
    log:
        f"{LOG}/compare_models.log",
    conda:
        ENV
    resources:
        runtime=growing(10),
        mem_mb=growing(2000),
    params:
        config=lambda w: json.dumps(config[w.study]["comparison"], sort_keys=True),
    shell:
        f"{PYTHON} "
        "{input.code[0]} --study {wildcards.study} --config {params.config:q} --metrics {input.metrics}"
        " --published {input.published} --output-metrics {output.metrics} --output-comparison {output.comparison}"
        " --output-html {output.html} --output-bands {output.bands} --output-subsets {output.subsets} > {log} 2>&1"


rule plot_history:
    """Training and validation scores of every network against the step."""
    input:
        code=code("plot_history.py"),
        history=lambda w: of_all_networks(w.study, f"{MODEL}/history.csv"),
        data=lambda w: patches_of(w.study, sets_of(w.study)[0]),
    output:
        png=report(
            f"{R}/figures/history.png",
            category="{study}",
            labels={"result": "loss curves"},
            caption="../report/history.rst",
        ),
        pdf=f"{R}/figures/history.pdf",
    log:
        f"{LOG}/plot_history.log",
    conda:
        ENV
    resources:
        runtime=growing(10),
        mem_mb=growing(2000),
    shell:
        f"{PYTHON} "
        "{input.code[0]} --history {input.history} --data-kind {input.data} --output {output.png} > {log} 2>&1"


rule tabulate_training:
    """What each training cost, in wall time and device hours."""
    input:
        code=code("tabulate_training.py"),
        runs=lambda w: of_all_models(w.study, f"{MODEL}/run.json"),
    output:
        report(
            f"{R}/training.csv",
            category="{study}",
            labels={"result": "cost of training"},
            caption="../report/training.rst",
        ),
    log:
        f"{LOG}/tabulate_training.log",
    conda:
        ENV
    resources:
        runtime=growing(10),
        mem_mb=growing(2000),
    shell:
        f"{PYTHON} " "{input.code[0]} --runs {input.runs} --output {output} > {log} 2>&1"
