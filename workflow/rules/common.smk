# File-name patterns, config, code as input, resources: what every rule file uses.
# Standard library, yaml and jsonschema only: each Slurm job parses this file again.
import ast
import csv
import difflib
import functools
import json
import os
import re
import shlex
import sys
from pathlib import Path
from types import SimpleNamespace

import jsonschema
import yaml
from snakemake.exceptions import WorkflowError
from snakemake.settings.types import DeploymentMethod
from snakemake.utils import update_config

BASE = Path(workflow.basedir)
NAME = "[a-z0-9_]+"  # of a set or a model


# --- config: demo.yaml, then the size's file, then the user's values, then the schema's defaults --


def refuse(key, message):
    raise WorkflowError(f"config: {key}: {message}")


def nearest(word, known):
    close = difflib.get_close_matches(str(word), [str(k) for k in known], n=1)
    return f"did you mean '{close[0]}'? " if close else ""


def branch(schema, value, key, root):
    """Resolve `$ref`, and `oneOf` by the constant `module` that tells its branches apart."""
    if "$ref" in schema:
        schema = functools.reduce(
            lambda node, part: node[part], schema["$ref"].removeprefix("#/").split("/"), root
        )
    if "oneOf" not in schema or not isinstance(value, dict):
        return schema
    branches = [branch(option, None, key, root) for option in schema["oneOf"]]
    modules = {option["properties"]["module"]["const"]: option for option in branches}
    name = value.get("module")
    if name not in modules:
        refuse(
            f"{key}.module",
            f"unknown model module {name!r}; {nearest(name, modules)}known: {', '.join(modules)}",
        )
    return modules[name]


def complete(value, schema, key, root):
    """`value` with the schema's defaults filled in; unknown keys and wrong values are refused by
    name.
    """
    schema = branch(schema, value, key, root)
    if isinstance(value, dict) and "object" in schema.get("type", ()):
        known, extra = schema.get("properties", {}), schema.get("additionalProperties", {})
        for name in value:
            if name not in known and extra is False:
                refuse(
                    f"{key}.{name}".lstrip("."),
                    f"unknown key; {nearest(name, known)}known: {', '.join(known)}",
                )
        for name, child in known.items():
            if name not in value and "default" in child:
                value[name] = json.loads(json.dumps(child["default"]))
        for name in value:
            value[name] = complete(
                value[name], known.get(name, extra), f"{key}.{name}".lstrip("."), root
            )
        missing = [name for name in schema.get("required", []) if name not in value]
        if missing:
            refuse(key, f"missing key {', '.join(missing)}")
    else:
        leaf = {k: v for k, v in schema.items() if k not in ("default", "description")} | {
            "$defs": root.get("$defs", {})
        }
        for error in jsonschema.Draft202012Validator(leaf).iter_errors(value):
            where = ".".join([key, *map(str, error.absolute_path)])
            refuse(where, f"{error.message} ({schema.get('description', 'see docs/config.md')})")
    return value


def read_yaml(path):
    with open(path) as file:
        return (
            yaml.load(file, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)) or {}
        )  # ten times as fast in C


def study_config(study, user):
    """The study's config: its demo.yaml, the size's file and the user's values over one another,
    and the defaults.
    """
    folder = BASE / "config" / study
    if not isinstance(user, dict):
        refuse(study, f"{user!r} is not a table of keys")
    merged = {}
    for size in dict.fromkeys(["demo", config["size"]]):
        if not (folder / f"{size}.yaml").exists():
            refuse("size", f"the study {study} has no {size}: config/{study}/{size}.yaml not found")
        update_config(merged, read_yaml(folder / f"{size}.yaml"))
    update_config(merged, user)
    schema = read_yaml(BASE / "workflow" / "schemas" / f"{study}.schema.yaml")
    complete(merged, schema, study, schema)
    for section in ("sets", "models"):
        for name in merged[section]:
            if not re.fullmatch(NAME, str(name)):
                refuse(
                    f"{study}.{section}.{name}",
                    f"a name that stands in file names, expected {NAME}",
                )
    for model in merged["run_models"]:
        if model not in merged["models"]:
            known = merged["models"]
            refuse(
                f"{study}.run_models",
                f"unknown model '{model}'; {nearest(model, known)}known: {', '.join(known)}",
            )
        if merged["models"][model]["set"] not in merged["sets"]:
            refuse(
                f"{study}.models.{model}.set", f"unknown set; known: {', '.join(merged['sets'])}"
            )
        used = merged["sets"][merged["models"][model]["set"]]
        if (
            merged["models"][model].get("target") == "denoised"
            and used.get("denoiser", "none") == "none"
        ):
            refuse(f"{study}.models.{model}.target", "'denoised', but its set has no denoiser")
        check_start(study, merged["models"], model)
    return merged


