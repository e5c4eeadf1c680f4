"""Fetch large survey files over HTTP: a cut connection costs nothing, a wrong file never passes for
the right one.

A transfer goes to `NAME.part`, with the server's validator (RFC 9110: ETag, else Last-Modified) in
`NAME.part.json`. It goes on from there by Range with If-Range, so that a file that changed on the
server starts anew. A finished file has passed, in this order: format by its first bytes, size,
expected md5, sha256 of the first download. Only then does it take its name, read-only, with its
sha256 beside it (`NAME.sha256`, for `sha256sum -c`).
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
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import requests
import urllib3
import yaml
from tqdm import tqdm

from skyloom.cli import BadInput

CHUNK_BYTES = 1 << 16  # what a cut connection can lose of the bytes that came through
TIMEOUT_SECONDS = (15, 60)  # to connect, and between two pieces of the body
ATTEMPTS = (
    8  # without a single new byte; an attempt that got on with the file starts the count again
)
BACKOFF_SECONDS = 2.0  # before the second attempt; doubled each time, up to the next line
LONGEST_WAIT_SECONDS = 120.0
SPARE_BYTES = 16 << 20  # left free on the disk
SPARSE_SECONDS = 60.0  # between two progress lines where stderr is no terminal
MAGIC = {
    ".fits": b"SIMPLE  =",
    ".gz": b"\x1f\x8b",
    ".hdf5": b"\x89HDF\r\n\x1a\n",
    ".h5": b"\x89HDF\r\n\x1a\n",
}
PASSING_STATUS = {408, 425, 429, 500, 502, 503, 504}  # worth another attempt


@dataclass(frozen=True)
class RawFile:
    """One entry of a study's data.yaml: where a raw file is, and what is known of its bytes."""

    name: str
    urls: tuple[str, ...]
    size: int | None = None  # bytes
    md5: str | None = None


def fetch(
    file: RawFile,
    output: Path,
    *,
    mirror: str | None = None,
    local: Path | None = None,
    wait: Callable[[float], None] = time.sleep,
) -> str:
    """Bring `file` to `output`, verified and read-only; return its sha256.

    Parameters ----------
    mirror : base URL of a mirror, tried first, as `mirror/NAME`
    local : a copy on this machine, hard-linked (else copied) in place of a download and verified in
        the same way; a
        linked file keeps its own mode
    wait : called with the seconds between two attempts

    Raises ------
    BadInput : no source gave the file, or what it gave is not the file; the faulty bytes are kept
        as `NAME.bad`
    """
    output = Path(output)
    output.parent.mkdir(parents=True, exist_ok=True)
    if output.exists():
        return _accept(output, output, file)
    part = _beside(output, ".part")
    if local is not None:
        link = _beside(output, ".local")
        _link_or_copy(Path(local), link, file)
        return _accept(link, output, file)
    urls = ([f"{mirror.rstrip('/')}/{file.name}"] if mirror else []) + list(file.urls)
    urls.sort(
        key=lambda url: not _resume_point(url, part)[0]
    )  # the source that a part is from comes first
    failures = []
    for url in urls:
        try:
            _download(url, part, file, wait)
            return _accept(part, output, file)
        except _NoSpace:
            raise  # another source needs the same room
        except BadInput as error:
            failures.append(str(error))
    raise BadInput(
        f"{output}: no source gave {file.name}: "
        + "; ".join(failures or ["data.yaml lists no urls"])
    )


def read_manifest(path: Path, name: str) -> RawFile:
    """The entry `name` of a data.yaml: `files: {name: {urls: [...], size: bytes or null, md5: hex
    or null}}`.
    """
    entries = (yaml.safe_load(Path(path).read_text()) or {}).get("files", {})
    if name not in entries:
        raise BadInput(f"{path}: no file {name!r} (files: {', '.join(entries)})")
    entry = entries[name]
    return RawFile(name, tuple(entry.get("urls") or ()), entry.get("size"), entry.get("md5"))


def checksums(path: Path) -> tuple[str, str]:
    """md5 and sha256 of a file, read once."""
    md5, sha256 = hashlib.md5(usedforsecurity=False), hashlib.sha256()
    with open(path, "rb") as stream:
        while block := stream.read(1 << 20):
            md5.update(block)
            sha256.update(block)
    return md5.hexdigest(), sha256.hexdigest()


