"""Show the training runs of this checkout in a browser, with their curves, until Ctrl-C.

Serves one page, on this machine alone: all training runs by name, those of experiments in temporary folders too, with the time
that is left. The page updates itself. Over SSH, forward the port, as the second line says.

  python -m tools.watch
  python -m tools.watch --port 8000
"""

import argparse
import dataclasses
import errno
import json
import os
import re
import sys
import time
from collections.abc import Sequence
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import ThreadingTCPServer
from typing import Any

from classifier.runtime.errors import InputError
from classifier.runtime.paths import repository_root
from tools.runs import Run, Runs

ADDRESS = "127.0.0.1"
PORT = 8642
PAGE = Path(__file__).parent / "watch_page"
FILES = {
    "/": ("index.html", "text/html; charset=utf-8"),
    "/watch.css": ("watch.css", "text/css; charset=utf-8"),
    "/watch.js": ("watch.js", "text/javascript; charset=utf-8"),
}
DATA = "/runs.json"
# Of this machine, on any port, which SSH may change. Another name may be that of a foreign page which a resolver under its
# control points here (DNS rebinding), and a browser would let that page read the answer.
LOCAL_HOST = re.compile(r"(?:127\.0\.0\.1|localhost|\[::1\])(?::\d+)?", re.IGNORECASE)
HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
TAKEN = {errno.EADDRINUSE, errno.EACCES}  # Windows refuses a port that another program reserved


def main(command: Sequence[str] | None = None) -> None:
    """Run the tool with the given command line, by default that of the process."""
    parser = argparse.ArgumentParser(
        prog="python -m tools.watch", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--port", type=int, default=PORT, metavar="N", help="a free one if it is taken (default: %(default)s)")
    arguments = parser.parse_args(command)
    if not Path("dvc.yaml").is_file():
        raise InputError(f"{Path.cwd()} is not the repository's root, where dvc.yaml lies: go there first")
    try:
        with open_server(arguments.port, Runs(repository_root(Path.cwd()) / "checkpoints")) as server:
            port = server.server_address[1]
            print(f"watch: the training runs of this checkout are shown at http://{ADDRESS}:{port} until Ctrl-C", flush=True)
            print(f"watch: over SSH, run {forwarding(port)} on your machine, and open the same address there", flush=True)
            server.serve_forever()
    except KeyboardInterrupt:
        print("watch: ended", file=sys.stderr)


def forwarding(port: int) -> str:
    """Return the command that makes the page reachable on another machine."""
    return f"ssh -N -L {port}:{ADDRESS}:{port} USER@HOST"


class Server(ThreadingTCPServer):
    """Serves the page, and the runs as they were half a second ago."""

    allow_reuse_address = os.name == "posix"  # elsewhere it would share a port that is taken
    daemon_threads = True

    def __init__(self, port: int, runs: Runs) -> None:
        self.runs = runs
        self.contents = {path: ((PAGE / name).read_bytes(), kind) for path, (name, kind) in FILES.items()}
        super().__init__((ADDRESS, port), Handler)
        self.service_actions()

    def service_actions(self) -> None:
        """Look at the runs; `serve_forever` calls this after each request, and twice a second."""
        now = time.time()
        values = {"forwarding": forwarding(self.server_address[1]), "runs": [as_values(run, now) for run in self.runs.look()]}
        self.contents[DATA] = (json.dumps(values, allow_nan=False).encode(), "application/json")

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Be silent when a browser has hung up."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)


class Handler(BaseHTTPRequestHandler):
    """Answers GET and HEAD."""

    server: Server
    server_version, sys_version = "watch", ""
    timeout = 10  # seconds for which a browser may keep a connection open without asking anything

    def do_GET(self) -> None:
        """Send a file of the page, or the runs."""
        if not LOCAL_HOST.fullmatch(self.headers.get("Host", "")):
            self._send(403, b"403: open the address that make watch printed, at 127.0.0.1 or localhost\n")
        elif content := self.server.contents.get(self.path):
            self._send(200, *content)
        else:
            self._send(404, b"404: there is nothing but the page, at /\n")

    do_HEAD = do_GET  # noqa: N815

    def _send(self, status: int, body: bytes, kind: str = "text/plain; charset=utf-8") -> None:
        self.send_response(status)
        for name, value in {**HEADERS, "Content-Type": kind, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Print nothing."""


def open_server(port: int, runs: Runs) -> Server:
    """Return a server on this port, or on a free one if it is taken."""
    try:
        return Server(port, runs)
    except OverflowError:
        raise InputError(f"--port {port}: should be from 0, any free port, to 65535") from None
    except OSError as error:
        if error.errno not in TAKEN:
            raise
        return Server(0, runs)


def as_values(run: Run, now: float) -> dict[str, Any]:
    """Return what the page shows of a run; times are in seconds."""
    progress = run.progress
    return {
        "key": run.key,
        "name": run.name,
        "state": run.state,
        "resumable": run.resumable,
        "age": max(0.0, now - run.written),
        "seconds_left": run.seconds_left(now),
        "progress": progress and dataclasses.asdict(progress),
        "curve": [dataclasses.asdict(epoch) for epoch in run.curve],
    }


if __name__ == "__main__":
    main()
