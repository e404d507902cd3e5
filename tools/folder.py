"""A folder of images of one's own: whether it is still the one that the pipeline took its images from.

DVC does not look into the folder, since experiments do not find a path outside of the repository. It would take the recorded
images as up to date, or bring older ones back from its run-cache.
"""

import json
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from classifier.data.image_pack import ImageFile, Times, changes, image_folder, parse_manifest
from classifier.data.registry import MANIFEST
from classifier.params import parse_yaml, read_yaml
from classifier.runtime.errors import InputError
from tools.experiments import Interruption, dvc, run_dvc

RAW = "data/raw"
COMMAND = "python -m stages.download"


def pack_again(all_params: Iterable[Mapping[str, Any]], interruption: Interruption) -> None:
    """Run the download stage in the workspace where the folder of these params has changed since it was packed.

    A temporary run of an experiment takes `data/raw` as the workspace's dvc.lock has it. Runs that DVC remembers with other
    images of the folder are forgotten.

    Raises
    ------
    InputError
        When there is no such folder, download fails, or the workspace has other data now.
    KeyboardInterrupt
        After an interruption meanwhile.
    """
    folders = {params["data"]["folder"]: params for params in all_params if is_folder(params)}
    lock = Path("dvc.lock")
    for name, params in folders.items():
        _forget_other_images(params)
        difference = changed(params, lock.read_text(encoding="utf-8")) if lock.exists() else ""
        if not difference:
            continue
        print(f"{name} has changed since its images were packed ({difference}): running download again", flush=True)
        workspace = read_yaml(Path("params.yaml"))
        if (workspace["data"]["name"], workspace["data"]["folder"]) != ("folder", name):
            raise InputError(
                f"params.yaml has other data than the images of {name}, recorded in dvc.lock: run make repro first"
            )
        if run_dvc("repro", "--force", "--single-item", "download", interruption=interruption) != 0:
            raise InputError("download failed; see the output above")


def is_folder(params: Mapping[str, Any]) -> bool:
    """Return whether these params are for images of one's own."""
    return bool(params["data"]["name"] == "folder")


def changed(params: Mapping[str, Any], lock: str) -> str:
    """Return how the folder of these params differs from what a dvc.lock recorded; an empty text where it recorded none of it.

    Raises
    ------
    InputError
        When there is no such folder.
    """
    stage = (parse_yaml(lock, "dvc.lock") or {}).get("stages", {}).get("download", {})
    if not (is_folder(params) and _is_of(stage, params)):
        return ""
    manifest = _manifest(stage)
    return "what was packed is not in DVC's cache" if manifest is None else _difference(params, manifest)


def _difference(params: Mapping[str, Any], manifest: list[ImageFile]) -> str:
    times = Times.read(Path.cwd())
    difference = changes(image_folder(params["data"]["folder"], Path.cwd()), manifest, times)
    times.write()
    return difference


def _is_of(stage: Mapping[str, Any], params: Mapping[str, Any]) -> bool:
    """Return whether a recorded run of download is one of the folder of these params."""
    values = stage.get("params", {}).get("params.yaml", {})
    return (values.get("data.name"), values.get("data.folder")) == ("folder", params["data"]["folder"])


def _manifest(stage: Mapping[str, Any]) -> list[ImageFile] | None:
    """Return the images that a recorded run of download packed, if DVC's cache has their manifest."""
    cache = _cache() / "files/md5"
    with suppress(OSError, ValueError, StopIteration):
        md5 = next(output["md5"] for output in stage["outs"] if output["path"] == RAW)
        listing = json.loads((cache / md5[:2] / md5[2:]).read_text(encoding="utf-8"))
        md5 = next(entry["md5"] for entry in listing if entry["relpath"] == MANIFEST)
        return parse_manifest((cache / md5[:2] / md5[2:]).read_text(encoding="ascii"))
    return None


def _forget_other_images(params: Mapping[str, Any]) -> None:
    """Remove the runs of download that DVC remembers for this folder with other images than it has now."""
    for path in _cache().glob("runs/*/*/*"):
        text = path.read_text(encoding="utf-8", errors="replace")
        if path.is_file() and COMMAND in text:
            stage = parse_yaml(text, str(path))
            manifest = _manifest(stage) if _is_of(stage, params) else None
            if manifest is not None and _difference(params, manifest):
                path.unlink()
                with suppress(OSError):  # other runs
                    path.parent.rmdir()


def _cache() -> Path:
    return Path(dvc("cache", "dir"))
