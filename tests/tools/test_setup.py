"""Set-up in a small project, whose packages are stand-ins: wheels of a few lines in a folder."""

import ast
import base64
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import uv

from tests.conftest import ROOT
from tools import setup

BIN = Path(".venv/Scripts" if os.name == "nt" else ".venv/bin")
# Notes how it was called, and is the real uv unless it shall fail.
UV = f"""
import os, sys
with open(os.environ["CALLS"], "a") as file:
    print("uv", *sys.argv[1:], file=file)
sys.exit(2 if "UV_FAILS" in os.environ else os.spawnv(os.P_WAIT, {uv.find_uv_bin()!r}, ["uv", *sys.argv[1:]]))
"""
DVC = """
import os, sys
def main():
    with open(os.environ["CALLS"], "a") as file:
        print("dvc", *sys.argv[1:], file=file)
    if "config" not in sys.argv:
        print(sys.prefix)
if __name__ == "__main__":
    main()
"""
LOCKED = {"dvc": "3.0", "nvidia-cublas": "13.0", "torch": "2.0", "torchvision": "0.5", "triton": "3.0", "uv": "0.1"}


def wheel(folder: Path, name: str, version: str, program: str = "") -> str:
    """Write a wheel with one package, and return its SHA-256."""
    module = name.replace("-", "_")
    info = f"{module}-{version}.dist-info"
    files = {
        f"{module}/__init__.py": "",
        f"{module}/__main__.py": program,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/entry_points.txt": f"[console_scripts]\n{name} = {module}.__main__:main\n" if "def main" in program else "",
    }
    record = ""
    for path, text in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).decode().rstrip("=")
        record += f"{path},sha256={digest},{len(text)}\n"
    folder.mkdir(exist_ok=True)
    file = folder / f"{module}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(file, "w") as archive:
        for path, text in (files | {f"{info}/RECORD": f"{record}{info}/RECORD,,\n"}).items():
            archive.writestr(zipfile.ZipInfo(path), text)  # without the time
    return hashlib.sha256(file.read_bytes()).hexdigest()


class Project:
    """A folder with the set-up of this one and a short lock file."""

    def __init__(self, folder: Path, wheels: Path) -> None:
        self.folder = folder
        self.calls = folder.parent / f"{folder.name}-calls"
        names = ("PIP_", "UV_", "DVC_", "VIRTUAL_ENV", "XDG_")
        self.environment = {key: value for key, value in os.environ.items() if not key.startswith(names)} | {
            "CALLS": str(self.calls),
            "HOME": str(folder.parent),
            "PIP_CONFIG_FILE": os.devnull,
            "PIP_FIND_LINKS": str(wheels),
            "PIP_NO_INDEX": "1",
            "UV_FIND_LINKS": str(wheels),
            "UV_NO_CONFIG": "1",
            "UV_OFFLINE": "1",
            "UV_NO_INDEX": "1",
            "UV_CACHE_DIR": str(wheels / "cache"),
        }
        if not folder.exists():
            (folder / "tools").mkdir(parents=True)
            shutil.copy(ROOT / "tools/setup.py", folder / "tools")
            (folder / "tools/__init__.py").touch()
            (folder / "tools/publish.py").write_text('import sys; print("publish", *sys.argv[1:])')
            programs = {"uv": UV, "dvc": DVC}
            hashes = {name: wheel(wheels, name, version, programs.get(name, "")) for name, version in LOCKED.items()}
            blocks = [f"{name}=={LOCKED[name]} \\\n    --hash=sha256:{value}\n    # via x\n" for name, value in hashes.items()]
            forked = "dvc==2.0 ; python_version < '3.9' \\\n    --hash=sha256:00\n"  # as for different versions of Python
            (folder / "requirements.lock").write_text(f"# by a test\n{''.join(blocks)}{forked}")
            onnx = f"onnx==1.0 \\\n    --hash=sha256:{wheel(wheels, 'onnx', '1.0')}\n"
            (folder / "requirements-export.lock").write_text(f"# by a test\n{''.join(blocks)}{forked}{onnx}")

    def set_up(self, *arguments: str, fails: bool = False, **environment: str) -> str:
        """Set up, and return what it printed."""
        done = subprocess.run(
            [sys.executable, "-m", "tools.setup", *arguments],
            cwd=self.folder,
            env=self.environment | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert (done.returncode != 0) == fails, done.stdout
        return done.stdout

    def installed(self) -> dict[str, str]:
        """Return the versions of the packages, pip's aside."""
        program = "import importlib.metadata as m, json; print(json.dumps({d.name: d.version for d in m.distributions()}))"
        done = subprocess.run([self.folder / BIN / "python", "-c", program], stdout=subprocess.PIPE, text=True, check=True)
        versions: dict[str, str] = json.loads(done.stdout)
        return {name: version for name, version in versions.items() if name not in {"pip", "setuptools"}}

    def command(self) -> str:
        """Run the command dvc, and return in which environment it ran."""
        done = subprocess.run([self.folder / BIN / "dvc"], env=self.environment, stdout=subprocess.PIPE, text=True, check=True)
        return done.stdout.strip()


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("wheels")


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory, wheels: Path) -> tuple[Project, str]:
    """A project that was set up, and what that printed."""
    project = Project(tmp_path_factory.mktemp("setup") / "a project", wheels)
    return project, project.set_up()


