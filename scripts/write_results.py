"""Write docs/results/<study>.json and .md of a finished run, copy its figures, fill README's table.

Without --results the pages are written anew from the JSON; with --check nothing is written, and
pages that differ are an error.
"""

import json
import shutil
from pathlib import Path

from skyloom import cli, files
from skyloom.pages import results, run

BASE = Path(__file__).resolve().parents[1]


def main() -> None:
    parser = cli.parser(__doc__)
    parser.add_argument("--results", type=Path, help="folder of the run")
    parser.add_argument("--docs", type=Path, default=BASE / "docs")
    parser.add_argument("--readme", type=Path, default=BASE / "README.md")
    parser.add_argument("--check", action="store_true")
    args = parser.parse_args()

    folder = args.docs / "results"
    if args.results and not args.check:
        collect(run.read(args.results), folder, args.docs / "images")
    stored = [files.read_json(path) for path in sorted(folder.glob("*.json"))]
    texts = {folder / f"{one['study']}.md": results.page(one) for one in stored}
    readme = args.readme.read_text()
    if results.BEGIN in readme:
        texts[args.readme] = results.with_table(readme, results.readme_table(stored))
    for path, text in texts.items():
        if args.check and (not path.exists() or path.read_text() != text):
            raise cli.BadInput(f"{path} is not what docs/results/*.json give: run make results")
        if not args.check:
            path.write_text(text)
            print(path)


def collect(current: run.Run, folder: Path, images: Path) -> None:
    """Write the numbers of each study of the run, and copy the figures that its config names."""
    for path in (folder, images):
        path.mkdir(parents=True, exist_ok=True)
    for name in current.studies:
        numbers = results.numbers(current, name)
        (folder / f"{name}.json").write_text(json.dumps(numbers, indent=1) + "\n")
        for figure in current.studies[name]["docs"]:
            source = current.folder / name / "figures" / f"{figure}.png"
            if not source.exists():
                raise cli.BadInput(f"config: {name}.report.docs: {source} not found")
            shutil.copy2(source, images / f"{name}_{figure}.png")


if __name__ == "__main__":
    cli.run(main)