class _Passing(Exception):
    """A fault of the network that the next attempt may not meet."""


class _NoSpace(BadInput):
    """The disk is full, or would be."""


def _accept(found: Path, output: Path, file: RawFile) -> str:
    """Check every byte of `found`; give it its name, or move it aside as `NAME.bad`."""
    recorded = _beside(output, ".sha256")
    with open(found, "rb") as stream:
        problem = _format_problem(stream.read(CHUNK_BYTES), file.name)
    if problem is None and file.size is not None and found.stat().st_size != file.size:
        problem = f"has {found.stat().st_size} bytes, expected {file.size}"
    if problem is None:
        md5, sha256 = checksums(found)
        if file.md5 and md5 != file.md5.lower():
            problem = f"has md5 {md5}, expected {file.md5}"
        elif recorded.exists() and (first := recorded.read_text().split()[0]) != sha256:
            problem = f"has sha256 {sha256}, and {recorded} recorded {first} at the first download"
    if problem is not None:
        bad = _beside(output, ".bad")
        os.replace(found, bad)
        _forget(_beside(output, ".part"))
        raise BadInput(f"{output}: {file.name} {problem}; it was moved to {bad}")
    if found.stat().st_nlink == 1 and not found.is_symlink():
        found.chmod(found.stat().st_mode & ~0o222)
    os.replace(found, output)
    _forget(_beside(output, ".part"))
    if not recorded.exists():
        recorded.write_text(f"{sha256}  {output.name}\n")
        recorded.chmod(0o444)
    return sha256


def _download(url: str, part: Path, file: RawFile, wait: Callable[[float], None]) -> None:
    """Attempt after attempt until `part` is whole; gives up after `ATTEMPTS` in a row without a new
    byte.
    """
    barren = 0
    while True:
        before = _length(part)
        try:
            _attempt(url, part, file)
            return
        except (_Passing, requests.ConnectionError, requests.Timeout) as error:
            barren = 0 if _length(part) > before else barren + 1
            if barren >= ATTEMPTS:
                raise BadInput(
                    f"{url}: given up after {ATTEMPTS} attempts ({error}); {part} is kept"
                ) from None
            pause = min(BACKOFF_SECONDS * 2 ** max(barren - 1, 0), LONGEST_WAIT_SECONDS)
            print(f"{file.name}: {error}; next attempt in {pause:.0f} s", file=sys.stderr)
            wait(pause)
        except requests.RequestException as error:
            raise BadInput(f"{url}: {error}") from None


def _attempt(url: str, part: Path, file: RawFile) -> None:
    """One request: go on from the end of `part` if the server still has the same file, else write
    it from the start.
    """
    have, validator = _resume_point(url, part)
    headers = {"Accept-Encoding": "identity"}  # else lengths are those of the compressed transfer
    if have:
        headers |= {"Range": f"bytes={have}-", "If-Range": validator}
    with requests.get(url, headers=headers, stream=True, timeout=TIMEOUT_SECONDS) as response:
        status = response.status_code
        if status == 416:  # `part` is as long as the file or longer: verify it, or fetch it anew
            total = response.headers.get("Content-Range", "").rpartition("/")[2]
            if total == str(have):
                return
            _forget(part)
            raise _Passing("the server's file is not the one begun, starting anew")
        if status in PASSING_STATUS:
            raise _Passing(f"the server answers {status} {response.reason}")
        if status not in (200, 206):
            raise BadInput(f"{url}: the server answers {status} {response.reason}")
        start = have if status == 206 else 0
        if status == 206 and not response.headers.get("Content-Range", "").startswith(
            f"bytes {start}-"
        ):
            _forget(part)
            raise _Passing(
                f"the server sent {response.headers.get('Content-Range')!r} for bytes {start}-, "
                "starting anew"
            )
        length = response.headers.get("Content-Length", "")
        total = start + int(length) if length.isdigit() else file.size
        if total is None and "chunked" not in response.headers.get("Transfer-Encoding", ""):
            raise BadInput(
                f"{url}: neither server nor data.yaml gives a size: a file cut short would go "
                "unnoticed"
            )
        if total is not None and file.size is not None and total != file.size:
            raise BadInput(f"{url}: the server offers {total} bytes, expected {file.size}")
        _require_space(part, (total or 0) - start, file)
        # undecoded: servers send NAME.gz with Content-Encoding gzip, and it would lie here unpacked
        # under that name
        pieces = response.raw.stream(CHUNK_BYTES, decode_content=False)
        try:
            if start == 0:
                pieces = _checked(pieces, url, file)
                _remember(part, url, response)
            _write(part, start, _reported(pieces, file.name, start, total), total)
        except urllib3.exceptions.HTTPError as error:
            raise _Passing(f"the connection was cut ({type(error).__name__})") from None
    if total is not None and _length(part) != total:
        raise _Passing(f"the connection ended at {_length(part)} of {total} bytes")


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
            f"{total or 'an unknown number of'} bytes; "
            "they are kept: make room and run again to go on from there"
        ) from None


