# Tables and figures of scores that any study has, by the sections of its config.


# Of no array: seconds each, on the login node.
localrules:
    tabulate_training,
    write_table,


rule compare_models:
    """All models of a study in one table, with references, published numbers and the verdict."""
    input:
        code=code("compare_models.py"),
        metrics=lambda w: study(w).tests("metrics.json"),
        scores=lambda w: study(w).tests("scores.nc"),
        published=f"{CONFIG}/{{study}}/published.yaml",
        words=lambda w: study(w).words,
    output:
        metrics=shared.path("metrics.csv"),
        comparison=shared.path("comparison.csv"),
        columns=shared.path("comparison_columns.csv"),
        verdict=shared.path("verdict.json"),
        html=report(
            shared.path("comparison.html"),
            category=title,
            subcategory="1 Result",
            labels=titled("1 Models compared"),
            caption="../report/comparison.rst",
        ),
    log:
        shared.log("compare_models"),
    conda:
        ENV
    resources:
        runtime=growing(10),
        mem_mb=growing(2000),
    params:
        config=lambda w: as_json(comparison=study(w).comparison(), **study(w).names()),
    message:
        "{wildcards.study}: comparing the models"
    shell:
        "python3 {input.code[0]:q} --study {wildcards.study} --config {params.config:q}"
        " --metrics {input.metrics:q} --published {input.published:q} --words {input.words:q}"
        " --output-metrics {output.metrics:q} --output-comparison {output.comparison:q}"
        " --output-columns {output.columns:q} --output-verdict {output.verdict:q}"
        " --output-html {output.html:q} > {log:q} 2>&1"


rule tabulate_subsets:
    """The same scores on parts of the test split."""
    input:
        code=code("tabulate_subsets.py"),
        metrics=lambda w: study(w).tests("metrics.json"),
        scores=lambda w: study(w).tests("scores.nc"),
        words=lambda w: study(w).words,
    output:
        csv=shared.path("subsets.csv"),
        html=report(
            shared.path("subsets.html"),
            category=title,
            subcategory="3 Scores",
            labels=titled("7 Scores by subset"),
            caption="../report/subsets.rst",
        ),
    log:
        shared.log("tabulate_subsets"),
    conda:
        ENV
    resources:
        runtime=growing(10),
        mem_mb=growing(2000),
    params:
        config=lambda w: as_json(comparison=study(w).comparison(), **study(w).names()),
    message:
        "{wildcards.study}: tabulating scores by subset"
    shell:
        "python3 {input.code[0]:q} --config {params.config:q} --metrics {input.metrics:q}"
        " --words {input.words:q} --output {output.csv:q} --output-html {output.html:q}"
        " > {log:q} 2>&1"


rule compare_pairs:
    """Each network of a set with each baseline, draw by draw."""
    input:
        code=code("compare_pairs.py"),
        metrics=lambda w: study(w).tests("metrics.json", study(w).models(w.set)),
        scores=lambda w: study(w).tests("scores.nc", study(w).models(w.set)),
    output:
        shared.path("pairs_{set}.csv"),
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
        "python3 {input.code[0]:q} --config {params.config:q} --metrics {input.metrics:q}"
        " --output {output:q} > {log:q} 2>&1"


rule plot_pairs:
    """The paired differences of the networks of a set to its baselines."""
    input:
        code=code("plot_pairs.py"),
        table=shared.path("pairs_{set}.csv"),
        verdict=shared.path("verdict.json"),
    output:
        png=report(
            shared.path("figures/pairs_{set}.png"),
            category=title,
            subcategory="1 Result",
            labels=titled("2 Differences to the baselines"),
            caption="../report/pairs_figure.rst",
        ),
        pdf=shared.path("figures/pairs_{set}.pdf"),
    log:
        shared.log("plot_pairs", "{set}"),
    conda:
        ENV
    resources:
        runtime=growing(10),
        mem_mb=growing(2000),
    params:
        config=lambda w: as_json(**study(w).comparison("headline", "labels")),
    message:
        "{wildcards.study}: plotting networks against baselines on set {wildcards.set}"
    shell:
        "python3 {input.code[0]:q} --config {params.config:q} --table {input.table:q}"
        " --verdict {input.verdict:q} --set {wildcards.set} --output {output.png:q} > {log:q} 2>&1"


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
    threads: lambda w: prediction(w)["threads"]
    resources:
        **site.predicting(prediction),
    params:
        config=lambda w: as_json(entry=study(w).science(w.model), evaluate=study(w)["evaluate"]),
    message:
        "{wildcards.study}: testing {wildcards.model} on set {wildcards.set}, seed {wildcards.seed}"
    shell:
        "python3 {input.code[0]:q} --study {wildcards.study} --model {wildcards.model}"
        " --seed {wildcards.seed} --gpus {resources.gpu_slots} --config {params.config:q}"
        " --patches {input.patches:q} --trained-on {input.trained_on:q}"
        " --checkpoint {input.checkpoint:q}"
        " --predictions {output.predictions:q} --metrics {output.metrics:q}"
        " --curves {output.curves:q} --scores {output.scores:q} > {log:q} 2>&1"


rule tabulate_transfer:
    """Scores of models on other sets than the one that they were trained on."""
    input:
        code=code("tabulate_transfer.py"),
        metrics=lambda w: study(w).transfer_tests("metrics.json"),
        scores=lambda w: study(w).transfer_tests("scores.nc"),
    output:
        shared.path("transfer.csv"),
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
        "python3 {input.code[0]:q} --config {params.config:q} --metrics {input.metrics:q}"
        " --output {output:q} > {log:q} 2>&1"


