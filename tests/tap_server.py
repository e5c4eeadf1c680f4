"""A TAP server on loopback with asynchronous jobs, and with the faults that a test wants."""

import contextlib
import io
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from urllib.parse import parse_qs

import numpy as np
from astropy.coordinates import SkyCoord
from astropy.table import Table

PAGE = "<!DOCTYPE html>\n<html><body><h1>Service under maintenance</h1></body></html>"
DEFAULT_ROWS = 20  # of a query without MAXREC


@contextlib.contextmanager
def served(stars: Table, place: SkyCoord) -> Iterator[SimpleNamespace]:
    """A site of these stars in the columns of an archive; its attributes are its behaviour, which a
    test may change. `url` is its address, `waits` has the pauses of a client that notes them.
    """
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.handle_error = lambda *arguments: None
    server.site = SimpleNamespace(
        jobs={}, requests=[], statuses=[], page=False, polls=2, ends="COMPLETED", phase=None
    )
    server.site.stars, server.site.place = stars, place.galactic
    server.site.change, server.site.cuts, server.site.waits = lambda body: body, [], []
    server.site.url = f"http://127.0.0.1:{server.server_port}/tap"
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}).start()
    try:
        yield server.site
    finally:
        server.shutdown()
        server.server_close()


def answer(adql: str, most: int, stars: Table, place: SkyCoord) -> bytes:
    """The VOTable of a query: the columns and the polygon that it names."""
    names = re.findall(r'"(\w+)"', adql.split(" FROM ")[0])
    numbers = re.search(r"POLYGON\('ICRS', ([^)]*)\)", adql)[1]
    ra, dec = np.array(numbers.split(","), float).reshape(-1, 2).T
    corners = SkyCoord(ra, dec, unit="deg").galactic
    inside = (place.l.deg > corners.l.deg.min()) & (place.l.deg < corners.l.deg.max())
    inside &= (place.b.deg > corners.b.deg.min()) & (place.b.deg < corners.b.deg.max())
    if limit := re.search(r'"Kmag" < ([\d.]+)', adql):
        inside &= np.asarray(stars["Kmag"]) < float(limit[1])
    chosen = stars[names][inside]
    stream = io.BytesIO()
    chosen[:most].write(stream, format="votable")
    return status(stream.getvalue(), "OVERFLOW" if len(chosen) > most else "OK")


def status(votable: bytes, value: str, text: str = "") -> bytes:
    info = f'<INFO name="QUERY_STATUS" value="{value}">{text}</INFO>'.encode()
    return re.sub(rb"(<RESOURCE[^>]*>)", rb"\1" + info, votable, count=1)


class Handler(BaseHTTPRequestHandler):
    """A TAP server with asynchronous jobs; `server.site` has its faults."""

    protocol_version = "HTTP/1.1"

    def do_POST(self):
        site = self.server.site
        form = self.rfile.read(int(self.headers["Content-Length"])).decode()
        form = {key: values[0] for key, values in parse_qs(form).items()}
        site.requests.append(("POST", self.path))
        if site.statuses:
            return self.reply(site.statuses.pop(0), "busy")
        if site.page:
            return self.reply(200, PAGE)
        if self.path == "/tap/async":
            assert form["REQUEST"] == "doQuery" and form["LANG"] == "ADQL"
            number = str(len(site.jobs))
            form["left"] = site.polls
            site.jobs[number] = form | {"phase": "PENDING"}
            return self.see_other(f"/tap/async/{number}")
        job = site.jobs[self.path.split("/")[3]]
        if form["PHASE"] == "RUN":
            assert job["phase"] == "PENDING"
            job["phase"] = "QUEUED"
        else:
            job["phase"] = "ABORTED"
        self.see_other(self.path.removesuffix("/phase"))

    def do_GET(self):
        site = self.server.site
        number, _, what = self.path.removeprefix("/tap/async/").partition("/")
        site.requests.append(("GET", what))
        if number not in site.jobs:
            return self.reply(404, "no such job")
        job = site.jobs[number]
        if what == "phase":
            if job["phase"] in ("QUEUED", "EXECUTING"):
                job["left"] -= 1
                job["phase"] = "EXECUTING" if job["left"] > 0 else site.ends
            return self.reply(200, site.phase or job["phase"])
        if what == "error":
            return self.reply(200, status(b"<VOTABLE><RESOURCE/></VOTABLE>", "ERROR", "no table X"))
        body = site.change(
            answer(job["QUERY"], int(job.get("MAXREC", DEFAULT_ROWS)), site.stars, site.place)
        )
        self.send_response(200)
        self.send_header("Content-Type", "application/x-votable+xml")
        self.send_header("ETag", '"one"')
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        send = site.cuts.pop(0) if site.cuts else len(body)
        self.wfile.write(body[:send])
        self.close_connection = send < len(body)

    def do_DELETE(self):
        self.server.site.jobs.pop(self.path.split("/")[3])
        self.see_other("/tap/async")

    def see_other(self, place):
        self.send_response(303)
        # relative, as some servers write it
        self.send_header("Location", place)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def reply(self, code, text):
        body = text if isinstance(text, bytes) else text.encode()
        self.send_response(code)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments):
        pass
