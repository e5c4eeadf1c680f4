"""One table from a TAP server by an asynchronous job (IVOA TAP 1.1 and UWS 1.1).

A job is made, noted, started and asked for its phase until it is done. The note `NAME.json` has the
query: a download that was killed goes on with its job, and a changed query is asked anew. An answer
gets its name after it was read. A bad one is kept as `NAME.bad`.

The protocol is a few requests, which `requests` does. pyvo does them without a second attempt and
without a file to resume from.
"""

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urljoin

import requests

from skyloom import download, files
from skyloom.cli import BadInput, atomic
from skyloom.extinction.read.tables import plain_words

# Far more than a field has. Without it many servers leave out rows after a default of their own.
MOST_ROWS = 50_000_000
WAITING = "PENDING", "QUEUED", "EXECUTING", "HELD", "SUSPENDED", "UNKNOWN"
ENDED = "COMPLETED", "ERROR", "ABORTED", "ARCHIVED"
FIRST_PAUSE, LONGEST_PAUSE, GROWTH = 1.0, 20.0, 1.3  # between two requests for the phase [s]
PATIENCE = 3600.0  # longest time of a job [s]


class Unreachable(BadInput):
    """The server answers nothing, or that it is out of order."""


def fetch(
    service: str,
    query: str,
    output: Path,
    check: Callable[[Path], int],
    *,
    patience: float = PATIENCE,
    wait: Callable[[float], None] = time.sleep,
) -> int:
    """Bring the answer to an ADQL query to `output`, a VOTable. Returns its number of stars.

    service : address of a TAP server, without /async
    check : reads a file and returns its number of stars, or raises BadInput
    patience : seconds after which a job is aborted
    wait : called with the seconds between two requests
    Raises Unreachable, and BadInput for a job that fails and for an answer that `check` refuses.
    """
    output = Path(output)
    output.parent.mkdir(parents=True, exist_ok=True)
    note, answer = _sibling(output, ".json"), _sibling(output, ".answer")
    asked = {"service": service, "query": query}
    noted = _noted(note, asked)
    if output.exists() and "stars" in noted:
        return noted["stars"]
    if not noted:
        # what is left of another query
        for path in output.parent.glob(f"{answer.name}*"):
            path.unlink()
    job = noted.get("job")
    try:
        if not job or not _finished(job, patience, wait):
            # no job yet, or the server has deleted it
            job = _made(service, query, wait)
            _write(note, asked | {"job": job})
            if not _finished(job, patience, wait):
                raise BadInput(f"{job}: the server has lost the job; run again")
    except Unreachable:
        raise
    except BadInput:
        # the next call makes another job
        note.unlink(missing_ok=True)
        raise
    file = download.RawFile(answer.name, (f"{job}/results/result",), expected="the answer")
    sha256 = download.fetch(file, answer, wait=wait)
    _sibling(answer, ".sha256").unlink()
    try:
        stars = check(answer)
    except BadInput as error:
        bad = _sibling(output, ".bad")
        os.replace(answer, bad)
        note.unlink()
        raise BadInput(f"{str(error).replace(str(answer), str(output))}; see {bad}") from None
    os.replace(answer, output)
    _write(note, asked | {"stars": stars, "sha256": sha256})
    _forget(job)
    return stars


def _made(service: str, query: str, wait: Callable[[float], None]) -> str:
    """The address of a new job, which is not started yet."""
    address = f"{service.rstrip('/')}/async"
    form = {"REQUEST": "doQuery", "LANG": "ADQL", "QUERY": query, "MAXREC": str(MOST_ROWS)}
    form |= {"FORMAT": "votable", "RESPONSEFORMAT": "votable"}
    response = _asked("POST", address, wait, data=form)
    place = urljoin(address, response.headers.get("Location", ""))
    if response.status_code not in (302, 303) or place.rstrip("/") == address:
        raise BadInput(
            f"{address}: the server answers {response.status_code} {response.reason}"
            f" ({plain_words(response.text)!r}); expected 303 and the address of a job"
        )
    return place.rstrip("/")


def _finished(job: str, patience: float, wait: Callable[[float], None]) -> bool:
    """Start a job if need be, and wait until it is completed; False where there is no such job.

    Raises BadInput for a job that failed, that takes too long, or whose phase is none.
    """
    pause, waited = FIRST_PAUSE, 0.0
    while True:
        response = _asked("GET", f"{job}/phase", wait)
        if response.status_code == 404:
            return False
        phase = response.text.strip()
        if phase not in (*WAITING, *ENDED):
            raise BadInput(
                f"{job}/phase: the server answers {plain_words(phase)!r}; expected"
                f" {', '.join((*WAITING[:3], *ENDED[:2]))}"
            )
        if phase in ("COMPLETED", "ARCHIVED"):
            return phase == "COMPLETED"
        if phase in ENDED:
            reason = _asked("GET", f"{job}/error", wait)
            raise BadInput(f"{job}: the job ended in {phase}: {plain_words(reason.text)}")
        if phase == "PENDING":
            _asked("POST", f"{job}/phase", wait, data={"PHASE": "RUN"})
        if waited > patience:
            _asked("POST", f"{job}/phase", wait, data={"PHASE": "ABORT"})
            raise BadInput(
                f"{job}: {phase} after {patience:.0f} s, and aborted; expected an answer. A"
                " smaller field has one sooner"
            )
        wait(pause)
        waited, pause = waited + pause, min(pause * GROWTH, LONGEST_PAUSE)


def _asked(
    method: str, address: str, wait: Callable[[float], None], **options
) -> requests.Response:
    """The answer to a request, after several attempts where the network or the server has a fault.

    A redirection of POST is the answer: the place of the job.
    """
    for attempt in range(download.ATTEMPTS):
        if attempt:
            pause = download.BACKOFF_SECONDS * 2 ** (attempt - 1)
            wait(min(pause, download.LONGEST_WAIT_SECONDS))
        try:
            response = requests.request(
                method,
                address,
                timeout=download.TIMEOUT_SECONDS,
                allow_redirects=method == "GET",
                **options,
            )
        except (requests.ConnectionError, requests.Timeout) as error:
            reason = str(error)
            continue
        except requests.RequestException as error:
            raise BadInput(f"{address}: {error}; expected the address of a TAP server") from None
        if response.status_code not in download.TRANSIENT_STATUS:
            return response
        reason = f"{response.status_code} {response.reason}"
    raise Unreachable(f"{address}: given up after {download.ATTEMPTS} attempts ({reason})")


def _forget(job: str) -> None:
    """Delete a job on the server, which would do so itself after some days."""
    try:
        requests.delete(job, timeout=download.TIMEOUT_SECONDS, allow_redirects=False)
    except requests.RequestException:
        pass


def _noted(note: Path, asked: dict) -> dict:
    """The note of the same query, else nothing."""
    try:
        content = files.read_json(note)
    except BadInput:
        return {}
    return content if asked.items() <= content.items() else {}


def _write(note: Path, content: dict) -> None:
    with atomic(note) as part:
        part.write_text(json.dumps(content, indent=1))


def _sibling(path: Path, suffix: str) -> Path:
    return path.with_name(path.name + suffix)
