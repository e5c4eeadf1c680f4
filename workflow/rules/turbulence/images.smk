# Simulations, their column maps, and the images that sets cut from them.


rule turbulence_simulate_clouds:
    """Simulate one shard of a family's clouds, or take their analytic density."""
    input:
        code=code(
            "turbulence_simulate_clouds.py",
            "skyloom/turbulence/simulate/solver_numba.py",
            "skyloom/turbulence/simulate/solver_torch.py",
        ),
    output:
        temp(turbulence.family("{family}", "shards/{shard}.nc")),
    log:
        turbulence.log("turbulence_simulate_clouds", "{family}_{shard}"),
    benchmark:
        turbulence.benchmark("turbulence_simulate_clouds", "{family}_{shard}")
    wildcard_constraints:
        family=turbulence.families("simulated", "early"),
    conda:
        ENV
    threads: lambda w: turbulence["families"][w.family]["threads"]
    resources:
        **site.on_gpus(lambda w: turbulence["families"][w.family]["gpus"]),
        runtime=growing(lambda w: turbulence["families"][w.family]["runtime"]),
        mem_mb=growing(lambda w: turbulence.simulation_mb(w.family)),
    params:
        config=lambda w: as_json(**turbulence.clouds(w.family)),
        shards=lambda w: turbulence["families"][w.family]["shards"],
    message:
        "turbulence: simulating {wildcards.family}, shard {wildcards.shard}"
    shell:
        "python3 {input.code[0]:q} --config {params.config:q} --shard {wildcards.shard}"
        " --shards {params.shards}"
        " --threads {threads} --gpus {resources.gpu_slots} --output {output:q} > {log:q} 2>&1"


rule turbulence_project_columns:
    """Project a family's simulations to maps of column density, on request as if refined
    adaptively.
    """
    input:
        code=code("turbulence_project_columns.py"),
        shards=lambda w: turbulence.shards(w.family),
    output:
        ensure(turbulence.family("{family}", "columns.nc"), non_empty=True),
    log:
        turbulence.log("turbulence_project_columns", "{family}"),
    benchmark:
        turbulence.benchmark("turbulence_project_columns", "{family}")
    wildcard_constraints:
        family=turbulence.families("simulated", "early"),
    conda:
        ENV
    resources:
        runtime=growing(60),
        mem_mb=growing(lambda w: turbulence.maps_mb(w.family)),
    params:
        config=lambda w: as_json(**turbulence.maps(w.family)),
    message:
        "turbulence: projecting {wildcards.family}"
    shell:
        "python3 {input.code[0]:q} --config {params.config:q} --snapshots {input.shards:q}"
        " --output {output:q} > {log:q} 2>&1"


rule turbulence_read_outputs:
    """Read the user's simulation outputs, of RAMSES or as cubes, and project them."""
    input:
        code=code("turbulence_read_outputs.py"),
        outputs=lambda w: ancient(turbulence.outputs(w.family)),
    output:
        ensure(turbulence.family("{family}", "columns.nc"), non_empty=True),
    log:
        turbulence.log("turbulence_read_outputs", "{family}"),
    benchmark:
        turbulence.benchmark("turbulence_read_outputs", "{family}")
    wildcard_constraints:
        family=turbulence.families("ramses", "cube", "maps"),
    conda:
        ENV
    resources:
        runtime=growing(240),
        mem_mb=growing(16000),
    params:
        config=lambda w: as_json(**turbulence.reading(w.family)),
    message:
        "turbulence: reading the outputs of {wildcards.family}"
    shell:
        "python3 {input.code[0]:q} --config {params.config:q} --inputs {input.outputs:q}"
        " --output {output:q} > {log:q} 2>&1"


rule turbulence_cut_images:
    """Cut the column maps of a set's families into images with their split, which goes by seed."""
    input:
        code=code("turbulence_cut_images.py"),
        columns=lambda w: turbulence.columns(w.set),
    output:
        ensure(turbulence.patches("{set}"), non_empty=True),
    log:
        turbulence.log("turbulence_cut_images", "{set}"),
    benchmark:
        turbulence.benchmark("turbulence_cut_images", "{set}")
    conda:
        ENV
    resources:
        runtime=growing(60),
        mem_mb=growing(lambda w: turbulence.maps_mb(*turbulence["sets"][w.set]["families"])),
    params:
        config=lambda w: as_json(**turbulence["sets"][w.set]),
    message:
        "turbulence: cutting the images of set {wildcards.set}"
    shell:
        "python3 {input.code[0]:q} --config {params.config:q} --columns {input.columns:q}"
        " --output {output:q} > {log:q} 2>&1"


rule turbulence_plot_images:
    """Maps of log N of both classes, and the images that a set cuts from them."""
    input:
        code=code("turbulence_plot_images.py"),
        patches=turbulence.patches("{set}"),
        columns=lambda w: turbulence.columns(w.set),
    output:
        png=report(
            turbulence.path("figures/images_{set}.png"),
            category=turbulence.title,
            subcategory="2 Maps and images",
            labels=turbulence.titled("1 Maps and images"),
            caption="../../report/turbulence/images.rst",
        ),
        pdf=turbulence.path("figures/images_{set}.pdf"),
    log:
        turbulence.log("turbulence_plot_images", "{set}"),
    conda:
        ENV
    resources:
        runtime=growing(15),
        mem_mb=growing(4000),
    params:
        config=lambda w: as_json(
            families=turbulence["sets"][w.set]["families"],
            count=turbulence["images"]["count"],
            grid=turbulence.grid(w.set),
            set=turbulence.set_labels[w.set],
        ),
    message:
        "turbulence: plotting images of set {wildcards.set}"
    shell:
        "python3 {input.code[0]:q} --config {params.config:q} --patches {input.patches:q}"
        " --columns {input.columns:q}"
        " --output {output.png:q} > {log:q} 2>&1"