@pytest.fixture
def project(first: tuple[Project, str], wheels: Path, tmp_path: Path) -> Project:
    """The same at the same place, as after every test."""
    kept = tmp_path / "kept project"
    shutil.copytree(first[0].folder, kept, symlinks=True)
    first[0].calls.unlink(missing_ok=True)
    return Project(kept, wheels)


def test_set_up_installs_what_is_locked_with_uv(first: tuple[Project, str]) -> None:
    project, output = first
    assert project.installed() == LOCKED
    (call,) = [line for line in project.calls.read_text().splitlines() if line.startswith("uv")]
    assert "--require-hashes --no-deps" in call
    assert Path(project.command()) == project.folder / ".venv"
    assert "publish --restore" in output
    assert ". .venv/bin/activate" in output or os.name == "nt"


def test_the_environment_needs_no_activation_to_find_its_python(first: tuple[Project, str]) -> None:
    folder = (first[0].folder / BIN).resolve()
    command = [str(folder / "python"), "-c", "import os, shutil; print(shutil.which('python')); print(os.environ['PATH'])"]
    for path in ("/nowhere", "", str(folder)):
        done = subprocess.run(command, env=first[0].environment | {"PATH": path}, stdout=subprocess.PIPE, text=True, check=True)
        found, after = done.stdout.splitlines()
        assert Path(found) == folder / "python"
        assert after == {"/nowhere": f"{folder}{os.pathsep}/nowhere"}.get(path, str(folder))


def test_set_up_gives_dvc_a_folder_that_nobody_else_can_write(first: tuple[Project, str]) -> None:
    project, _ = first
    folder = project.folder.parent / ".cache/dvc-site"
    assert f"dvc config core.site_cache_dir {folder} --local" in project.calls.read_text().splitlines()
    assert folder.stat().st_mode & 0o77 == 0


def test_what_is_up_to_date_is_left_alone_whatever_the_times_of_its_files(first: tuple[Project, str]) -> None:
    project, _ = first
    os.utime(project.folder / "requirements.lock")
    os.utime(project.folder / ".venv/ready", (0, 0))
    assert project.set_up() == ""


def test_a_clone_whose_environment_is_that_of_another_is_set_up_itself(project: Project) -> None:
    shutil.rmtree(project.folder / ".dvc")
    output = project.set_up()
    assert "publish --restore" in output
    assert "installing" not in output
    assert project.set_up() == ""


