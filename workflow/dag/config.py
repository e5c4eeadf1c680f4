"""The config of a run: files laid over one another, defaults and checks from the schemas.

Three words of the schemas are our own. `include: <group>` (or a list) adds the properties of a
group to those stated beside it, which are laid over them; groups stand in `groups:` of the study's
schema and of training.schema.yaml. `$ref: "#/$defs/<module>"` is the definition that the value's
key `module` names, a key that each definition has. `format: path` is a path in which `~` and
environment variables are expanded.
"""

import copy
import difflib
import functools
import json
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NoReturn

import jsonschema
import yaml
from snakemake.exceptions import WorkflowError

BASE = Path(__file__).resolve().parents[2]
SCHEMAS = BASE / "workflow" / "schemas"
NAME = "[a-z0-9_]+"  # of a set or a model
PLAIN = re.compile(r"[-+]?\d+(\.\d*)?|true|false|null", re.I)
FLOAT = re.compile(r"([-+]?\d+)(\.\d*)?[eE]([-+]?)(\d+)")


def refuse(key: str, message: str) -> NoReturn:
    raise WorkflowError(f"config: {key}: {message}")


def refuse_unknown(key: str, kind: str, names: Iterable[str], known: Iterable[str]) -> None:
    """Refuse the first of these names that is not a known one."""
    known = list(map(str, known))
    for name in names:
        if name not in known:
            close = difflib.get_close_matches(str(name), known, n=1)
            nearest = f"did you mean '{close[0]}'? " if close else ""
            refuse(key, f"unknown {kind} '{name}'; {nearest}known: {', '.join(known)}")


def refuse_names(section: str, names: Iterable[str]) -> None:
    """Refuse names that are not fit for file names."""
    for name in names:
        if not re.fullmatch(NAME, str(name)):
            refuse(f"{section}.{name}", f"a name that stands in file names, expected {NAME}")


# --- files ----------------------------------------------------------------------------------------


class Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # ten times as fast in C
    """YAML in which a key that is stated twice is refused: the second would replace the first."""

    def get_single_node(self):
        node = super().get_single_node()
        refuse_duplicates(node)
        return node


def refuse_duplicates(node: yaml.Node | None) -> None:
    if isinstance(node, yaml.MappingNode):
        seen = set()
        for key, value in node.value:
            if key.value in seen:
                place = f"{key.start_mark.name}, line {key.start_mark.line + 1}"
                raise WorkflowError(f"{place}: the key '{key.value}' is there a second time")
            seen.add(key.value)
            refuse_duplicates(value)
    elif isinstance(node, yaml.SequenceNode):
        for value in node.value:
            refuse_duplicates(value)


def read_yaml(path: Path | str) -> dict:
    with open(path, encoding="utf-8") as file:
        return yaml.load(file, Loader=Loader) or {}


def read_json(path: Path) -> dict:
    """A file of the run; one that is broken is refused by its name."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise WorkflowError(f"{path}: no JSON ({error}); cut short? make it again") from None


def overlay(under: Mapping, over: Mapping) -> dict:
    """`over` laid over `under`: tables key by key, anything else replaced. Keys become text."""
    merged = dict(under)
    for key, value in over.items():
        if isinstance(value, Mapping):
            below = merged.get(str(key))
            value = overlay(below if isinstance(below, Mapping) else {}, value)
        merged[str(key)] = value
    return merged


# --- schemas --------------------------------------------------------------------------------------


@functools.cache
def read_groups() -> dict:
    """The groups of keys that studies share."""
    groups = read_yaml(SCHEMAS / "training.schema.yaml")["groups"]
    return {name: included(group, groups) for name, group in groups.items()}


@functools.cache
def read_schema(name: str) -> dict:
    """A schema with its groups included."""
    schema = read_yaml(SCHEMAS / f"{name}.schema.yaml")
    schema = included(schema, read_groups() | schema.pop("groups", {}))
    for module, definition in schema.get("$defs", {}).items():
        definition["properties"]["module"] = {"const": module, "description": "Module."}
    return schema


def included(node, groups: Mapping):
    """`node` laid over the groups that it includes, and so all below it."""
    if not isinstance(node, dict):
        return node
    names = node.get("include", [])
    names = [names] if isinstance(names, str) else names
    stated = {key: included(value, groups) for key, value in node.items() if key != "include"}
    return functools.reduce(overlay, [*(included(groups[n], groups) for n in names), stated], {})


def definition(schema: Mapping, value, key: str, root: Mapping) -> Mapping:
    """The definition that `$ref` points to; `<module>` in it is the value's key `module`."""
    if "$ref" not in schema:
        return schema
    name = schema["$ref"].removeprefix("#/$defs/")
    if name == "<module>":
        name = value.get("module") if isinstance(value, dict) else None
        refuse_unknown(f"{key}.module", "model module", [name], root["$defs"])
    return root["$defs"][name]


