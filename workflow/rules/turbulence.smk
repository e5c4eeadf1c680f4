# The turbulence index of molecular clouds from column-density images: the study's rules in the order of its data.
include: "turbulence_names.smk"
include: "turbulence_results_names.smk"
include: "turbulence_explain_names.smk"
include: "turbulence_realism_names.smk"


localrules:
    turbulence,


rule turbulence:
    """Everything of the turbulence study: tables and figures."""
    input:
        f"{TURBULENCE_R}/comparison.csv",
        f"{TURBULENCE_R}/training.csv",
        [f"{TURBULENCE_R}/figures/history.png"] * bool(of_all_networks("turbulence", MODEL)),
        expand(f"{TURBULENCE_R}/pairs_{{set}}.csv", set=TURBULENCE_PAIRS),
        [f"{TURBULENCE_R}/transfer.csv"] * bool(TURBULENCE_TRANSFERS),
        TURBULENCE_RESULTS,
        turbulence_explain_figures(),
        TURBULENCE_LIKENESS,


rule turbulence_simulate_clouds:
    """Simulate one shard of a family's clouds, or take their analytic density."""
    input:
        code=code(
            "turbulence_simulate_clouds.py",
            *(
                f"skyloom/turbulence/simulate/solver_{backend}.py"
                for backend in ("numba", "torch")
            ),
        ),
    output:
        temp(f"{TURBULENCE_FAMILY}/shards/{{shard}}.nc"),
    log:
        f"{TURBULENCE_LOG}/turbulence_simulate_clouds/{{family}}_{{shard}}.log",
    benchmark:
        f"{TURBULENCE_BENCHMARK}/turbulence_simulate_clouds/{{family}}_{{shard}}.tsv"
    wildcard_constraints:
        family=turbulence_families(*TURBULENCE_OWN),
    conda:
        ENV
    threads: lambda w: TURBULENCE["families"][w.family]["threads"]
    resources:
        gres=lambda w: f"gpu:{TURBULENCE['families'][w.family]['gpus']}"
        * bool(TURBULENCE["families"][w.family]["gpus"]),
        gpu_slots=lambda w: TURBULENCE["families"][w.family]["gpus"],
        runtime=lambda w, attempt: TURBULENCE["families"][w.family]["runtime"] * 2 ** (attempt - 1),
        mem_mb=lambda w, attempt: turbulence_mem_mb(w.family) * 2 ** (attempt - 1),
    params:
        config=lambda w: json.dumps(turbulence_clouds(w.family), sort_keys=True),
        shards=lambda w: TURBULENCE["families"][w.family]["shards"],
    shell:
        f"{PYTHON} "
        "{input.code[0]} --config {params.config:q} --shard {wildcards.shard} --shards {params.shards}"
        " --threads {threads} --output {output} > {log} 2>&1"


rule turbulence_project_columns:
    """Project a family's simulations to maps of column density, on request as if refined
    adaptively.
    """
    input:
        code=code("turbulence_project_columns.py"),
        shards=turbulence_shards,
    output:
        ensure(f"{TURBULENCE_FAMILY}/columns.nc", non_empty=True),
    log:
        f"{TURBULENCE_LOG}/turbulence_project_columns/{{family}}.log",
    benchmark:
        f"{TURBULENCE_BENCHMARK}/turbulence_project_columns/{{family}}.tsv"
    wildcard_constraints:
        family=turbulence_families(*TURBULENCE_OWN),
    conda:
        ENV
    resources:
        runtime=growing(60),
        mem_mb=lambda w, attempt: turbulence_maps_mb(w.family) * 2 ** (attempt - 1),
    params:
        config=lambda w: as_json(
            **{key: TURBULENCE["families"][w.family][key] for key in TURBULENCE_MAPS}
        ),
    shell:
        f"{PYTHON} "
        "{input.code[0]} --config {params.config:q} --snapshots {input.shards} --output {output} > {log} 2>&1"


rule turbulence_read_outputs:
    """Read the user's simulation outputs, of RAMSES or as cubes, and project them."""
    input:
        code=code("turbulence_read_outputs.py"),
        outputs=turbulence_outputs,
    output:
        ensure(f"{TURBULENCE_FAMILY}/columns.nc", non_empty=True),
    log:
        f"{TURBULENCE_LOG}/turbulence_read_outputs/{{family}}.log",
    benchmark:
        f"{TURBULENCE_BENCHMARK}/turbulence_read_outputs/{{family}}.tsv"
    wildcard_constraints:
        family=turbulence_families("ramses", "cube", "maps"),
    conda:
        ENV
    resources:
        runtime=growing(240),
        mem_mb=growing(16000),
    params:
        config=lambda w: as_json(
            simulations=TURBULENCE["families"][w.family]["outputs"],
            **{key: TURBULENCE["families"][w.family][key] for key in TURBULENCE_READ},
        ),
    shell:
        f"{PYTHON} "
        "{input.code[0]} --config {params.config:q} --inputs {input.outputs} --output {output} > {log} 2>&1"


