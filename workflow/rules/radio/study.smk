# Where diffuse emission is in radio images.
radio = studies["radio"]


localrules:
    radio,
    radio_publish_image,


rule radio:
    """Everything of the study: tables, figures, the products of each image."""
    input:
        radio.results,
        radio.figures("panels", radio.sets),
        radio.figures("scores", radio.sets),
        [radio.path(f"search/{batch}_checked.txt") for batch in radio.batches if radio.searched],
        [radio.product(*search, "sources.fits") for search in radio.searched],
        [radio.path(f"figures/image_{image}_{model}.png") for image, model in radio.shown],
        [
            radio.path(f"products/{s}_{m}_sources.fits")
            for s in radio.surveys
            for m in radio.searchers
        ],


rule radio_project_power:
    """Project the radio power of shocks, and the density, of a simulation output of one's own."""
    input:
        code=code("radio_project_power.py"),
        files=lambda w: ancient(radio.output_files(w.output)),
    output:
        ensure(radio.path("raw/power_{output}.fits"), non_empty=True),
    log:
        radio.log("radio_project_power", "{output}"),
    benchmark:
        radio.benchmark("radio_project_power", "{output}")
    wildcard_constraints:
        output="|".join(map(re.escape, radio["outputs"])) or "none",
    conda:
        ENV
    resources:
        runtime=growing(240),
        mem_mb=growing(16000),
    params:
        config=lambda w: as_json(**radio["outputs"][w.output]),
    message:
        "radio: projecting the shocks of {wildcards.output}"
    shell:
        "python3 {input.code[0]:q} --config {params.config:q} --output {output:q} > {log:q} 2>&1"


rule radio_draw_patches:
    """Draw one shard of a set's simulated fields."""
    input:
        code=code("radio_draw_patches.py"),
        maps=lambda w: ancient(radio.map_files(w.set)),
    output:
        temp(radio.path("sets/{set}/shards/{shard}.nc")),
    log:
        radio.log("radio_draw_patches", "{set}_{shard}"),
    benchmark:
        radio.benchmark("radio_draw_patches", "{set}_{shard}")
    conda:
        ENV
    resources:
        runtime=growing(60),
        mem_mb=growing(4000),
    params:
        config=lambda w: as_json(**radio.fields(w.set)),
        shards=radio["shards"],
    message:
        "radio: drawing the fields of set {wildcards.set}, shard {wildcards.shard}"
    shell:
        "python3 {input.code[0]:q} --config {params.config:q} --shard {wildcards.shard}"
        " --shards {params.shards} --output {output:q} > {log:q} 2>&1"


rule radio_merge_patches:
    """Join a set's shards."""
    input:
        code=code("radio_merge_patches.py"),
        shards=[radio.path(f"sets/{{set}}/shards/{shard}.nc") for shard in range(radio["shards"])],
    output:
        ensure(radio.patches("{set}"), non_empty=True),
    log:
        radio.log("radio_merge_patches", "{set}"),
    conda:
        ENV
    resources:
        runtime=growing(30),
        mem_mb=growing(4000),
    message:
        "radio: merging the fields of set {wildcards.set}"
    shell:
        "python3 {input.code[0]:q} --shards {input.shards:q} --output {output:q} > {log:q} 2>&1"


rule radio_simulate_mosaic:
    """Draw a mosaic, its truth and a table of clusters, as a survey would give them."""
    input:
        code=code("radio_simulate_mosaic.py"),
        maps=ancient(radio.map_files(radio.mosaic_set)),
    output:
        mosaic=ensure(radio.path("raw/mosaic.fits"), non_empty=True),
        truth=radio.path("raw/mosaic_truth.fits"),
        clusters=radio.path("raw/clusters.ecsv"),
    log:
        radio.log("radio_simulate_mosaic"),
    benchmark:
        radio.benchmark("radio_simulate_mosaic")
    conda:
        ENV
    resources:
        runtime=growing(30),
        mem_mb=growing(8000),
    params:
        config=as_json(mosaic=radio["mosaic"], set=radio.fields(radio.mosaic_set)),
    message:
        "radio: simulating the mosaic"
    shell:
        "python3 {input.code[0]:q} --config {params.config:q} --output {output.mosaic:q}"
        " --output-truth {output.truth:q} --output-clusters {output.clusters:q} > {log:q} 2>&1"


rule radio_check_images:
    """Read the images of a batch before anything is trained, and say what is wrong with one."""
    input:
        code=code("radio_check_images.py"),
        images=lambda w: ancient(radio.batch_files(w.batch)),
    output:
        radio.path("search/{batch}_checked.txt"),
    log:
        radio.log("radio_check_images", "{batch}"),
    priority: 100
    conda:
        ENV
    resources:
        runtime=growing(30),
        mem_mb=growing(4000),
    params:
        config=lambda w: as_json(images=radio.batch_images(w.batch)),
    message:
        "radio: checking {wildcards.batch}"
    shell:
        "python3 {input.code[0]:q} --config {params.config:q} --output {output:q} > {log:q} 2>&1"


