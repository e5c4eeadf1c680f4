"""Downloads from a real HTTP server on loopback with faults.

It cuts connections, sends wrong answers, changes its file and sends web pages.
"""

import bz2
import errno
import gzip
import hashlib
import io
import json
import os
import re
import shutil
import stat
import subprocess
import sys
import threading
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace

import numpy as np
import pytest
import yaml
from astropy.io import fits

from skyloom import download
from skyloom.cli import BadInput
from skyloom.download import RawFile, fetch, read_manifest

NAME = "map.fits"
BODY = b"SIMPLE  =                    T".ljust(80) + bytes(i * i % 251 for i in range(1_000_000))
MD5 = hashlib.md5(BODY).hexdigest()
SHA256 = hashlib.sha256(BODY).hexdigest()
PAGE = b"<!DOCTYPE html>\n<html><body>Service under maintenance</body></html>"


class Handler(BaseHTTPRequestHandler):
    """Serves `server.site.body` as its attributes state, and records the Range headers."""

    def do_GET(self):
        site = self.server.site
        wanted = self.headers.get("Range")
        site.requests.append((self.path, wanted))
        status = site.statuses.pop(0) if site.statuses else 200
        if status != 200:
            return self.send_error(status)
        start = 0
        if wanted and site.ranges and self.headers.get("If-Range") in (site.etag, site.modified):
            start = int(re.fullmatch(r"bytes=(\d+)-", wanted)[1])
            if start >= len(site.body):
                self.send_response(416)
                self.send_header("Content-Range", f"bytes */{len(site.body)}")
                self.send_header("Content-Length", "0")
                return self.end_headers()
        self.send_response(206 if start else 200)
        if start:
            self.send_header(
                "Content-Range", f"bytes {start}-{len(site.body) - 1}/{len(site.body)}"
            )
        for key, value in (("ETag", site.etag), ("Last-Modified", site.modified)):
            if value:
                self.send_header(key, value)
        if site.length:
            self.send_header("Content-Length", str(len(site.body) - start))
        self.end_headers()
        send = site.cuts.pop(0) if site.cuts else len(site.body)
        self.wfile.write(site.body[start : start + send])
        # a short body and the end of the connection look like a cut
        self.wfile.flush()
        if site.after_request:
            site.after_request()

    def log_message(self, *arguments):
        pass


