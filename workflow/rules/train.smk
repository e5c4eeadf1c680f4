# Train and test: one rule each for every study and every model, networks and baselines alike.


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
    threads: lambda w: entry(w)["threads"]
    resources:
        **site.on_gpus(lambda w: entry(w)["gpus"]),
        nodes=1,
        readers=lambda w: entry(w).get("readers", 0),
        runtime=lambda w: entry(w)["runtime"],
        mem_mb=growing_unless_saved(lambda w: entry(w)["mem_mb"], state_folder),
    params:
        config=lambda w: as_json(**study(w).science(w.model)),
        start=lambda w, input: option("--start", input.start),
        state=state_folder,
    message:
        "{wildcards.study}: training {wildcards.model}, seed {wildcards.seed}"
    shell:
        "python3 {input.code[0]:q} --study {wildcards.study} --model {wildcards.model}"
        " --seed {wildcards.seed}"
        " --config {params.config:q} --data {input.data:q} {params.start} --code {input.code:q}"
        " --state {params.state:q}"
        " --checkpoint {output.checkpoint:q} --history {output.history:q} --run-json {output.run:q}"
        " --gpus {resources.gpu_slots} --runtime {resources.runtime}"
        " --threads {threads} --readers {resources.readers} > {log:q} 2>&1"


rule evaluate_model:
    """Predict the test set with a trained model and score it against the raw data."""
    input:
        code=lambda w: study(w).code("evaluate_model.py", w.model, "evaluate"),
        data=lambda w: study(w).training_set(w.model),
        checkpoint=shared.checkpoint("{model}", "{seed}"),
    output:
        predictions=shared.test("{model}", "{seed}", "predictions.nc"),
        metrics=shared.test("{model}", "{seed}", "metrics.json"),
        curves=shared.test("{model}", "{seed}", "curves.nc"),
        scores=shared.test("{model}", "{seed}", "scores.nc"),
    log:
        shared.log("evaluate_model", "{model}_seed{seed}"),
    benchmark:
        shared.benchmark("evaluate_model", "{model}_seed{seed}")
    conda:
        ENV
    threads: lambda w: prediction(w)["threads"]
    resources:
        **site.predicting(prediction),
    params:
        config=lambda w: as_json(entry=study(w).science(w.model), evaluate=study(w)["evaluate"]),
    message:
        "{wildcards.study}: testing {wildcards.model}, seed {wildcards.seed}"
    shell:
        "python3 {input.code[0]:q} --study {wildcards.study} --model {wildcards.model}"
        " --seed {wildcards.seed} --gpus {resources.gpu_slots}"
        " --config {params.config:q} --data {input.data:q} --checkpoint {input.checkpoint:q}"
        " --predictions {output.predictions:q} --metrics {output.metrics:q}"
        " --curves {output.curves:q} --scores {output.scores:q} > {log:q} 2>&1"
