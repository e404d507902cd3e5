import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from classifier.runtime.errors import InputError
from tests.conftest import PATIENCE, ROOT
from tests.tools.runs import dead_process, remove_run, write_run
from tools import watch
from tools.runs import Runs
from tools.watch import Server, open_server


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "checkpoints"


@pytest.fixture
def server(folder: Path) -> Iterator[Server]:
    with open_server(0, Runs(folder)) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def ask(server: Server, path: str, host: str | None = None, method: str = "GET") -> tuple[int, Any, bytes]:
    """Return status, headers and body of an answer."""
    connection = http.client.HTTPConnection("127.0.0.1", server.server_address[1], timeout=PATIENCE)
    connection.request(method, path, headers={} if host is None else {"Host": host})
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return answer.status, answer.headers, body


def runs(server: Server) -> list[dict[str, Any]]:
    """Return the runs as they are now, not as they were at the last look."""
    ask(server, "/runs.json")  # after which the server looks again
    status, _, body = ask(server, "/runs.json")
    assert status == 200
    found: list[dict[str, Any]] = json.loads(body)["runs"]
    return found


def test_nothing_but_the_page_and_its_data_is_served(server: Server, folder: Path) -> None:
    write_run(folder, "one", done=1)
    for path, kind in {"/": "text/html", "/watch.css": "text/css", "/watch.js": "text/javascript"}.items():
        status, headers, body = ask(server, path)
        assert (status, headers.get_content_type(), len(body)) == (200, kind, int(headers["Content-Length"]))
    for path in ("/index.html", "/checkpoints/one.csv", "/../watch.py", "/%2e%2e/watch.py", "/?a", "http://127.0.0.1/"):
        assert ask(server, path)[0] == 404, path
    assert ask(server, "/runs.json", method="POST")[0] == 501


def test_the_page_names_only_files_that_are_served(server: Server) -> None:
    page = ask(server, "/")[2].decode()
    named = re.findall(r'(?:href|src)="([^"]+)"', page) + re.findall(r'fetch\("([^"]+)"', ask(server, "/watch.js")[2].decode())
    assert sorted(named) == ["data:,", "runs.json", "watch.css", "watch.js"]
    for path in set(named) - {"data:,"}:
        assert ask(server, f"/{path}")[0] == 200


def test_head_has_no_body(server: Server) -> None:
    status, headers, body = ask(server, "/", method="HEAD")
    assert (status, body) == (200, b"")
    assert int(headers["Content-Length"]) > 0


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.1:1234", "localhost:9", "LocalHost", "[::1]:8642"])
def test_the_page_is_reached_through_a_forwarded_port(server: Server, host: str) -> None:
    assert ask(server, "/runs.json", host)[0] == 200


@pytest.mark.parametrize(
    "host", ["", "example.org", "example.org:8642", "127.0.0.1.example.org", "localhost.example", "a@localhost"]
)
@pytest.mark.parametrize("path", ["/", "/runs.json", "/else"])
def test_a_foreign_name_of_this_machine_is_refused(server: Server, host: str, path: str) -> None:
    assert ask(server, path, host)[0] == 403


def test_a_request_without_a_host_is_refused(server: Server) -> None:
    with socket.create_connection(("127.0.0.1", server.server_address[1]), timeout=PATIENCE) as client:
        client.sendall(b"GET /runs.json HTTP/1.0\r\n\r\n")
        assert b" 403 " in client.recv(1000).splitlines()[0]


def test_the_browser_is_told_to_load_nothing_from_elsewhere_and_to_keep_nothing(server: Server) -> None:
    for path in ("/", "/runs.json", "/else"):
        _, headers, _ = ask(server, path)
        assert headers["Content-Security-Policy"].startswith("default-src 'none'; script-src 'self';")
        assert "unsafe" not in headers["Content-Security-Policy"]
        assert (headers["Cache-Control"], headers["X-Content-Type-Options"]) == ("no-store", "nosniff")
        assert "Access-Control-Allow-Origin" not in headers


def test_the_data_follow_a_run_from_its_start_to_its_end(server: Server, folder: Path) -> None:
    assert runs(server) == []
    write_run(folder, "digits-pending", done=0)
    (run,) = runs(server)
    assert (run["name"], run["state"], run["curve"], run["seconds_left"]) == ("digits", "running", [], None)
    write_run(folder, "digits-pending", done=2, seconds=500)
    (run,) = runs(server)
    assert [row["epoch"] for row in run["curve"]] == [1, 2]
    assert run["curve"][1]["validation_accuracy"] == 0.625
    assert 490 < run["seconds_left"] <= 500
    assert run["progress"]["epochs"] == 4
    remove_run(folder, "digits-pending")
    (run,) = runs(server)
    assert (run["state"], len(run["curve"])) == ("ended", 2)


def test_the_data_tell_a_run_that_was_killed_one_of_one_epoch_and_one_that_is_damaged(server: Server, folder: Path) -> None:
    write_run(folder, "killed", done=1, process=dead_process())
    write_run(folder, "%3Cb%3E%20%22", done=0, epochs=1)
    write_run(folder, "damaged", done=1, epochs=0)
    found = {run["name"]: run for run in runs(server)}
    assert {name: run["state"] for name, run in found.items()} == {
        '<b> "': "running",
        "killed": "stopped",
        "damaged": "unreadable",
    }
    assert found['<b> "']["progress"]["epochs"] == 1
    assert found["damaged"]["progress"] is None


def test_a_port_that_is_taken_is_replaced_by_a_free_one(server: Server, folder: Path) -> None:
    taken = server.server_address[1]
    with open_server(taken, Runs(folder)) as second:
        assert second.server_address[0] == "127.0.0.1"
        assert second.server_address[1] not in {0, taken}
        assert f"-L {second.server_address[1]}:" in json.loads(second.contents["/runs.json"][0])["forwarding"]


def test_a_port_that_cannot_be_is_an_error_of_one_line(folder: Path) -> None:
    with pytest.raises(InputError, match="--port 70000: should be from 0"):
        open_server(70000, Runs(folder))


def test_elsewhere_than_in_the_root_it_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="is not the repository's root"):
        watch.main([])


def test_a_browser_that_hangs_up_is_no_event(server: Server, capfd: pytest.CaptureFixture[str]) -> None:
    for sent in (b"", b"GET / HTTP/1.1\r\nHost: local"):
        with socket.create_connection(("127.0.0.1", server.server_address[1]), timeout=PATIENCE) as client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")  # a reset
            client.sendall(sent)
    assert ask(server, "/")[0] == 200
    assert capfd.readouterr() == ("", "")


def test_text_from_data_never_becomes_html() -> None:
    script = (watch.PAGE / "watch.js").read_text(encoding="utf-8")
    assert not re.findall(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|DOMParser", script)


@pytest.mark.skipif(os.name != "posix", reason="needs signals")
def test_it_says_where_it_is_and_how_to_reach_it_over_ssh_and_ctrl_c_ends_it_with_one_line() -> None:
    command = [sys.executable, "-m", "tools.watch", "--port", "0"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout
        first, second = process.stdout.readline(), process.stdout.readline()
        found = re.search(r"http://127\.0\.0\.1:(\d+) ", first)
        assert found
        assert f"ssh -N -L {found[1]}:127.0.0.1:{found[1]} USER@HOST" in second
        process.send_signal(signal.SIGINT)
        out, errors = process.communicate(timeout=PATIENCE)
    assert (out, errors, process.returncode) == ("", "watch: ended\n", 0)
