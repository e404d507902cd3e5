"""Set up the environment .venv with the locked packages, and whatever else a clone needs; do nothing when all is up to date.

Needs the standard library alone, so that any Python can run it. `make` does it by itself.

  python3 -m tools.setup
  python3 -m tools.setup --torch cpu     PyTorch without CUDA: 0.7 GB instead of 5.7 GB
  python3 -m tools.setup --export        with the packages of tools.export: onnx, onnxscript, onnxruntime
"""

from __future__ import annotations  # an old Python must get as far as the line that names the version it should be

import argparse
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

LOCK = Path("requirements.lock")
EXPORT_LOCK = Path("requirements-export.lock")  # the same packages in the same versions, and those of tools.export
VENV = Path(".venv")
CLONE_READY = Path(".dvc/tmp/set-up")  # says that this clone, not only its environment, is set up
TORCH_INDEX = "https://download.pytorch.org/whl/"
TORCH_PACKAGES = re.compile(r"(torch|torchvision|triton|nvidia-.*|cuda-.*)==")  # which another build of PyTorch replaces

# Writes the commands of all packages (dvc, pytest, ...) again: their first line is the path of the Python that runs them.
REWRITE_COMMANDS = """
import importlib.metadata, sysconfig
from pip._vendor.distlib.scripts import ScriptMaker
maker = ScriptMaker(None, sysconfig.get_path("scripts"))
maker.clobber, maker.set_mode, maker.variants = True, True, {""}
for command in importlib.metadata.entry_points(group="console_scripts"):
    maker.make(f"{command.name} = {command.value}")
"""

# Puts the environment on its Python's PATH: `.venv/bin/dvc repro`, where DVC runs `python` in a shell, needs no activation.
PUT_ON_PATH = """
import pathlib, sysconfig
pathlib.Path(sysconfig.get_path("purelib"), "put_on_path.pth").write_text(
    'import os, sys; folder = os.path.dirname(sys.executable); path = os.environ.get("PATH", ""); '
    'folder in path.split(os.pathsep) or os.environ.update(PATH=os.pathsep.join([folder] + [path] * bool(path)))\\n'
)
"""


def main() -> None:
    """Run the tool."""
    if sys.version_info < (3, 11):  # noqa: UP036
        found = ".".join(map(str, sys.version_info[:3]))
        sys.exit(f"setup: Python 3.11 or newer is needed, found {found}; name another: make PYTHON=python3.12")
    parser = argparse.ArgumentParser(
        prog="python3 -m tools.setup", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--torch",
        default="",
        metavar="BUILD",
        help="another build of PyTorch: cpu, cu126 or another name of its own index, or a URL or folder of wheels",
    )
    parser.add_argument("--export", action="store_true", help="install the packages of tools.export too")
    arguments = parser.parse_args()
    os.chdir(Path(__file__).resolve().parents[1])
    try:
        set_up(arguments.torch, arguments.export)
    except subprocess.CalledProcessError as error:
        build = _read(VENV / "ready").get("torch", "")
        undo = f"; make setup tries {build} again, and the locked build once {VENV} is removed" if build else ""
        sys.exit(f"setup: {' '.join(error.cmd[1:])} failed; see the output above{undo}")
    except KeyboardInterrupt:
        print("setup: interrupted; make setup continues", file=sys.stderr)
        sys.exit(130)


def set_up(build: str, export: bool) -> None:
    """Make the environment what a lock file and the build of PyTorch ask for.

    Without `build` it keeps the build that it has, and without `export` the packages of tools.export if it has them.
    """
    venv = VENV.resolve()  # VENV may be a link
    python = venv / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    ready = venv / "ready"  # says for what the environment is complete; times would say nothing about one from a cache
    found = _read(ready)
    if "/" in build or os.sep in build:
        build = build if "://" in build else str(Path(build).resolve())
    export = export or bool(found.get("export"))
    lock = EXPORT_LOCK if export else LOCK
    wanted = {
        "folder": str(venv),
        "lock": hashlib.sha256(lock.read_bytes()).hexdigest(),
        "torch": build or found.get("torch", ""),
    } | ({"export": "yes"} if export else {})
    works = python.exists()  # not so when the Python that it links to is gone
    if works and found == wanted:
        if not CLONE_READY.exists():
            _set_up_clone(python)
        return
    moved = works and found == wanted | {"folder": found.get("folder")}
    if not (moved and _correct_paths(python, venv, found["folder"])):
        print(f"setup: installing the packages of {lock} into {VENV}, once", flush=True)
        if not wanted["torch"] and sys.platform == "linux" and not _has_nvidia_gpu():
            print("setup: no NVIDIA GPU found: make setup TORCH=cpu takes 0.7 GB instead of 5.7 GB", flush=True)
        if not works or found.get("torch", "") != wanted["torch"]:
            _run(getattr(sys, "_base_executable", sys.executable), "-m", "venv", "--clear", venv)
        elif not _run(python, "-c", "import pip", check=False, quiet=True):
            _run(python, "-m", "venv", venv)  # keeps what is there
        kept = {key: wanted[key] for key in ("torch", "export") if key in wanted}
        ready.write_text(json.dumps(kept), encoding="utf-8")
        _install(python, lock, wanted["torch"])
    _run(python, "-c", PUT_ON_PATH)
    _set_up_clone(python)
    ready.write_text(json.dumps(wanted), encoding="utf-8")
    activate = ".venv\\Scripts\\activate" if os.name == "nt" else ". .venv/bin/activate"
    print(f"setup: {VENV} is ready; to use it in this terminal: {activate}", flush=True)


