"""What is checked and repaired before hours of work; each finding is one line that says what to do."""

import ast
import json
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import psutil
from dvc.repo import Repo

from classifier.params import read_params
from classifier.runtime.errors import InputError
from classifier.runtime.paths import check_output_folders
from tools.experiments import find, git

NAME_BYTES = 200  # of an experiment's name: Git and the checkpoint make files of it, with suffixes, of 255 bytes at most
DVC = Path(".dvc")
CODE = ("classifier", "stages")  # what runs in an experiment's temporary folder


def check_project() -> None:
    """Check what the pipeline needs: folder, Git, params.yaml, a disk to write to, and locks.

    Raises
    ------
    InputError
        Saying in one line what to do.
    """
    if not (Path("dvc.yaml").is_file() and DVC.is_dir()):
        raise InputError(f"{Path.cwd()} is not the repository's root, where dvc.yaml lies: go there first")
    try:
        git("rev-parse", "--git-dir")
    except InputError:
        raise InputError("not a Git repository, which DVC needs: run git init, git add --all, git commit") from None
    read_params(Path("params.yaml"))
    check_output_folders()
    try:
        (DVC / "tmp").mkdir(exist_ok=True)
        for place in (Path(), DVC / "tmp"):
            with tempfile.TemporaryFile(dir=place) as file:
                refusal = _refused_lock(file.fileno())
    except OSError as error:
        raise InputError(f"{Path.cwd()} cannot be written ({error.strerror}): a run needs a writable checkout") from None
    if refusal and not Repo().config["core"].get("hardlink_lock"):
        raise InputError(
            f"the file system of {Path.cwd()} refuses locks ({refusal}), for which DVC would wait for ever: let it use links, "
            "dvc config --local core.hardlink_lock true, and remove .dvc/tmp/lock and .dvc/tmp/rwlock.lock"
        )


def check_commit() -> None:
    """Check that there is a commit: raise InputError, saying in one line what to do."""
    if not _git("rev-parse", "--verify", "HEAD"):
        raise InputError("no commit yet, on which an experiment could be based: run git add --all, git commit")


def check_experiments() -> None:
    """Check, after `check_project`, what experiments need in temporary folders that DVC makes with Git.

    Raises
    ------
    InputError
        Saying in one line what to do.
    """
    check_commit()
    if git("rev-parse", "--is-shallow-repository") == "true":
        raise InputError("a shallow clone, in which DVC loses an experiment at its end: run git fetch --unshallow")
    if git("rev-parse", "--show-object-format") != "sha1":
        raise InputError("a Git repository with SHA-256 hashes, which DVC does not support: use one with SHA-1")
    cache = Repo().cache.local_cache_dir
    if not cache.isascii():
        raise InputError(
            f"{cache}: DVC's experiments need a cache whose path has ASCII characters only: move the checkout, or the cache: "
            "dvc cache dir --local FOLDER (dvc repro works as it is)"
        )
    edited = git("diff", "--name-only", "HEAD").splitlines()
    if edited and not (_identity("name") and _identity("email")):
        raise InputError(
            f"{edited[0]} is edited, and to keep that in an experiment Git needs an identity: "
            'git config user.name "Your Name"; git config user.email you@example.com'
        )
    if missing := _untracked_modules():
        raise InputError(f"{missing[0]} is imported but unknown to Git, so experiments lack it: git add {' '.join(missing)}")


def check_names(names: Iterable[str]) -> None:
    """Check that Git can hold experiments of these names, and that no branch, tag or commit would be taken for them.

    Raises
    ------
    InputError
        Saying in one line what to do.
    """
    for name in names:
        fits = len(name.encode()) <= NAME_BYTES and not {"/", "]"} & set(name)
        if not fits or not _git("check-ref-format", "--normalize", f"refs/exps/{name}"):
            raise InputError(f"{name!r} cannot name an experiment (see git help check-ref-format): rename the variant's file")
        if name == "workspace" or (_git("rev-parse", "--verify", f"{name}^{{commit}}") and not find(name)):
            raise InputError(f"{name} is a branch, a tag or a name of Git's or DVC's already: rename the variant's file")


def check_no_other_run() -> None:
    """Check that no other process runs the pipeline in this folder: its stages would collide with those of a second one.

    Raises
    ------
    InputError
        Naming the process, where DVC names a file to remove.
    """
    own = psutil.Process()
    for process in running("dvc", "tools.repro"):
        with suppress(psutil.Error):
            words, folder = process.cmdline(), Path(process.cwd())
            root = next((root for root in (folder, *folder.parents) if (root / DVC).is_dir()), None)  # maybe a temporary copy
            runs = "repro" in words or ({"exp", "run"} <= {*words} and not {"--temp", "--queue"} & {*words})
            earlier = "tools.repro" in words and (process.create_time(), process.pid) < (own.create_time(), own.pid)
            if root == Path.cwd() and (runs or earlier):
                raise InputError(
                    f"process {process.pid} ({' '.join(words[1:])}) already runs the pipeline in {folder}: "
                    f"wait for its end, or end it: kill {process.pid}"
                )