@pytest.fixture
def site():
    """Behaviour of the server, which a test may change. `waits` has the pauses of fetch."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.site = SimpleNamespace(
        body=BODY,
        etag='"one"',
        modified=None,
        ranges=True,
        length=True,
        cuts=[],
        statuses=[],
        requests=[],
        waits=[],
    )
    server.site.after_request = None
    server.site.url = f"http://127.0.0.1:{server.server_port}/{NAME}"
    # fetch closes the connection where it refuses an answer
    server.handle_error = lambda *arguments: None
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server.site
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


def get(site, folder, **known):
    return fetch(RawFile(NAME, (site.url,), **known), folder / NAME, wait=site.waits.append)


def leftovers(folder):
    return sorted(path.name for path in folder.iterdir())


def test_whole_file_is_verified_read_only_and_its_sha256_passes_sha256sum(site, tmp_path):
    assert get(site, tmp_path, size=len(BODY), md5=MD5) == SHA256
    assert (tmp_path / NAME).read_bytes() == BODY
    assert stat.S_IMODE((tmp_path / NAME).stat().st_mode) & 0o222 == 0
    assert leftovers(tmp_path) == [NAME, f"{NAME}.sha256"]
    subprocess.run(
        ["sha256sum", "--check", f"{NAME}.sha256"], cwd=tmp_path, check=True, capture_output=True
    )


def test_cut_connections_are_resumed_where_they_broke(site, tmp_path):
    site.cuts = [300_000, 300_000, 300_000]
    assert get(site, tmp_path) == SHA256
    starts = [int(wanted[6:-1]) if wanted else 0 for _, wanted in site.requests]
    assert len(starts) == 4 and starts == sorted(set(starts))
    # each cut loses at most one chunk of received bytes
    assert all(
        0 <= 300_000 * i - start <= i * download.CHUNK_BYTES for i, start in enumerate(starts)
    )
    # each attempt received bytes, so that no pause grows
    assert site.waits == [download.BACKOFF_SECONDS] * 3


def test_interrupted_download_goes_on_in_the_next_run_by_last_modified_too(site, tmp_path):
    # a weak ETag is no basis for If-Range
    site.etag, site.modified = 'W/"weak"', "Wed, 01 Jul 2015 00:00:00 GMT"
    site.cuts = [500_000] + [0] * download.ATTEMPTS
    with pytest.raises(
        BadInput, match=rf"given up after {download.ATTEMPTS} attempts .*; .*{NAME}\.part is kept"
    ):
        get(site, tmp_path)
    kept = (tmp_path / f"{NAME}.part").stat().st_size
    assert kept >= 500_000 - download.CHUNK_BYTES
    site.cuts, site.requests = [], []
    assert get(site, tmp_path) == SHA256
    assert site.requests == [(f"/{NAME}", f"bytes={kept}-")]


def test_server_that_ignores_range_sends_all_and_nothing_is_doubled(site, tmp_path):
    site.ranges, site.cuts = False, [400_000]
    assert get(site, tmp_path) == SHA256
    # the request was for the rest
    assert site.requests[1][1] is not None


def test_server_without_validator_is_never_resumed(site, tmp_path):
    site.etag, site.cuts = None, [400_000]
    assert get(site, tmp_path) == SHA256
    assert [wanted for _, wanted in site.requests] == [None, None]


def test_server_that_cuts_anywhere_and_is_never_resumed_is_given_up(site, tmp_path):
    site.etag, site.cuts = None, [400_000, 300_000] * 20
    with pytest.raises(BadInput, match=f"given up after {download.ATTEMPTS} attempts"):
        get(site, tmp_path)
    assert len(site.requests) == download.ATTEMPTS


def test_file_that_changed_between_two_parts_is_fetched_anew(site, tmp_path):
    site.cuts = [400_000]
    changed = BODY[:100] + BODY[100:][::-1]

    def change():
        site.body, site.etag = changed, '"two"'

    site.after_request = change
    assert get(site, tmp_path) == hashlib.sha256(changed).hexdigest()


def test_part_that_is_already_whole_is_only_verified(site, tmp_path):
    (tmp_path / f"{NAME}.part").write_bytes(BODY)
    (tmp_path / f"{NAME}.part.json").write_text(
        json.dumps({"url": site.url, "validator": site.etag})
    )
    assert get(site, tmp_path) == SHA256
    assert site.requests == [(f"/{NAME}", f"bytes={len(BODY)}-")]


def test_part_longer_than_the_file_is_fetched_anew(site, tmp_path):
    (tmp_path / f"{NAME}.part").write_bytes(BODY + b"more")
    (tmp_path / f"{NAME}.part.json").write_text(
        json.dumps({"url": site.url, "validator": site.etag})
    )
    assert get(site, tmp_path) == SHA256


def test_busy_server_is_asked_again_with_growing_pauses(site, tmp_path):
    site.statuses = [503, 429, 500]
    assert get(site, tmp_path) == SHA256
    assert site.waits == [2.0, 4.0, 8.0] == [download.BACKOFF_SECONDS * 2**i for i in range(3)]


def test_missing_file_is_reported_at_once(site, tmp_path):
    site.statuses = [404]
    with pytest.raises(
        BadInput, match=rf"no source gave {NAME}: {site.url}: the server answers 404"
    ):
        get(site, tmp_path)
    assert site.waits == [] and leftovers(tmp_path) == []


def test_web_page_with_status_200_is_refused_and_never_overwrites_a_part(site, tmp_path):
    site.cuts = [500_000] + [0] * download.ATTEMPTS
    with pytest.raises(BadInput):
        get(site, tmp_path)
    before = (tmp_path / f"{NAME}.part").read_bytes()
    site.cuts, site.body, site.etag = [], PAGE, '"page"'
    with pytest.raises(BadInput, match=r"map\.fits is a web page \(begins b'<!DOCTYPE html>"):
        get(site, tmp_path)
    assert (tmp_path / f"{NAME}.part").read_bytes() == before


def test_other_bytes_than_fits_are_refused(site, tmp_path):
    site.body = b"\x1f\x8b" + bytes(1000)
    with pytest.raises(BadInput, match="map.fits begins .*expected b'SIMPLE  ='"):
        get(site, tmp_path)


def test_wrong_md5_is_loud_and_the_file_is_moved_aside(site, tmp_path):
    with pytest.raises(
        BadInput, match=f"has md5 {MD5}, expected {'0' * 32}; it was moved to .*map.fits.bad"
    ):
        get(site, tmp_path, md5="0" * 32)
    assert leftovers(tmp_path) == [f"{NAME}.bad"]


def test_wrong_size_is_refused_before_the_transfer(site, tmp_path):
    with pytest.raises(BadInput, match=f"the server offers {len(BODY)} bytes, expected 5"):
        get(site, tmp_path, size=5)
    assert leftovers(tmp_path) == []


def test_server_without_length_is_trusted_only_if_the_size_is_known(site, tmp_path):
    site.length = False
    with pytest.raises(BadInput, match="neither server nor data.yaml gives a size"):
        get(site, tmp_path)
    site.cuts = [300_000]
    assert get(site, tmp_path, size=len(BODY)) == SHA256


def test_later_run_verifies_against_the_sha256_of_the_first(site, tmp_path):
    get(site, tmp_path)
    site.requests.clear()
    assert get(site, tmp_path) == SHA256 and site.requests == []  # verified, not fetched
    (tmp_path / NAME).unlink()
    site.body = BODY[:-1] + b"!"
    with pytest.raises(BadInput, match=f"recorded {SHA256} at the first download"):
        get(site, tmp_path)
    assert leftovers(tmp_path) == [f"{NAME}.bad", f"{NAME}.sha256"]


def test_source_that_a_part_is_from_is_asked_first(site, tmp_path):
    (tmp_path / f"{NAME}.part").write_bytes(BODY[:200_000])
    (tmp_path / f"{NAME}.part.json").write_text(
        json.dumps({"url": site.url, "validator": site.etag})
    )
    elsewhere = site.url.replace(NAME, f"elsewhere/{NAME}")
    assert fetch(RawFile(NAME, (elsewhere, site.url)), tmp_path / NAME) == SHA256
    assert site.requests == [(f"/{NAME}", "bytes=200000-")]


def test_mirror_is_tried_first_and_the_archive_after_it(site, tmp_path):
    site.statuses = [404]
    base = site.url.rsplit("/", 1)[0]
    file = RawFile(NAME, (site.url,))
    assert fetch(file, tmp_path / NAME, mirror=f"{base}/mirror/", wait=site.waits.append) == SHA256
    assert [path for path, _ in site.requests] == [f"/mirror/{NAME}", f"/{NAME}"]


def test_local_copy_is_linked_as_it_is(tmp_path):
    local = tmp_path / "own copy.fits"
    local.write_bytes(BODY)
    before = local.stat().st_mode
    assert fetch(RawFile(NAME, (), md5=MD5), tmp_path / "raw" / NAME, local=local) == SHA256
    assert (tmp_path / "raw" / NAME).samefile(local) and local.stat().st_mode == before
    with pytest.raises(
        BadInput, match="none.fits: no such file; expected a local copy of map.fits"
    ):
        fetch(RawFile(NAME, ()), tmp_path / "third" / NAME, local=tmp_path / "none.fits")
    with pytest.raises(BadInput, match="is a folder; expected a local copy of map.fits"):
        fetch(RawFile(NAME, ()), tmp_path / "third" / NAME, local=tmp_path)


@pytest.mark.parametrize("place", ["raw", "elsewhere"])
def test_local_copy_of_another_release_is_a_warning_with_both_sums_and_never_moved(
    tmp_path, capsys, place
):
    """The sums of a third party are no reason to refuse the user's own file."""
    local = tmp_path / place / NAME
    local.parent.mkdir()
    local.write_bytes(BODY)
    output = tmp_path / "raw" / NAME
    file = RawFile(NAME, (), size=5, md5="0" * 32)
    assert fetch(file, output, local=None if local == output else local) == SHA256
    warnings = capsys.readouterr().err
    assert f"warning: {local}: has md5 {MD5}, expected {'0' * 32}; it is used" in warnings
    assert f"warning: {local}: has {len(BODY)} bytes, expected 5" in warnings
    assert local.read_bytes() == output.read_bytes() == BODY
    assert leftovers(output.parent) == [NAME, f"{NAME}.sha256"]


