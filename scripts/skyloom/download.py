"""Download of large survey files over HTTP, resumed after a cut and verified.

A transfer goes to `NAME.part`, with the server's validator (RFC 9110: ETag, else Last-Modified) in
`NAME.part.json`. It resumes by Range with If-Range, so that a file that changed on the server
starts again. A finished file is checked in this order: format by its first bytes, size, expected
md5, sha256 of the first download. Only then does it get its name, read-only, with its sha256 in
`NAME.sha256` (for `sha256sum -c`).

A local copy is the user's: it may be compressed or another release, so that size and md5 that
differ are warnings, and it is never moved or deleted.

A service that cuts out a part of the sky has no size or checksum to publish. Of its answers the
share of finite pixels is checked.
"""

import errno
import hashlib
import itertools
import json
import os
import re
import shutil
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import requests
import urllib3
import yaml
from tqdm import tqdm

from skyloom.cli import BadInput
from skyloom.images import COMPRESSED, read_image

CHUNK_BYTES = 1 << 16  # largest number of received bytes that a cut connection can lose
TIMEOUT_SECONDS = (15, 60)  # to connect, and between two pieces of the body
# attempts in a row without a new byte; an attempt that gains bytes to resume from starts the count
# again
ATTEMPTS = 8
BACKOFF_SECONDS = 2.0  # wait before the second attempt, doubled each time
LONGEST_WAIT_SECONDS = 120.0
SPARE_BYTES = 16 << 20  # free space that remains on the disk
SPARSE_SECONDS = 60.0  # between two progress lines where stderr is no terminal
MAGIC = {
    ".fits": b"SIMPLE  =",
    ".moc": b"SIMPLE  =",
    ".gz": b"\x1f\x8b",
    ".hdf5": b"\x89HDF\r\n\x1a\n",
    ".h5": b"\x89HDF\r\n\x1a\n",
}
TRANSIENT_STATUS = {408, 425, 429, 500, 502, 503, 504}  # answers after which to try again


@dataclass(frozen=True)
class RawFile:
    """One entry of a study's data.yaml: addresses, size and checksum of a raw file."""

    name: str
    urls: tuple[str, ...]
    size: int | None = None  # bytes
    md5: str | None = None
    # pixels of an image must be finite in more than this share; None: they are not read
    finite: float | None = None
    expected: str = ""  # what the file has, in words for the message that no source gave it


def fetch(
    file: RawFile,
    output: Path,
    *,
    mirror: str | None = None,
    local: Path | None = None,
    wait: Callable[[float], None] = time.sleep,
) -> str:
    """Bring `file` to `output`, verified and read-only. Returns its sha256.

    Parameters
    ----------
    mirror : base URL of a mirror, tried first, as `mirror/NAME`
    local : a copy on this machine, hard-linked (else copied) in place of a download; a linked file
        keeps its mode
    wait : called with the seconds between two attempts

    Raises
    ------
    BadInput : no source has the file, or its content is wrong; a wrong download is kept as
        `NAME.bad`
    """
    output = Path(output)
    output.parent.mkdir(parents=True, exist_ok=True)
    if output.exists():
        return _accept_local(output, output, file)
    part = _sibling(output, ".part")
    if local is not None:
        return _accept_local(Path(local), output, file)
    urls = ([f"{mirror.rstrip('/')}/{file.name}"] if mirror else []) + list(file.urls)
    # the source of an existing part comes first
    urls.sort(key=lambda url: not _resume_point(url, part)[0])
    failures = []
    for url in urls:
        try:
            _download(url, part, file, wait)
            return _accept(part, output, file)
        # another source needs the same space
        except _NoSpace:
            raise
        except BadInput as error:
            failures.append(str(error))
    expected = [f"expected {file.expected}"] if file.expected else []
    raise BadInput(
        f"{output}: no source gave {file.name}: "
        + "; ".join([*(failures or ["data.yaml lists no urls"]), *expected])
    )


