# Do the images look like those of real clouds, or of another scheme? For the features that the models use, and to a person.


rule turbulence_compare_realism:
    """Whether the images of two sets are told apart by a classifier of their features, and by an
    autoencoder.
    """
    input:
        code=code("turbulence_compare_realism.py", "skyloom/turbulence/models/autoencoder.py"),
        patches=turbulence_pair_patches,
        first=turbulence_pair_columns("first"),
        second=turbulence_pair_columns("second"),
        checkpoint=turbulence_autoencoder,
    output:
        table=report(
            f"{TURBULENCE_R}/realism_{{first}}_{{second}}.csv",
            category="turbulence",
            labels={"result": "realism", "set": "{first}, {second}"},
            caption="../report/turbulence/realism.rst",
        ),
        png=report(
            f"{TURBULENCE_R}/figures/realism_{{first}}_{{second}}.png",
            category="turbulence",
            labels={"result": "realism", "set": "{first}, {second}"},
            caption="../report/turbulence/realism_figure.rst",
        ),
        pdf=f"{TURBULENCE_R}/figures/realism_{{first}}_{{second}}.pdf",
    log:
        f"{TURBULENCE_LOG}/turbulence_compare_realism/{{first}}_{{second}}.log",
    wildcard_constraints:
        **TURBULENCE_PAIR,
    conda:
        ENV
    resources:
        runtime=growing(60),
        mem_mb=growing(8000),
    params:
        config=turbulence_realism_config,
        checkpoint=lambda w, input: f"--checkpoint {input.checkpoint}" if input.checkpoint else "",
    shell:
        f"{PYTHON} "
        "{input.code[0]} --config {params.config:q} --patches {input.patches} --columns-first {input.first}"
        " --columns-second {input.second} {params.checkpoint} --output {output.table} --figure {output.png}"
        " > {log} 2>&1"


rule turbulence_draw_panel:
    """Shuffled images of two sets for a person to tell apart; the key is no part of the report."""
    input:
        code=code("turbulence_draw_panel.py"),
        patches=turbulence_pair_patches,
    output:
        png=report(
            f"{TURBULENCE_R}/figures/panel_{{first}}_{{second}}.png",
            category="turbulence",
            labels={"result": "panel for a person", "set": "{first}, {second}"},
            caption="../report/turbulence/panel.rst",
        ),
        pdf=f"{TURBULENCE_R}/figures/panel_{{first}}_{{second}}.pdf",
        key=f"{TURBULENCE_R}/panel_keys/{{first}}_{{second}}.csv",
    log:
        f"{TURBULENCE_LOG}/turbulence_draw_panel/{{first}}_{{second}}.log",
    wildcard_constraints:
        **TURBULENCE_PAIR,
    conda:
        ENV
    resources:
        runtime=growing(10),
        mem_mb=growing(4000),
    params:
        config=lambda w: as_json(
            **{key: turbulence_pair(w)[key] for key in ("first", "second", "panel", "seed")}
        ),
    shell:
        f"{PYTHON} "
        "{input.code[0]} --config {params.config:q} --patches {input.patches} --output {output.png} --key {output.key}"
        " > {log} 2>&1"
