"""Files: outputs that move into place together, and inputs read with an error that says what to do."""

import os
import re
import secrets
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from classifier.runtime.errors import InputError, is_of_the_system, is_out_of_memory
from classifier.runtime.stage import deferred_signals

PARTIAL = "-partial"  # in the names of temporary files


@contextmanager
def atomic_outputs() -> Iterator[Callable[[Path], Path]]:
    """Yield a function that returns a temporary path for an output; at the end of the block all outputs move into place.

    A temporary path lies beside its output and has the same suffix. Nothing exists there yet: the block writes a file or
    makes a folder. At the end of the block everything written is flushed to the disk, then moved into place file by file,
    each in one step; a folder loses the files that it had before. Signals that arrive meanwhile wait until all is moved.

    When the block or a move fails, all outputs are what they were before, and the temporary files are removed. A process
    that is killed leaves whole files, old or new; what it left of its temporary files is removed the next time.

    Raises
    ------
    OSError
        Naming the output, when it cannot be written or the disk is full.
    """
    outputs: dict[Path, Path] = {}  # by temporary path

    def place(path: Path) -> Path:
        temporary = _temporary(path)
        outputs[temporary] = path
        path.parent.mkdir(parents=True, exist_ok=True)
        _remove_leftovers(path)
        return temporary

    try:
        yield place
        moves = _plan(outputs)
        for written in filter(None, moves.values()):
            _flush(written)
        with deferred_signals():
            _move(moves)
            for path in outputs.values():
                remove_empty_folders(path)
    except OSError as error:
        if is_of_the_system(error):
            error.filename = _output_of(error.filename, outputs)
        raise
    except Exception as error:
        number = re.search(r"\(os error (\d+)\)$", str(error))  # as libraries written in Rust report one, like safetensors
        if number is None or not outputs:
            raise
        raise OSError(int(number[1]), os.strerror(int(number[1])), _output_of(None, outputs)) from error
    finally:
        with deferred_signals():
            for temporary in outputs:
                _remove(temporary)


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Yield a temporary path for a single output, as `atomic_outputs` does for several."""
    with atomic_outputs() as place:
        yield place(path)


@contextmanager
def read_output(path: Path, writer: str) -> Iterator[None]:
    """Turn a failure to read an output of the stage `writer` into an InputError that says what to run."""
    try:
        yield
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; run the {writer} stage first: dvc repro {writer}") from None
    except Exception as error:  # damaged bytes raise a dozen kinds in zipfile, NumPy and PyTorch
        if is_out_of_memory(error) or (isinstance(error, OSError) and error.strerror):
            raise
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise InputError(f"{path}: damaged ({reason}); run the {writer} stage again: dvc repro --force {writer}") from None


def _temporary(path: Path) -> Path:
    return path.with_name(f".{path.stem}-{os.getpid()}-{secrets.token_hex(4)}{PARTIAL}{path.suffix}")


def _plan(outputs: Mapping[Path, Path]) -> dict[Path, Path | None]:
    """Return the temporary file of each file to be replaced, and None for each to be removed."""
    moves: dict[Path, Path | None] = {}
    for temporary, path in outputs.items():
        if temporary.is_dir():
            moves |= dict.fromkeys(_files(path))
            moves |= {path / file.relative_to(temporary): file for file in _files(temporary)}
        else:
            moves[path] = temporary
    return moves


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_symlink() or not path.is_dir())


def _flush(path: Path) -> None:
    with path.open("r+b") as file:  # Windows flushes what is open for writing only
        os.fsync(file.fileno())


def _move(moves: Mapping[Path, Path | None]) -> None:
    """Move files into place one after another; when that fails, undo all of it."""
    backups = dict.fromkeys(moves) | {path: _temporary(path) for path in moves if path.is_file()}
    done: list[Path] = []
    try:
        for path, written in moves.items():
            if backup := backups[path]:
                _link(path, backup)
            if written:
                path.parent.mkdir(parents=True, exist_ok=True)
                written.replace(path)
            else:
                path.unlink()
            done.append(path)
    except BaseException:
        for path in reversed(done):
            with suppress(OSError):
                if backup := backups[path]:
                    backup.replace(path)
                else:
                    path.unlink()
        raise
    finally:
        for backup in filter(None, backups.values()):
            _remove(backup)


def _link(path: Path, name: Path) -> None:
    """Give a file a second name, or copy it where the file system has no hard links."""
    try:
        os.link(path, name)
    except OSError:
        shutil.copy2(path, name)


def remove_empty_folders(path: Path) -> None:
    """Remove the empty folders in a folder, and those that only have such."""
    for folder in sorted(path.rglob("*"), reverse=True):
        if folder.is_dir() and not folder.is_symlink():
            with suppress(OSError):  # as for one that holds files
                folder.rmdir()


def copy_folder(source: Path, target: Path) -> None:
    """Copy the content of all files in a folder, but no modes and links: those in DVC's cache are read-only.

    `shutil.copytree` would turn a full disk into an error without a number, which looks like a bug.
    """
    for path in _files(source):
        copy = target / path.relative_to(source)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(path.read_bytes())


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(OSError):
            path.unlink(missing_ok=True)


def _remove_leftovers(path: Path) -> None:
    """Remove the temporary files of an output whose process is gone."""
    name = re.compile(rf"\.+{re.escape(path.stem)}(?:-(\d+)-[0-9a-f]+{PARTIAL})+{re.escape(path.suffix)}")
    for entry in path.parent.iterdir():
        if (match := name.fullmatch(entry.name)) and _is_gone(int(match[1]), entry):
            _remove(entry)


def _is_gone(process: int, entry: Path) -> bool:
    """Return whether the process that wrote a file has ended; a later one may have the same number."""
    import psutil

    try:
        return psutil.Process(process).create_time() > entry.stat().st_ctime
    except (psutil.NoSuchProcess, FileNotFoundError):
        return True
    except psutil.AccessDenied:
        return False


def _output_of(filename: str | bytes | os.PathLike[str] | None, outputs: Mapping[Path, Path]) -> str | None:
    """Return the output that an error of a temporary path is about; one without a path is about the output opened last."""
    if filename is None:
        return str([*outputs.values()][-1]) if outputs else None
    name = Path(os.fsdecode(filename))
    for temporary, path in outputs.items():
        if name.is_relative_to(temporary):
            return str(path / name.relative_to(temporary))
    return str(name)


def check_folder(folder: Path) -> None:
    """Check, before work whose results are to go there, that a folder can be made and written; raise InputError otherwise."""
    existing = next(path for path in (folder.absolute(), *folder.absolute().parents) if os.path.lexists(path))
    if not existing.is_dir():
        raise InputError(f"{folder}: {existing} is no folder: name another one, or remove it")
    if not os.access(existing, os.W_OK):
        raise InputError(f"{folder}: {existing} cannot be written")