def _set_up_clone(python: Path) -> None:
    """Do what belongs to the clone; its environment may come from another one, by a link or a cache."""
    if not shutil.which("git"):
        print("setup: Git is not installed, and DVC needs it", file=sys.stderr)
        return
    _keep_private(python)
    _run(python, "-m", "tools.publish", "--restore", check=False)
    CLONE_READY.parent.mkdir(parents=True, exist_ok=True)
    CLONE_READY.touch()


def _read(ready: Path) -> dict[str, str]:
    try:
        return dict(json.loads(ready.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return {}


def _run(*command: str | Path, check: bool = True, quiet: bool = False) -> bool:
    """Run a command and return whether it succeeded; CalledProcessError if it must and did not."""
    environment = os.environ | {
        "PIP_USER": "0",
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    }  # the first may be in pip's configuration
    output = subprocess.DEVNULL if quiet else None
    words = [str(word) for word in command]
    return subprocess.run(words, env=environment, check=check, stdout=output, stderr=output).returncode == 0


def _correct_paths(python: Path, venv: Path, before: str) -> bool:
    """Correct the paths in an environment that was moved or copied; return whether that worked, which needs no network."""
    print(f"setup: {before} is now {venv}: correcting the paths in it", flush=True)
    return _run(python, "-m", "venv", "--without-pip", venv, check=False) and _run(python, "-c", REWRITE_COMMANDS, check=False)


def _install(python: Path, file: Path, build: str) -> None:
    """Install a lock file with uv, which takes a fraction of pip's time and links what its cache has, or else with pip."""
    lock = re.split(r"^(?=\w)", file.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]
    pip = [str(python), "-m", "pip", "install"]
    try:
        _install_locked(pip, python, [block for block in lock if block.startswith("uv==")])
        _install_all([str(python), "-m", "uv", "pip", "install", "--python", str(python)], python, lock, build)
    except subprocess.CalledProcessError:
        print("setup: uv cannot install them; pip does, which takes some minutes", flush=True)
        _install_all(pip, python, lock, build)


def _install_all(installer: list[str], python: Path, lock: list[str], build: str) -> None:
    """Install the blocks of the lock file, of which several may belong to one package, for different versions of Python."""
    _install_locked(installer, python, [block for block in lock if not (build and TORCH_PACKAGES.match(block))])
    if build:
        named = "/" not in build and os.sep not in build
        index = "--index" if "uv" in installer else "--index-url"  # before other indexes that are configured, or instead
        place = [index, TORCH_INDEX + build if named else build]
        if Path(build).is_absolute():
            place = ["--no-index", "--find-links", build]
        # A mirror of PyPI has the same version of another build. Builds for macOS have no suffix.
        suffix = f"+{build}" if named and sys.platform != "darwin" else ""
        versions = [block.split()[0] + suffix for block in lock if block.startswith(("torch==", "torchvision=="))]
        # With dependencies: a build for GPUs needs other CUDA packages than the locked ones. All others are there already.
        _run(*installer, *place, *versions)


def _install_locked(installer: list[str], python: Path, lock: list[str]) -> None:
    file = python.parents[1] / "requirements.txt"
    file.write_text("".join(lock), encoding="utf-8")
    _run(*installer, "--require-hashes", "--no-deps", "--requirement", file)


def _has_nvidia_gpu() -> bool:
    return bool(shutil.which("nvidia-smi")) or Path("/dev/nvidiactl").exists() or Path("/dev/dxg").exists()  # the last: WSL


def _keep_private(python: Path) -> None:
    """Give DVC's databases a folder that no other user can write, unless one is configured.

    By default they lie in /var/tmp, and DVC unpickles what it finds there (treeverse/dvc#11068, CVE-2025-69872).
    """
    command = [str(python), "-m", "dvc", "config", "core.site_cache_dir"]
    configured = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    if configured or "DVC_SITE_CACHE_DIR" in os.environ:
        return
    try:
        folder = Path(os.environ.get("XDG_CACHE_HOME") or os.environ.get("LOCALAPPDATA") or Path.home() / ".cache") / "dvc-site"
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o700)
    except (OSError, RuntimeError) as error:  # no home, or one that may not be written
        print(f"setup: DVC keeps its databases where other users can write: {error}", file=sys.stderr)
    else:
        _run(*command, folder, "--local", check=False)


if __name__ == "__main__":
    main()
