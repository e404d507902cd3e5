"""The study as its users run it: variants as experiments of real DVC, compared by name, shared through a remote."""

import hashlib
import json
import re
import shutil
from importlib.metadata import distribution
from pathlib import Path

import pytest

from tests.pipeline.repository import Repository, ran

STUDY = ["initial", "batchnorm", "augmented"]


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    """A repository with a remote, in which the study ran from nothing: two jobs at a time, killed as soon as one trains.

    The source of its data lies beside it, as the copy of a cluster may.
    """
    folder = tmp_path_factory.mktemp("study")
    repository = Repository(folder / "repository")
    repository.set("augmentation.flip", "true")
    shutil.copy(Path(str(distribution("scikit-learn").locate_file("sklearn/datasets/data/digits.csv.gz"))), folder)
    repository.replace("params.yaml", "package://scikit-learn/sklearn/datasets/data/", "../")
    repository.dvc("remote", "add", "--default", "storage", str(folder / "storage"))
    repository.commit("Flip, a remote, and a source beside the repository")
    command = ["tools.variant", *STUDY, "--jobs", "2"]
    output = repository.kill_at("> python -m stages.train", *command)
    assert ran(output) == ["download", "preprocess", "train"], "the data is fetched once"
    # Killed or not, DVC's workers go on; the next run waits for them and takes what they made.
    assert ran(repository.python(*command)) == []
    return repository


def params_diff(repository: Repository, *revisions: str) -> dict[str, tuple[object, object]]:
    differences = json.loads(repository.dvc("params", "diff", *revisions, "--json"))["params.yaml"]
    return {key: (value["old"], value["new"]) for key, value in differences.items()}


def test_the_workspace_is_as_it_was(study: Repository) -> None:
    assert study.run("git", "status", "--porcelain") == ""
    assert not (study.folder / "dvc.lock").exists()
    assert not (study.folder / "models").exists()


def test_two_designs_differ_in_what_makes_them_and_nothing_else(study: Repository) -> None:
    assert params_diff(study, "initial", "batchnorm") == {"network.batch_norm": (False, True)}
    assert params_diff(study, "batchnorm", "augmented") == {
        "augmentation.flip": (False, True),
        "augmentation.crop_padding": (0, 1),
    }


def test_run_again_it_runs_nothing_and_keeps_one_experiment_a_name(study: Repository) -> None:
    assert ran(study.python("tools.variant", *STUDY)) == []
    references = study.run("git", "for-each-ref", "--format=%(refname)", "refs/exps").split()
    names = [reference.rsplit("/", 1)[1] for reference in references if re.match(r"refs/exps/[0-9a-f]{2}/", reference)]
    assert sorted(names) == sorted(STUDY)


def test_the_page_lays_the_curves_of_all_over_one_another(study: Repository) -> None:
    study.dvc("plots", "diff", *STUDY)
    page = (study.folder / "dvc_plots/index.html").read_text(encoding="utf-8")
    assert not re.findall(r"<(?:script|link)[^>]+(?:src|href)=", page)
    for name in STUDY:
        assert f'"rev": "{name}"' in page


def test_the_comparison_is_a_table_twice_and_a_picture(study: Repository) -> None:
    output = study.python("tools.compare", *STUDY, "--output", "compared")
    rows = study.json("compared/comparison.json")
    assert [row["name"] for row in rows] == STUDY
    for row in rows:
        with study.experiment(row["name"]).open("metrics/test.json") as file:
            assert row["test_accuracy"] == json.load(file)["accuracy"]
    assert (study.folder / "compared/comparison.md").read_text() in output
    assert (study.folder / "compared/learning_curves.png").read_bytes().startswith(b"\x89PNG")


def test_a_revision_that_does_not_exist_lists_those_that_do(study: Repository) -> None:
    output = study.python("tools.compare", "initial", "final", fails=True)
    assert output == ("compare: final: no such experiment, tag, branch or commit; there are augmented, batchnorm, initial\n")


