"""A web server on this machine that answers as a test wants."""

import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

Answer = Callable[[BaseHTTPRequestHandler], None]


@contextmanager
def serving(answers: dict[str, Answer], certificate: Path | None = None) -> Iterator[str]:
    """Serve these answers by path, over TLS with a certificate, and give the address of the server."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            with suppress(OSError):  # whoever asked has gone
                answers.get(self.path, status(404))(self)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.handle_error = lambda *_: None  # type: ignore[method-assign]  # a client that does not trust the certificate
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)  # seconds until it sees its end
    thread.start()
    try:
        yield f"{'https' if certificate else 'http'}://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def self_signed(path: Path, address: str = "127.0.0.1", days: int = 1) -> Path:
    """Write a key and a certificate that no authority has signed, valid until so many days from now."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a test")])
    now = datetime.now(UTC)
    names = x509.SubjectAlternativeName([x509.IPAddress(ip_address(address))])
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=10))
        .not_valid_after(now + timedelta(days=days))
        .add_extension(names, critical=False)
        .sign(key, SHA256())
    )
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    path.write_bytes(private + certificate.public_bytes(Encoding.PEM))
    return path


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
