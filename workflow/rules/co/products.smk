# The sky that models of the CO study predict: tiles, products, what is measured of them.


rule co_predict_sky:
    """Predict the sky of a product with one model and seed, and blend its tiles on the sphere."""
    input:
        code=lambda w: co.code("co_predict_sky.py", w.model),
        maps=co.path("maps.nc"),
        checkpoint=co.checkpoint("{model}", "{seed}"),
    output:
        ensure(co.sky("{product}", "{model}", "{seed}"), non_empty=True),
    log:
        co.log("co_predict_sky", "{product}_{model}_seed{seed}"),
    benchmark:
        co.benchmark("co_predict_sky", "{product}_{model}_seed{seed}")
    conda:
        ENV
    threads: lambda w: co["products"][w.product]["threads"]
    resources:
        **site.on_gpus(lambda w: co["products"][w.product]["gpus"]),
        runtime=growing(lambda w: co["products"][w.product]["runtime"]),
        mem_mb=growing(lambda w: 6000 + 250 * co["products"][w.product]["samples"]),
    params:
        config=lambda w: as_json(
            entry=co.science(w.model),
            line=co.product_line(w.product, w.model),
            tiles=pick(co["tiles"], "size_deg", "pixels"),
            product=pick(co["products"][w.product], "area", "tile_nside", "samples", "seed"),
            bands=pick(co["evaluate"], "l_first", "l_width", "l_count", "taper_deg"),
        ),
    message:
        "co: predicting {wildcards.product} with {wildcards.model}, seed {wildcards.seed}"
    shell:
        "python3 {input.code[0]:q} --model {wildcards.model} --seed {wildcards.seed}"
        " --gpus {resources.gpu_slots} --config {params.config:q}"
        " --maps {input.maps:q} --checkpoint {input.checkpoint:q}"
        " --output {output:q} > {log:q} 2>&1"


rule co_write_product:
    """Join the seeds and lines of a product; uncertainty, mask, provenance; a template for PySM."""
    input:
        code=code("co_write_product.py"),
        maps=co.path("maps.nc"),
        skies=lambda w: co.skies(w.product),
        tiles=lambda w: [
            co.path("sets", name, "tiles.csv") for name in co.product_sets(w.product).values()
        ],
    output:
        product=ensure(co.product("{product}"), non_empty=True),
        pysm=co.path("products/{product}_pysm.fits"),
    log:
        co.log("co_write_product", "{product}"),
    conda:
        ENV
    resources:
        runtime=growing(60),
        mem_mb=growing(16000),
    params:
        config=lambda w: as_json(
            name=w.product,
            product=pick(co["products"][w.product], "area", "tile_nside"),
            cnv=co["co_to_cmb"],
            tiles=pick(co["tiles"], "size_deg", "snr_threshold", "seed"),
            sets={
                line: pick(co["sets"][name], "views", "shift_deg")
                for line, name in co.product_sets(w.product).items()
            },
        ),
    message:
        "co: writing product {wildcards.product}"
    shell:
        "python3 {input.code[0]:q} --config {params.config:q} --maps {input.maps:q}"
        " --skies {input.skies:q} --tiles {input.tiles:q}"
        " --output {output.product:q} --output-pysm {output.pysm:q} > {log:q} 2>&1"


rule co_tabulate_footprints:
    """What a product predicts where ground-based CMB telescopes observe."""
    input:
        code=code("co_tabulate_footprints.py"),
        maps=co.path("maps.nc"),
        product=co.product("{product}"),
    output:
        co.path("products/{product}_footprints.csv"),
    log:
        co.log("co_tabulate_footprints", "{product}"),
    conda:
        ENV
    resources:
        runtime=growing(30),
        mem_mb=growing(12000),
    params:
        config=as_json(**co["footprints"]),
    message:
        "co: tabulating the footprints of {wildcards.product}"
    shell:
        "python3 {input.code[0]:q} --config {params.config:q} --maps {input.maps:q}"
        " --product {input.product:q}"
        " --output {output:q} > {log:q} 2>&1"


rule co_plot_product:
    """A product's whole sky, views at high latitude, angular power."""
    input:
        code=code("co_plot_product.py"),
        maps=co.path("maps.nc"),
        product=co.product("{product}"),
        skies=lambda w: co.skies(w.product, first=True),
    output:
        sky=report(
            co.path("figures/product_{product}_sky.png"),
            category=co.title,
            subcategory="2 Maps and images",
            labels=co.titled("2 Predicted sky"),
            caption="../../report/co/product_sky.rst",
        ),
        zooms=report(
            co.path("figures/product_{product}_zooms.png"),
            category=co.title,
            subcategory="2 Maps and images",
            labels=co.titled("3 Predicted CO at high latitude"),
            caption="../../report/co/product_zooms.rst",
        ),
        power=report(
            co.path("figures/product_{product}_power.png"),
            category=co.title,
            subcategory="2 Maps and images",
            labels=co.titled("4 Angular power of the predicted sky"),
            caption="../../report/co/product_power.rst",
        ),
        pdf=[
            co.path(f"figures/product_{{product}}_{part}.pdf")
            for part in ("sky", "zooms", "power")
        ],
    log:
        co.log("co_plot_product", "{product}"),
    conda:
        ENV
    resources:
        runtime=growing(60),
        mem_mb=growing(12000),
    params:
        config=lambda w: as_json(
            area=co["products"][w.product]["area"],
            models=co.looks(dict.fromkeys(co["products"][w.product]["lines"].values())),
            **co["product_figures"],
        ),
    message:
        "co: plotting product {wildcards.product}"
    shell:
        "python3 {input.code[0]:q} --config {params.config:q} --maps {input.maps:q}"
        " --product {input.product:q}"
        " --skies {input.skies:q} --output-sky {output.sky:q} --output-zooms {output.zooms:q}"
        " --output-power {output.power:q} > {log:q} 2>&1"