rule radio_search_images:
    """Search the images of a batch one after the other. An image that fails is noted only.

    Products stay in `kept` when the job is killed: Snakemake deletes what a job declares.
    """
    input:
        code=lambda w: radio.code("radio_search_images.py", radio.searchers[w.model][0]),
        images=lambda w: ancient(radio.batch_files(w.batch)),
        checkpoint=lambda w: radio.checkpoint(*radio.searchers[w.model]),
    output:
        ensure(radio.search_status("{batch}", "{model}"), non_empty=True),
    log:
        radio.log("radio_search_images", "{batch}_{model}"),
    benchmark:
        radio.benchmark("radio_search_images", "{batch}_{model}")
    wildcard_constraints:
        model="|".join(map(re.escape, radio.searchers)) or "none",
    conda:
        ENV
    threads: radio["search"]["threads"]
    resources:
        **site.on_gpus(lambda w: radio["search"]["gpus"]),
        runtime=growing(radio["search"]["runtime"]),
        mem_mb=growing(radio["search"]["mem_mb"]),
    params:
        config=lambda w: as_json(
            images=radio.batch_images(w.batch),
            entry=radio.science(radio.searchers[w.model][0]),
            views=radio["search"]["views"],
        ),
        kept=lambda w: [radio.kept(image, w.model) for image in radio.batches[w.batch]],
    message:
        "radio: searching {wildcards.batch} with {wildcards.model}"
    shell:
        "python3 {input.code[0]:q} --config {params.config:q} --checkpoint {input.checkpoint:q}"
        " --code {input.code:q} --threads {threads} --gpus {resources.gpu_slots}"
        " --kept {params.kept:q} --output {output:q} > {log:q} 2>&1"


rule radio_publish_image:
    """The products of an image: probability, mask, sources, regions and verdicts on clusters. Fails
    where the search of the image has failed.
    """
    input:
        code=code("radio_publish_image.py"),
        status=lambda w: radio.search_status(radio.batch(w.image), w.model),
    output:
        probability=ensure(radio.product("{image}", "{model}", "probability.fits"), non_empty=True),
        mask=radio.product("{image}", "{model}", "mask.fits"),
        sources=radio.product("{image}", "{model}", "sources.fits"),
        table=radio.product("{image}", "{model}", "sources.csv"),
        regions=radio.product("{image}", "{model}", "sources.reg"),
        clusters=radio.product("{image}", "{model}", "clusters.csv"),
    log:
        radio.log("radio_publish_image", "{image}_{model}"),
    wildcard_constraints:
        model="|".join(map(re.escape, radio.searchers)) or "none",
    conda:
        ENV
    params:
        kept=lambda w: radio.kept(w.image, w.model),
    message:
        "radio: products of {wildcards.image}, searched with {wildcards.model}"
    shell:
        "python3 {input.code[0]:q} --status {input.status:q} --kept {params.kept:q}"
        " --output {output:q} > {log:q} 2>&1"


rule radio_merge_survey:
    """The sources and the verdicts on clusters of all images of a survey, each once. Images whose
    search has failed are left out.
    """
    input:
        code=code("radio_merge_survey.py"),
        status=lambda w: radio.survey_status(w.survey, w.model),
    output:
        sources=ensure(radio.path("products/{survey}_{model}_sources.fits"), non_empty=True),
        regions=radio.path("products/{survey}_{model}_sources.reg"),
        clusters=radio.path("products/{survey}_{model}_clusters.csv"),
    log:
        radio.log("radio_merge_survey", "{survey}_{model}"),
    wildcard_constraints:
        survey="|".join(map(re.escape, radio.surveys)) or "none",
        model="|".join(map(re.escape, radio.searchers)) or "none",
    conda:
        ENV
    resources:
        runtime=growing(30),
        mem_mb=growing(4000),
    params:
        kept=lambda w: [radio.kept(image, w.model) for image in radio.surveys[w.survey]],
    message:
        "radio: merging the sources of {wildcards.survey}, found with {wildcards.model}"
    shell:
        "python3 {input.code[0]:q} --status {input.status:q} --kept {params.kept:q}"
        " --output {output.sources:q} --output-regions {output.regions:q}"
        " --output-clusters {output.clusters:q} > {log:q} 2>&1"