def check_start(study, models, model):
    """Refuse a model that starts from one that is unknown, has no weights, or starts from itself in
    the end.
    """
    line = [model]
    while start := models[line[-1]].get("start"):
        key = f"{study}.models.{line[-1]}.start"
        if start not in models:
            refuse(
                key, f"unknown model '{start}'; {nearest(start, models)}known: {', '.join(models)}"
            )
        if models[start]["kind"] != "network":
            refuse(
                key, f"'{start}' is a baseline; expected a network, whose weights can be taken over"
            )
        if start in line:
            refuse(key, f"a circle: {', '.join([*line, start])}")
        line.append(start)


def house_config():
    """Complete and check the top level of `config`, then every listed study."""
    available = sorted(path.parent.name for path in BASE.glob("config/*/demo.yaml"))
    schema = read_yaml(BASE / "workflow" / "schemas" / "config.schema.yaml")
    schema["properties"] |= {study: {} for study in available}
    complete(config, schema, "", schema)
    for study in config["studies"]:
        if study not in available:
            refuse(
                "studies",
                f"unknown study '{study}'; {nearest(study, available)}known: {', '.join(available)}",
            )
        config[study] = study_config(study, config.get(study) or {})
    manifests = [BASE / "config" / study / "data.yaml" for study in config["studies"]]
    files = [name for path in manifests if path.exists() for name in read_yaml(path)["files"]]
    for name in config["raw"]["local"]:
        if name not in files:
            refuse(
                f"raw.local.{name}",
                f"unknown file; {nearest(name, files)}known: {', '.join(files)}",
            )


house_config()


# --- where things run -----------------------------------------------------------------------------

# The interpreter that runs Snakemake runs the scripts, unless `--sdm conda` or `--sdm apptainer` brings its own.
PYTHON = "python" if workflow.deployment_settings.deployment_method else shlex.quote(sys.executable)
ENV = "../../envs/skyloom.yaml"


def require_container():
    """Refuse to run jobs in a container where none is named: they would run in the bare shell
    instead.
    """
    if (
        DeploymentMethod.APPTAINER in workflow.deployment_settings.deployment_method
        and not config["container"]
    ):
        refuse(
            "container",
            "not set, but --sdm apptainer is: name the image built from envs/skyloom.def",
        )


require_container()


def require_account():
    """Refuse a cluster profile whose account is not set, before anything is submitted."""
    defaults = workflow.resource_settings.default_resources or {}
    if workflow.is_main_process and "slurm_account" in defaults:
        account = os.path.expandvars(str(defaults["slurm_account"].raw))
        if not account or "$" in account:
            raise WorkflowError(
                "SKYLOOM_ACCOUNT is not set: export SKYLOOM_ACCOUNT=<the Slurm account to charge>"
            )


require_account()


def growing(amount):
    """A resource that doubles with each attempt (memory and run time of rules that do not
    resume).
    """
    return lambda wildcards, attempt: amount * 2 ** (attempt - 1)


# --- file names -----------------------------------------------------------------------------------

RUN = f"{config['paths']['results']}/{config['run']}"
R = f"{RUN}/{{study}}"
CONFIG = os.path.relpath(BASE / "config")
RESOURCES = config["paths"]["resources"]
LOG = f"{R}/logs"
TRAINING_EXAMPLES = (
    {}
)  # study -> function of a model's entry: how many examples it will train on, for the estimate
ESTIMATES = (
    {}
)  # study -> function whose lines a dry run of survey size prints, beside those of its networks
BENCHMARK = f"{R}/benchmarks"
MODEL = f"{R}/models/{{model}}/seed{{seed}}"
TEST = f"{R}/test/{{model}}/seed{{seed}}"


wildcard_constraints:
    study="|".join(config["studies"]),
    set=NAME,
    model=NAME,
    seed="[0-9]+",
    shard="[0-9]+",


def model_entry(w):
    """The config of model `{model}` in study `{study}`."""
    return config[w.study]["models"][w.model]


def in_study(study, function):
    """An input function of `{study}` and `{model}` where files have no wildcard `{study}`, being of
    one study.
    """
    return lambda w: function(SimpleNamespace(study=study, **dict(w.items())))


def science(entry):
    """A model's config without what only says where and how long it runs: changing that must not
    retrain.
    """
    return {
        k: v for k, v in entry.items() if k not in ("seeds", "gpus", "threads", "runtime", "mem_mb")
    }


def patches_of(study, name):
    """The patches of set `name`."""
    return f"{RUN}/{study}/sets/{name}/patches.nc"


def denoised_of(study, name):
    """The denoised patches of set `name`, where it has a denoiser."""
    return [f"{RUN}/{study}/sets/{name}/denoised.nc"] * (
        config[study]["sets"][name].get("denoiser", "none") != "none"
    )


def training_set(w):
    """The files that model `{model}` learns from: its set's patches, and the denoised ones where
    they are its target.
    """
    entry = model_entry(w)
    denoised = denoised_of(w.study, entry["set"]) if entry.get("target") == "denoised" else []
    return [patches_of(w.study, entry["set"]), *denoised]