def read_manifest(path: Path, name: str) -> RawFile:
    """The entry of a data.yaml for the file `name`.

    Its form is `files: {name: {urls: [...], size: bytes or null, md5: hex or null}}`, and for an
    image of a service `finite` and `expected` of RawFile. A name with braces stands for many files:
    with `cut_{ra}.fits`, `{ra}` in `urls` and `expected` is that part of the file's name, without
    `_` and `/`. Raises BadInput where there is no such entry.
    """
    entries = (yaml.safe_load(Path(path).read_text()) or {}).get("files", {})
    for known, entry in entries.items():
        pattern = re.sub(r"\\{(\w+)\\}", r"(?P<\1>[^_/]+)", re.escape(known))
        if found := re.fullmatch(pattern, name):
            parts = found.groupdict()
            urls = tuple(url.format(**parts) for url in entry.get("urls") or ())
            expected = entry.get("expected", "").format(**parts)
            keys = ("size", "md5", "finite")
            return RawFile(name, urls, *(entry.get(key) for key in keys), expected)
    raise BadInput(f"{path}: no file {name!r} (files: {', '.join(entries)})")


def checksums(path: Path) -> tuple[str, str]:
    """md5 and sha256 of a file, which is read once."""
    md5, sha256 = hashlib.md5(usedforsecurity=False), hashlib.sha256()
    with open(path, "rb") as stream:
        while block := stream.read(1 << 20):
            md5.update(block)
            sha256.update(block)
    return md5.hexdigest(), sha256.hexdigest()


class _Transient(Exception):
    """A fault of the network that the next attempt may not meet."""


class _NoSpace(BadInput):
    """The disk is full, or the file does not fit."""


def _accept(part: Path, output: Path, file: RawFile) -> str:
    """Check every byte of a download, then give it its name, or move it to `NAME.bad`."""
    problem = _format_problem(_head(part), file.name)
    if problem is None and file.finite is not None:
        problem = _pixel_problem(part, file.finite)
    if problem is None:
        differences, sha256 = _compare(part, output, file)
        problem = next(iter(differences), None)
    if problem is not None:
        bad = _sibling(output, ".bad")
        os.replace(part, bad)
        _forget(part)
        raise BadInput(f"{output}: {file.name} {problem}; it was moved to {bad}")
    part.chmod(part.stat().st_mode & ~0o222)
    os.replace(part, output)
    _forget(part)
    _record(output, sha256)
    return sha256


def _accept_local(local: Path, output: Path, file: RawFile) -> str:
    """Link or copy the user's own file to `output`, and say where it differs from the release."""
    if not local.is_file():
        reason = "is a folder" if local.is_dir() else "no such file"
        raise BadInput(f"{local}: {reason}; expected a local copy of {file.name}")
    if problem := _format_problem(_head(local), file.name, COMPRESSED):
        raise BadInput(f"{local}: {problem}")
    differences, sha256 = _compare(local, output, file)
    for difference in differences:
        print(f"warning: {local}: {difference}; it is used as it is", file=sys.stderr)
    if local != output:
        link = _sibling(output, ".local")
        _link_or_copy(local, link, file)
        os.replace(link, output)
    _record(output, sha256)
    return sha256


def _compare(path: Path, output: Path, file: RawFile) -> tuple[list[str], str]:
    """Where a file differs from its entry and from the first download, and its sha256."""
    differences, size = [], path.stat().st_size
    if file.size is not None and size != file.size:
        differences.append(f"has {size} bytes, expected {file.size}")
    md5, sha256 = checksums(path)
    if file.md5 and md5 != file.md5.lower():
        differences.append(f"has md5 {md5}, expected {file.md5}")
    record = _sibling(output, ".sha256")
    if record.exists() and (first := record.read_text().split()[0]) != sha256:
        differences.append(
            f"has sha256 {sha256}, and {record} recorded {first} at the first download"
        )
    return differences, sha256


def _record(output: Path, sha256: str) -> None:
    """Write the sha256 of a file the first time that it is there."""
    record = _sibling(output, ".sha256")
    if not record.exists():
        record.write_text(f"{sha256}  {output.name}\n")
        record.chmod(0o444)