rule radio_compare_image:
    """What models found in an image beside what is known of its diffuse emission."""
    input:
        code=code("radio_compare_image.py"),
        image=lambda w: ancient(radio.image_files(w.image)),
        truth=lambda w: ancient(radio.truth_files(w.image)),
        masks=lambda w: [radio.product(w.image, m, "mask.fits") for m in radio.compared[w.image]],
    output:
        csv=ensure(radio.path("products/agreement_{image}.csv"), non_empty=True),
        truth=radio.path("products/truth_{image}.fits"),
    log:
        radio.log("radio_compare_image", "{image}"),
    conda:
        ENV
    resources:
        runtime=growing(30),
        mem_mb=growing(8000),
    params:
        config=lambda w: as_json(
            image=radio.image(w.image),
            truth=radio.truth(w.image),
            models=[radio.searchers[name] for name in radio.compared[w.image]],
        ),
    message:
        "radio: comparing what was found in {wildcards.image}"
    shell:
        "python3 {input.code[0]:q} --config {params.config:q} --masks {input.masks:q}"
        " --output {output.csv:q} --output-truth {output.truth:q} > {log:q} 2>&1"


rule radio_plot_image:
    """An image with the contours of what was found, and with the truth where it is known."""
    input:
        code=code("radio_plot_image.py"),
        image=lambda w: ancient(radio.image_files(w.image)),
        truth=lambda w: (
            radio.path(f"products/truth_{w.image}.fits") if w.image in radio.compared else []
        ),
        probability=radio.product("{image}", "{model}", "probability.fits"),
        sources=radio.product("{image}", "{model}", "sources.fits"),
    output:
        png=report(
            radio.path("figures/image_{image}_{model}.png"),
            category=radio.title,
            subcategory="2 Maps and images",
            labels=radio.titled("2 Diffuse emission of an image"),
            caption="../../report/radio/image.rst",
        ),
        pdf=radio.path("figures/image_{image}_{model}.pdf"),
    log:
        radio.log("radio_plot_image", "{image}_{model}"),
    wildcard_constraints:
        model="|".join(map(re.escape, radio.searchers)) or "none",
    conda:
        ENV
    resources:
        runtime=growing(10),
        mem_mb=growing(4000),
    params:
        config=lambda w: as_json(image=radio.image(w.image)),
        truth=lambda w, input: option("--truth", input.truth),
    message:
        "radio: plotting {wildcards.image}, searched with {wildcards.model}"
    shell:
        "python3 {input.code[0]:q} --config {params.config:q} {params.truth}"
        " --probability {input.probability:q} --sources {input.sources:q}"
        " --output {output.png:q} > {log:q} 2>&1"


rule radio_plot_panels:
    """Test fields in units of their noise: truth, and what each model calls diffuse."""
    input:
        code=code("radio_plot_panels.py"),
        patches=radio.patches("{set}"),
        predictions=lambda w: radio.tests("predictions.nc", radio.models(w.set), first=True),
    output:
        png=report(
            radio.path("figures/panels_{set}.png"),
            category=radio.title,
            subcategory="2 Maps and images",
            labels=radio.titled("1 Predicted and true diffuse emission"),
            caption="../../report/radio/panels.rst",
        ),
        pdf=radio.path("figures/panels_{set}.pdf"),
    log:
        radio.log("radio_plot_panels", "{set}"),
    conda:
        ENV
    resources:
        runtime=growing(10),
        mem_mb=growing(4000),
    params:
        config=lambda w: as_json(models=radio.looks(radio.models(w.set))),
    message:
        "radio: plotting fields of set {wildcards.set}"
    shell:
        "python3 {input.code[0]:q} --config {params.config:q} --patches {input.patches:q}"
        " --predictions {input.predictions:q} --output {output.png:q} > {log:q} 2>&1"


rule radio_plot_scores:
    """Curves of the models of a set: ROC, precision, completeness, classes taken for another."""
    input:
        code=code("radio_plot_scores.py"),
        curves=lambda w: radio.tests("curves.nc", radio.models(w.set), first=True),
    output:
        png=report(
            radio.path("figures/scores_{set}.png"),
            category=radio.title,
            subcategory="3 Scores",
            labels=radio.titled("1 ROC, precision, completeness, confusion"),
            caption="../../report/radio/scores.rst",
        ),
        pdf=radio.path("figures/scores_{set}.pdf"),
    log:
        radio.log("radio_plot_scores", "{set}"),
    conda:
        ENV
    resources:
        runtime=growing(10),
        mem_mb=growing(4000),
    params:
        config=lambda w: as_json(models=radio.looks(radio.models(w.set))),
    message:
        "radio: plotting the scores of set {wildcards.set}"
    shell:
        "python3 {input.code[0]:q} --config {params.config:q} --curves {input.curves:q}"
        " --output {output.png:q} > {log:q} 2>&1"