def _checked(pieces: Iterator[bytes], url: str, file: RawFile) -> Iterator[bytes]:
    """The same pieces, after a look at the first: an error page must not overwrite what was fetched
    before.
    """
    first = next(pieces, b"")
    if problem := _format_problem(first, file.name):
        raise BadInput(f"{url}: {file.name} {problem}")
    return itertools.chain([first], pieces)


def _reported(pieces: Iterator[bytes], name: str, start: int, total: int | None) -> Iterator[bytes]:
    """The same pieces with a progress bar on a terminal, else a line a minute."""
    terminal = sys.stderr.isatty()
    done, said = start, time.monotonic()
    with tqdm(
        desc=name, initial=start, total=total, unit="B", unit_scale=True, disable=not terminal
    ) as bar:
        for piece in pieces:
            yield piece
            done += len(piece)
            bar.update(len(piece))
            if not terminal and time.monotonic() - said > SPARSE_SECONDS:
                said = time.monotonic()
                print(
                    f"{name}: {done / 1e6:.0f} of {(total or 0) / 1e6:.0f} MB",
                    file=sys.stderr,
                    flush=True,
                )


def _format_problem(head: bytes, name: str) -> str | None:
    """What is wrong with the first bytes of a file of this name, None if nothing."""
    magic = MAGIC.get(Path(name).suffix)
    if magic is None or head.startswith(magic):
        return None
    if re.match(rb"\s*<(!doctype|html|\?xml|head|body)", head, re.IGNORECASE):
        return f"is a web page (begins {head[:40]!r}), expected {Path(name).suffix}"
    return f"begins {head[:20]!r}, expected {magic!r}"


def _resume_point(url: str, part: Path) -> tuple[int, str]:
    """Bytes that can be kept and the validator to go on with; (0, "") where the server gave none
    for this URL.
    """
    try:
        note = json.loads(_beside(part, ".json").read_text())
    except (FileNotFoundError, json.JSONDecodeError):
        return 0, ""
    if note.get("url") != url or not note.get("validator"):
        return 0, ""
    return _length(part), note["validator"]


def _remember(part: Path, url: str, response: requests.Response) -> None:
    part.unlink(missing_ok=True)  # its bytes are of another validator
    etag = response.headers.get("ETag", "")
    strong = (
        etag if etag and not etag.startswith("W/") else response.headers.get("Last-Modified", "")
    )
    _beside(part, ".json").write_text(json.dumps({"url": url, "validator": strong}))


def _require_space(part: Path, needed: int, file: RawFile) -> None:
    free = shutil.disk_usage(part.parent).free
    if free < needed + SPARE_BYTES:
        raise _NoSpace(
            f"{part.parent}: no space left for {file.name}: {needed / 1e6:.0f} MB needed, "
            f"{free / 1e6:.0f} MB free"
        )


def _link_or_copy(local: Path, link: Path, file: RawFile) -> None:
    if not local.is_file():
        raise BadInput(f"{local}: no such file; expected a local copy of {file.name}")
    link.unlink(missing_ok=True)
    try:
        os.link(local.resolve(), link)
    except OSError:  # another file system, or one without hard links
        _require_space(link, local.stat().st_size, file)
        shutil.copyfile(local, link)


def _beside(path: Path, suffix: str) -> Path:
    return path.with_name(path.name + suffix)


def _length(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _forget(part: Path) -> None:
    part.unlink(missing_ok=True)
    _beside(part, ".json").unlink(missing_ok=True)