def complete(value, schema: Mapping, key: str, root: Mapping, stated: bool = True):
    """`value` with the schema's defaults; unknown keys and wrong values are refused by name.

    What is not `stated` is a default: a test, not each start, checks those.
    """
    schema = definition(schema, value, key, root)
    if not isinstance(value, dict) or "object" not in schema.get("type", ()):
        if stated and schema:
            check(value, schema, key)
        return expand_path(key, value) if value and schema.get("format") == "path" else value
    known, extra = schema.get("properties", {}), schema.get("additionalProperties", {})
    prefix = f"{key}." * bool(key)
    if "propertyNames" in schema:
        names = schema["propertyNames"]
        refuse_unknown(key, names["title"], value, names["enum"])
    for name in value:
        if name not in known and extra is False:
            refuse_unknown(f"{prefix}{name}", "key", [name], known)
        child = known.get(name, extra)
        value[name] = complete(value[name], child, f"{prefix}{name}", root, stated)
    for name, child in known.items():
        if name not in value and "default" in child:
            default = copy.deepcopy(child["default"])
            value[name] = complete(default, child, f"{prefix}{name}", root, stated=False)
    missing = [name for name in schema.get("required", []) if name not in value]
    if missing:
        refuse(key, f"missing key {', '.join(missing)}")
    return value


def check(value, schema: Mapping, key: str) -> None:
    """Refuse a value that its schema does not allow, and numbers that are none."""
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError):
        refuse(key, f"{value} is no finite number, text, list or table")
    for error in jsonschema.Draft202012Validator(schema).iter_errors(value):
        where = ".".join([key, *map(str, error.absolute_path)])
        about = f"{error.message} ({schema.get('description', 'see docs/config/')})"
        refuse(where, about + hint(error))


def hint(error: jsonschema.ValidationError) -> str:
    """How to write a number that was read as text."""
    value = error.instance
    if error.validator != "type" or not isinstance(value, str):
        return ""
    if text := FLOAT.fullmatch(value):
        mantissa, point, sign, exponent = text.groups(default="")
        number = f"{mantissa}{point if len(point) > 1 else '.0'}e{sign or '+'}{exponent}"
        return f"; YAML reads {value} as text: write {number}"
    if PLAIN.fullmatch(value):
        return "; values in braces after --config are text: write them into a file, --configfile"
    return ""


# --- the config of a run --------------------------------------------------------------------------


def complete_run(config: dict, files: Iterable[Path | str] = ()) -> None:
    """Complete and check the top level of the config, then every listed study, in place.

    `files` are those that Snakemake has read already, without looking for duplicate keys.
    """
    for path in files:
        read_yaml(path)
    available = sorted(path.parent.name for path in BASE.glob("config/*/demo.yaml"))
    schema = read_schema("config")
    properties = schema["properties"] | dict.fromkeys(available, {})
    complete(config, schema | {"properties": properties}, "", schema)
    refuse_unknown("studies", "study", config["studies"], available)
    for study in config["studies"]:
        config[study] = complete_study(study, config["size"], config.get(study) or {})
    manifests = [BASE / "config" / study / "data.yaml" for study in config["studies"]]
    known = [name for path in manifests if path.exists() for name in read_yaml(path)["files"]]
    known = [name for name in known if "{" not in name]  # one with braces stands for many files
    for name in config["raw"]["local"]:
        refuse_unknown(f"raw.local.{name}", "file", [name], known)


def expand_path(key: str, path: str) -> str:
    """`path` with `~` and environment variables expanded."""
    expanded = os.path.expanduser(os.path.expandvars(path))
    if unset := re.search(r"\$\{?\w+\}?", expanded):
        refuse(key, f"'{path}': the environment variable {unset[0]} is not set")
    if expanded.startswith("~"):
        refuse(key, f"'{path}': there is no user {expanded.split('/')[0][1:]}")
    if not expanded.strip("./ "):
        refuse(key, f"'{path}' is '{expanded}', expected a folder or file below one")
    return expanded


def complete_study(study: str, size: str, user: dict) -> dict:
    """The study's config: demo.yaml, the size's file, the user's values, then the defaults."""
    if not isinstance(user, dict):
        refuse(study, f"{user!r} is not a table of keys")
    settings = {}
    for name in dict.fromkeys(["demo", size]):
        path = BASE / "config" / study / f"{name}.yaml"
        if not path.exists():
            refuse("size", f"the study {study} has no {name}: config/{study}/{name}.yaml not found")
        settings = overlay(settings, read_yaml(path))
    schema = read_schema(study)
    settings = complete(overlay(settings, user), schema, study, schema)
    check_models(study, settings)
    return settings


def check_models(study: str, settings: dict) -> None:
    """Refuse models that run without being defined, on unknown sets, or from an unfit start."""
    models, sets = settings["models"], settings["sets"]
    refuse_names(f"{study}.models", models)
    refuse_names(f"{study}.sets", sets)
    refuse_unknown(f"{study}.run_models", "model", settings["run_models"], models)
    for model in settings["run_models"]:
        refuse_unknown(f"{study}.models.{model}.set", "set", [models[model]["set"]], sets)
        check_start(study, models, model)


def check_start(study: str, models: dict, model: str) -> None:
    """Refuse a start from a model that is unknown, has no weights, or leads back to itself."""
    line = [model]
    while start := models[line[-1]].get("start"):
        key = f"{study}.models.{line[-1]}.start"
        refuse_unknown(key, "model", [start], models)
        if models[start]["kind"] != "network":
            refuse(key, f"'{start}' is a baseline; expected a network, which has weights")
        if start in line:
            refuse(key, f"a circle: {', '.join([*line, start])}")
        line.append(start)