def repair() -> list[str]:
    """Remove what a DVC that was killed left behind and what would make each later run fail; return a line for each.

    InputError when a process of DVC still runs in this checkout, which may need it.
    """
    broken = _broken_files()
    if not broken:
        return [*repair_references(), *_remove_temporary_runs()]
    if users := running("dvc"):
        raise InputError(
            f"{broken[0]} is damaged, but process {users[0].pid} runs DVC in {users[0].cwd()}: wait for its end, or end it"
        )
    broken = _broken_files()  # a run that ended meanwhile may have written them
    for path in broken:
        folder = path if path.is_dir() else path.parent
        if folder != path:
            path.unlink()
        with suppress(OSError):  # not empty; an empty folder of the run-cache would fail every run, too
            folder.rmdir()
    lines = [f"removed {path}, left by a run that was killed or by a full disk" for path in broken]
    return [*lines, *repair_references(), *_remove_temporary_runs()]


def repair_references() -> list[str]:
    """Remove references of an experiment that was killed, and return a line for them.

    Those in refs/exps/exec hide others from `dvc exp list`; what refs/exps/stash holds is run by the next `dvc exp run`.
    """
    stale = _git("for-each-ref", "--format=%(refname)", "refs/exps/exec", "refs/exps/stash").split()
    if not stale or running("dvc"):  # they may be those of a run in progress
        return []
    for reference in stale:
        git("update-ref", "-d", reference)
    return [f"removed {', '.join(stale)}, left by an experiment that was killed"]


def _remove_temporary_runs() -> list[str]:
    """Remove the folders of interrupted and killed experiments, each with a copy of the data; return a line for each."""
    folders = sorted((DVC / "tmp/exps/standalone").glob("tmp*"))
    if not folders or running("dvc"):
        return []
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)
    return [f"removed {folder}, left by an experiment that was interrupted or killed" for folder in folders]


def running(*programs: str, hidden: bool = False) -> list[psutil.Process]:
    """Return other processes that run `dvc` or a tool of ours in this checkout, its worktrees or temporary folders, by age.

    Those whose working folder cannot be read, as of other users, count only with `hidden`: nearly all of them run elsewhere,
    and would keep this checkout from being repaired or used.
    """
    roots = [Path(line[9:]) for line in _git("worktree", "list", "--porcelain").splitlines() if line.startswith("worktree ")]
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            command = process.cmdline()[:5]  # python -m dvc ..., python .venv/bin/dvc ...
            if process.pid != os.getpid() and any(Path(part).name.removesuffix(".exe") in programs for part in command):
                try:
                    folder = Path(process.cwd())
                except psutil.AccessDenied:
                    found += [process] if hidden else []
                    continue
                if any(folder.is_relative_to(root) for root in [Path.cwd(), *roots]):
                    found.append(process)
    return sorted(found, key=lambda process: (process.create_time(), process.pid))


def _broken_files() -> list[Path]:
    """Return an rwlock that would stop every run, and the entries of the run-cache that DVC can neither use nor replace.

    An rwlock does so when it cannot be read, and when the number of a DVC that was killed is now that of another process.
    """
    broken = []
    lock = DVC / "tmp/rwlock"
    with suppress(FileNotFoundError):
        try:
            text = lock.read_text(encoding="utf-8")
            holders = {int(number) for number in re.findall(r'"pid": (\d+)', text) if psutil.pid_exists(int(number))}
            foreign = holders - {process.pid for process in running("dvc", hidden=True)} if holders else set()
            if not isinstance(json.loads(text), dict) or foreign:
                broken.append(lock)
        except ValueError:
            broken.append(lock)
    runs = Path(Repo().cache.local_cache_dir, "runs")
    broken += [folder for folder in runs.glob("*/*") if folder.is_dir() and not any(folder.iterdir())]
    for path in runs.glob("*/*/*"):
        outs = path.read_text(encoding="utf-8", errors="replace").partition("\nouts:\n")[2]
        items = outs.split("- path: ")[1:]
        if not items or not all(re.search(r"^  md5: [0-9a-f]{32}(\.dir)?\n", item, re.MULTILINE) for item in items):
            broken.append(path)
    return broken


def _refused_lock(descriptor: int) -> str:
    """Return why the file system refuses the locks that DVC uses, or an empty string."""
    try:
        import fcntl
    except ImportError:  # Windows
        return ""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return error.strerror or str(error)
    return ""


def _identity(part: str) -> bool:
    """Return whether DVC finds the name or the email for a commit."""
    return bool(_git("config", f"user.{part}") or os.environ.get(f"GIT_COMMITTER_{part.upper()}"))


def _untracked_modules() -> list[str]:
    """Return the modules that the code imports and that Git does not know."""
    untracked = [path for path in git("ls-files", "--others", "--", ":(glob)*.py", *CODE).splitlines() if path.endswith(".py")]
    if not untracked:
        return []
    imported: set[str] = set()
    for path in [path for folder in CODE for path in Path(folder).rglob("*.py")]:
        with suppress(SyntaxError):
            for node in ast.walk(ast.parse(path.read_bytes())):
                if isinstance(node, ast.Import):
                    imported |= {alias.name for alias in node.names}
                elif isinstance(node, ast.ImportFrom):
                    package = path.parts[: -node.level] if node.level else ()
                    module = ".".join([*package, *([node.module] if node.module else [])])
                    imported |= {module, *(f"{module}.{alias.name}" for alias in node.names)}
    names = {path: path.removesuffix(".py").removesuffix("/__init__").replace("/", ".") for path in untracked}
    return [path for path, name in names.items() if name in imported]


def _git(*arguments: str) -> str:
    """Return what Git prints, or an empty string when it fails."""
    return subprocess.run(["git", *arguments], capture_output=True, text=True, check=False).stdout.strip()