def lock_triton(project: Project, wheels: Path, new: str) -> None:
    """Lock another version of a package."""
    old = LOCKED["triton"]
    lock = project.folder / "requirements.lock"
    text = lock.read_text().replace(f"triton=={old}", f"triton=={new}")
    lock.write_text(text.replace(wheel(wheels, "triton", old), wheel(wheels, "triton", new)))


def test_a_changed_lock_installs_and_keeps_what_the_user_installed(project: Project, wheels: Path) -> None:
    project.set_up()  # it lies in another folder than the first
    wheel(wheels, "jupyter", "1.0")
    pip = [str(project.folder / BIN / "python"), "-m", "pip", "install", "jupyter"]
    subprocess.run(pip, env=project.environment, stdout=subprocess.DEVNULL, check=True)
    lock_triton(project, wheels, "3.1")
    assert project.set_up().count("installing") == 1
    assert project.installed() == LOCKED | {"triton": "3.1", "jupyter": "1.0"}


def test_a_project_that_was_moved_or_copied_gets_its_paths_corrected_without_network(project: Project) -> None:
    assert Path(project.command()) != project.folder / ".venv", "or this test shows nothing"
    output = project.set_up(PIP_FIND_LINKS=os.devnull, UV_FIND_LINKS=os.devnull)
    assert "correcting the paths" in output
    assert "installing" not in output
    assert Path(project.command()) == project.folder / ".venv"
    if os.name == "posix":
        activated = subprocess.run(
            ["sh", "-c", ". .venv/bin/activate; command -v dvc"],
            cwd=project.folder,
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        ).stdout
        assert Path(activated.strip()) == project.folder / BIN / "dvc"
    assert project.set_up() == ""


@pytest.mark.skipif(os.name == "nt", reason="needs links")
def test_an_environment_on_another_disk_may_be_a_link(project: Project, tmp_path: Path) -> None:
    (project.folder / ".venv").rename(tmp_path / "disk")
    (project.folder / ".venv").symlink_to(tmp_path / "disk")
    project.set_up()
    assert Path(project.command()) == tmp_path / "disk"
    project.folder.rename(tmp_path / "elsewhere")
    moved = Project(tmp_path / "elsewhere", Path(os.devnull))
    assert moved.set_up() == "", "what the link points to has not moved"


def test_pip_installs_where_uv_fails(project: Project, wheels: Path) -> None:
    lock_triton(project, wheels, "3.2")
    assert "uv cannot install them; pip does" in project.set_up(UV_FAILS="1")
    assert project.installed() == LOCKED | {"triton": "3.2"}


def test_a_set_up_that_fails_is_one_line_and_is_tried_again(project: Project) -> None:
    lock = project.folder / "requirements.lock"
    text = lock.read_text()
    lock.write_text(text.replace("triton==3.0", "triton==9.9"))
    last = project.set_up(fails=True).splitlines()[-1]
    assert re.fullmatch(r"setup: -m pip install --require-hashes .*requirements.txt failed; see the output above", last)
    lock.write_text(text)
    assert "setup: installing" in project.set_up()
    assert project.set_up() == ""


def test_a_build_that_cannot_be_installed_is_named_with_the_way_back(project: Project, tmp_path: Path) -> None:
    (tmp_path / "index").mkdir()
    build = (tmp_path / "index").as_uri()
    last = project.set_up("--torch", build, fails=True, PIP_FIND_LINKS="").splitlines()[-1]
    assert last.endswith(f"; make setup tries {build} again, and the locked build once .venv is removed")


def test_another_build_of_pytorch_replaces_all_that_is_cuda_and_stays(project: Project, tmp_path: Path) -> None:
    wheel(tmp_path / "index", "torch", "2.0+cpu")
    wheel(tmp_path / "index", "torchvision", "0.5+cpu")
    cpu = {"dvc": "3.0", "torch": "2.0+cpu", "torchvision": "0.5+cpu", "uv": "0.1"}
    (project.folder / ".venv/ready").unlink()  # as if the first set-up had been interrupted
    project.set_up("--torch", f"{tmp_path}/index")
    assert project.installed() == cpu
    assert project.set_up() == ""
    lock = project.folder / "requirements.lock"
    lock.write_text(lock.read_text() + "\n")
    assert "GPU" not in project.set_up(), "who chose a build needs no advice"
    assert project.installed() == cpu


