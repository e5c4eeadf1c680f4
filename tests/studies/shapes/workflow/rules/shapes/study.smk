# The class of each pixel of images of discs, rings and bars under noise.
shapes = studies["shapes"]


localrules:
    shapes,


rule shapes:
    """Everything of the study: tables, figures, the mosaic of each model."""
    input:
        shapes.results,
        shapes.figures("scores", shapes.sets),
        shapes.figures("mosaic", shapes.models()),


rule shapes_draw_patches:
    """Draw the validation and test images of a set."""
    input:
        code=code("shapes_draw_patches.py"),
    output:
        ensure(shapes.patches("{set}"), non_empty=True),
    log:
        shapes.log("shapes_draw_patches", "{set}"),
    conda:
        ENV
    resources:
        runtime=growing(10),
        mem_mb=growing(2000),
    params:
        config=lambda w: as_json(**shapes["sets"][w.set]),
    message:
        "shapes: drawing the images of set {wildcards.set}"
    shell:
        "python3 {input.code[0]:q} --config {params.config:q} --output {output:q} > {log:q} 2>&1"


rule shapes_plot_scores:
    """Scores of the models of a set, by their first seed."""
    input:
        code=code("shapes_plot_scores.py"),
        curves=lambda w: shapes.tests("curves.nc", shapes.models(w.set), first=True),
    output:
        png=report(
            shapes.path("figures/scores_{set}.png"),
            category=shapes.title,
            subcategory="3 Scores",
            labels=shapes.titled("1 Scores by class, reliability"),
            caption="../../report/shapes/scores.rst",
        ),
        pdf=shapes.path("figures/scores_{set}.pdf"),
    log:
        shapes.log("shapes_plot_scores", "{set}"),
    conda:
        ENV
    resources:
        runtime=growing(10),
        mem_mb=growing(2000),
    params:
        config=lambda w: as_json(models=shapes.looks(shapes.models(w.set))),
    message:
        "shapes: plotting the scores of set {wildcards.set}"
    shell:
        "python3 {input.code[0]:q} --config {params.config:q} --curves {input.curves:q}"
        " --output {output.png:q} > {log:q} 2>&1"


rule shapes_predict_mosaic:
    """The product: the classes of a mosaic that is larger than a training image."""
    input:
        code=lambda w: shapes.code("shapes_predict_mosaic.py", w.model),
        checkpoint=lambda w: shapes.checkpoints([w.model], first=True),
    output:
        product=ensure(shapes.path("products/mosaic_{model}.fits"), non_empty=True),
        png=report(
            shapes.path("figures/mosaic_{model}.png"),
            category=shapes.title,
            subcategory="2 Maps and images",
            labels=shapes.titled("1 Classes of a mosaic"),
            caption="../../report/shapes/mosaic.rst",
        ),
        pdf=shapes.path("figures/mosaic_{model}.pdf"),
    log:
        shapes.log("shapes_predict_mosaic", "{model}"),
    conda:
        ENV
    resources:
        runtime=growing(10),
        mem_mb=growing(4000),
    params:
        config=lambda w: as_json(
            mosaic=shapes["mosaic"],
            set=shapes["sets"][shapes.entry(w.model)["set"]],
            entry=shapes.science(w.model),
        ),
    message:
        "shapes: predicting the mosaic with {wildcards.model}"
    shell:
        "python3 {input.code[0]:q} --config {params.config:q} --checkpoint {input.checkpoint:q}"
        " --output {output.product:q} --output-figure {output.png:q} > {log:q} 2>&1"
