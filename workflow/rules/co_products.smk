# The sky that models of the CO study predict: tiles, products, what is measured of them.


rule co_predict_sky:
    """Predict the sky of a product with one model and seed, and blend its tiles on the sphere."""
    input:
        code=in_study("co", model_code("co_predict_sky.py")),
        maps=f"{CO_R}/maps.nc",
        checkpoint=f"{MODEL.format(study='co', model='{model}', seed='{seed}')}/best.ckpt",
    output:
        ensure(CO_SKY, non_empty=True),
    log:
        f"{CO_LOG}/co_predict_sky/{{product}}_{{model}}_seed{{seed}}.log",
    benchmark:
        f"{CO_BENCHMARK}/co_predict_sky/{{product}}_{{model}}_seed{{seed}}.tsv"
    conda:
        ENV
    threads: lambda w: CO["products"][w.product]["threads"]
    resources:
        gres=lambda w: (
            f"gpu:{CO['products'][w.product]['gpus']}" if CO["products"][w.product]["gpus"] else ""
        ),
        gpu_slots=lambda w: CO["products"][w.product]["gpus"],
        runtime=lambda w, attempt: CO["products"][w.product]["runtime"] * 2 ** (attempt - 1),
        mem_mb=lambda w, attempt: (6000 + 250 * CO["products"][w.product]["samples"])
        * 2 ** (attempt - 1),
    params:
        config=lambda w: as_json(
            entry=science(CO["models"][w.model]),
            line=co_line_of(w),
            tiles={key: CO["tiles"][key] for key in ("size_deg", "pixels")},
            product={
                key: CO["products"][w.product][key]
                for key in ("area", "tile_nside", "samples", "seed")
            },
            bands={
                key: CO["evaluate"][key] for key in ("l_first", "l_width", "l_count", "taper_deg")
            },
        ),
    shell:
        f"{PYTHON} "
        "{input.code[0]} --model {wildcards.model} --seed {wildcards.seed} --config {params.config:q}"
        " --maps {input.maps} --checkpoint {input.checkpoint} --output {output} > {log} 2>&1"


rule co_write_product:
    """Join the seeds and lines of a product; uncertainty, mask, provenance; a template for PySM."""
    input:
        code=code("co_write_product.py"),
        maps=f"{CO_R}/maps.nc",
        skies=lambda w: co_skies(w.product),
        tiles=lambda w: expand(f"{CO_SET}/tiles.csv", set=co_sets_of(w.product).values()),
    output:
        product=ensure(CO_PRODUCT, non_empty=True),
        pysm=f"{CO_R}/products/{{product}}_pysm.fits",
    log:
        f"{CO_LOG}/co_write_product/{{product}}.log",
    conda:
        ENV
    resources:
        runtime=growing(60),
        mem_mb=growing(16000),
    params:
        config=lambda w: as_json(
            name=w.product,
            product={key: CO["products"][w.product][key] for key in ("area", "tile_nside")},
            cnv=CO["co_to_cmb"],
            tiles={key: CO["tiles"][key] for key in ("size_deg", "snr_threshold", "seed")},
            sets={
                l: keys_of_set("co", name, "views", "shift_deg")
                for l, name in co_sets_of(w.product).items()
            },
        ),
    shell:
        f"{PYTHON} "
        "{input.code[0]} --config {params.config:q} --maps {input.maps} --skies {input.skies} --tiles {input.tiles}"
        " --output {output.product} --output-pysm {output.pysm} > {log} 2>&1"


rule co_tabulate_footprints:
    """What a product predicts where ground-based CMB telescopes observe."""
    input:
        code=code("co_tabulate_footprints.py"),
        maps=f"{CO_R}/maps.nc",
        product=CO_PRODUCT,
    output:
        report(
            f"{CO_R}/products/{{product}}_footprints.csv",
            category="co",
            labels={"result": "CO in the footprints of CMB surveys", "product": "{product}"},
            caption="../report/co/footprints.rst",
        ),
    log:
        f"{CO_LOG}/co_tabulate_footprints/{{product}}.log",
    conda:
        ENV
    resources:
        runtime=growing(30),
        mem_mb=growing(12000),
    params:
        config=json.dumps(CO["footprints"], sort_keys=True),
    shell:
        f"{PYTHON} "
        "{input.code[0]} --config {params.config:q} --maps {input.maps} --product {input.product}"
        " --output {output} > {log} 2>&1"


rule co_plot_product:
    """A product's whole sky, views at high latitude, angular power."""
    input:
        code=code("co_plot_product.py"),
        maps=f"{CO_R}/maps.nc",
        product=CO_PRODUCT,
        skies=lambda w: co_skies(w.product, first=True),
    output:
        sky=report(
            f"{CO_R}/figures/product_{{product}}_sky.png",
            category="co",
            labels={"result": "predicted sky", "product": "{product}"},
            caption="../report/co/product_sky.rst",
        ),
        zooms=report(
            f"{CO_R}/figures/product_{{product}}_zooms.png",
            category="co",
            labels={"result": "predicted CO at high latitude", "product": "{product}"},
            caption="../report/co/product_zooms.rst",
        ),
        power=report(
            f"{CO_R}/figures/product_{{product}}_power.png",
            category="co",
            labels={"result": "angular power of the product", "product": "{product}"},
            caption="../report/co/product_power.rst",
        ),
        pdf=[f"{CO_R}/figures/product_{{product}}_{part}.pdf" for part in ("sky", "zooms", "power")],
    log:
        f"{CO_LOG}/co_plot_product/{{product}}.log",
    conda:
        ENV
    resources:
        runtime=growing(60),
        mem_mb=growing(12000),
    params:
        config=lambda w: as_json(area=CO["products"][w.product]["area"], **CO["product_figures"]),
    shell:
        f"{PYTHON} "
        "{input.code[0]} --config {params.config:q} --maps {input.maps} --product {input.product}"
        " --skies {input.skies} --output-sky {output.sky} --output-zooms {output.zooms}"
        " --output-power {output.power} > {log} 2>&1"
