# Survey files: downloaded or linked once, checked, read-only afterwards.


# Not params: another mirror or a moved copy must not fetch a gigabyte again.
RAW = json.dumps(config["raw"])
DOWNLOAD = str(BASE / "scripts" / "download_raw.py")


localrules:
    download_raw,


rule download_raw:
    """Fetch one survey file: resumable, its size and checksum verified, its sha256 recorded; or link the user's own copy."""
    output:
        RESOURCES + "/raw/{study}/{file}",
    log:
        f"{RESOURCES}/raw/logs/{{study}}/{{file}}.log",
    shell:
        "{PYTHON} {DOWNLOAD} --name {wildcards.file} --manifest {CONFIG}/{wildcards.study}/data.yaml --config {RAW:q}"
        " --output {output} > {log} 2>&1"
