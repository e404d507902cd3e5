"""A Python whose programs begin with the libraries imported: on small data, most of the time of a pipeline goes into imports.

`python()` is a command that takes the place of Python. For `python -m MODULE` it asks a server process, which has imported the
libraries but no module of this project, to fork; the child takes over streams, folder, environment, process group and
arguments, and runs the module as Python does. Everything else is left to the real Python. Tests of processes themselves
(signals, kills, a Python without packages) start the real one.
"""

import atexit
import gc
import io
import json
import os
import runpy
import select
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from contextlib import suppress
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Never

# What the stages, the tools and the commands of DVC import that takes more than some milliseconds.
LIBRARIES = """
celery.result configobj dvc._debug dvc.api dvc.cli.parser dvc.repo.datasets dvc.repo.experiments.executor.local
dvc.repo.experiments.queue.celery dvc.repo.experiments.queue.tempdir dvc.repo.plots dvc.repo.reproduce dvc.stage.run dvc_http
dvc_render.image filelock hydra matplotlib.backends.backend_agg matplotlib.figure networkx psutil pydantic.dataclasses pygit2
requests ruamel.yaml.main safetensors.numpy scipy.stats sklearn.metrics sklearn.model_selection torch._dynamo yamlcore
""".split()  # noqa: SIM905

CLIENT = """
import os, sys
if sys.argv[1:2] != ["-m"]:
    os.execv({python!r}, [{python!r}, *sys.argv[1:]])
import json, signal, socket
for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
    signal.signal(number, signal.SIG_IGN)  # they are for the program, which is in the same process group
with socket.socket(socket.AF_UNIX) as server:
    server.connect({address!r})
    socket.send_fds(server, [b" "], [0, 1, 2])
    request = {{"arguments": sys.argv[2:], "folder": os.getcwd(), "environment": dict(os.environ), "group": os.getpgid(0)}}
    server.sendall(json.dumps(request).encode())
    server.shutdown(socket.SHUT_WR)
    os.chdir("/")  # not to be taken for a second run in the same folder
    sys.exit(int(server.recv(16)))
"""
SERVERS: list[subprocess.Popen[bytes]] = []  # the one of this process, which would end with the object


@cache
def python() -> str:
    """Return the command, and start the server, which ends when this process does. Outside Linux it is the real Python."""
    if sys.platform != "linux":
        return sys.executable
    folder = Path(tempfile.mkdtemp(prefix="preloaded-"))
    command, client, address = folder / "python", folder / "client.py", str(folder / "socket")
    client.write_text(CLIENT.format(python=sys.executable, address=address))
    command.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -IS {shlex.quote(str(client))} "$@"\n')
    command.chmod(0o755)
    with socket.socket(socket.AF_UNIX) as listener:  # clients may connect before the server is ready
        listener.bind(address)
        listener.listen(100)
        SERVERS.append(
            subprocess.Popen(
                [sys.executable, "-m", __name__, str(command), str(listener.fileno())],
                cwd=Path(__file__).parents[1],
                stdin=subprocess.PIPE,  # closed when this process ends
                stdout=subprocess.PIPE,  # no file: the programs take over what Python has made of it
                stderr=subprocess.STDOUT,
                pass_fds=[listener.fileno()],
            )
        )
    return str(command)


def serve(command: Path, listener: socket.socket) -> None:
    """Fork for each request until standard input is closed; return in the child, ready to run the module of `sys.argv`."""
    for name in LIBRARIES:
        import_module(name)
    gc.freeze()  # what is shared stays shared
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    while sys.stdin not in select.select([listener, sys.stdin], [], [])[0]:
        connection, _ = listener.accept()
        if os.fork() == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            listener.close()
            become(command, connection)
            return
        connection.close()
    shutil.rmtree(command.parent)
    os._exit(0)  # without freeing each object


def become(command: Path, connection: socket.socket) -> None:
    """Read a request, fork, and return in the child as the program that it asks for; the parent reports how that ends."""
    message, streams, _, _ = socket.recv_fds(connection, 2**16, 3)
    while more := connection.recv(2**16):
        message += more
    request = json.loads(message)
    with suppress(PermissionError):  # where it is that of another session
        os.setpgid(0, request["group"])
    if program := os.fork():  # the parent is of the same process group: a stage takes one of another for the end of its DVC
        for ending in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(ending, signal.SIG_IGN)
        status = os.waitstatus_to_exitcode(os.waitpid(program, 0)[1])
        connection.sendall(str(status if status >= 0 else 128 - status).encode())
        os._exit(0)
    connection.close()
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    os.chdir(request["folder"])
    os.environ.clear()
    os.environ.update(request["environment"])
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(write_through="PYTHONUNBUFFERED" in os.environ)
    sys.executable, sys.path[0], sys.argv = str(command), request["folder"], request["arguments"]


def run(module: str) -> Never:
    """Run a module and end as Python does, but without freeing each object of the libraries, which takes half a second."""
    status: object = 0
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    except SystemExit as end:
        status = end.code or 0
    except BaseException as error:
        sys.argv[0] = f"{module.replace('.', '/')}.py"  # which run_module has taken back
        sys.excepthook(type(error), error, error.__traceback__)
        status = 128 + signal.SIGINT if isinstance(error, KeyboardInterrupt) else 1
    if not isinstance(status, int):
        print(status, file=sys.stderr)
        status = 1
    threading._shutdown()  # type: ignore[attr-defined]  # waits for threads
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    os._exit(status & 0xFF)


if __name__ == "__main__":
    with socket.socket(fileno=int(sys.argv[2])) as listener:
        serve(Path(sys.argv[1]), listener)
    for name in [name for name in sys.modules if name.partition(".")[0] == "tests"]:
        del sys.modules[name]
    run(sys.argv[0])
