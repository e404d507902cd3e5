"""Resumable downloads: the file at a URL, whose partial copy a later run continues."""

import hashlib
import re
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from filelock import Timeout

from classifier.runtime.console import log, progress_bar
from classifier.runtime.locks import file_lock

if TYPE_CHECKING:
    from requests import Response

SLOW_RATE = 500_000  # bytes a second; a server that stays below this rate ...
SLOW_SECONDS = 20.0  # ... for so long is abandoned
CONNECT_TIMEOUT = 10.0  # seconds without a connection after which a server is abandoned
TIMEOUT = 30.0  # seconds without a byte after which a server is abandoned
CHUNK = 2**14  # bytes; small, so that the rate of a very slow server is noticed in time


class DownloadError(Exception):
    """A download that failed; the message says why in a few words."""


class NotFoundError(DownloadError):
    """The server answered that it does not have the file, or does not give it out (HTTP 4xx)."""


class Download:
    """The file at a URL, kept in a folder under a name made of the URL; one process at a time writes it.

    Beside the partial file lies its validator, the ETag or Last-Modified of the server, with which the download continues only
    if the file at the URL is still the same. A finished file stays until somebody removes it: another process that waited for
    this one takes it.
    """

    def __init__(self, url: str, folder: Path) -> None:
        self.url = url
        readable = re.sub(r"[^\w.-]", "_", file_name(url))[-100:]
        name = f"{hashlib.sha256(url.encode()).hexdigest()[:12]}-{readable}"
        self.finished = folder / name
        self.partial = folder / f"{name}.partial"
        self.validator = folder / f"{name}.validator"
        self.lock = folder / f"{name}.lock"

    def started(self) -> bool:
        """Return whether an earlier run left something of the file, which may be damaged."""
        return self.partial.exists() or self.finished.exists()

    def fetch(self, slow_rate: float = SLOW_RATE, slow_seconds: float = SLOW_SECONDS) -> Path:
        """Download the file, or what is missing of it, and return its path.

        Parameters
        ----------
        slow_rate, slow_seconds
            A server that sends fewer bytes a second than `slow_rate` in an interval of `slow_seconds` is abandoned; 0 waits
            as long as bytes arrive.

        Raises
        ------
        DownloadError
            Saying why in a few words. The partial file remains, for a later run to continue.
        OSError
            When the file cannot be written.
        """
        self.finished.parent.mkdir(parents=True, exist_ok=True)
        with self._locked():
            if not self.finished.exists():
                self._transfer(slow_rate, slow_seconds)
                self.partial.replace(self.finished)
                self.validator.unlink(missing_ok=True)
        return self.finished

    def discard(self) -> None:
        """Remove the file, finished or partial."""
        for path in (self.finished, self.partial, self.validator):
            path.unlink(missing_ok=True)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Hold the lock, which ends with the process, and say so if another process must be waited for."""
        lock = file_lock(self.lock)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            log(f"waiting for another process that downloads {self.url}")
            lock.acquire()
        try:
            yield
        finally:
            lock.release()

    def _transfer(self, slow_rate: float, slow_seconds: float) -> None:
        import requests  # 0.1 s, and only downloads need it

        headers = {"Accept-Encoding": "identity"}
        done = self.partial.stat().st_size if self.partial.exists() and self.validator.exists() else 0
        if done:
            headers |= {"Range": f"bytes={done}-", "If-Range": self.validator.read_text(encoding="utf-8")}
        try:
            with requests.get(self.url, headers=headers, stream=True, timeout=(CONNECT_TIMEOUT, TIMEOUT)) as response:
                status = response.status_code
                if status not in ((200, 206, 416) if done else (200,)):
                    failure = (
                        NotFoundError if 400 <= status < 500 and status != 407 else DownloadError
                    )  # 407: the proxy's answer
                    raise failure(f"HTTP {status} {response.reason}")
                if done and not self._continues(response, done):
                    self.discard()
                    if status != 200:  # neither the rest of the file nor the file from its start: ask again for all of it
                        return self._transfer(slow_rate, slow_seconds)
                    done = 0
                self._write(response, done, slow_rate, slow_seconds)
        except requests.exceptions.ChunkedEncodingError:
            raise DownloadError("the connection broke; the next run continues the download") from None
        except requests.ConnectTimeout:
            raise DownloadError(f"no connection within {CONNECT_TIMEOUT:g} s") from None
        except requests.Timeout:
            raise DownloadError(f"no answer within {TIMEOUT:g} s") from None
        except requests.ConnectionError as error:
            raise DownloadError(_connection_failure(error)) from None
        except requests.RequestException as error:
            raise DownloadError(" ".join(str(error).split())) from None

    def _continues(self, response: "Response", done: int) -> bool:
        """Return whether the answer is the rest of the file of which `done` bytes are here."""
        return (
            response.status_code == 206
            and response.headers.get("Content-Range", "").startswith(f"bytes {done}-")
            and validator(response) in ("", self.validator.read_text(encoding="utf-8"))
        )

    def _write(self, response: "Response", done: int, slow_rate: float, slow_seconds: float) -> None:
        length = response.headers.get("Content-Length", "")
        size = int(length) if length.isdecimal() else 0
        if lack := lack_of_space(self.partial.parent, size):
            raise DownloadError(f"{self.partial.parent}: {lack}")
        with (
            self.partial.open("ab" if done else "wb") as file,
            progress_bar(done + size, file_name(self.url), "B", done) as bar,
        ):
            if not done:
                self.validator.unlink(missing_ok=True)
                if mark := validator(response):
                    self.validator.write_text(mark, encoding="utf-8")
            received, start = 0, time.monotonic()
            for chunk in response.iter_content(CHUNK):
                file.write(chunk)
                bar.update(len(chunk))
                received += len(chunk)
                if (elapsed := time.monotonic() - start) >= slow_seconds:
                    if received < slow_rate * elapsed:
                        raise DownloadError(f"slower than {slow_rate / 1000:g} kB/s for {slow_seconds:g} s")
                    received, start = 0, time.monotonic()


def validator(response: "Response") -> str:
    """Return what tells whether a later answer is of the same file: strong ETag or Last-Modified, or nothing."""
    if response.headers.get("Content-Encoding", "identity") != "identity":
        return ""  # its length is not that of the file
    etag = response.headers.get("ETag", "")
    return etag if etag and not etag.startswith("W/") else response.headers.get("Last-Modified", "")


def file_name(location: str) -> str:
    """Return the name of the file at a URL or path: its last part."""
    return unquote(PurePosixPath(urlsplit(location).path).name)


def lack_of_space(folder: Path, size: int) -> str:
    """Return what to say if the disk of a folder has no room for so many bytes, or nothing."""
    free = shutil.disk_usage(folder).free
    return f"no space: {size / 1e6:,.1f} MB are needed, {free / 1e6:,.1f} MB are free" if free < size else ""


def _connection_failure(error: Exception) -> str:
    """Return what to say about a connection that requests could not make; only its text tells one cause from another."""
    text = str(error)
    if "Read timed out" in text:
        return f"no bytes for {TIMEOUT:g} s"
    if fault := re.search(r"certificate verify failed: (.+?)\.? \(_ssl", text):
        return f"its certificate is not trusted: {fault[1]}; REQUESTS_CA_BUNDLE may name a file of further authorities"
    if fault := re.search(r"SSLError\(.*?\] (.+?) \(_ssl", text):
        return f"no TLS connection: {fault[1]}"
    if "ProxyError" in text:
        fault = re.search(r"Tunnel connection failed: (\d+ [\w ]*\w)|\[Errno -?\d+\] ([\w ]+)", text)
        cause = f": {fault[1] or fault[2]}" if fault else ""
        return f"no connection through the proxy{cause}; see HTTPS_PROXY, HTTP_PROXY, NO_PROXY"
    return "no connection"
