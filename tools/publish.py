"""Publish experiments with the repository, and make the published ones experiments on the commit that is checked out.

Published results are plain files in docs/study/experiments/NAME/: params.yaml, dvc.lock, metrics, curve and matrix, a model
card, and for the first seed pictures and predictions too. --restore (part of set-up, and `make published`) puts them in place
of HEAD's in a commit on HEAD, which becomes the experiment NAME unless one of that name was run here, and fills DVC's cache
with the curves. The pictures of the README on a dark background are drawn from the published results of the default.

  python -m tools.publish initial augmented-seed-1
  python -m tools.publish augmented=workspace
  python -m tools.publish --pictures
  python -m tools.publish --restore
  python -m tools.publish --accept-code
"""

import argparse
import hashlib
import os
import shutil
import subprocess
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from dvc.api import DVCFileSystem
from dvc.exceptions import DvcException
from dvc.utils.serialize import dump_yaml, load_yaml, modify_yaml

from classifier.params import flatten, parse_yaml, read_params
from classifier.results.learning_curve import load_curve
from classifier.results.predictions import load_predictions
from classifier.runtime.errors import InputError
from classifier.runtime.files import atomic_write
from tools.experiments import PUBLISHED, all_experiments, dvc, find, git
from tools.model_card import CARD, SOURCES, write_card

FOLDER = "docs/study/experiments"
PREDICTIONS = "data/predictions.npz"
DEFAULT = "augmented"  # whose pictures the README shows
PICTURES = "docs/pictures"
AUTHOR = {"NAME": "Published study", "EMAIL": "study@example.invalid"}

Tree = Mapping[str, str]  # hashes of Git's objects by path


def main() -> None:
    """Run the tool."""
    parser = argparse.ArgumentParser(
        prog="python -m tools.publish", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="NAME[=REVISION]", help="experiment, or the name for another revision")
    parser.add_argument("--restore", action="store_true", help="make what is published experiments on this commit")
    parser.add_argument("--pictures", action="store_true", help="draw the dark pictures of the README again")
    parser.add_argument(
        "--accept-code",
        action="store_true",
        help="give all that is published the code in dvc.lock and new params",
    )
    arguments = parser.parse_args()
    if bool(arguments.names) + arguments.restore + arguments.pictures + arguments.accept_code != 1:
        parser.error("give experiments to publish, --restore, --pictures or --accept-code")
    for name in arguments.names:
        publish(*name.partition("=")[::2])
    if arguments.pictures or any(name.partition("=")[0] == DEFAULT for name in arguments.names):
        for path, content in dark_pictures().items():
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(content)
            print(f"publish: {path}")
    if arguments.accept_code:
        accept_code()
    if arguments.restore:
        print(f"publish: {restore()}")


def publish(name: str, revision: str = "") -> None:
    """Write the results of an experiment, or of another revision, into the folder of published ones."""
    experiment = find(revision or name)
    if not (experiment or revision):
        raise InputError(f"{name}: no such experiment")
    with tempfile.TemporaryDirectory() as temporary, results_of(name):
        files = DVCFileSystem(rev=experiment.commit if experiment else None if revision == "workspace" else revision)
        stages = parse_yaml(files.read_text("dvc.lock", encoding="utf-8"), "dvc.lock")["stages"]
        paths = [out["path"] for stage in stages.values() for out in stage["outs"]]
        wanted = [path for path in paths if path.startswith(("metrics/", "plots/")) or path == PREDICTIONS]
        if "-seed-" in name:
            wanted = [path for path in wanted if path.endswith((".json", ".csv"))]
        for path in ("params.yaml", "dvc.lock", *wanted):
            Path(temporary, path).parent.mkdir(exist_ok=True)
            files.get_file(path, str(Path(temporary, path)))
        with tempfile.TemporaryDirectory() as sources:
            for path in SOURCES:
                Path(sources, path).parent.mkdir(exist_ok=True)
                files.get_file(path, str(Path(sources, path)))
            write_card(name, Path(sources), Path(temporary, CARD), experiment=True)
        shutil.rmtree(Path(FOLDER, name), ignore_errors=True)
        shutil.copytree(temporary, Path(FOLDER, name))
    print(f"publish: {FOLDER}/{name}: {len(wanted) + 3} files")