def seeds(study, model):
    """The seeds of a model: its own where it names some; a baseline has no random start and runs
    once.
    """
    entry = config[study]["models"][model]
    chosen = entry.get("seeds") or config[study]["seeds"]
    return chosen if entry["kind"] == "network" else chosen[:1]


def start_of(w):
    """The checkpoint that model `{model}` starts from: of its own seed, or of the first where that
    one has fewer.
    """
    start = model_entry(w).get("start")
    if not start:
        return []
    known = seeds(w.study, start)
    return [
        f"{MODEL}/best.ckpt".format(
            study=w.study, model=start, seed=w.seed if int(w.seed) in known else known[0]
        )
    ]


def of_models(study, models, pattern, first=False):
    """`pattern` for every seed of these models, or for the first of each alone."""
    last = 1 if first else None
    return [
        f
        for m in models
        for f in expand(pattern, study=study, model=m, seed=seeds(study, m)[:last])
    ]


def of_all_models(study, pattern):
    """`pattern` for every model and seed of the study's `run_models`."""
    return of_models(study, config[study]["run_models"], pattern)


def of_all_networks(study, pattern):
    """`pattern` for every network (not the baselines) and seed of the study's `run_models`."""
    models = config[study]["models"]
    return of_models(
        study, [m for m in config[study]["run_models"] if models[m]["kind"] == "network"], pattern
    )


def models_of_set(study, name):
    """The models of this run that learn from set `name`."""
    return [m for m in config[study]["run_models"] if config[study]["models"][m]["set"] == name]


def one_seed_of(study, name, pattern, chosen=None):
    """`pattern` for the first seed of each model of set `name`, or of those `chosen`: what a figure
    of patches shows.
    """
    models = models_of_set(study, name)
    return of_models(
        study, [m for m in models if m in chosen] if chosen else models, pattern, first=True
    )


def all_seeds_of(study, name, pattern):
    """`pattern` for every seed of each model of set `name`: models of different sets are not
    compared.
    """
    return of_models(study, models_of_set(study, name), pattern)


def sets_of(study):
    """The sets that the models of this run use."""
    return sorted({config[study]["models"][m]["set"] for m in config[study]["run_models"]})


def keys_of_set(study, name, *keys):
    """These keys of set `name`: what a rule does not read must not make it run again."""
    return {key: config[study]["sets"][name][key] for key in keys}


# --- code as input --------------------------------------------------------------------------------


def statements(body):
    """All statements below these, not the expressions in them, where most of the nodes are and no
    import.
    """
    for node in body:
        yield node
        for inside in ("body", "orelse", "finalbody", "handlers", "cases"):
            yield from statements(getattr(node, inside, ()))


@functools.cache
def imports(path):
    """The files below scripts/ that `path` imports, found in its syntax tree."""
    scripts = BASE / "scripts"
    names = []
    for node in statements(ast.parse(path.read_text(), filename=str(path)).body):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            package = path.parent.relative_to(scripts).parts
            prefix = package[: len(package) - node.level + 1] if node.level else ()
            source = ".".join([*prefix, *([node.module] if node.module else [])])
            names += [source, *(f"{source}.{alias.name}" for alias in node.names)]
    files = set()
    for name in filter(None, names):
        parts = name.split(".")
        for end in range(
            1, len(parts) + 1
        ):  # importing a.b.c runs a/__init__.py and a/b/__init__.py too
            stem = scripts.joinpath(*parts[:end])
            files |= {f for f in (stem.with_suffix(".py"), stem / "__init__.py") if f.is_file()}
    return files


@functools.cache
def code(script, *modules):
    """The entry point first, then all that it imports below scripts/, and `modules` that it imports by name.

    As inputs they are compared by checksum: an edit reruns exactly the rules that import the file, a revert or a fresh
    clone reruns nothing.
    """
    todo = [BASE / "scripts" / name for name in (script, *modules)]
    seen = dict.fromkeys(todo)
    while todo:
        for file in sorted(imports(todo.pop()) - seen.keys()):
            seen[file] = None
            todo.append(file)
    return [os.path.relpath(file) for file in seen]


def model_code(script):
    """`code()` of a script that imports the study's examples and the model's module by name."""

    def of(w):
        entry = model_entry(w)
        learner = f"models/{entry['module']}" if entry["kind"] == "network" else "baselines"
        names = [learner, "data/examples"] + ["evaluate"] * (script == "predict_test.py")
        files = [f"skyloom/{w.study}/{name}" for name in names]
        return code(
            script,
            *(
                f"{f}.py" if (BASE / "scripts" / f"{f}.py").exists() else f"{f}/__init__.py"
                for f in files
            ),
        )

    return of


def as_json(**sections):
    """Science parameters as one JSON text, the script's `--config`."""
    return json.dumps(sections, sort_keys=True)
