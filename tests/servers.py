"""A web server on this machine that answers as a test wants."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

Answer = Callable[[BaseHTTPRequestHandler], None]


@contextmanager
def serving(answers: dict[str, Answer]) -> Iterator[str]:
    """Serve these answers by path, and give the address of the server."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            with suppress(OSError):  # whoever asked has gone
                answers.get(self.path, status(404))(self)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def redirect(location: str) -> Answer:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(302)
        handler.send_header("Location", location)
        handler.end_headers()

    return answer


def slow(body: bytes, parts: int, pause: float) -> Answer:
    """Answer with a body in parts, with so many seconds before each."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        size = -(-len(body) // parts)
        for start in range(0, len(body), size):
            time.sleep(pause)
            handler.wfile.write(body[start : start + size])

    return answer


@dataclass
class ResumableFile:
    """Answers with a file as a server does that continues downloads, and notes what it was asked for.

    body, validator
        What lies on the server, and its ETag; a test may change both.
    stop_at
        Hang up after so many bytes of the file.
    checks
        Whether the server honours If-Range.
    ranges
        Whether it honours Range.
    header
        The header in which it sends the validator.
    """

    body: bytes
    validator: str = '"1"'
    stop_at: int | None = None
    checks: bool = True
    ranges: bool = True
    header: str = "ETag"
    asked: list[str | None] = field(default_factory=list)

    def __call__(self, handler: BaseHTTPRequestHandler) -> None:
        wanted = handler.headers["Range"]
        self.asked.append(wanted)
        start = 0
        if wanted and self.ranges and (handler.headers["If-Range"] == self.validator or not self.checks):
            start = int(wanted.removeprefix("bytes=").removesuffix("-"))
        if start and start >= len(self.body):
            handler.send_error(416)
            return
        handler.send_response(206 if start else 200)
        if start:
            handler.send_header("Content-Range", f"bytes {start}-{len(self.body) - 1}/{len(self.body)}")
        handler.send_header("Content-Length", str(len(self.body) - start))
        handler.send_header(self.header, self.validator)
        handler.end_headers()
        handler.wfile.write(self.body[start : self.stop_at])


def status(code: int) -> Answer:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_error(code)

    return answer


def content(body: bytes, promised: int | None = None) -> Answer:
    """Answer with a body; with `promised`, claim that length and hang up early."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", str(promised or len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    return answer
