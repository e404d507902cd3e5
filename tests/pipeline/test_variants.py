"""The study as its users run it: variants as experiments of real DVC, compared by name, shared through a remote."""

import hashlib
import json
import re
import shutil
import signal
import sys
import time
from importlib.metadata import distribution
from pathlib import Path

import psutil
import pytest

from classifier.params import parse_yaml
from tests.conftest import ROOT
from tests.pipeline.repository import Repository, ran

STUDY = ["initial", "batchnorm", "augmented"]


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    """A repository with a remote, in which the study ran from nothing: two jobs at a time, killed as soon as both run.

    The data lies in a folder beside it, as the copy of a cluster may.
    """
    folder = tmp_path_factory.mktemp("study")
    repository = Repository(folder / "repository")
    repository.set("augmentation.flip", "true")
    repository.set("data.sources", '["../the data"]')
    (folder / "the data").mkdir()
    shutil.copy(Path(str(distribution("scikit-learn").locate_file("sklearn/datasets/data/digits.csv.gz"))), folder / "the data")
    repository.dvc("remote", "add", "--default", "storage", str(folder / "storage"))
    repository.commit("Flip, a remote, and a place beside the repository")
    command = ["tools.variant", *STUDY, "--jobs", "2"]
    output = repository.kill_at("variant: batchnorm: started", *command)
    assert ran(output) == ["download", "preprocess"], "what the designs share runs once, first"
    assert "../the data" in output
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


def experiments(repository: Repository) -> dict[str, str]:
    """The hash of each experiment by its name, each of which exists once."""
    listing = repository.run("git", "for-each-ref", "--format=%(refname) %(objectname)", "refs/exps/??/*/*").split()
    names = [reference.rsplit("/", 1)[1] for reference in listing[::2]]
    assert len(set(names)) == len(names)
    return dict(zip(names, listing[1::2], strict=True))


def test_each_job_has_its_log(study: Repository) -> None:
    for name in STUDY:
        assert f"Reproducing experiment '{name}-pending'" in (study.folder / f"logs/{name}.log").read_text()


def test_run_again_it_runs_nothing_and_keeps_the_experiments(study: Repository) -> None:
    before = experiments(study)
    assert sorted(before) == sorted(STUDY)
    assert ran(study.python("tools.variant", *STUDY)) == []
    assert experiments(study) == before


def test_a_failed_experiment_does_not_keep_the_others_from_their_names(study: Repository, tmp_path: Path) -> None:
    copy = study.at(Path(shutil.copytree(study.folder, tmp_path / "copy")))
    (copy.folder / "variants/deep.yaml").write_text("network:\n  widths: [8, 8, 8, 8, 8, 8, 8, 8, 8, 8]\n")
    output = copy.python("tools.variant", "deep", "initial", "--jobs", "2", "-S", "plot.mistakes=3", fails=True)
    assert output.endswith("variant: failed: deep-plot.mistakes=3; see the output above and the logs in logs\n")
    assert "failed" in (copy.folder / "logs/deep-plot.mistakes=3.log").read_text()
    name = "initial-plot.mistakes=3"
    assert sorted(experiments(copy)) == sorted([*STUDY, name])
    assert copy.experiment(name).read_text("params.yaml").count("mistakes: 3") == 1


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interruption_ends_every_job(study: Repository, tmp_path: Path, number: signal.Signals) -> None:
    copy = study.at(Path(shutil.copytree(study.folder, tmp_path / "copy")))
    before = experiments(copy)
    shutil.rmtree(copy.folder / ".dvc/tmp/exps/standalone")  # may hold what the run that was killed left
    command = ["tools.variant", "initial", "batchnorm", "augmented", "--jobs", "2", "-S", "train.epochs=100000"]
    logs = [copy.folder / f"logs/{name}-train.epochs=100000.log" for name in ("initial", "batchnorm")]
    with copy.start(*command) as running:
        while not all(log.exists() and "train: epoch 1/" in log.read_text() for log in logs):
            assert running.poll() is None
            time.sleep(0.1)
        started = psutil.Process(running.pid).children(recursive=True)
        running.send_signal(number)
        output, _ = running.communicate()
    assert running.returncode == 128 + number
    assert output.endswith("variant: interrupted; the same command continues with what is not done\n")
    assert not any(process.is_running() for process in started)
    assert "train: interrupted, its state is saved; the same command continues\n" in logs[0].read_text()
    assert experiments(copy) == before
    assert not [*(copy.folder / ".dvc/tmp/exps/standalone").glob("tmp*")], "DVC cleans up"
    assert copy.run("git", "status", "--porcelain") == ""