@pytest.mark.parametrize("compress", [gzip.compress, bz2.compress])
def test_local_copy_may_be_compressed_and_a_web_page_is_refused(tmp_path, compress):
    local = tmp_path / "NHI.FITS.GZ"
    local.write_bytes(compress(BODY))
    fetch(RawFile(NAME, ()), tmp_path / "raw" / NAME, local=local)
    assert (tmp_path / "raw" / NAME).samefile(local)
    local.write_bytes(PAGE)
    with pytest.raises(BadInput, match=r"NHI\.FITS\.GZ: is a web page"):
        fetch(RawFile(NAME, ()), tmp_path / "other" / NAME, local=local)
    assert local.read_bytes() == PAGE and not leftovers(tmp_path / "other")


def test_local_copy_on_another_file_system_is_copied(tmp_path, monkeypatch):
    def cross_device(*arguments):
        raise OSError(errno.EXDEV, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", cross_device)
    local = tmp_path / "own.fits"
    local.write_bytes(BODY)
    assert fetch(RawFile(NAME, ()), tmp_path / NAME, local=local) == SHA256
    assert not (tmp_path / NAME).samefile(local)


def test_disk_without_room_is_noticed_before_the_transfer(site, tmp_path, monkeypatch):
    free = SimpleNamespace(free=len(BODY) + download.SPARE_BYTES - 1)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: free)
    with pytest.raises(
        BadInput, match=rf"{tmp_path}: no space left for map.fits: 1 MB needed, 18 MB free"
    ):
        get(site, tmp_path)
    assert leftovers(tmp_path) == []


