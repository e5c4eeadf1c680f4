# Survey files: downloaded or linked once, checked, read-only afterwards.


def raw_entry(w):
    """What config/<study>/data.yaml says of raw file `{file}`."""
    manifest = read_yaml(BASE / "config" / w.study / "data.yaml")
    return manifest["files"][w.file]


localrules:
    download_raw,


rule download_raw:
    """Fetch one survey file: resumable, its size and checksum verified, its sha256 recorded; or link the user's own copy."""
    output:
        RESOURCES + "/raw/{study}/{file}",
    log:
        f"{RESOURCES}/raw/logs/{{study}}/{{file}}.log",
    retries: 0
    conda:
        ENV
    params:
        script=str(BASE / "scripts" / "download_raw.py"),
        manifest=lambda w: str(BASE / "config" / w.study / "data.yaml"),
        mirror=lambda w: f"--mirror {config['raw']['mirror']}" if config["raw"]["mirror"] else "",
        local=lambda w: f"--local {config['raw']['local'][w.file]}" if w.file in config["raw"]["local"] else "",
    shell:
        "{PYTHON} {params.script} --name {wildcards.file} --manifest {params.manifest} {params.mirror} {params.local}"
        " --output {output} > {log} 2>&1"