rule tabulate_variants:
    """Models that differ from a base model in a key or two, and their scores."""
    input:
        code=code("tabulate_variants.py"),
        metrics=lambda w: study(w).tests("metrics.json", study(w).variants),
        scores=lambda w: study(w).tests("scores.nc", study(w).variants),
        runs=lambda w: study(w).trainings("run.json", study(w).variants),
        columns=lambda w: study(w).variant_columns(),
    output:
        shared.path("variants.csv"),
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
        "python3 {input.code[0]:q} --config {params.config:q} --metrics {input.metrics:q}"
        " --runs {input.runs:q} --columns {input.columns:q} --output {output:q} > {log:q} 2>&1"


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
            category=title,
            subcategory="3 Scores",
            labels=titled("9 Size of the training set"),
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
        "python3 {input.code[0]:q} --config {params.config:q} --metrics {input.metrics:q}"
        " --patches {input.patches:q} --output {output.png:q} > {log:q} 2>&1"


rule plot_scheme:
    """The layers of a network and their shapes."""
    input:
        code=lambda w: study(w).code("plot_scheme.py", w.model),
        checkpoint=lambda w: study(w).checkpoints([w.model], first=True),
    output:
        png=report(
            shared.path("figures/scheme_{model}.png"),
            category=title,
            subcategory="5 Data and training",
            labels=titled("7 Layers of a network"),
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
            entry=study(w).science(w.model), label=study(w).labels([w.model])[w.model]
        ),
    message:
        "{wildcards.study}: drawing the layers of {wildcards.model}"
    shell:
        "python3 {input.code[0]:q} --study {wildcards.study} --model {wildcards.model}"
        " --config {params.config:q} --checkpoint {input.checkpoint:q}"
        " --description {output.description:q} --output {output.png:q} > {log:q} 2>&1"


rule plot_history:
    """Training and validation scores of every network against the step."""
    input:
        code=code("plot_history.py"),
        history=lambda w: study(w).trainings("history.csv", study(w).models(kind="network")),
        data=lambda w: study(w).patches(study(w).sets[0]),
        words=lambda w: study(w).words,
    output:
        png=report(
            shared.path("figures/history.png"),
            category=title,
            subcategory="5 Data and training",
            labels=titled("6 Training and validation curves"),
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
        "{wildcards.study}: plotting training and validation curves"
    shell:
        "python3 {input.code[0]:q} --config {params.config:q} --history {input.history:q}"
        " --words {input.words:q} --data-kind {input.data:q} --output {output.png:q} > {log:q} 2>&1"


rule tabulate_training:
    """What each training cost, in wall time and device hours."""
    input:
        code=code("tabulate_training.py"),
        runs=lambda w: study(w).trainings("run.json"),
    output:
        shared.path("training.csv"),
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
        "python3 {input.code[0]:q} --runs {input.runs:q} --output {output:q} > {log:q} 2>&1"


rule write_tiles:
    """All test examples of a set in small images, the worst first."""
    input:
        code=code("write_tiles.py"),
        verdict=shared.path("verdict.json"),
        patches=shared.patches("{set}"),
        predictions=lambda w: study(w).tests("predictions.nc", study(w).models(w.set), first=True),
        scores=lambda w: study(w).tests("scores.nc", study(w).models(w.set), first=True),
        words=lambda w: study(w).words,
    output:
        report(
            shared.path("tiles_{set}.html"),
            category=title,
            subcategory="2 Maps and images",
            labels=titled("9 All test examples"),
            caption="../report/tiles.rst",
        ),
    log:
        shared.log("write_tiles", "{set}"),
    conda:
        ENV
    resources:
        runtime=growing(15),
        mem_mb=growing(8000),
    params:
        config=lambda w: as_json(
            tiles=study(w)["comparison"].get("tiles"),
            examples=study(w)["comparison"]["examples"],
            models=study(w).models(w.set),
            **study(w).names(),
        ),
    message:
        "{wildcards.study}: writing the test examples of set {wildcards.set}"
    shell:
        "python3 {input.code[0]:q} --config {params.config:q} --set {wildcards.set}"
        " --verdict {input.verdict:q} --patches {input.patches:q}"
        " --predictions {input.predictions:q} --words {input.words:q}"
        " --output {output:q} > {log:q} 2>&1"


rule write_table:
    """A table of the report as a page that opens, with its CSV inside."""
    input:
        code=code("write_table.py"),
        table=shared.path("{table}.csv"),
        words=lambda w: study(w).words,
    output:
        report(
            shared.path("{table}.html"),
            category=title,
            subcategory=lambda w: study(w).tables[w.table].section,
            labels=lambda w: {
                "result": study(w).tables[w.table].label,
                "of": study(w).tables[w.table].of,
            },
            caption="../report/table.rst",
        ),
    log:
        shared.log("write_table", "{table}"),
    wildcard_constraints:
        table="|".join(re.escape(name) for s in studies.values() for name in s.tables),
    conda:
        ENV
    resources:
        runtime=growing(10),
        mem_mb=growing(2000),
    params:
        config=lambda w: as_json(
            title=study(w).table_title(w.table),
            table=study(w).tables[w.table].name,
            **study(w).names(),
        ),
    message:
        "{wildcards.study}: writing the table {wildcards.table}"
    shell:
        "python3 {input.code[0]:q} --config {params.config:q} --table {input.table:q}"
        " --words {input.words:q} --output {output:q} > {log:q} 2>&1"
