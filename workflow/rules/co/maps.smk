# Maps of the sky, simulated or from surveys, brought to one beam and denoised.


rule co_simulate_sky:
    """The embedded stand-in sky, written as the real products' files."""
    input:
        code=code("co_simulate_sky.py"),
    output:
        **co.simulated,
    log:
        co.log("co_simulate_sky"),
    benchmark:
        co.benchmark("co_simulate_sky")
    conda:
        ENV
    threads: 4
    resources:
        runtime=growing(120),
        mem_mb=growing(4000 + 2000 * co["sky"]["nside"] ** 2 // 512**2),
    params:
        config=as_json(**co["sky"]),
    message:
        "co: simulating the stand-in sky"
    shell:
        "python3 {input.code[0]:q} --config {params.config:q}"
        " --co-map {output.co:q} --dust-map {output.dust:q} --hi-map {output.hi:q} > {log:q} 2>&1"


rule co_check_sky:
    """The stand-in sky's statistics beside those measured on the real sky."""
    input:
        **co.simulated,
        code=code("co_check_sky.py"),
    output:
        co.path("raw/anchors.csv"),
    log:
        co.log("co_check_sky"),
    conda:
        ENV
    threads: 2
    resources:
        runtime=growing(60),
        mem_mb=growing(8000),
    message:
        "co: comparing the stand-in sky with the real one"
    shell:
        "python3 {input.code[0]:q}"
        " --co-map {input.co:q} --dust-map {input.dust:q} --hi-map {input.hi:q}"
        " --output {output:q} > {log:q} 2>&1"


rule co_prepare_maps:
    """Check the raw maps and bring them to one ordering, unit and beam."""
    input:
        **(
            {name: ancient(path) for name, path in co.surveys.items()}
            if co.surveyed
            else co.simulated
        ),
        beam=ancient(co["maps"]["dust_beam_map"]) if co["maps"]["dust_beam_map"] else [],
        code=code("co_prepare_maps.py"),
    output:
        co.path("maps.nc"),
    log:
        co.log("co_prepare_maps"),
    benchmark:
        co.benchmark("co_prepare_maps")
    conda:
        ENV
    threads: 4
    resources:
        runtime=growing(60),
        mem_mb=growing(12000),
    params:
        config=as_json(**co["maps"]),
    message:
        "co: preparing the maps"
    shell:
        "python3 {input.code[0]:q} --config {params.config:q}"
        " --co-map {input.co:q} --dust-map {input.dust:q} --hi-map {input.hi:q}"
        " --output {output:q} > {log:q} 2>&1"


rule co_denoise_sphere:
    """Denoise a CO map on the sphere near bright CO, with parameters cross-validated on its null
    map.
    """
    input:
        code=code("co_denoise_sphere.py"),
        maps=co.path("maps.nc"),
    output:
        map=ensure(co.denoised_map("{line}"), non_empty=True),
        scores=co.path("denoised/co{line}_scores.csv"),
    log:
        co.log("co_denoise_sphere", "{line}"),
    benchmark:
        co.benchmark("co_denoise_sphere", "{line}")
    wildcard_constraints:
        line="10|21",
    conda:
        ENV
    threads: 4
    resources:
        **site.on_gpus(lambda w: co["denoisers"]["nlm_sphere"]["gpus"]),
        runtime=growing(120),
        mem_mb=growing(16000),
    params:
        config=lambda w: as_json(
            line=w.line,
            nlm_sphere=co.denoisers["nlm_sphere"],
            split=co.split,
            snr=co["tiles"]["snr_threshold"],
        ),
    message:
        "co: denoising the map of line {wildcards.line} on the sphere"
    shell:
        "python3 {input.code[0]:q} --gpus {resources.gpu_slots} --config {params.config:q}"
        " --maps {input.maps:q} --output {output.map:q} --scores {output.scores:q} > {log:q} 2>&1"


rule co_compare_denoisers:
    """Denoisers on a sky whose truth is known, with white and with beam-correlated noise."""
    input:
        code=code("co_compare_denoisers.py"),
    output:
        csv=co.path("denoisers.csv"),
        png=report(
            co.path("figures/denoisers.png"),
            category=co.title,
            subcategory="5 Data and training",
            labels=co.titled("4 Denoisers compared"),
            caption="../../report/co/denoisers.rst",
        ),
        pdf=co.path("figures/denoisers.pdf"),
    log:
        co.log("co_compare_denoisers"),
    benchmark:
        co.benchmark("co_compare_denoisers")
    conda:
        ENV
    threads: 2
    resources:
        runtime=growing(30),
        mem_mb=growing(8000),
    params:
        config=as_json(
            compare_denoisers=co["compare_denoisers"],
            denoisers=co.denoisers,
            pixels=co["tiles"]["pixels"],
        ),
    message:
        "co: comparing denoisers on a sky of known truth"
    shell:
        "python3 {input.code[0]:q} --config {params.config:q} --output {output.csv:q}"
        " --figure {output.png:q} > {log:q} 2>&1"
