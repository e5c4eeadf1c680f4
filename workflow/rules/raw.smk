# Survey files: downloaded or linked once, checked, read-only afterwards.

# Not params or code inputs: another mirror, a moved copy or an edit must not fetch a GB again.
DOWNLOAD = "python3 " + shlex.join(
    [os.path.relpath(BASE / "scripts" / "download_raw.py")]
    + (["--mirror", config["raw"]["mirror"]] if config["raw"]["mirror"] else [])
    + [f"--local={name}={path}" for name, path in config["raw"]["local"].items()]
)


localrules:
    download_raw,


rule download_raw:
    """Fetch one survey file: resumable, its size and checksum verified, its sha256 recorded; or
    link the user's own copy.
    """
    output:
        f"{RESOURCES}/raw/{{study}}/{{file}}",
    log:
        f"{RESOURCES}/raw/logs/{{study}}/{{file}}.log",
    wildcard_constraints:
        file="[^/]+",  # what lies in folders is the user's own
    conda:
        ENV
    message:
        "{wildcards.study}: fetching {wildcards.file}"
    shell:
        f"{DOWNLOAD} --manifest {CONFIG}/{{wildcards.study}}/data.yaml --name {{wildcards.file}}"
        " --output {output:q} > {log:q} 2>&1"
