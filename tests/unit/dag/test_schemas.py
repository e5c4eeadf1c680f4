"""The schemas: descriptions, bounds and defaults of every key."""

import jsonschema
import pytest
from conftest import REPOSITORY
from dag.config import included, read_schema

NAMES = sorted(
    path.name.removesuffix(".schema.yaml")
    for path in (REPOSITORY / "workflow/schemas").glob("*.schema.yaml")
    if path.name != "training.schema.yaml"
)


def keys(node: dict, path: str = ""):
    """(path, schema) of every key below a node."""
    for name, child in node.get("properties", {}).items():
        yield f"{path}.{name}", child
        yield from keys(child, f"{path}.{name}")
    for place in ("items", "additionalProperties"):
        if isinstance(child := node.get(place), dict):
            yield from keys(child, f"{path}.*")
    for name, definition in node.get("$defs", {}).items():
        yield from keys(definition, f"{path}.$defs.{name}")


@pytest.mark.parametrize("name", NAMES)
def test_every_key_says_what_it_is(name):
    silent = [path for path, key in keys(read_schema(name)) if not key.get("description")]
    assert silent == []


@pytest.mark.parametrize("name", NAMES)
def test_every_default_is_allowed_by_its_own_schema(name):
    for path, key in keys(read_schema(name)):
        if "default" in key and "$ref" not in str(key):
            jsonschema.validate(key["default"], key), path


def test_group_is_included_below_what_is_stated_beside_it():
    groups = {
        "base": {"required": ["a"], "properties": {"a": {"type": "integer", "default": 1}}},
        "more": {"include": "base", "properties": {"b": {"default": 2}}},
    }
    node = {"include": ["more"], "properties": {"a": {"default": 5}, "c": {}}}
    assert included(node, groups) == {
        "required": ["a"],
        "properties": {"a": {"type": "integer", "default": 5}, "b": {"default": 2}, "c": {}},
    }


@pytest.mark.parametrize("path", sorted((REPOSITORY / "workflow/schemas").glob("*")), ids=str)
def test_lines_of_schemas_have_at_most_100_columns(path):
    assert max(map(len, path.read_text().splitlines())) <= 100
