"""README and pages are short and plain: sentence length, columns, words of the README."""

import re

import pytest
from conftest import REPOSITORY

WORDS_OF_README = 1000
MEAN, LONGEST = 20, 40  # words of a sentence
COLUMNS = 100
README = REPOSITORY / "README.md"
PAGES = [README, *sorted((REPOSITORY / "docs").rglob("*.md")), REPOSITORY / "config/README.md"]
PAGES = [page for page in PAGES if page.relative_to(REPOSITORY).parts[:2] != ("docs", "config")]
NAMES = [str(page.relative_to(REPOSITORY)) for page in PAGES]
NO_PROSE = re.compile(r"\s*(\||#|!\[|<|\$\$)")  # rows of tables, headings, images, HTML


def sentences(text: str) -> list[str]:
    """The sentences of a page, without code, tables, headings and the addresses of links."""
    text = re.sub(r"```.*?```|~~~.*?~~~", "\n\n", text, flags=re.S)
    text = "\n".join("" if NO_PROSE.match(line) else line for line in text.splitlines())
    text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", text)
    # a sentence ends at a full stop, a blank line, or where the next item of a list begins
    parts = re.split(r"(?<=[.!?:])\s+(?=[A-Z`*\"(])|\n\s*\n|\n\s*(?:[-*]|\d+\.) ", text)
    return [part for part in parts if len(words(part)) > 2]


def words(text: str) -> list[str]:
    return re.findall(r"[A-Za-z0-9_'/.-]*[A-Za-z0-9_]", text)


def test_sentences_are_cut_as_a_reader_would():
    page = "# Head\n\nOne two three. Four `f.py` six:\n\n- a b c\n- d e f g\n\n| t | u | v |\n"
    page += "```\nx y z\n```"
    assert [len(words(s)) for s in sentences(page)] == [3, 3, 3, 4]


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_sentences_of_a_page_are_short(page):
    found = sentences(page.read_text(encoding="utf-8"))
    lengths = [len(words(sentence)) for sentence in found]
    long = [sentence for sentence, n in zip(found, lengths, strict=True) if n > LONGEST]
    assert not long, f"{len(long)} sentence(s) of more than {LONGEST} words, the first:\n{long[0]}"
    assert sum(lengths) / len(lengths) <= MEAN


def test_readme_is_a_screen_and_a_half():
    text = re.sub(r"```.*?```", "", README.read_text(encoding="utf-8"), flags=re.S)
    assert len(text.split()) <= WORDS_OF_README


def test_code_and_pages_keep_to_100_columns():
    """Rows of tables aside, which cannot be broken, and files that a tool writes."""
    files = [
        *REPOSITORY.glob("scripts/**/*.py"),
        *REPOSITORY.glob("workflow/**/*.py"),
        *REPOSITORY.glob("workflow/**/*.smk"),
        *REPOSITORY.glob("workflow/schemas/*.yaml"),
        *REPOSITORY.glob("tests/**/*.py"),
        *REPOSITORY.glob("benchmarks/**/*.py"),
        *REPOSITORY.glob("config/**/*.yaml"),
        *REPOSITORY.glob("profiles/**/*.yaml"),
        *PAGES,
        *REPOSITORY.glob("docs/config/*.md"),
        *REPOSITORY.glob("benchmarks/*.md"),
    ]
    long = [
        f"{path.relative_to(REPOSITORY)}:{number}"
        for path in files
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if len(line) > COLUMNS and not re.match(r"\s*(\||!\[|<)|.*https?://", line)
    ]
    assert not long, f"{len(long)} line(s) above {COLUMNS} columns: {', '.join(long[:20])}"
