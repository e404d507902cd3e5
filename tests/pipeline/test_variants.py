"""The study as its users run it: variants as experiments of real DVC, compared by name, shared through a remote."""

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
    """A repository with a remote, in which the study ran from nothing."""
    folder = tmp_path_factory.mktemp("study")
    repository = Repository(folder / "repository")
    repository.set("augmentation.flip", "true")
    repository.dvc("remote", "add", "--default", "storage", str(folder / "storage"))
    repository.commit("Flip, and a remote")
    output = repository.python("tools.variant", *STUDY)
    assert ran(output) == ["download", "preprocess", *["train", "evaluate", "plot"] * 3]
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


def test_seeds_are_taken_together_and_a_killed_run_goes_on(tmp_path: Path) -> None:
    repository = Repository(tmp_path / "repository")
    command = ["tools.variant", "augmented", "--seeds", "1", "2"]
    repository.kill_at("train: epoch 1/2", *command)
    output = repository.python(*command)
    assert ran(output) == [*["train", "evaluate", "plot"] * 2]
    assert output.count("train: resuming from") == 1
    assert "augmented-seed-1-pending.pt: 1 of 2 epochs done" in output
    assert not [*(repository.folder / "checkpoints").iterdir()]
    repository.python("tools.compare", "augmented-seed-*")
    (row,) = repository.json("comparison/comparison.json")
    assert (row["name"], row["seeds"]) == ("augmented", 2)
    accuracies = []
    for seed in (1, 2):
        with repository.experiment(f"augmented-seed-{seed}").open("metrics/test.json") as file:
            accuracies.append(json.load(file)["accuracy"])
    assert row["test_accuracy"] == pytest.approx(sum(accuracies) / 2)
    assert row["test_accuracy_spread"] == pytest.approx(abs(accuracies[0] - accuracies[1]) / 2**0.5)


def test_two_jobs_at_a_time_survive_a_kill_give_the_same_bytes_and_fetch_the_data_once(
    study: Repository, tmp_path: Path
) -> None:
    queued = Repository(tmp_path / "repository")
    queued.set("augmentation.flip", "true")
    digits = Path(str(distribution("scikit-learn").locate_file("sklearn/datasets/data/digits.csv.gz")))
    shutil.copy(digits, tmp_path)
    queued.replace("params.yaml", "package://scikit-learn/sklearn/datasets/data/", "../")
    queued.commit("Flip, and a source beside the repository")
    command = ["tools.variant", *STUDY[:2], "--jobs", "2"]
    output = queued.kill_at("> python -m stages.train", *command)
    assert ran(output) == ["download", "preprocess", "train"]
    # Killed or not, DVC's workers go on; the next run waits for them and takes what they made.
    assert ran(queued.python(*command)) == []
    for name in STUDY[:2]:
        assert queued.hashes(name)["models/classifier.pt"] == study.hashes(name)["models/classifier.pt"]
        assert queued.hashes(name)["plots/learning_curve.csv"] == study.hashes(name)["plots/learning_curve.csv"]


def test_a_change_of_code_or_params_runs_a_variant_again(study: Repository, tmp_path: Path) -> None:
    shutil.copytree(study.folder, tmp_path / "copy")
    copy = study.at(tmp_path / "copy")
    copy.replace("classifier/figures.py", "Most frequent confusions", "Commonest confusions")
    assert ran(copy.python("tools.variant", "initial")) == ["plot"]
    copy.set("train.epochs", "1")
    assert ran(copy.python("tools.variant", "initial")) == ["train", "evaluate", "plot"]


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
