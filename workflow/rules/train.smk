# Train, test, compare: one rule each for every study and every model, networks and baselines alike.


rule train_model:
    """Train one network, or fit one baseline, with one seed; resumes where an earlier attempt stopped."""
    input:
        code=model_code("train_model.py"),
        data=training_set,
    output:
        checkpoint=ensure(MODEL + "/best.ckpt", non_empty=True),
        history=MODEL + "/history.csv",
        run=MODEL + "/run.json",
    log:
        LOG + "/train_model/{model}_seed{seed}.log",
    benchmark:
        BENCHMARK + "/train_model/{model}_seed{seed}.tsv"
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
    shell:
        "{PYTHON} {input.code[0]} --study {wildcards.study} --model {wildcards.model} --seed {wildcards.seed}"
        " --config {params.config:q} --data {input.data} --code {input.code}"
        f" --state {RUN}/state/{{wildcards.study}}/{{wildcards.model}}/seed{{wildcards.seed}}"
        " --checkpoint {output.checkpoint} --history {output.history} --run-json {output.run}"
        " --gpus {resources.gpu_slots} --runtime {resources.runtime} --threads {threads} > {log} 2>&1"


rule predict_test:
    """Predict the test set with a trained model and score it against the raw data."""
    input:
        code=model_code("predict_test.py"),
        data=training_set,
        checkpoint=MODEL + "/best.ckpt",
    output:
        predictions=TEST + "/predictions.nc",
        metrics=TEST + "/metrics.json",
        curves=TEST + "/curves.nc",
    log:
        LOG + "/predict_test/{model}_seed{seed}.log",
    benchmark:
        BENCHMARK + "/predict_test/{model}_seed{seed}.tsv"
    conda:
        ENV
    threads: 2
    resources:
        runtime=growing(60),
        mem_mb=growing(8000),
    params:
        config=lambda w: as_json(entry=science(model_entry(w)), evaluate=config[w.study]["evaluate"]),
    shell:
        "{PYTHON} {input.code[0]} --study {wildcards.study} --model {wildcards.model} --seed {wildcards.seed}"
        " --config {params.config:q} --data {input.data} --checkpoint {input.checkpoint}"
        " --predictions {output.predictions} --metrics {output.metrics} --curves {output.curves} > {log} 2>&1"


rule compare_models:
    """One table of all models of a study, baselines and published numbers beside them."""
    input:
        code=code("compare_models.py"),
        metrics=lambda w: of_all_models(w.study, TEST + "/metrics.json"),
        published=CONFIG + "/{study}/published.yaml",
    output:
        metrics=R + "/metrics.csv",
        comparison=R + "/comparison.csv",
        html=report(
            R + "/comparison.html",
            category="{study}",
            labels={"result": "comparison of models"},
            caption="../report/comparison.rst",
        ),
    log:
        LOG + "/compare_models.log",
    conda:
        ENV
    resources:
        runtime=growing(10),
        mem_mb=growing(2000),
    params:
        config=lambda w: json.dumps(config[w.study]["comparison"], sort_keys=True),
    shell:
        "{PYTHON} {input.code[0]} --study {wildcards.study} --config {params.config:q} --metrics {input.metrics}"
        " --published {input.published} --output-metrics {output.metrics} --output-comparison {output.comparison}"
        " --output-html {output.html} > {log} 2>&1"


rule plot_history:
    """Training and validation scores of every network against the step."""
    input:
        code=code("plot_history.py"),
        history=lambda w: of_all_networks(w.study, MODEL + "/history.csv"),
        data=lambda w: training_set_of(w.study, config[w.study]["models"][config[w.study]["run_models"][0]]["set"])[:1],
    output:
        png=report(
            R + "/figures/history.png",
            category="{study}",
            labels={"result": "loss curves"},
            caption="../report/history.rst",
        ),
        pdf=R + "/figures/history.pdf",
    log:
        LOG + "/plot_history.log",
    conda:
        ENV
    resources:
        runtime=growing(10),
        mem_mb=growing(2000),
    shell:
        "{PYTHON} {input.code[0]} --history {input.history} --data-kind {input.data} --output {output.png} > {log} 2>&1"
