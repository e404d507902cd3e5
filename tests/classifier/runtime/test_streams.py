import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT

ENTRY_POINTS = {
    "stage": "from classifier.runtime.stage import stage\nwith stage('some', None):",
    "tool": "import tools\nif True:",
    "benchmark": "import benchmarks\nif True:",
}
# What is printed, in Python and by a library, must not end up in a file that was opened since.
BODY = r"""
    import os, sys
    from classifier.runtime.console import log, progress_bar
    file = open("results.txt", "w")
    log("84.0 % (\u00b1 0.12)")
    print("84.0 % (\u00b1 0.12)", file=sys.stderr, flush=True)
    os.write(1, b"library\n")
    os.write(2, b"library\n")
    os.system("echo program; echo program >&2")
    with progress_bar(2, "images", "B") as bar:
        bar.update(1)
    file.write("results")
    file.close()
"""


def run(entry_point: str, folder: Path, redirections: str, encoding: str = "utf-8") -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        ["sh", "-c", f'exec "$0" -c "$1" {redirections}', sys.executable, ENTRY_POINTS[entry_point] + BODY],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT), "PYTHONIOENCODING": encoding},
        capture_output=True,
        check=False,
    )


@pytest.mark.parametrize("entry_point", ENTRY_POINTS)
@pytest.mark.parametrize("encoding", ["ascii", "cp866"])
def test_a_character_that_the_console_lacks_is_no_error(entry_point: str, encoding: str, tmp_path: Path) -> None:
    done = run(entry_point, tmp_path, "", encoding)
    assert (done.returncode, done.stdout) == (0, b"84.0 % (? 0.12)\nlibrary\nprogram\n")
    assert done.stderr.startswith(b"84.0 % (? 0.12)\n")
    assert (tmp_path / "results.txt").read_text() == "results"


@pytest.mark.parametrize("entry_point", ENTRY_POINTS)
@pytest.mark.parametrize("redirections", [">&-", "2>&-", "<&- >&- 2>&-", "1</dev/null 2</dev/null"])
def test_a_closed_stream_is_no_error_and_gets_no_file(entry_point: str, redirections: str, tmp_path: Path) -> None:
    done = run(entry_point, tmp_path, redirections)
    assert (done.returncode, done.stderr) == (0, b"" if "2>&-" in redirections or "2<" in redirections else done.stderr)
    assert b"Traceback" not in done.stderr
    assert (tmp_path / "results.txt").read_text() == "results"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize("entry_point", ENTRY_POINTS)
@pytest.mark.parametrize("flush", ["", ", flush=True"])
def test_output_that_cannot_be_written_is_an_error_in_one_line(entry_point: str, flush: str, tmp_path: Path) -> None:
    script = tmp_path / "some.py"
    script.write_text(f"{ENTRY_POINTS[entry_point]}\n    print('84.0 %'{flush})\n")
    done = run_script(script, '"$0" "$1" >/dev/full')
    assert done.returncode == 1
    assert done.stderr in {"some: No space left on device\n", "some: standard output: No space left on device\n"}


@pytest.mark.parametrize("entry_point", ["tool", "benchmark"])
@pytest.mark.parametrize("flush", ["", ", flush=True"])
def test_a_reader_that_has_seen_enough_is_no_error(entry_point: str, flush: str, tmp_path: Path) -> None:
    script = tmp_path / "some.py"
    wait = "import sys; sys.stdin.read()"  # until the reader is gone
    script.write_text(f"{ENTRY_POINTS[entry_point]}\n    {wait}\n    print('84.0 %'{flush})\n")
    done = run_script(script, '{ : | { "$0" "$1"; echo $? >&3; } | :; } 3>&2')
    assert done.stderr == "1\n"


def run_script(script: Path, command: str) -> subprocess.CompletedProcess[str]:
    environment = {key: value for key, value in os.environ.items() if key != "CLASSIFIER_TRACEBACK"} | {"PYTHONPATH": str(ROOT)}
    return subprocess.run(
        ["sh", "-c", command, sys.executable, str(script)], env=environment, stderr=subprocess.PIPE, text=True, check=False
    )