def test_the_packages_of_export_come_from_their_own_lock_file_and_stay(project: Project) -> None:
    assert "installing the packages of requirements-export.lock" in project.set_up("--export")
    assert project.installed() == LOCKED | {"onnx": "1.0"}
    assert project.set_up() == project.set_up("--export") == ""
    lock = project.folder / "requirements-export.lock"
    lock.write_text(lock.read_text() + "\n")
    assert "requirements-export.lock" in project.set_up()
    assert project.installed() == LOCKED | {"onnx": "1.0"}


@pytest.mark.skipif(os.name == "nt", reason="needs links")
def test_an_environment_whose_python_is_gone_is_made_again(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    BIN.mkdir(parents=True)
    (BIN / "python").symlink_to("/nowhere/python")
    (tmp_path / "requirements.lock").touch()
    calls: list[tuple[object, ...]] = []
    monkeypatch.setattr(setup, "_run", lambda *words, **_: calls.append(words))
    for name in ("_install", "_set_up_clone"):
        monkeypatch.setattr(setup, name, lambda *_: None)
    setup.set_up("", export=False)
    assert calls[0][1:] == ("-m", "venv", "--clear", tmp_path / ".venv")


@pytest.mark.parametrize(
    ("build", "system", "index", "suffix"),
    [
        ("cpu", "linux", "https://download.pytorch.org/whl/cpu", "+cpu"),
        ("cu126", "win32", "https://download.pytorch.org/whl/cu126", "+cu126"),
        ("cpu", "darwin", "https://download.pytorch.org/whl/cpu", ""),
        ("https://mirror.example/whl", "linux", "https://mirror.example/whl", ""),
    ],
)
def test_another_build_comes_from_its_index_in_the_locked_version(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, build: str, system: str, index: str, suffix: str
) -> None:
    monkeypatch.setattr(sys, "platform", system)
    calls: list[str] = []
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(setup, "_run", lambda *words, **_: calls.append(" ".join(map(str, words))))
    (tmp_path / "bin").mkdir()
    setup._install(tmp_path / "bin/python", setup.LOCK, build)
    versions = re.findall("^torch.*?==[^ ]+", (ROOT / "requirements.lock").read_text(), re.MULTILINE)
    assert len(versions) == 2
    assert calls[-1].endswith(f" --index {index} {versions[0]}{suffix} {versions[1]}{suffix}")
    rest = (tmp_path / "requirements.txt").read_text()
    assert rest.count("\nnetworkx==") == (ROOT / "requirements.lock").read_text().count("\nnetworkx==") > 1
    assert not [word for word in ("\ntorch", "\nnvidia-", "\ntriton", "\ncuda-") if word in rest]


@pytest.mark.parametrize(("found", "says"), [(False, True), (True, False)])
def test_set_up_names_the_small_build_where_it_finds_no_gpu(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str], found: bool, says: bool
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".venv").mkdir()
    (tmp_path / "requirements.lock").touch()
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(setup, "_has_nvidia_gpu", lambda: found)
    monkeypatch.setattr(setup, "_run", lambda *_, **__: True)
    monkeypatch.setattr(setup, "_install", lambda *_: None)
    monkeypatch.setattr(setup, "_keep_private", lambda *_: None)
    setup.set_up("", export=False)
    assert ("make setup TORCH=cpu" in capsys.readouterr().out) == says


def test_an_old_python_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    ast.parse((ROOT / "tools/setup.py").read_text(encoding="utf-8"), feature_version=(3, 7))
    monkeypatch.setattr(sys, "version_info", (3, 9, 2))
    with pytest.raises(SystemExit, match=r"^setup: Python 3\.11 or newer is needed, found 3\.9\.2; [^\n]*$"):
        setup.main()
