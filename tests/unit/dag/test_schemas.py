"""The schemas: descriptions, bounds and defaults of every key."""

import jsonschema
import pytest
from conftest import REPOSITORY

from dag.config import included, read_schema

FILES = sorted((REPOSITORY / "workflow/schemas").glob("*.schema.yaml"))
NAMES = [path.name.partition(".")[0] for path in FILES]
NAMES.remove("training")  # groups that the others include
LOWER, UPPER = ("minimum", "exclusiveMinimum"), ("maximum", "exclusiveMaximum")


def nodes(node: dict, path: str):
    """(path, schema) of a schema and all below it."""
    yield path, node
    for name, child in node.get("properties", {}).items():
        yield from nodes(child, f"{path}.{name}")
    for place in ("items", "additionalProperties"):
        if isinstance(child := node.get(place), dict):
            yield from nodes(child, f"{path}.{place}")
    for name, definition in node.get("$defs", {}).items():
        yield from nodes(definition, f"{path}.$defs.{name}")


ALL = {path: node for name in NAMES for path, node in nodes(read_schema(name), name)}


def types(node: dict) -> set[str]:
    kind = node.get("type", [])
    return {kind} if isinstance(kind, str) else set(kind)


def test_every_key_says_what_it_is_and_what_null_does():
    keys = {path: node for path, node in ALL.items() if not path.endswith(("items", "Properties"))}
    assert [path for path, node in keys.items() if not node.get("description")] == []
    unsaid = [path for path, node in keys.items() if "null" in types(node)]
    assert [path for path in unsaid if "Null: " not in keys[path]["description"]] == []


def test_every_number_has_its_bounds():
    numbers = {path: node for path, node in ALL.items() if types(node) & {"number", "integer"}}
    assert len(numbers) > 300
    assert [path for path, node in numbers.items() if not {*LOWER, *UPPER} & {*node}] == []
    shares = {path for path in numbers if "hare" in path.rpartition(".")[2]} - {
        "co.sets.additionalProperties.faint_share"  # for each bright tile
    }
    assert [path for path in shares if not {*UPPER} & {*numbers[path]}] == []


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf"), "1e-3", -1e12])
def test_no_number_may_be_what_none_can_mean(value):
    """Each number of each schema refuses these, as complete() sees them."""
    from snakemake.exceptions import WorkflowError

    from dag.config import check

    for path, node in ALL.items():
        if types(node) & {"number", "integer"} and not types(node) & {"string"}:
            with pytest.raises(WorkflowError):
                check(value, node, path)


def test_every_default_is_allowed_by_its_own_schema():
    for path, node in ALL.items():
        if "default" in node and "$ref" not in str(node):
            assert jsonschema.Draft202012Validator(node).is_valid(node["default"]), path


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


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_lines_of_schemas_have_at_most_100_columns(path):
    assert max(map(len, path.read_text().splitlines())) <= 100
