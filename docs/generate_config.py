"""Write docs/config.md from the schemas in workflow/schemas; `--check` only says whether it is in
step.
"""

import sys
from pathlib import Path

import yaml

DOCS = Path(__file__).parent
SCHEMAS = DOCS.parent / "workflow" / "schemas"

HEAD = """\
# Configuration

Written by `docs/generate_config.py` from `workflow/schemas/`; `make docs` writes it anew.

`config/config.yaml` says which studies run, at which size, under which name. A study's values are,
over one another: `config/<study>/demo.yaml`, the file of the chosen `size:`, your own
`--configfile` (under the study's name), and for what none of them says the default below. An
unknown key is refused with the nearest known one. Tables are merged key by key, lists are replaced.
"""


def kind(schema: dict) -> str:
    if "enum" in schema:
        return " \\| ".join(f"`{value}`" for value in schema["enum"])
    if "const" in schema:
        return f"`{schema['const']}`"
    types = schema.get("type", "")
    return " or ".join(types) if isinstance(types, list) else types


def rows(schema: dict, root: dict, prefix: str = "") -> list[str]:
    """A table row a key, depth first."""
    lines = []
    for name, child in schema.get("properties", {}).items():
        default = f"`{child['default']}`" if "default" in child and child["default"] != {} else ""
        description = " ".join(child.get("description", "").split())
        lines.append(f"| `{prefix}{name}` | {kind(child)} | {default} | {description} |")
        lines += rows(child, root, f"{prefix}{name}.")
        extra = child.get("additionalProperties")
        if isinstance(extra, dict):
            lines += rows(extra, root, f"{prefix}{name}.<name>.")
    return lines


def text() -> str:
    parts = [HEAD]
    paths = sorted(
        SCHEMAS.glob("*.schema.yaml"), key=lambda path: path.name != "config.schema.yaml"
    )
    for path in paths:
        schema = yaml.safe_load(path.read_text())
        parts.append(f"\n## `{schema['title']}`\n\n{schema['description']}\n")
        table = "| key | type | default | |\n|---|---|---|---|\n"
        parts.append(table + "\n".join(rows(schema, schema)) + "\n")
        for name, definition in schema.get("$defs", {}).items():
            parts.append(f"\n### `module: {name}`\n\n{definition['description']}\n")
            parts.append(table + "\n".join(rows(definition, schema)) + "\n")
    return "\n".join(parts)


def main() -> None:
    target = DOCS / "config.md"
    if "--check" in sys.argv:
        sys.exit(
            0
            if target.read_text() == text()
            else "docs/config.md is not in step with the schemas: run `make docs`"
        )
    target.write_text(text())


if __name__ == "__main__":
    main()