def dark_pictures() -> dict[Path, bytes]:
    """Return the pictures of the README on a dark background, by their paths."""
    from classifier.figures.confusion_matrix import confusion_matrix_figure
    from classifier.figures.learning_curve import learning_curve_figure
    from classifier.figures.style import png

    folder = Path(FOLDER, DEFAULT)
    params = read_params(folder / "params.yaml").plot
    curve, predictions = load_curve(folder / "plots/learning_curve.csv"), load_predictions(folder / PREDICTIONS)
    figures = {
        "learning_curve": lambda: learning_curve_figure(curve),
        "confusion_matrix": lambda: confusion_matrix_figure(predictions, params.confusions),
    }
    return {Path(PICTURES, f"{name}_dark.png"): png(draw, params.dots_per_inch, dark=True) for name, draw in figures.items()}


def accept_code() -> None:
    """Make all that is published today's, where only code changed no result, as `dvc commit -f` does for one's own results.

    New params and stages are added with the values that they have in the workspace.
    """
    today = load_yaml("dvc.lock")["stages"]
    for folder in (path.parent for path in sorted(Path(FOLDER).glob("*/dvc.lock"))):
        lock = load_yaml(str(folder / "dvc.lock"))
        lock["stages"] = _with_todays_code(lock["stages"], today)
        dump_yaml(str(folder / "dvc.lock"), lock)
        _add_params(folder / "params.yaml")
        with tempfile.TemporaryDirectory() as sources:
            shutil.copytree(folder, sources, dirs_exist_ok=True)
            shutil.copy("pyproject.toml", sources)
            write_card(folder.name, Path(sources), folder / CARD, experiment=True)


def _add_params(path: Path) -> None:
    """Add the keys that the workspace's params.yaml has and this one lacks, with their comments."""
    values = flatten(load_yaml(str(path)))
    if values.keys() == flatten(load_yaml("params.yaml")).keys():
        return
    shutil.copyfile("params.yaml", path)
    with modify_yaml(str(path)) as new:
        for key, value in values.items():
            section, _, name = key.partition(".")
            if name in new[section] and new[section][name] != value:
                new[section][name] = value


def _with_todays_code(stages: Mapping[str, Any], today: Mapping[str, Any]) -> dict[str, Any]:
    """Return the stages of a lock with the code, params and stages of today's.

    A stage that has today's params and reads what it reads today has today's outputs, too: others keep theirs.
    """
    done: dict[str, Any] = {}
    outputs: dict[str, Any] = {}
    for name, current in today.items():
        stage = stages.get(name, current)
        new = {
            **current,
            "deps": [{**outputs.get(dep["path"], dep)} for dep in current["deps"]],
            "params": _filled(stage.get("params", {}), current.get("params", {})),
        }
        same = (new["deps"], new["params"]) == (current["deps"], current.get("params", {}))
        new["outs"] = current["outs"] if same else stage["outs"]
        outputs |= {out["path"]: out for out in new["outs"]}
        done[name] = new if new["params"] else {key: value for key, value in new.items() if key != "params"}
    return done