def _download(url: str, part: Path, file: RawFile, wait: Callable[[float], None]) -> None:
    """Repeat attempts until `part` is complete, at most `ATTEMPTS` in a row without a new byte."""
    failures = 0
    while True:
        # bytes that cannot be resumed are no progress
        before, _ = _resume_point(url, part)
        try:
            _attempt(url, part, file)
            return
        except (_Transient, requests.ConnectionError, requests.Timeout) as error:
            failures = 0 if _resume_point(url, part)[0] > before else failures + 1
            if failures >= ATTEMPTS:
                raise BadInput(
                    f"{url}: given up after {ATTEMPTS} attempts ({error}); {part} is kept"
                ) from None
            pause = min(BACKOFF_SECONDS * 2 ** max(failures - 1, 0), LONGEST_WAIT_SECONDS)
            print(f"{file.name}: {error}; next attempt in {pause:.0f} s", file=sys.stderr)
            wait(pause)
        except requests.RequestException as error:
            raise BadInput(f"{url}: {error}") from None


def _attempt(url: str, part: Path, file: RawFile) -> None:
    """One request: resume at the end of `part` if the server has the same file, else restart."""
    offset, validator = _resume_point(url, part)
    # other encodings have the length of the compressed transfer
    headers = {"Accept-Encoding": "identity"}
    if offset:
        headers |= {"Range": f"bytes={offset}-", "If-Range": validator}
    with requests.get(url, headers=headers, stream=True, timeout=TIMEOUT_SECONDS) as response:
        status = response.status_code
        # `part` is as long as the file or longer
        if status == 416:
            total = response.headers.get("Content-Range", "").rpartition("/")[2]
            if total == str(offset):
                return
            _forget(part)
            raise _Transient("the file on the server has changed, starting again")
        if status in TRANSIENT_STATUS:
            raise _Transient(f"the server answers {status} {response.reason}")
        if status not in (200, 206):
            raise BadInput(f"{url}: the server answers {status} {response.reason}")
        start = offset if status == 206 else 0
        if status == 206 and not response.headers.get("Content-Range", "").startswith(
            f"bytes {start}-"
        ):
            _forget(part)
            raise _Transient(
                f"the server sent {response.headers.get('Content-Range')!r} for bytes {start}-, "
                "starting again"
            )
        length = response.headers.get("Content-Length", "")
        total = start + int(length) if length.isdigit() else file.size
        # an image whose pixels are read is known to be whole by its header
        checked = file.finite is not None
        chunked = "chunked" in response.headers.get("Transfer-Encoding", "")
        if total is None and not checked and not chunked:
            raise BadInput(
                f"{url}: neither server nor data.yaml gives a size: a file cut short would go "
                "unnoticed"
            )
        if total is not None and file.size is not None and total != file.size:
            raise BadInput(f"{url}: the server offers {total} bytes, expected {file.size}")
        _require_space(part, (total or 0) - start, file)
        # Some servers send NAME.gz with Content-Encoding gzip: decoded, the unpacked file would
        # have the name of the packed one.
        pieces = response.raw.stream(CHUNK_BYTES, decode_content=False)
        try:
            if start == 0:
                pieces = _checked(pieces, url, file)
                _remember(part, url, response)
            _write(part, start, _reported(pieces, file.name, start, total), total)
        except urllib3.exceptions.HTTPError as error:
            raise _Transient(f"the connection was cut ({type(error).__name__})") from None
    if total is not None and _length(part) != total:
        raise _Transient(f"the connection ended at {_length(part)} of {total} bytes")


def _write(part: Path, start: int, pieces: Iterator[bytes], total: int | None) -> None:
    try:
        with open(part, "ab" if start else "wb") as stream:
            for piece in pieces:
                stream.write(piece)
            stream.flush()
            os.fsync(stream.fileno())
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise _NoSpace(
            f"{part}: no space left on the device at {_length(part)} of "
            f"{total or 'an unknown number of'} bytes; they are kept: free some space and run "
            "again to resume"
        ) from None


