import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests import preloaded

PROGRAM = """
import os, sys
print(sys.argv[1:], __name__, os.getcwd(), sys.path[0], os.environ["SETTING"], sys.stdin.read(), flush=True)
os.write(2, b"error")
os.getpgid(0) == int(os.environ["GROUP"] or os.getpgid(0)) or sys.exit("another process group")
"""
WAYS = {
    "success": "",
    "status": "sys.exit(3)",
    "line": "sys.exit('wrong')",
    "missing": "import no_such_module",
    "module-of-the-project": "print('classifier' in sys.modules, 'tests' in sys.modules)",
    "hook": "sys.excepthook = lambda *_: print(os.path.basename(sys.argv[0]), file=sys.stderr)\nraise ValueError",
    "atexit": "import atexit; atexit.register(print, 'end')",
}


def run(interpreter: str, folder: Path, *arguments: str) -> tuple[int, str, str]:
    environment = os.environ | {"SETTING": "a value", "GROUP": str(os.getpgid(0))}
    done = subprocess.run(
        [interpreter, *arguments], cwd=folder, env=environment, input="typed", capture_output=True, text=True, check=False
    )
    return done.returncode, done.stdout, done.stderr.strip().rpartition("\n")[2]


@pytest.mark.parametrize("way", WAYS)
def test_a_program_runs_as_with_the_real_python(tmp_path: Path, way: str) -> None:
    (tmp_path / "program.py").write_text(PROGRAM + WAYS[way])
    expected, got = (
        run(interpreter, tmp_path, "-m", "program", "one", "two words") for interpreter in (sys.executable, preloaded.python())
    )
    assert got == expected
    assert "typed" in got[1]


def test_what_is_no_module_is_left_to_the_real_python(tmp_path: Path) -> None:
    program = "import sys; print(sys.executable, sys.argv)"
    assert run(preloaded.python(), tmp_path, "-c", program, "one") == run(sys.executable, tmp_path, "-c", program, "one")


@pytest.mark.skipif(sys.platform != "linux", reason="the real Python elsewhere")
def test_a_program_has_the_libraries_and_obeys_signals_to_its_group(tmp_path: Path) -> None:
    waiting = "import signal, sys; print('torch' in sys.modules, flush=True); signal.pause()"
    (tmp_path / "program.py").write_text(waiting)
    with subprocess.Popen(
        [preloaded.python(), "-m", "program"], cwd=tmp_path, stdout=subprocess.PIPE, text=True, process_group=0
    ) as running:
        assert running.stdout
        assert running.stdout.readline() == "True\n"
        os.killpg(running.pid, signal.SIGTERM)
        assert running.wait() == 128 + signal.SIGTERM
