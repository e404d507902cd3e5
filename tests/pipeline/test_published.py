"""The published study in clones that trained nothing: set-up makes its results experiments of real DVC on HEAD."""

import hashlib
import json
import re
import shutil
from pathlib import Path

import pytest

from classifier.params import parse_yaml
from tests.pipeline.repository import Repository, ran

STUDY = ["initial", "batchnorm", "augmented"]
PUBLISHED = [*STUDY, "augmented-seed-1"]
CHARTS = ["Loss", "Accuracy", "plots_learning_curve_csv", "plots_confusion_matrix_csv"]
CURVES = ["plots/confusion_matrix.csv", "plots/learning_curve.csv"]


@pytest.fixture(scope="module")
def origin(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    """A repository that has published the study, and a second seed of its default."""
    repository = Repository(tmp_path_factory.mktemp("origin"))
    repository.set("augmentation.flip", "true")
    repository.commit("Flip")
    repository.python("tools.variant", *STUDY)
    repository.python("tools.variant", "augmented", "--seeds", "0", "1")
    repository.dvc("exp", "apply", "augmented")
    repository.python("tools.publish", *PUBLISHED)
    repository.commit("Publish the study")
    return repository


def clone_of(origin: Repository, folder: Path, *options: str) -> Repository:
    """A clone whose user has no identity, signs every commit and has DVC's hooks, after set-up."""
    origin.run("git", "clone", "--quiet", *options, f"file://{origin.folder}", str(folder))
    clone = origin.at(folder)
    clone.environment = clone.environment | {"GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_SYSTEM": "/dev/null"}
    for key, value in {"user.useConfigOnly": "true", "commit.gpgsign": "true", "gpg.program": "false"}.items():
        clone.run("git", "config", key, value)
    clone.dvc("install")
    restore(clone)
    return clone


def restore(repository: Repository, kept: str = "") -> None:
    """What set-up and `make published` run."""
    names = ", ".join(sorted(set(PUBLISHED) - {kept}))
    expected = f"publish: published experiments on this commit: {names}{kept and f'; kept, since run here: {kept}'}\n"
    assert repository.python("tools.publish", "--restore") == expected


@pytest.fixture(scope="module")
def first_clone(origin: Repository, tmp_path_factory: pytest.TempPathFactory) -> Repository:
    return clone_of(origin, tmp_path_factory.mktemp("clones") / "first")


@pytest.fixture
def clone(first_clone: Repository, tmp_path: Path) -> Repository:
    """A copy of a clone, for a test to change."""
    shutil.copytree(first_clone.folder, tmp_path / "clone")
    return first_clone.at(tmp_path / "clone")


def commit(repository: Repository) -> None:
    """Commit a change as a user with an identity does."""
    (repository.folder / "notes.txt").open("a").write("note\n")
    repository.run("git", "add", "--all")
    identity = ["-c", "user.name=User", "-c", "user.email=user@example.com"]
    repository.run("git", *identity, "commit", "--quiet", "--no-gpg-sign", "--message", "Note")


def references(repository: Repository) -> dict[str, str]:
    """The hash of each experiment by its full reference."""
    listing = repository.run("git", "for-each-ref", "--format=%(refname) %(objectname)", "refs/exps/??/*/*").split()
    return dict(zip(listing[::2], listing[1::2], strict=True))


def check_names(repository: Repository) -> None:
    """Each name stands for one experiment."""
    (difference,) = json.loads(repository.dvc("params", "diff", "initial", "batchnorm", "--json"))["params.yaml"].items()
    assert difference == ("network.batch_norm", {"old": False, "new": True, "diff": 1} | difference[1])
    listed = repository.dvc("exp", "list", "--all-commits", "--name-only").split()
    assert sorted(name for name in listed if not name.endswith(":")) == sorted(PUBLISHED)


def check_commands(repository: Repository) -> None:
    """The published experiments can be named, and their results, curves and matrices are there."""
    check_names(repository)
    metrics = json.loads(repository.dvc("metrics", "diff", "initial", "batchnorm", "--json"))["metrics/test.json"]["accuracy"]
    for name, key in (("initial", "old"), ("batchnorm", "new")):
        assert metrics[key] == repository.json(f"docs/study/experiments/{name}/metrics/test.json")["accuracy"]
    repository.dvc("plots", "diff", *STUDY)
    assert drawn(repository) == {chart: set(STUDY) for chart in CHARTS}
    repository.python("tools.compare", *STUDY)
    rows = repository.json("comparison/comparison.json")
    assert [row["name"] for row in rows] == STUDY


def drawn(repository: Repository) -> dict[str, set[str]]:
    """The revisions of which DVC's page shows points, for each of its charts."""
    page = (repository.folder / "dvc_plots/index.html").read_text(encoding="utf-8")
    charts = re.split(r'<div id ?= ?"(\w+)">', page)[1:]
    found = dict(zip(charts[::2], charts[1::2], strict=True))
    return {name: set(re.findall(r'"rev": "([\w-]+)"', found[name])) for name in CHARTS}


@pytest.mark.parametrize("options", [(), pytest.param(("--depth", "1"), marks=pytest.mark.slow)], ids=["full", "shallow"])
def test_a_clone_shows_the_study_before_anything_is_trained(
    origin: Repository, tmp_path: Path, options: tuple[str, ...]
) -> None:
    clone = clone_of(origin, tmp_path / "clone", *options)
    assert clone.run("git", "status", "--porcelain") == ""
    assert not (clone.folder / "models").exists()
    check_commands(clone)
    clone.dvc("plots", "show")
    assert drawn(clone) == {chart: {"workspace"} for chart in CHARTS}
    shown = clone.dvc("exp", "show")
    assert all(f"[{name}]" in shown for name in PUBLISHED)
    assert clone.content(CURVES) == {path: (origin.folder / path).read_bytes() for path in CURVES}
    clone.dvc("get", ".", "data/predictions.npz", "--rev", "initial")
    assert (clone.folder / "predictions.npz").read_bytes() == origin.experiment("initial").read_bytes("data/predictions.npz")
    table = clone.python("tools.table").splitlines()
    assert [line.split()[0] for line in table] == ["experiment", "workspace", *table[2].split()[:1], *sorted(PUBLISHED)]
    assert max(map(len, table)) <= 120


def test_every_clone_makes_the_same_commits(origin: Repository, clone: Repository, tmp_path: Path) -> None:
    before = references(clone)
    assert references(clone_of(origin, tmp_path / "other", "--depth", "1")) == before
    restore(clone)
    assert references(clone) == before
    head = clone.run("git", "rev-parse", "HEAD").strip()
    assert sorted(before) == [f"refs/exps/{head[:2]}/{head[2:]}/{name}" for name in sorted(PUBLISHED)]


def test_no_experiment_shows_the_pictures_of_another(origin: Repository, clone: Repository) -> None:
    pictures = sorted(path.relative_to(clone.folder).as_posix() for path in (clone.folder / "plots").glob("*.png"))
    assert len(pictures) == 4
    for name in PUBLISHED:
        expected = [] if "-seed-" in name else pictures
        assert clone.run("git", "ls-tree", "-r", "--name-only", name_of(clone, name), "plots/").split() == expected
        for path in [*expected, "params.yaml", "dvc.lock", "metrics/test.json", "metrics/train.json"]:
            assert clone.run("git", "rev-parse", f"{name_of(clone, name)}:{path}") == origin.run(
                "git", "rev-parse", f"{name_of(origin, name)}:{path}"
            )


def name_of(repository: Repository, name: str) -> str:
    """The reference of the only experiment of a name."""
    (reference,) = [each for each in references(repository) if each.endswith(f"/{name}")]
    return reference


@pytest.mark.slow
def test_the_names_resolve_after_every_step_and_exist_once(clone: Repository) -> None:
    commit(clone)
    check_commands(clone)
    restore(clone)
    check_commands(clone)
    head = clone.run("git", "rev-parse", "HEAD").strip()
    assert len(references(clone)) == len(PUBLISHED)
    assert all(f"/{head[:2]}/{head[2:]}/" in each for each in references(clone))
    commit(clone)
    check_commands(clone)
    assert "4 more on other commits" in clone.python("tools.table")


@pytest.mark.slow
def test_what_was_run_here_is_kept_on_whatever_commit(clone: Repository) -> None:
    output = clone.python("tools.variant", "initial")
    assert "to run in place of the published results" in output
    assert ran(output)[-3:] == ["train", "evaluate", "plot"]
    own = references(clone)
    restore(clone, kept="initial")
    assert references(clone) == own
    commit(clone)
    restore(clone, kept="initial")
    check_names(clone)
    assert name_of(clone, "initial") in own
    clone.dvc("exp", "remove", name_of(clone, "initial"))
    restore(clone)
    check_names(clone)


def test_the_cache_is_filled_again_after_gc_and_curves_come_back(clone: Repository) -> None:
    commit(clone)
    clone.dvc("gc", "--workspace", "--force")
    shutil.rmtree(clone.folder / ".dvc/cache")
    for path in CURVES:
        (clone.folder / path).unlink()
    restore(clone)
    assert sorted(path.relative_to(clone.folder).as_posix() for path in (clone.folder / "plots").glob("*.csv")) == CURVES
    check_commands(clone)


def test_curves_are_left_alone_where_they_belong_to_other_results(clone: Repository) -> None:
    first, second = (clone.folder / path for path in CURVES)
    first.write_text("mine\n")
    second.unlink()
    (clone.folder / "dvc.lock").open("a").write("# other results\n")
    restore(clone)
    assert first.read_text() == "mine\n"
    assert not second.exists()


def test_applying_a_published_experiment_and_the_way_back(clone: Repository) -> None:
    before = clone.content(["params.yaml", "dvc.lock", "metrics/test.json", "plots/learning_curve.png", *CURVES])
    assert "Checkout failed" in clone.dvc("exp", "apply", "initial", fails=True)
    changed = {line[3:].partition("/")[0] for line in clone.run("git", "status", "--porcelain").splitlines()}
    assert changed == {"params.yaml", "dvc.lock", "metrics", "plots"}
    folder = clone.folder / "docs/study/experiments/initial"
    assert clone.content(before) == {path: (folder / path).read_bytes() for path in before}
    clone.run("git", "checkout", "--", ".")
    clone.dvc("checkout", "--force", *CURVES)
    assert clone.content(before) == before
    assert clone.run("git", "status", "--porcelain") == ""


def test_without_git_or_a_commit_set_up_says_so_and_ends_well(clone: Repository) -> None:
    shutil.rmtree(clone.folder / ".git")
    expected = "publish: the published experiments need Git and a commit; after the first commit: make published\n"
    assert clone.python("tools.publish", "--restore") == expected
    clone.run("git", "init", "--quiet")
    assert clone.python("tools.publish", "--restore") == expected
    clone.environment = clone.environment | {"PATH": str(clone.folder)}
    assert clone.python("tools.publish", "--restore") == expected


def test_what_is_published_is_an_experiment_or_another_revision(origin: Repository, clone: Repository) -> None:
    assert clone.python("tools.publish", "final", fails=True) == "publish: final: no such experiment\n"
    assert clone.python("tools.publish", "final=main~9", fails=True).startswith("publish: final: ")
    files = {
        path.relative_to(origin.folder) for path in (origin.folder / "docs/study/experiments").rglob("*") if path.is_file()
    }
    origin.python("tools.publish", "augmented=workspace")
    assert origin.run("git", "status", "--porcelain") == ""
    names = {path.relative_to(f"docs/study/experiments/{PUBLISHED[-1]}") for path in files if PUBLISHED[-1] in path.parts}
    metrics = ["metrics/test.json", "metrics/train.json"]
    assert sorted(map(str, names)) == sorted(["dvc.lock", "params.yaml", "model_card.md", *metrics, *CURVES])
    card = (origin.folder / "docs/study/experiments/initial/model_card.md").read_text()
    assert "make variant NAME=initial\n" in card
    assert not clone.run("git", "ls-tree", "-r", "--name-only", name_of(clone, "initial"), "model_card.md")
    assert Path("docs/study/experiments/initial/data/predictions.npz") in files


def test_a_change_of_code_that_changes_no_result_is_accepted_for_all_that_is_published(
    origin: Repository, clone: Repository
) -> None:
    clone.python("tools.publish", "--accept-code")
    assert clone.run("git", "status", "--porcelain") == "", "the same code, byte for byte"
    md5 = "f" * 32
    code = parse_yaml((clone.folder / "dvc.lock").read_text(), "dvc.lock")["stages"]["train"]["deps"][-1]
    assert code["path"] == "stages/train.py"
    clone.replace("dvc.lock", code["md5"], md5)
    clone.python("tools.publish", "--accept-code")
    for name in PUBLISHED:
        path = f"docs/study/experiments/{name}/dvc.lock"
        assert (clone.folder / path).read_text() == (origin.folder / path).read_text().replace(code["md5"], md5)


def test_a_new_param_and_a_new_stage_come_into_all_that_is_published(clone: Repository) -> None:
    folders = [Path("docs/study/experiments", name) for name in PUBLISHED]
    before = {
        path: (clone.folder / path).read_text() for folder in folders for path in (folder / "params.yaml", folder / "dvc.lock")
    }
    for path, text in before.items():
        lines = text.splitlines(keepends=True)
        content = "".join(line for line in lines if not line.strip().startswith(("patience:", "pretrained:")))
        if path.name == "dvc.lock":
            lock = parse_yaml(content, "dvc.lock")
            del lock["stages"]["weights"]
            content = json.dumps(lock)
        (clone.folder / path).write_text(content)
    clone.python("tools.publish", "--accept-code")
    for path, text in before.items():
        assert parse_yaml((clone.folder / path).read_text(), "one") == parse_yaml(text, "other"), path


@pytest.mark.slow
def test_results_of_a_colleague_take_the_place_of_published_ones(origin: Repository, clone: Repository, tmp_path: Path) -> None:
    clone.run("git", "init", "--quiet", "--bare", str(tmp_path / "origin.git"))
    clone.run("git", "remote", "set-url", "origin", str(tmp_path / "origin.git"))
    clone.dvc("remote", "add", "--default", "storage", str(tmp_path / "storage"))
    commit(clone)
    clone.python("tools.variant", "initial")
    clone.run("git", "push", "--quiet", "--no-verify", "origin", "HEAD:main")
    clone.dvc("exp", "push", "origin", "initial")

    other = clone_of(origin.at(tmp_path / "origin.git"), tmp_path / "other", "--branch", "main")
    other.dvc("pull", "--allow-missing")
    other.dvc("exp", "pull", "--force", "origin", "initial")
    restore(other, kept="initial")
    check_names(other)
    other.dvc("get", ".", "models/classifier.pt", "--rev", "initial", "--out", "got.pt")
    assert (
        hashlib.md5((other.folder / "got.pt").read_bytes(), usedforsecurity=False).hexdigest()
        == (clone.hashes("initial")["models/classifier.pt"])
    )