def test_disk_that_fills_up_midway_keeps_the_part_and_the_next_run_goes_on(site, small_disk):
    folder, make_room = small_disk
    full = rf"{NAME}\.part: no space left on the device at \d+ of {len(BODY)} bytes; they are kept"
    with pytest.raises(BadInput, match=full):
        fetch(RawFile(NAME, (site.url, site.url + "?second=source")), folder / NAME)
    kept = (folder / f"{NAME}.part").stat().st_size
    # the second source would start from the beginning
    assert 0 < kept < len(BODY) and len(site.requests) == 1
    make_room()
    assert get(site, folder) == SHA256
    assert site.requests[1:] == [(f"/{NAME}", f"bytes={kept}-")]


@pytest.fixture
def small_disk(tmp_path, monkeypatch):
    """A folder on a disk of 512 kB, and a function that enlarges it.

    It is a tmpfs where root may mount one, else a simulated one.
    """
    # the space seems sufficient at the start of the transfer
    monkeypatch.setattr(download, "SPARE_BYTES", -len(BODY))
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", folder]
    if (
        os.geteuid() == 0
        and shutil.which("mount")
        and subprocess.run(mount, capture_output=True).returncode == 0
    ):
        yield folder, lambda: subprocess.run(["mount", "-o", "remount,size=8m", folder], check=True)
        subprocess.run(["umount", folder], check=True)
        return

    def full(pieces, *arguments):
        yield next(pieces)
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(download, "_reported", full)
        yield folder, patch.undo


def test_manifest_of_the_study_names_its_three_files(repository):
    path = repository / "config" / "co" / "data.yaml"
    dust = read_manifest(path, "COM_CompMap_Dust-GNILC-F857_2048_R2.00.fits")
    assert dust.md5 == "6dafe091af608429a2c567737e472347" and all(
        dust.name in url for url in dust.urls
    )
    with pytest.raises(
        BadInput,
        match=r"no file 'x' \(files: HFI_CompMap_CO-Type2_2048_R1.10.fits, .*NHI_HPX.fits\)",
    ):
        read_manifest(path, "x")


# --- images of services ---------------------------------------------------------------------------

CUTOUT = "dr3-low_44.5000_13.0000_60.fits"


def service(site, repository, name):
    """The entry of the radio study for a file, with the server of the test as its service."""
    file = read_manifest(repository / "config" / "radio" / "data.yaml", name)
    (url,) = file.urls
    base = site.url.removesuffix(f"/{NAME}")
    return replace(file, urls=(url.replace("https://lofar-surveys.org", base),))


def cutout(unobserved=0, side=100):
    """Bytes of an image, of which a share is NaN."""
    data = np.ones((1, 1, side, side), np.float32)
    data.reshape(-1)[: int(unobserved * side**2)] = np.nan
    stream = io.BytesIO()
    fits.PrimaryHDU(data).writeto(stream)
    return stream.getvalue()


def test_name_with_braces_stands_for_many_files_and_fills_their_addresses(repository):
    path = repository / "config" / "radio" / "data.yaml"
    file = read_manifest(path, CUTOUT)
    pos = "pos=44.5000%2013.0000&size=60"
    assert file.urls == (f"https://lofar-surveys.org/dr3-low-cutout.fits?{pos}",)
    assert "60 arcmin around right ascension 44.5000, declination 13.0000" in file.expected
    assert file.finite == 0.9
    mosaic = read_manifest(path, "dr2_P000+23_rms.fits")
    folder = "https://lofar-surveys.org/public/DR2/mosaics/P000+23"
    assert mosaic.urls == (f"{folder}/mosaic.rms.fits",) and mosaic.finite is None
    assert read_manifest(path, "dr3_P000+23.fits").urls == ()
    # a part has neither _ nor /
    for name in ("dr2_P000_23.fits", "dr3-low_44.5000_13.0000.fits", "dr4_P000+23.fits"):
        with pytest.raises(BadInput, match="no file"):
            read_manifest(path, name)