def test_seeds_are_taken_together_and_a_killed_run_goes_on(study: Repository, tmp_path: Path) -> None:
    shutil.copytree(study.folder, tmp_path / "copy")
    repository = study.at(tmp_path / "copy")
    command = ["tools.variant", "augmented", "--seeds", "0", "1"]
    assert ran(repository.kill_at("train: epoch 1/2", *command)) == ["train"], "seed 0 is that of the study"
    output = repository.python(*command)
    assert ran(output) == ["train", "evaluate", "plot"]
    assert re.search(r"train: resuming from \S+augmented-seed-1-pending.pt: 1 of 2 epochs done", output), output
    assert not [*(repository.folder / "checkpoints").iterdir()]
    repository.python("tools.compare", "augmented-seed-*")
    (row,) = repository.json("comparison/comparison.json")
    assert (row["name"], row["seeds"]) == ("augmented", 2)
    accuracies = []
    for seed in (0, 1):
        with repository.experiment(f"augmented-seed-{seed}").open("metrics/test.json") as file:
            accuracies.append(json.load(file)["accuracy"])
    assert row["test_accuracy"] == pytest.approx(sum(accuracies) / 2)
    assert row["test_accuracy_spread"] == pytest.approx(abs(accuracies[0] - accuracies[1]) / 2**0.5)


def test_jobs_give_the_bytes_of_stages_by_hand(study: Repository, tmp_path: Path) -> None:
    study.run("git", "clone", "--quiet", str(study.folder), str(tmp_path / "repository"))
    shutil.copy(study.folder.parent / "digits.csv.gz", tmp_path)
    clone = study.at(tmp_path / "repository")
    clone.set("network.batch_norm", "false")
    clone.set("augmentation.flip", "false")
    clone.set("augmentation.crop_padding", "0")
    for stage in ("download", "preprocess", "train"):
        clone.python(f"stages.{stage}")
    for path in ("data/processed/train.safetensors", "models/classifier.pt", "plots/learning_curve.csv"):
        digest = hashlib.md5((clone.folder / path).read_bytes(), usedforsecurity=False).hexdigest()
        assert digest == study.hashes("initial")[path]


def test_a_change_of_code_or_params_runs_a_variant_again(study: Repository, tmp_path: Path) -> None:
    shutil.copytree(study.folder, tmp_path / "copy")
    copy = study.at(tmp_path / "copy")
    copy.replace("classifier/figures/confusion_matrix.py", "Most frequent confusions", "Commonest confusions")
    assert ran(copy.python("tools.variant", "initial")) == ["plot"]
    copy.set("plot.confusions", "3")
    assert ran(copy.python("tools.variant", "initial")) == ["plot"]


def test_a_clone_with_the_cache_trains_nothing(study: Repository, tmp_path: Path) -> None:
    study.run("git", "clone", "--quiet", str(study.folder), str(tmp_path / "clone"))
    clone = study.at(tmp_path / "clone")
    clone.dvc("cache", "dir", "--local", str(study.folder / ".dvc/cache"))
    assert ran(clone.python("tools.variant", "initial")) == []
    assert clone.hashes("initial") == study.hashes("initial")


def test_a_second_clone_gets_models_and_plots_through_a_remote_without_training(study: Repository, tmp_path: Path) -> None:
    study.run("git", "init", "--quiet", "--bare", str(tmp_path / "origin.git"))
    study.run("git", "remote", "add", "origin", str(tmp_path / "origin.git"))
    study.run("git", "push", "--quiet", "origin", "main")
    study.dvc("exp", "push", "origin", *STUDY)

    study.run("git", "clone", "--quiet", "--branch", "main", str(tmp_path / "origin.git"), str(tmp_path / "clone"))
    clone = study.at(tmp_path / "clone")
    clone.dvc("exp", "pull", "origin", *STUDY)
    assert ran(clone.python("tools.variant", *STUDY)) == []
    clone.python("tools.compare", *STUDY)
    clone.dvc("exp", "apply", "batchnorm")
    assert clone.hashes() == study.hashes("batchnorm")
    assert (clone.folder / "models/classifier.pt").exists()
    assert ran(clone.dvc("repro")) == []