def test_a_list_of_a_variant_reaches_dvc_intact(study: Repository, tmp_path: Path) -> None:
    copy = study.at(Path(shutil.copytree(study.folder, tmp_path / "copy")))
    sources = ["https://localhost:1/a.tar.gz?b=c&d=e,f", "../données d'été", "C:\\data\\"]
    (copy.folder / "variants/elsewhere.yaml").write_text(json.dumps({"data": {"sources": sources}}))
    assert ran(copy.python("tools.variant", "elsewhere", "-S", "train.learning_rate=1e-5")) == ["train", "evaluate", "plot"]
    params = parse_yaml(copy.experiment("elsewhere-train.learning_rate=1e-5").read_text("params.yaml"), "params.yaml")
    assert params["data"]["sources"] == sources
    assert params["train"]["learning_rate"] == 1e-5


def test_a_branch_of_the_same_name_is_not_taken_for_the_experiment(study: Repository, tmp_path: Path) -> None:
    copy = study.at(Path(shutil.copytree(study.folder, tmp_path / "copy")))
    copy.dvc("exp", "branch", "initial", "initial")
    (copy.folder / "exported/plots").mkdir(parents=True)
    (copy.folder / "exported/plots/old.png").touch()
    copy.set("train.epochs", "1")
    copy.commit("Half the epochs")
    output = copy.python("tools.variant", "initial", "--export", "exported")
    assert "variant: initial is a branch or a tag, too, which DVC's commands take for it: rename that\n" in output
    assert sorted(path.name for path in (copy.folder / "exported/plots").iterdir()) == sorted(
        Path(name).name for name in study.hashes("initial") if name.startswith("plots/")
    )
    assert len((copy.folder / "exported/plots/learning_curve.csv").read_text().splitlines()) == 2
    copy.python("tools.compare", "initial", "refs/heads/initial")
    new, old = copy.json("comparison/comparison.json")
    assert new["test_accuracy"] == copy.json("exported/metrics/test.json")["accuracy"] != old["test_accuracy"]


def test_a_change_of_code_is_a_line_of_its_own(study: Repository, tmp_path: Path) -> None:
    copy = study.at(Path(shutil.copytree(study.folder, tmp_path / "copy")))
    copy.dvc("exp", "apply", "initial")
    copy.commit("Results")
    copy.run("git", "tag", "before")
    copy.replace("classifier/training/trainer.py", "from classifier", "# Another loop\nfrom classifier")
    copy.dvc("repro")
    copy.commit("Results of other code")
    copy.python("tools.compare", "before", "HEAD")
    assert [row["name"] for row in copy.json("comparison/comparison.json")] == ["before", "HEAD"]
    copy.set("train.learning_rate", "0.1")
    assert "compare: workspace: params.yaml has other values than its results: train.learning_rate\n" in copy.python(
        "tools.compare", "workspace"
    )
    assert "workspace: params.yaml has other values than the results: train.learning_rate" in copy.python("tools.table")


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
    assert output == (
        "compare: final: no such experiment, tag, branch or commit (did you mean initial?); "
        "there are augmented, batchnorm, initial\n"
    )


@pytest.mark.slow
def test_seeds_are_taken_together_and_a_killed_run_goes_on(study: Repository, tmp_path: Path) -> None:
    repository = study.at(Path(shutil.copytree(study.folder, tmp_path / "copy")))
    repository.environment = study.environment | {"CLASSIFIER_CHECKPOINT_SECONDS": "0"}
    command = ["tools.variant", "augmented", "--seeds", "0", "1"]
    assert ran(repository.kill_at("train: epoch 1/2", *command)) == ["train"], "seed 0 is the study's augmented"
    output = repository.python(*command)
    assert ran(output) == ["train", "evaluate", "plot"]
    assert re.search(r"train: resuming from \S+augmented-seed-1-pending.pt: [01] of 2 epochs done", output), output
    assert not [*(repository.folder / "checkpoints").iterdir()]
    repository.python("tools.compare", "augmented*")
    (row,) = repository.json("comparison/comparison.json")
    assert (row["name"], row["seeds"]) == ("augmented", 2)
    accuracies = []
    for name in ("augmented", "augmented-seed-1"):
        with repository.experiment(name).open("metrics/test.json") as file:
            accuracies.append(json.load(file)["accuracy"])
    assert row["test_accuracy"] == pytest.approx(sum(accuracies) / 2)
    assert row["test_accuracy_spread"] == pytest.approx(abs(accuracies[0] - accuracies[1]) / 2**0.5)


