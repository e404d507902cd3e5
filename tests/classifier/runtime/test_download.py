import shutil
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import NamedTuple

import pytest

from classifier.runtime.download import Download, DownloadError, NotFoundError, file_name
from tests.conftest import PATIENCE, ROOT
from tests.servers import ResumableFile, content, redirect, self_signed, serving, slow, status

BODY = bytes(range(256)) * 400  # more than a chunk


def left(folder: Path) -> list[str]:
    """Kinds of the files in the folder of downloads, except its locks."""
    return sorted(path.suffix for path in folder.iterdir() if path.suffix != ".lock")


def test_a_broken_download_continues_where_it_ended(tmp_path: Path) -> None:
    file = ResumableFile(BODY, stop_at=50_000)
    with serving({"/a.bin": file}) as address:
        download = Download(f"{address}/a.bin", tmp_path)
        with pytest.raises(DownloadError, match="connection broke"):
            download.fetch()
        assert left(tmp_path) == [".partial", ".validator"]
        file.stop_at = None
        assert download.fetch().read_bytes() == BODY
    assert file.asked[0] is None
    assert file.asked[1] is not None
    assert file.asked[1] > "bytes=1"
    assert left(tmp_path) == [".bin"]


def test_a_download_continues_with_last_modified_where_there_is_no_etag(tmp_path: Path) -> None:
    file = ResumableFile(BODY, "Thu, 04 Jun 2009 00:00:00 GMT", stop_at=50_000, header="Last-Modified")
    with serving({"/a": file}) as address:
        with pytest.raises(DownloadError):
            Download(f"{address}/a", tmp_path).fetch()
        file.stop_at = None
        assert Download(f"{address}/a", tmp_path).fetch().read_bytes() == BODY
    assert file.asked[1]


@pytest.mark.parametrize("checks", [True, False], ids=["If-Range honoured", "If-Range ignored"])
@pytest.mark.parametrize("size", [len(BODY), 20_000], ids=["same size", "smaller"])
def test_a_file_that_changed_between_tries_starts_over(tmp_path: Path, checks: bool, size: int) -> None:
    file = ResumableFile(BODY, stop_at=50_000, checks=checks)
    with serving({"/a": file}) as address:
        with pytest.raises(DownloadError):
            Download(f"{address}/a", tmp_path).fetch()
        file.body, file.validator, file.stop_at = BODY[::-1][:size], '"2"', None
        assert Download(f"{address}/a", tmp_path).fetch().read_bytes() == file.body


@pytest.mark.parametrize("change", [{"ranges": False}, {"validator": ""}, {"validator": 'W/"1"'}])
def test_a_server_that_cannot_continue_starts_over(tmp_path: Path, change: dict[str, object]) -> None:
    file = ResumableFile(BODY, stop_at=50_000)
    for name, value in change.items():
        setattr(file, name, value)
    with serving({"/a": file}) as address:
        with pytest.raises(DownloadError):
            Download(f"{address}/a", tmp_path).fetch()
        file.stop_at = None
        assert Download(f"{address}/a", tmp_path).fetch().read_bytes() == BODY


def test_a_partial_file_continues_at_the_same_url_only(tmp_path: Path) -> None:
    first, second = ResumableFile(BODY, stop_at=50_000), ResumableFile(BODY)
    with serving({"/a?place=1": first, "/a?place=2": second}) as address:
        with pytest.raises(DownloadError):
            Download(f"{address}/a?place=1", tmp_path).fetch()
        Download(f"{address}/a?place=2", tmp_path).fetch()
    assert second.asked == [None]


def test_a_server_error_keeps_the_partial_file(tmp_path: Path) -> None:
    file = ResumableFile(BODY, stop_at=50_000)
    answers = {"/a": file}
    with serving(answers) as address:  # type: ignore[arg-type]
        with pytest.raises(DownloadError):
            Download(f"{address}/a", tmp_path).fetch()
        answers["/a"] = status(503)  # type: ignore[assignment]
        with pytest.raises(DownloadError, match="HTTP 503"):
            Download(f"{address}/a", tmp_path).fetch()
    assert left(tmp_path) == [".partial", ".validator"]


def test_a_length_that_is_too_large_is_a_broken_connection_and_one_that_is_too_small_cuts_the_file(tmp_path: Path) -> None:
    with serving({"/large": content(BODY, len(BODY) + 1), "/small": content(BODY, 1000)}) as address:
        with pytest.raises(DownloadError, match="connection broke"):
            Download(f"{address}/large", tmp_path).fetch()
        assert Download(f"{address}/small", tmp_path).fetch().read_bytes() == BODY[:1000]


def test_redirects_are_followed_and_queries_are_sent(tmp_path: Path) -> None:
    answers = {"/get?file=a&download=1": redirect("/moved"), "/moved": content(BODY)}
    with serving(answers) as address:
        assert Download(f"{address}/get?file=a&download=1", tmp_path).fetch().read_bytes() == BODY


@pytest.mark.parametrize("target", ["file:///etc/passwd", "/a"], ids=["another protocol", "a circle"])
def test_a_redirect_that_leads_nowhere_is_an_error_in_one_line(tmp_path: Path, target: str) -> None:
    with serving({"/a": redirect(target)}) as address, pytest.raises(DownloadError) as caught:
        Download(f"{address}/a", tmp_path).fetch()
    assert str(caught.value).isprintable()


def test_a_server_that_sends_too_slowly_is_abandoned_and_waited_for_where_the_rate_does_not_matter(tmp_path: Path) -> None:
    with serving({"/a": slow(BODY, 20, 0.05)}) as address:
        with pytest.raises(DownloadError, match=r"^slower than 1e\+09 kB/s for 0\.1 s$"):
            Download(f"{address}/a", tmp_path).fetch(1e12, 0.1)
        assert Download(f"{address}/a", tmp_path).fetch(0, 0.1).read_bytes() == BODY