def _checked(pieces: Iterator[bytes], url: str, file: RawFile) -> Iterator[bytes]:
    """The same pieces after a check of the first.

    An error page must not overwrite earlier bytes.
    """
    first = next(pieces, b"")
    if problem := _format_problem(first, file.name):
        raise BadInput(f"{url}: {file.name} {problem}")
    return itertools.chain([first], pieces)


def _reported(pieces: Iterator[bytes], name: str, start: int, total: int | None) -> Iterator[bytes]:
    """The same pieces with a progress bar on a terminal, else a line a minute."""
    terminal = sys.stderr.isatty()
    done, last_line = start, time.monotonic()
    with tqdm(
        desc=name, initial=start, total=total, unit="B", unit_scale=True, disable=not terminal
    ) as bar:
        for piece in pieces:
            yield piece
            done += len(piece)
            bar.update(len(piece))
            if not terminal and time.monotonic() - last_line > SPARSE_SECONDS:
                last_line = time.monotonic()
                print(
                    f"{name}: {done / 1e6:.0f} of {(total or 0) / 1e6:.0f} MB",
                    file=sys.stderr,
                    flush=True,
                )


def _format_problem(head: bytes, name: str, others: Iterable[bytes] = ()) -> str | None:
    """The fault of the first bytes of a file of this name, None if there is none.

    others : first bytes that are also accepted
    """
    magic = MAGIC.get(Path(name).suffix)
    if magic is None or head.startswith((magic, *others)):
        return None
    if re.match(rb"\s*<(!doctype|html|\?xml|head|body)", head, re.IGNORECASE):
        return f"is a web page (begins {head[:40]!r}), expected {Path(name).suffix}"
    return f"begins {head[:20]!r}, expected {magic!r}"


def _pixel_problem(path: Path, finite: float) -> str | None:
    """The fault of an image that is cut short or mostly unobserved, None if there is none."""
    try:
        pixels, _ = read_image(path, axes=2)
    except BadInput as error:
        return f"has no image: {error}"
    share = np.isfinite(pixels).mean()
    if share > finite:
        return None
    return f"has {share:.1%} finite pixels, expected more than {finite:.0%}"


def _head(path: Path) -> bytes:
    with open(path, "rb") as stream:
        return stream.read(CHUNK_BYTES)


def _resume_point(url: str, part: Path) -> tuple[int, str]:
    """Number of bytes to keep and the validator to resume with.

    These are (0, "") where there is no part of this URL or no validator.
    """
    try:
        note = json.loads(_sibling(part, ".json").read_text())
    except (FileNotFoundError, json.JSONDecodeError):
        return 0, ""
    if note.get("url") != url or not note.get("validator"):
        return 0, ""
    return _length(part), note["validator"]


def _remember(part: Path, url: str, response: requests.Response) -> None:
    # the bytes of an old part belong to another validator
    part.unlink(missing_ok=True)
    etag = response.headers.get("ETag", "")
    strong = (
        etag if etag and not etag.startswith("W/") else response.headers.get("Last-Modified", "")
    )
    _sibling(part, ".json").write_text(json.dumps({"url": url, "validator": strong}))


def _require_space(part: Path, needed: int, file: RawFile) -> None:
    free = shutil.disk_usage(part.parent).free
    if free < needed + SPARE_BYTES:
        raise _NoSpace(
            f"{part.parent}: no space left for {file.name}: {needed / 1e6:.0f} MB needed, "
            f"{free / 1e6:.0f} MB free"
        )


def _link_or_copy(local: Path, link: Path, file: RawFile) -> None:
    link.unlink(missing_ok=True)
    try:
        os.link(local.resolve(), link)
    # another file system, or one without hard links
    except OSError:
        _require_space(link, local.stat().st_size, file)
        shutil.copyfile(local, link)
        link.chmod(0o444)


def _sibling(path: Path, suffix: str) -> Path:
    return path.with_name(path.name + suffix)


def _length(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _forget(part: Path) -> None:
    part.unlink(missing_ok=True)
    _sibling(part, ".json").unlink(missing_ok=True)