def test_jobs_give_the_bytes_of_stages_by_hand(study: Repository, tmp_path: Path) -> None:
    study.run("git", "clone", "--quiet", str(study.folder), str(tmp_path / "repository"))
    shutil.copytree(study.folder.parent / "the data", tmp_path / "the data")
    clone = study.at(tmp_path / "repository")
    clone.set("network.batch_norm", "false")
    clone.set("augmentation.flip", "false")
    clone.set("augmentation.crop_padding", "0")
    for stage in ("download", "preprocess", "train"):
        clone.python(f"stages.{stage}")
    for path in ("data/processed/train.safetensors", "models/classifier.pt", "plots/learning_curve.csv"):
        digest = hashlib.md5((clone.folder / path).read_bytes(), usedforsecurity=False).hexdigest()
        assert digest == study.hashes("initial")[path]


def test_a_change_of_code_runs_a_variant_again(study: Repository, tmp_path: Path) -> None:
    copy = study.at(Path(shutil.copytree(study.folder, tmp_path / "copy")))
    copy.replace("classifier/figures/confusion_matrix.py", "Most frequent confusions", "Commonest confusions")
    assert ran(copy.python("tools.variant", "initial")) == ["plot"]


def test_an_experiment_without_its_model_is_not_up_to_date(study: Repository, tmp_path: Path) -> None:
    copy = study.at(Path(shutil.copytree(study.folder, tmp_path / "copy")))
    md5 = copy.hashes("initial")["models/classifier.pt"]
    (copy.folder / ".dvc/cache/files/md5" / md5[:2] / md5[2:]).unlink()
    assert ran(copy.python("tools.variant", "initial", "batchnorm")) == ["train"]
    assert copy.hashes("initial")["models/classifier.pt"] == md5


def test_a_clone_with_the_cache_trains_nothing(study: Repository, tmp_path: Path) -> None:
    study.run("git", "clone", "--quiet", str(study.folder), str(tmp_path / "clone"))
    clone = study.at(tmp_path / "clone")
    clone.dvc("cache", "dir", "--local", str(study.folder / ".dvc/cache"))
    assert ran(clone.python("tools.variant", "initial")) == []
    assert clone.hashes("initial") == study.hashes("initial")


@pytest.mark.slow
def test_a_second_clone_gets_models_and_plots_through_a_remote_without_training(study: Repository, tmp_path: Path) -> None:
    publisher = study.at(Path(shutil.copytree(study.folder, tmp_path / "publisher")))
    publisher.python("tools.publish", *STUDY)
    publisher.commit("Publish the study")
    publisher.run("git", "init", "--quiet", "--bare", str(tmp_path / "origin.git"))
    publisher.run("git", "push", "--quiet", str(tmp_path / "origin.git"), "main")

    def set_up(name: str) -> Repository:
        publisher.run("git", "clone", "--quiet", "--branch", "main", str(tmp_path / "origin.git"), str(tmp_path / name))
        clone = publisher.at(tmp_path / name)
        clone.python("tools.publish", "--restore")
        assert sorted(experiments(clone)) == sorted(STUDY)
        return clone

    first = set_up("first")
    assert first.python("tools.variant", *STUDY).count("to run in place of the published results") == len(STUDY)
    first.dvc("exp", "push", "origin", *STUDY)
    block = (ROOT / "docs/sharing.md").read_text().partition("In another clone:\n\n```sh\n")[2].partition("```")[0]
    documented = [line.partition("  #")[0].strip() for line in block.splitlines()]
    assert [line.partition(" && ")[0] for line in documented[:2]] == ["git clone URL", "make setup"]

    clone = set_up("clone")
    restore = f"{sys.executable} -m tools.publish --restore"  # what `make published` runs
    clone.run("sh", "-ec", "\n".join(documented[2:]).replace("make published", restore))
    pulled = experiments(clone)
    assert pulled == experiments(first)
    assert ran(clone.python("tools.variant", *STUDY)) == []
    assert experiments(clone) == pulled, "the same files, so the same experiments"
    clone.python("tools.compare", *STUDY)
    clone.dvc("exp", "apply", "batchnorm")
    assert clone.hashes() == first.hashes("batchnorm")
    assert (clone.folder / "models/classifier.pt").exists()
    assert ran(clone.dvc("repro")) == []

    clone.run("git", "config", "user.name", "Tester")
    clone.run("git", "config", "user.email", "tester@example.com")
    clone.commit("Release")
    clone.run("git", "tag", "--annotate", "classifier@v1.0.0", "--message", "First model")
    clone.dvc("artifacts", "get", ".", "classifier", "--rev", "v1.0.0", "--out", "released.pt")
    clone.dvc("get", ".", "models/classifier.pt", "--rev", "batchnorm", "--out", "got.pt")
    for name in ("released.pt", "got.pt"):
        assert (clone.folder / name).read_bytes() == (clone.folder / "models/classifier.pt").read_bytes()