def test_a_server_that_stops_sending_is_abandoned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    abandoned = threading.Event()

    def stop_sending(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(BODY)))
        handler.end_headers()
        abandoned.wait(PATIENCE)

    monkeypatch.setattr("classifier.runtime.download.TIMEOUT", 0.3)
    with serving({"/a": stop_sending}) as address:
        with pytest.raises(DownloadError, match=r"no (answer|bytes) .* 0\.3 s"):
            Download(f"{address}/a", tmp_path).fetch(0)
        abandoned.set()


def test_what_is_not_there_is_told_from_what_failed(tmp_path: Path) -> None:
    with serving({"/error": status(500)}) as address:
        with pytest.raises(NotFoundError, match="HTTP 404 Not Found"):
            Download(f"{address}/nothing", tmp_path).fetch()
        with pytest.raises(DownloadError, match="HTTP 500") as caught:
            Download(f"{address}/error", tmp_path).fetch()
    assert not isinstance(caught.value, NotFoundError)
    with pytest.raises(DownloadError, match="no connection"):
        Download(f"{address}/gone", tmp_path).fetch()


def test_a_disk_without_room_is_found_out_before_anything_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Usage(NamedTuple):
        free: int

    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(1000))
    with serving({"/a": content(BODY)}) as address, pytest.raises(DownloadError, match=r"0\.1 MB are needed, 0\.0 MB are free"):
        Download(f"{address}/a", tmp_path).fetch()
    assert left(tmp_path) == []


def test_of_two_processes_one_downloads_and_the_other_waits_and_takes_the_file(tmp_path: Path) -> None:
    requests = []
    answer = content(BODY)

    def slowly(handler: BaseHTTPRequestHandler) -> None:
        requests.append(handler)
        second_waits.wait(PATIENCE)
        answer(handler)

    second_waits = threading.Event()
    program = "import sys; from classifier.runtime.download import *; print(Download(*map(eval, sys.argv[1:])).fetch(0))"
    with serving({"/a": slowly}) as address:
        command = [sys.executable, "-c", program, repr(f"{address}/a"), f"Path({str(tmp_path)!r})"]
        processes = [subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) for _ in range(2)]
        # Whichever is second prints a line when it begins to wait.
        lines: list[str] = []

        def read(process: "subprocess.Popen[str]") -> None:
            assert process.stdout
            for line in process.stdout:
                lines.append(line)
                if line.startswith("waiting"):
                    second_waits.set()

        readers = [threading.Thread(target=read, args=(process,)) for process in processes]
        for reader in readers:
            reader.start()
        for reader in readers:
            reader.join()
        assert [process.wait() for process in processes] == [0, 0]
    assert len(requests) == 1
    assert sum(line.startswith("waiting for another process") for line in lines) == 1
    assert left(tmp_path) == [""]


@pytest.mark.parametrize(
    ("location", "name"),
    [("../a/b.tar.gz", "b.tar.gz"), ("https://a.org/b.gz?c=/d", "b.gz"), ("b", "b"), ("https://a.org/b%20c", "b c")],
)
def test_the_name_of_a_file_is_the_last_part_of_its_location(location: str, name: str) -> None:
    assert file_name(location) == name


def fails(url: str, folder: Path) -> str:
    with pytest.raises(DownloadError) as caught:
        Download(url, folder / "downloads").fetch()
    assert not isinstance(caught.value, NotFoundError)
    return str(caught.value)


def test_a_certificate_that_is_not_trusted_is_named_and_may_be_declared_trusted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pem = self_signed(tmp_path / "a.pem")
    with serving({"/a": content(b"abc")}, pem) as address:
        assert fails(f"{address}/a", tmp_path) == (
            "its certificate is not trusted: self-signed certificate; REQUESTS_CA_BUNDLE may name a file of further authorities"
        )
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(pem))
        assert Download(f"{address}/a", tmp_path / "downloads").fetch().read_bytes() == b"abc"
        other_name = address.replace("127.0.0.1", "localhost")
        assert "not trusted: Hostname mismatch, certificate is not valid for 'localhost';" in fails(f"{other_name}/a", tmp_path)


def test_an_expired_certificate_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pem = self_signed(tmp_path / "a.pem", days=-1)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(pem))
    with serving({"/a": content(b"abc")}, pem) as address:
        assert "its certificate is not trusted: certificate has expired;" in fails(f"{address}/a", tmp_path)


def test_a_server_that_does_not_speak_tls_is_told_from_one_that_is_not_there(tmp_path: Path) -> None:
    with serving({}) as address:
        assert fails(f"{address.replace('http:', 'https:')}/a", tmp_path).startswith("no TLS connection: ")
    assert fails("https://127.0.0.1:9/a", tmp_path) == "no connection"


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_proxy_that_is_not_there_is_named(scheme: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"{scheme}_proxy", "http://127.0.0.1:9")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    line = fails(f"{scheme}://example.invalid/a", tmp_path)
    assert line == "no connection through the proxy: Connection refused; see HTTPS_PROXY, HTTP_PROXY, NO_PROXY"


def test_a_proxy_that_refuses_is_no_server_that_lacks_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    with serving({"http://example.invalid/a": status(407)}) as address:
        monkeypatch.setenv("http_proxy", address)
        monkeypatch.setenv("https_proxy", address)
        assert fails("http://example.invalid/a", tmp_path) == "HTTP 407 Proxy Authentication Required"
        line = fails("https://example.invalid/a", tmp_path)
    assert line == "no connection through the proxy: 501 Unsupported method; see HTTPS_PROXY, HTTP_PROXY, NO_PROXY"
