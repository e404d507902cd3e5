from typing import Any

from tools.table import WIDTH, table

BASE = {"network.batch_norm": True, "augmentation.flip": True, "augmentation.crop_padding": 4, "data.seed": 0, "train.seed": 0}


def data(**changes: Any) -> dict[str, Any]:
    """One revision of `dvc exp show --json`, on BASE with the changes SECTION__KEY."""
    params: dict[str, dict[str, Any]] = {}
    for key, value in (BASE | {key.replace("__", "."): value for key, value in changes.items()}).items():
        section, name = key.split(".")
        params.setdefault(section, {})[name] = value
    train = {"validation_accuracy": 0.755, "training_accuracy": 0.9, "best_epoch": 10, "seconds": 419.3}
    metrics = {"metrics/test.json": {"data": {"accuracy": 0.752}}, "metrics/train.json": {"data": train}}
    return {"params": {"params.yaml": {"data": params}}, "metrics": metrics}


def shown(workspace: Any, experiments: dict[str, Any]) -> list[dict[str, Any]]:
    listed = [{"revs": [{"rev": "0123456789", "name": name, "data": each}]} for name, each in experiments.items()]
    return [
        {"rev": "workspace", "name": None, "data": workspace, "experiments": None},
        {"rev": "0123456789", "name": "main", "data": data(), "experiments": listed},
    ]


def test_the_experiments_of_the_study_fit_into_120_columns() -> None:
    plain = {"network__batch_norm": False, "augmentation__flip": False, "augmentation__crop_padding": 0}
    lines = table(
        shown(data(), {"initial-seed-1": data(**plain, train__seed=1), "augmented": data(), "initial": data(**plain)})
    )
    assert [line.split()[0] for line in lines] == ["experiment", "workspace", "main", "augmented", "initial", "initial-seed-1"]
    assert lines[5].split()[1:] == [
        *("75.2%", "75.5%", "90.0%", "10", "419"),
        *("batch_norm=false", "flip=false", "crop_padding=0", "train.seed=1"),
    ]
    assert max(map(len, lines)) <= WIDTH == 120


def test_a_commit_that_has_no_name_is_shown_by_the_start_of_its_hash() -> None:
    revisions = shown(data(), {})
    revisions[1] |= {"name": None, "rev": "0123456789abcdef0123456789abcdef01234567"}
    assert [line.split()[0] for line in table(revisions)] == ["experiment", "workspace", "0123456"]


def test_what_differs_goes_on_in_the_next_line_where_it_is_long() -> None:
    sections = {f"train__key_{number}": number for number in range(20)}
    lines = table(shown(data(**sections), {"n" * 100: data(**sections)}))
    assert all(" ".join(lines).count(f" key_{number}={number}") == 2 for number in range(20))
    assert max(map(len, lines)) < 200


def test_a_revision_without_results_has_no_scores() -> None:
    (line,) = [line for line in table(shown(None, {})) if line.startswith("workspace")]
    assert line.split() == ["workspace", "-", "-", "-", "-", "-"]