def test_every_file_of_the_radio_study_has_a_name_of_its_own_and_parts_that_its_name_gives(
    repository,
):
    path = repository / "config" / "radio" / "data.yaml"
    for name, entry in yaml.safe_load(path.read_text())["files"].items():
        file = read_manifest(path, name.replace("{", "").replace("}", ""))
        assert (file.urls == ()) == (entry["urls"] is None)
        assert all(re.fullmatch(r"https://lofar-surveys\.org/[^{},\s@]+", url) for url in file.urls)
        assert "{" not in file.expected


@pytest.mark.parametrize("length", [True, False])
def test_cutout_is_taken_with_or_without_its_length(site, repository, tmp_path, length):
    site.body, site.etag, site.length = cutout(0.05), None, length
    sha256 = fetch(service(site, repository, CUTOUT), tmp_path / CUTOUT)
    assert sha256 == hashlib.sha256(site.body).hexdigest()
    assert site.requests == [("/dr3-low-cutout.fits?pos=44.5000%2013.0000&size=60", None)]
    assert leftovers(tmp_path) == [CUTOUT, f"{CUTOUT}.sha256"]


def test_position_outside_of_the_survey_is_refused_at_once_with_what_was_expected(
    site, repository, tmp_path
):
    site.body = PAGE
    expected = "expected 60 arcmin around right ascension 44.5000, declination 13.0000"
    with pytest.raises(BadInput, match=rf"{CUTOUT} is a web page .*; {expected} .*LoTSS DR3$"):
        fetch(service(site, repository, CUTOUT), tmp_path / CUTOUT, wait=site.waits.append)
    assert len(site.requests) == 1 and site.waits == [] and leftovers(tmp_path) == []


@pytest.mark.parametrize(
    ("body", "found"),
    [
        (cutout(0.2), "has 80.0% finite pixels, expected more than 90%"),
        (cutout(0.1), "has 90.0% finite pixels, expected more than 90%"),
        (cutout(1), "has no image: .*no valid pixel"),
        (cutout()[:5000], "has no image: .*cut short: 5000 bytes, but its header announces"),
    ],
)
def test_cutout_that_is_mostly_unobserved_or_cut_short_is_moved_aside(
    site, repository, tmp_path, body, found
):
    site.body, site.length = body, False
    with pytest.raises(BadInput, match=f"{found}.*right ascension 44.5000"):
        fetch(service(site, repository, CUTOUT), tmp_path / CUTOUT, wait=site.waits.append)
    assert site.waits == [] and leftovers(tmp_path) == [f"{CUTOUT}.bad"]


def test_cutout_whose_transfer_is_cut_is_fetched_anew(site, repository, tmp_path):
    site.body, site.etag, site.cuts = cutout(), None, [5000]
    fetch(service(site, repository, CUTOUT), tmp_path / CUTOUT, wait=site.waits.append)
    assert (tmp_path / CUTOUT).read_bytes() == site.body
    assert [wanted for _, wanted in site.requests] == [None, None]


def test_mosaic_is_resumed(site, repository, tmp_path):
    site.cuts, name = [400_000], "dr2-low_P000+23.fits"
    file = service(site, repository, name)
    assert fetch(file, tmp_path / name, wait=site.waits.append) == SHA256
    (first, _), (second, wanted) = site.requests
    assert first == second == "/public/DR2/mosaics/P000+23/low-mosaic-blanked.fits"
    assert int(wanted[6:-1]) > 300_000


def test_entry_point_ends_with_one_line_and_code_2_on_bad_input(site, tmp_path, repository):
    (tmp_path / "data.yaml").write_text(
        json.dumps({"files": {NAME: {"urls": [site.url], "size": None, "md5": None}}})
    )
    command = [sys.executable, repository / "scripts" / "download_raw.py", "--name", NAME]
    command += ["--manifest", tmp_path / "data.yaml", "--output", tmp_path / "raw" / NAME]
    good = subprocess.run(command, capture_output=True, text=True)
    assert (
        good.returncode == 0
        and good.stdout == f"{tmp_path / 'raw' / NAME}: {len(BODY)} bytes, sha256 {SHA256}\n"
    )
    site.body = PAGE
    (tmp_path / "raw" / NAME).unlink()
    bad = subprocess.run(command, capture_output=True, text=True)
    assert bad.returncode == 2 and bad.stderr.count("\n") == 1 and "is a web page" in bad.stderr