def _filled(values: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    """Return the keys of `defaults` with their values in `values`, as far as they are there."""
    return {
        key: _filled(values[key], default) if isinstance(default, Mapping) and key in values else values.get(key, default)
        for key, default in defaults.items()
    }


@contextmanager
def results_of(name: str) -> Iterator[None]:
    """Turn a failure to read the results of a revision into an InputError."""
    try:
        yield
    except (DvcException, FileNotFoundError) as error:
        raise InputError(f"{name}: {error}") from None


def restore() -> str:
    """Make the published results experiments on HEAD, and fill DVC's cache with their curves; return what was done."""
    try:
        head = git("rev-parse", "--verify", "--quiet", "HEAD^{commit}")
    except (InputError, FileNotFoundError):
        return "the published experiments need Git and a commit; after the first commit: make published"
    tracked = tree(head)
    published: dict[str, dict[str, str]] = defaultdict(dict)
    for path, blob in sorted(tracked.items(), key=lambda item: item[0].split("/")):
        name, slash, inner = path.removeprefix(f"{FOLDER}/").partition("/")
        if path.startswith(f"{FOLDER}/") and slash:
            published[name] |= {inner: blob} if inner != CARD else {}
    experiments = all_experiments()
    own = {experiment.name for experiment in experiments if not experiment.published}
    commits = {name: make_commit(name, files, head, tracked) for name, files in published.items() if name not in own}
    references = {f"refs/exps/{head[:2]}/{head[2:]}/{name}": new for name, new in commits.items()}
    if old := [each.reference for each in experiments if each.published and each.reference not in references]:
        dvc("exp", "remove", *old)
    there = {experiment.reference: experiment.commit for experiment in experiments}
    if refspecs := [f"+{new}:{reference}" for reference, new in references.items() if there.get(reference) != new]:
        options = ["-c", "protocol.version=2", "-c", "gc.auto=0", "-c", "maintenance.auto=false"]
        git(*options, "fetch", "--quiet", "--no-tags", "--no-prune", "--no-recurse-submodules", ".", *refspecs)
    if not published:
        return f"no experiments are published in {FOLDER}; make study runs those of the study"
    outdated = fill_cache(published, tracked)
    kept = sorted(own & published.keys())
    done = [f"published experiments on this commit: {', '.join(commits)}"] if commits else []
    done += [f"kept, since run here: {', '.join(kept)}"] if kept else []
    done += [f"plots/ is not that of this commit; to replace it: dvc checkout {' '.join(outdated)}"] if outdated else []
    return "; ".join(done)


def tree(commit: str) -> dict[str, str]:
    """Return the hash of every file of a commit by its path, which counts from the root of the project."""
    listing = git("ls-tree", "-r", "-z", commit).split("\0")
    return {path: entry.split()[2] for entry, path in (line.split("\t", 1) for line in listing if line)}


def make_commit(name: str, files: Tree, head: str, tracked: Tree) -> str:
    """Return the hash of a commit on HEAD with a published experiment's results in place of HEAD's; the same in every clone."""
    prefix = git("rev-parse", "--show-prefix")
    date = git("show", "--no-patch", "--format=%cI", head)
    environment = {f"GIT_{who}_{key}": value for who in ("AUTHOR", "COMMITTER") for key, value in AUTHOR.items()}
    environment |= {f"GIT_{who}_DATE": date for who in ("AUTHOR", "COMMITTER")}
    pictures = [path for path in tracked if path.startswith("plots/") and path.endswith(".png")]
    removed = [path for path in pictures if path not in files]  # they show other results
    added = {path: blob for path, blob in files.items() if not is_cached(path)}
    lines = [f"0 {'0' * len(head)}\t{prefix}{path}\0" for path in removed]
    lines += [f"100644 {blob}\t{prefix}{path}\0" for path, blob in added.items()]
    with tempfile.TemporaryDirectory() as folder:
        environment["GIT_INDEX_FILE"] = os.path.join(folder, "index")  # noqa: PTH118
        git("read-tree", head, environment=environment)
        git("update-index", "-z", "--index-info", stdin="".join(lines), environment=environment)
        root = git("write-tree", environment=environment)
    options = ["-c", "i18n.commitEncoding=UTF-8"]
    return git(*options, "commit-tree", "--no-gpg-sign", "-p", head, "-m", PUBLISHED + name, root, environment=environment)


def is_cached(path: str) -> bool:
    """Return whether an output is in DVC's cache, not in Git."""
    return path.endswith((".csv", ".npz"))


def fill_cache(published: Mapping[str, Tree], tracked: Tree) -> list[str]:
    """Copy what is published but not in Git from there into DVC's cache, and HEAD's curves into the workspace if missing.

    Return those in the workspace that are not HEAD's though its `dvc.lock` is, as after `git pull`.
    """
    lock = Path("dvc.lock")
    unchanged = lock.is_file() and git("hash-object", "--", str(lock)) == tracked.get("dvc.lock")
    cache = Path(dvc("cache", "dir"), "files", "md5")
    outdated = []
    for files in published.values():
        current = unchanged and files.get("dvc.lock") == tracked["dvc.lock"]
        for path in filter(is_cached, files):
            content = subprocess.run(["git", "cat-file", "blob", files[path]], capture_output=True, check=True).stdout
            md5 = hashlib.md5(content, usedforsecurity=False).hexdigest()
            missing = [] if (cache / md5[:2] / md5[2:]).exists() else [cache / md5[:2] / md5[2:]]
            if current and path.startswith("plots/"):
                if not Path(path).exists():
                    missing.append(Path(path))
                elif Path(path).read_bytes() != content:
                    outdated.append(path)
            for target in missing:
                with atomic_write(target) as temporary:
                    temporary.write_bytes(content)
                if target != Path(path):
                    target.chmod(0o444)  # as DVC protects its cache
    return outdated


if __name__ == "__main__":
    main()