rule turbulence_cut_images:
    """Cut the column maps of a set's families into images with their split, which goes by seed."""
    input:
        code=code("turbulence_cut_images.py"),
        columns=turbulence_columns,
    output:
        ensure(f"{TURBULENCE_SET}/patches.nc", non_empty=True),
    log:
        f"{TURBULENCE_LOG}/turbulence_cut_images/{{set}}.log",
    benchmark:
        f"{TURBULENCE_BENCHMARK}/turbulence_cut_images/{{set}}.tsv"
    conda:
        ENV
    resources:
        runtime=growing(60),
        mem_mb=lambda w, attempt: turbulence_maps_mb(*TURBULENCE["sets"][w.set]["families"])
        * 2 ** (attempt - 1),
    params:
        config=lambda w: json.dumps(TURBULENCE["sets"][w.set], sort_keys=True),
    shell:
        f"{PYTHON} "
        "{input.code[0]} --config {params.config:q} --columns {input.columns} --output {output} > {log} 2>&1"


rule turbulence_compare_pairs:
    """Each network against each baseline of a set, image by image."""
    input:
        code=code("turbulence_compare_pairs.py"),
        patches=f"{TURBULENCE_SET}/patches.nc",
        predictions=lambda w: all_seeds_of("turbulence", w.set, f"{TEST}/predictions.nc"),
    output:
        report(
            f"{TURBULENCE_R}/pairs_{{set}}.csv",
            category="turbulence",
            labels={"result": "networks against baselines", "set": "{set}"},
            caption="../report/turbulence/pairs.rst",
        ),
    log:
        f"{TURBULENCE_LOG}/turbulence_compare_pairs/{{set}}.log",
    conda:
        ENV
    resources:
        runtime=growing(15),
        mem_mb=growing(4000),
    params:
        config=as_json(
            highlight=TURBULENCE["comparison"]["highlight"], evaluate=TURBULENCE["evaluate"]
        ),
    shell:
        f"{PYTHON} "
        "{input.code[0]} --config {params.config:q} --patches {input.patches} --predictions {input.predictions}"
        " --output {output} > {log} 2>&1"


rule turbulence_test_transfer:
    """Predict the test split of another set than the model's own, and score it."""
    input:
        code=in_study("turbulence", model_code("turbulence_test_transfer.py")),
        patches=f"{TURBULENCE_SET}/patches.nc",
        trained_on=turbulence_own_patches,
        checkpoint=f"{MODEL.format(study='turbulence', model='{model}', seed='{seed}')}/best.ckpt",
    output:
        predictions=f"{TURBULENCE_TRANSFER}/predictions.nc",
        metrics=f"{TURBULENCE_TRANSFER}/metrics.json",
        curves=f"{TURBULENCE_TRANSFER}/curves.nc",
    log:
        f"{TURBULENCE_LOG}/turbulence_test_transfer/{{model}}_seed{{seed}}_{{set}}.log",
    conda:
        ENV
    resources:
        runtime=growing(30),
        mem_mb=growing(8000),
    params:
        config=lambda w: as_json(
            entry=science(TURBULENCE["models"][w.model]), evaluate=TURBULENCE["evaluate"]
        ),
    shell:
        f"{PYTHON} "
        "{input.code[0]} --model {wildcards.model} --seed {wildcards.seed} --config {params.config:q}"
        " --patches {input.patches} --trained-on {input.trained_on} --checkpoint {input.checkpoint}"
        " --predictions {output.predictions} --metrics {output.metrics} --curves {output.curves} > {log} 2>&1"


rule turbulence_tabulate_transfer:
    """What is left of each model's accuracy on simulations and images of another kind."""
    input:
        code=code("turbulence_tabulate_transfer.py"),
        metrics=turbulence_transfers(),
    output:
        report(
            f"{TURBULENCE_R}/transfer.csv",
            category="turbulence",
            labels={"result": "transfer to other sets"},
            caption="../report/turbulence/transfer.rst",
        ),
    log:
        f"{TURBULENCE_LOG}/turbulence_tabulate_transfer.log",
    conda:
        ENV
    resources:
        runtime=growing(10),
        mem_mb=growing(2000),
    params:
        config=as_json(trained_on={m: TURBULENCE["models"][m]["set"] for m in TURBULENCE_TRANSFERS}),
    shell:
        f"{PYTHON} "
        "{input.code[0]} --config {params.config:q} --metrics {input.metrics} --output {output} > {log} 2>&1"


include: "turbulence_results.smk"
include: "turbulence_explain.smk"
include: "turbulence_realism.smk"
