# Tiles of a set and the patches that are cut on them.


rule co_select_tiles:
    """Choose the tiles of a set, and the split of each by its place on the sky."""
    input:
        code=code("co_select_tiles.py"),
        maps=co.path("maps.nc"),
        signal=lambda w: co.snr_map(w.set),
    output:
        co.path("sets/{set}/tiles.csv"),
    log:
        co.log("co_select_tiles", "{set}"),
    conda:
        ENV
    resources:
        runtime=growing(30),
        mem_mb=growing(8000),
    params:
        config=lambda w: as_json(
            tiles=co["tiles"],
            split=co.split,
            set=pick(co["sets"][w.set], "line", "selection", "faint_share", "shift_deg"),
        ),
    message:
        "co: selecting the tiles of set {wildcards.set}"
    shell:
        "python3 {input.code[0]:q} --config {params.config:q} --maps {input.maps:q}"
        " --signal {input.signal:q} --output {output:q} > {log:q} 2>&1"


rule co_cut_patches:
    """Cut one shard of a set's patches from the sphere, all maps with one set of interpolation
    weights.
    """
    input:
        code=code("co_cut_patches.py"),
        maps=co.path("maps.nc"),
        tiles=co.path("sets/{set}/tiles.csv"),
    output:
        temp(co.path("sets/{set}/shards/{shard}.nc")),
    log:
        co.log("co_cut_patches", "{set}_{shard}"),
    benchmark:
        co.benchmark("co_cut_patches", "{set}_{shard}")
    conda:
        ENV
    resources:
        runtime=growing(60),
        mem_mb=growing(8000),
    params:
        config=lambda w: as_json(
            tiles=co["tiles"],
            set=pick(co["sets"][w.set], "line", "views", "shift_deg"),
            complexes=[*co.split["complexes"]],
            block_deg=co.split["block_deg"],
        ),
        shards=co["shards"],
    message:
        "co: cutting patches of set {wildcards.set}, shard {wildcards.shard}"
    shell:
        "python3 {input.code[0]:q} --config {params.config:q} --maps {input.maps:q}"
        " --tiles {input.tiles:q}"
        " --shard {wildcards.shard} --shards {params.shards} --output {output:q} > {log:q} 2>&1"


rule co_merge_patches:
    """Join a set's shards and fit its normalisation on the training split."""
    input:
        code=code("co_merge_patches.py"),
        shards=[co.path(f"sets/{{set}}/shards/{shard}.nc") for shard in range(co["shards"])],
    output:
        ensure(co.patches("{set}"), non_empty=True),
    log:
        co.log("co_merge_patches", "{set}"),
    conda:
        ENV
    resources:
        runtime=growing(30),
        mem_mb=growing(8000),
    message:
        "co: merging the patches of set {wildcards.set}"
    shell:
        "python3 {input.code[0]:q} --shards {input.shards:q} --output {output:q} > {log:q} 2>&1"


rule co_denoise_patches:
    """Denoise the CO patches of a set; they train, they never score."""
    input:
        unpack(lambda w: co.denoiser_maps(w.set)),
        code=code("co_denoise_patches.py"),
        patches=co.patches("{set}"),
    output:
        ensure(co.path("sets/{set}/denoised.nc"), non_empty=True),
    log:
        co.log("co_denoise_patches", "{set}"),
    benchmark:
        co.benchmark("co_denoise_patches", "{set}")
    conda:
        ENV
    resources:
        runtime=growing(120),
        mem_mb=growing(8000),
    params:
        config=lambda w: as_json(**co.denoiser(w.set)),
        sphere=lambda w, input: " ".join(
            option(f"--{key.replace('_', '-')}", input[key]) for key in co.denoiser_maps(w.set)
        ),
    message:
        "co: denoising the patches of set {wildcards.set}"
    shell:
        "python3 {input.code[0]:q} --config {params.config:q}"
        " --patches {input.patches:q} {params.sphere} --output {output:q} > {log:q} 2>&1"


rule co_count_patches:
    """Bright tiles by the signal-to-noise before and after denoising, beside the published numbers
    of patches.
    """
    input:
        code=code("co_count_patches.py"),
        maps=co.path("maps.nc"),
        denoised=[co.denoised_map(line) for line in co.denoised_lines],
        published=f"{CONFIG}/co/published.yaml",
    output:
        co.path("patch_counts.csv"),
    log:
        co.log("co_count_patches"),
    conda:
        ENV
    resources:
        runtime=growing(30),
        mem_mb=growing(8000),
    params:
        config=as_json(lines=co.denoised_lines, tiles=co["tiles"], split=co.split),
    message:
        "co: counting bright tiles before and after denoising"
    shell:
        "python3 {input.code[0]:q} --config {params.config:q} --maps {input.maps:q}"
        " --denoised {input.denoised:q}"
        " --published {input.published:q} --output {output:q} > {log:q} 2>&1"
