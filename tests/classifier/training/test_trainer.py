import copy
import dataclasses
import io
import json
import os
import signal
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from classifier.data.split import DatasetInfo, Split, load_split, save_split
from classifier.networks.build import build_network, fit_whitening
from classifier.networks.device import Device
from classifier.networks.inference import predict
from classifier.params import AugmentationParams, NetworkParams, TrainParams
from classifier.results.learning_curve import best_epoch, load_curve
from classifier.runtime.errors import InputError
from classifier.runtime.stage import deferred_signals
from classifier.training import trainer
from classifier.training.checkpoints import Checkpoint
from classifier.training.trainer import Training

CPU = Device("cpu", "float32")
NO_AUGMENTATION = AugmentationParams(flip=False, crop_padding=0, crop_fill="black")
PARAMS = TrainParams(
    epochs=1,
    batch_size=16,
    learning_rate=0.01,
    optimizer="adam",
    schedule="constant",
    weight_decay=0.0,
    label_smoothing=0.0,
    class_weights="none",
    image_sizes=(),
    freeze=(),
    patience=0,
    temperature="none",
    seed=0,
    device="cpu",
    precision="float32",
)
AIRBENCH = NetworkParams("airbench", (8, 16), "gelu", True, 1 / 9, True, 1, 3, "none")
DESCRIPTION = DatasetInfo(("dark", "bright", "striped"), (0.5,), (0.25,))


def easy_split(count: int, seed: int) -> Split:
    """Images of three classes that a network learns at once: dark, bright, and half of each."""
    generator = np.random.default_rng(seed)
    labels = np.arange(count) % 3
    images = generator.integers(80, size=(count, 8, 8, 1), dtype=np.uint8)
    images[labels == 1] += 170
    images[labels == 2, :, ::2] += 170
    return Split(images, labels.astype(np.int64))


def start(
    params: TrainParams = PARAMS,
    augmentation: AugmentationParams = NO_AUGMENTATION,
    device: Device = CPU,
    count: int = 32,
    batch_norm: bool = True,
) -> Training:
    network = build_network(
        NetworkParams("study", (4, 8), "relu", False, 1.0, batch_norm, 16, 3, "none"), (8, 8, 1), DESCRIPTION, params.seed
    )
    return Training(network, easy_split(count, 1), easy_split(30, 2), augmentation, params, device)


def ignore(images: int) -> None:
    pass


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("batch_norm", [False, True])
def test_it_learns_32_images_by_heart(precision: Literal["float32", "bfloat16"], batch_norm: bool) -> None:
    training = start(device=Device("cpu", precision), batch_norm=batch_norm)
    epochs = [training.run_epoch(ignore) for _ in range(15)]
    assert epochs[-1].train_accuracy == 1
    assert epochs[-1].train_loss < 0.1
    assert epochs[-1].validation_accuracy > 0.9


def test_an_epoch_sees_every_image_once_and_reports_every_step() -> None:
    training = start(count=37)
    steps: list[int] = []
    means: list[tuple[float, float]] = []

    def after_step(images: int) -> None:
        steps.append(images)
        means.append(training.means())

    epoch = training.run_epoch(after_step)
    assert steps == [13, 12, 12]
    assert means[-1] == (epoch.train_loss, epoch.train_accuracy)
    assert (epoch.epoch, epoch.learning_rate) == (1, 0.01)


def test_a_remainder_of_one_image_is_no_batch_of_its_own() -> None:
    steps: list[int] = []
    start(count=33).run_epoch(steps.append)
    assert steps == [11, 11, 11]


def test_the_weights_kept_are_those_of_the_best_epoch() -> None:
    # So large a learning rate makes validation go up and down.
    training = start(dataclasses.replace(PARAMS, learning_rate=0.3), count=64)
    states = []
    for _ in range(8):
        training.run_epoch(ignore)
        states.append({name: weight.clone() for name, weight in training.network.state_dict().items()})
    best = max(training.epochs, key=lambda epoch: (epoch.validation_accuracy, -epoch.validation_loss))
    assert best.epoch < 8, "this test needs a best epoch that is not the last"
    assert all(torch.equal(training.best_weights[name], weight) for name, weight in states[best.epoch - 1].items())


def test_the_same_seed_gives_the_same_weights_and_another_seed_gives_others() -> None:
    augmentation = AugmentationParams(flip=True, crop_padding=1, crop_fill="black")
    weights = []
    for seed in (1, 1, 2):
        training = start(dataclasses.replace(PARAMS, seed=seed), augmentation)
        curve = [training.run_epoch(ignore) for _ in range(2)]
        weights.append((curve, torch.cat([weight.flatten().float() for weight in training.best_weights.values()])))
    assert weights[0][0] == weights[1][0]
    assert torch.equal(weights[0][1], weights[1][1])
    assert not torch.equal(weights[0][1], weights[2][1])


def test_the_validation_split_is_neither_augmented_nor_learned_from() -> None:
    training = start(augmentation=AugmentationParams(flip=True, crop_padding=1, crop_fill="black"))
    images = training.validation_images.clone()
    epoch = training.run_epoch(ignore)
    training.network.eval()
    with torch.inference_mode():
        logits = training.network(images)
    assert epoch.validation_accuracy == (logits.argmax(1) == training.validation_labels).double().mean().item()
    assert epoch.validation_loss == pytest.approx(torch.nn.functional.cross_entropy(logits, training.validation_labels).item())


def test_the_schedule_goes_over_all_steps_of_all_epochs() -> None:
    training = start(dataclasses.replace(PARAMS, epochs=4, schedule="linear"))
    rates = [training.run_epoch(ignore).learning_rate for _ in range(4)]
    # Two steps an epoch, eight in all: the second of each is step 1, 3, 5 and 7.
    assert rates == pytest.approx([0.01 * (1 - step / 8) for step in (1, 3, 5, 7)])


def test_label_smoothing_is_in_the_training_loss_alone() -> None:
    plain, smoothed = (start(dataclasses.replace(PARAMS, label_smoothing=smoothing)) for smoothing in (0.0, 0.5))
    for training in (plain, smoothed):
        for _ in range(20):
            training.run_epoch(ignore)
    # The least loss against targets of 2/3, 1/6 and 1/6 is their entropy, 0.868 nats.
    assert plain.epochs[-1].train_loss < 0.05
    assert 0.868 <= smoothed.epochs[-1].train_loss < 1
    assert smoothed.epochs[-1].validation_loss < 0.868


def test_class_weights_are_in_the_training_loss_and_in_no_validation_score() -> None:
    params = dataclasses.replace(PARAMS, batch_size=40, label_smoothing=0.1, class_weights="balanced")
    network = build_network(AIRBENCH, (8, 8, 1), DESCRIPTION, 0)
    split = easy_split(60, 1)
    keep = np.flatnonzero((split.labels == 0) | (np.arange(60) < 30))  # 20, 10 and 10 images
    training = Training(network, split.take(keep), easy_split(30, 2), NO_AUGMENTATION, params, CPU)
    before = copy.deepcopy(network).train()
    epoch = training.run_epoch(ignore)
    labels = training.labels
    with torch.inference_mode():
        losses = torch.nn.functional.cross_entropy(before(training.images), labels, label_smoothing=0.1, reduction="none")
        validation_logits = predict(network, training.validation_images, CPU)
    weights = torch.tensor([2 / 3, 4 / 3, 4 / 3])[labels]
    assert weights.mean() == pytest.approx(1)
    assert epoch.train_loss == pytest.approx((weights * losses).sum().item() / 40, rel=1e-5)
    assert epoch.train_loss != pytest.approx(losses.mean().item(), rel=1e-3), "this test needs weights that show"
    expected = torch.nn.functional.cross_entropy(validation_logits, training.validation_labels).item()
    assert epoch.validation_loss == training.measure_best()[0]["validation_loss"] == expected


def test_a_training_that_diverges_says_so() -> None:
    training = start(dataclasses.replace(PARAMS, optimizer="sgd", learning_rate=1000))
    with pytest.raises(
        InputError, match=r"loss .* step 2.* is not a finite number: the training diverged; lower train\.learning_rate"
    ):
        [training.run_epoch(ignore) for _ in range(5)]


def test_alternating_flips_mirror_every_image_in_one_of_two_epochs() -> None:
    training = start(augmentation=AugmentationParams(flip="alternating", crop_padding=0, crop_fill="black"))
    seen: list[Tensor] = []
    for _ in range(2):
        seen.append(training._batch(torch.arange(32), 0)[0])
        training.run_epoch(ignore)
    mirrored = training.images.flip(2)
    changes = (training.images != mirrored).flatten(1).any(1)
    first, second = ((images == mirrored).flatten(1).all(1) for images in seen)
    assert torch.equal(first[changes], ~second[changes])
    assert 0 < first[changes].sum() < changes.sum()


def test_image_sizes_take_equal_shares_of_the_steps() -> None:
    params = dataclasses.replace(PARAMS, epochs=3, image_sizes=(6, 5, 8))
    network = build_network(AIRBENCH, (8, 8, 1), DESCRIPTION, 0)
    training = Training(network, easy_split(32, 1), easy_split(30, 2), NO_AUGMENTATION, params, CPU)
    sizes = [training._batch(torch.arange(2), step)[0].shape[1] for step in range(6)]
    assert sizes == [6, 6, 5, 5, 8, 8]


def test_an_image_size_that_the_network_cannot_take_is_refused_at_the_start() -> None:
    with pytest.raises(InputError, match=r"train\.image_sizes: .* got 1"):
        start(dataclasses.replace(PARAMS, image_sizes=(8, 1)))


@pytest.mark.parametrize("at", [1, 2])
@pytest.mark.parametrize("message", ["CUDA out of memory. Tried to allocate", "DefaultCPUAllocator: can't allocate memory"])
def test_a_lack_of_memory_is_not_blamed_on_the_image_sizes(monkeypatch: pytest.MonkeyPatch, message: str, at: int) -> None:
    forward, calls = nn.Linear.forward, 0

    def fail(self: nn.Linear, values: Tensor) -> Tensor:
        nonlocal calls
        calls += 1
        if calls == at:
            raise RuntimeError(message)
        return forward(self, values)

    monkeypatch.setattr(nn.Linear, "forward", fail)
    with pytest.raises(RuntimeError, match="memory"):
        start(dataclasses.replace(PARAMS, image_sizes=(8,)))


def test_an_error_that_every_image_size_raises_is_not_blamed_on_them(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> Tensor:
        raise RuntimeError("cuDNN error: CUDNN_STATUS_EXECUTION_FAILED")

    monkeypatch.setattr(nn.Linear, "forward", fail)
    with pytest.raises(RuntimeError, match="cuDNN error"):
        start(dataclasses.replace(PARAMS, image_sizes=(8,)))


@pytest.mark.parametrize("design", ["study", "airbench"])
@pytest.mark.parametrize(("batch_size", "count"), [(1, 6), (2, 3), (6, 1)])
def test_a_batch_of_one_image_is_refused_where_batch_normalisation_sees_a_single_pixel(
    design: Literal["study", "airbench"], batch_size: int, count: int
) -> None:
    params = dataclasses.replace(PARAMS, batch_size=batch_size)
    single, several = ((4,) * 6, (4,) * 4) if design == "study" else ((4,) * 3, (4, 8))

    def train(widths: tuple[int, ...], **changes: Any) -> None:
        settings = NetworkParams(design, widths, "relu", False, 1.0, True, 8, 3, "none")
        network = build_network(settings, (8, 8, 1), DESCRIPTION, 0)
        Training(
            network, easy_split(count, 1), easy_split(6, 2), NO_AUGMENTATION, dataclasses.replace(params, **changes), CPU
        ).run_epoch(ignore)

    train(several)
    line = rf"^params\.yaml: train\.batch_size: should give batches of 2 .*, got {batch_size} with {count} training images?$"
    with pytest.raises(InputError, match=line):
        train(single)
    if design == "airbench":
        with pytest.raises(InputError, match=line):
            train(several, image_sizes=(8, 4))


@pytest.mark.parametrize("optimizer", ["adam", "sgd", "muon"])
def test_a_frozen_convolution_stays_as_it_is_and_the_others_go_on_learning(optimizer: Literal["adam", "sgd", "muon"]) -> None:
    params = dataclasses.replace(PARAMS, epochs=4, optimizer=optimizer, freeze=(0.25, 0.5, 0.5))
    network = build_network(AIRBENCH, (8, 8, 1), DESCRIPTION, 0)
    training = Training(network, easy_split(32, 1), easy_split(30, 2), NO_AUGMENTATION, params, CPU)
    learnt = {name: parameter for name, parameter in network.named_parameters() if parameter.requires_grad}
    changed = []
    for _ in range(4):
        before = {name: parameter.clone() for name, parameter in learnt.items()}
        training.run_epoch(ignore)
        changed.append([name for name, parameter in learnt.items() if not torch.equal(parameter, before[name])])
    # The weights of each convolution and the bias of the normalisation behind it, in order, and those of the classifier.
    names = list(learnt)
    assert changed == [names, names[2:], names[6:], names[6:]]


def test_more_convolutions_to_freeze_than_there_are_is_refused_at_the_start() -> None:
    with pytest.raises(InputError, match=r"train\.freeze: should have at most 2 shares, one for each convolution .*, got 3"):
        start(dataclasses.replace(PARAMS, freeze=(0.5, 0.5, 0.5)))


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_airbench_with_muon_learns_32_images_by_heart(precision: Literal["float32", "bfloat16"]) -> None:
    params = dataclasses.replace(
        PARAMS, epochs=15, optimizer="muon", learning_rate=0.2, schedule="linear", label_smoothing=0.1, image_sizes=(6, 8)
    )
    network = build_network(AIRBENCH, (8, 8, 1), DESCRIPTION, 0)
    split = easy_split(32, 1)
    fit_whitening(network, torch.from_numpy(split.images))
    training = Training(network, split, easy_split(30, 2), NO_AUGMENTATION, params, Device("cpu", precision))
    epochs = [training.run_epoch(ignore) for _ in range(15)]
    assert epochs[-1].train_accuracy == 1
    assert epochs[-1].validation_accuracy > 0.9


class StoppedError(Exception):
    pass


def saved(training: Training) -> Any:
    """The state of a training as it comes back from a file."""
    file = io.BytesIO()
    torch.save(training.state(), file)
    file.seek(0)
    return torch.load(file, weights_only=True)


@pytest.mark.parametrize("optimizer", ["adam", "sgd", "muon"])
@pytest.mark.parametrize("stop_after", [0, 1, 2, 5, 7, 8])
def test_a_training_restored_from_its_state_ends_with_the_same_bytes(
    optimizer: Literal["adam", "sgd", "muon"], stop_after: int
) -> None:
    params = dataclasses.replace(
        PARAMS,
        epochs=3,
        optimizer=optimizer,
        learning_rate=0.05,
        schedule="cosine",
        image_sizes=(6, 8),
        freeze=(0.2, 0.6),
        batch_size=12,
    )
    augmentation = AugmentationParams(flip="alternating", crop_padding=1, crop_fill="black")

    def begin(network_seed: int) -> Training:
        network = build_network(AIRBENCH, (8, 8, 1), DESCRIPTION, network_seed)
        split = easy_split(32, 1)
        fit_whitening(network, torch.from_numpy(split.images))
        return Training(network, split, easy_split(30, 2), augmentation, params, CPU)

    steps = 0

    def stop(*_: object, **__: object) -> None:
        nonlocal steps
        steps += 1
        if steps == stop_after:
            raise StoppedError

    whole, stopped = begin(0), begin(0)
    with suppress(StoppedError):
        while steps < stop_after:
            stopped.run_epoch(stop)
    resumed = begin(1)
    resumed.restore(saved(stopped))
    assert len(resumed.epochs) * 3 + resumed.epoch_step == stop_after
    for training in (whole, resumed):
        while len(training.epochs) < 3:
            training.run_epoch(ignore)
    assert resumed.epochs == whole.epochs
    for ours, theirs in (
        (resumed.best_weights, whole.best_weights),
        (resumed.network.state_dict(), whole.network.state_dict()),
    ):
        assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


def never() -> bool:
    return False


@pytest.fixture
def checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Checkpoint:
    monkeypatch.setenv("CLASSIFIER_CHECKPOINT_SECONDS", "1000")
    return Checkpoint(tmp_path / "train.pt", {})


def same_result(one: Training, other: Training) -> bool:
    return one.epochs == other.epochs and all(
        torch.equal(one.best_weights[name], other.best_weights[name]) for name in one.best_weights
    )


@pytest.mark.parametrize("stop_after", [1, 2, 3, 7])
def test_a_signal_lets_the_current_step_end_saves_the_state_and_the_resumed_run_has_the_same_result(
    checkpoint: Checkpoint, stop_after: int
) -> None:
    params = dataclasses.replace(PARAMS, epochs=4)
    whole, stopped, resumed = (start(params) for _ in range(3))
    whole.run(checkpoint, never)
    checkpoint.remove()
    batch, steps = stopped._batch, 0

    def interrupt(indices: Tensor, step: int) -> tuple[Tensor, Tensor]:
        nonlocal steps
        steps += 1
        if steps == stop_after:
            os.kill(os.getpid(), signal.SIGTERM)
        return batch(indices, step)

    stopped._batch = interrupt  # type: ignore[method-assign]
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt), deferred_signals() as stop_requested:
            stopped.run(checkpoint, stop_requested)
    finally:
        signal.signal(signal.SIGTERM, before)
    assert steps == stop_after, "no further step"
    state = checkpoint.load()
    assert state
    resumed.restore(state)
    assert len(resumed.epochs) * 2 + resumed.epoch_step == stop_after
    resumed.run(checkpoint, never)
    assert same_result(resumed, whole)


def test_a_training_out_of_patience_ends_and_one_that_resumes_ends_with_the_same_bytes(
    checkpoint: Checkpoint, capsys: pytest.CaptureFixture[str]
) -> None:
    # So large a learning rate makes validation go up and down.
    params = dataclasses.replace(PARAMS, learning_rate=0.3, epochs=30, patience=3)
    impatient, patient = start(params, count=64), start(dataclasses.replace(params, epochs=10, patience=0), count=64)
    impatient.run(checkpoint, never)
    done, best = len(impatient.epochs), best_epoch(impatient.epochs)
    assert 4 < done < 10, "this test needs a training that ends early, and not at once"
    assert done - best.epoch == 3
    assert all(epoch - best_epoch(impatient.epochs[:epoch]).epoch < 3 for epoch in range(1, done))
    line = f"train: ends after {done} of 30 epochs: the best, epoch {best.epoch}, lies 3 epochs back (train.patience)\n"
    assert line in capsys.readouterr().out
    patient.run(checkpoint, never)
    assert patient.epochs[:done] == impatient.epochs
    assert len(patient.epochs) == 10
    stopped, states = start(params, count=64), []
    while len(stopped.epochs) < done:
        stopped.run_epoch(lambda _: states.append(saved(stopped)))
    for state in [*states, saved(stopped)]:
        resumed = start(params, count=64)
        resumed.restore(state)
        resumed.run(checkpoint, never)
        assert same_result(resumed, impatient)


def test_the_state_is_saved_after_the_step_in_which_it_is_due_and_at_the_end(
    checkpoint: Checkpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    training = start(dataclasses.replace(PARAMS, epochs=3))
    saved_at: list[int] = []
    monkeypatch.setattr(checkpoint, "is_due", lambda: len(training.epochs) * 2 + training.epoch_step in (3, 4))
    monkeypatch.setattr(checkpoint, "save", lambda state: saved_at.append(len(state["epochs"]) * 2 + state["epoch_step"]))
    training.run(checkpoint, never)
    assert saved_at == [3, 4, 6]


def test_those_who_watch_find_the_curve_so_far_and_the_steps_beside_the_checkpoint(checkpoint: Checkpoint) -> None:
    training = start(dataclasses.replace(PARAMS, epochs=3))
    seen: list[tuple[int, int, int]] = []

    def stop_requested() -> bool:
        progress = json.loads(checkpoint.progress.read_text())
        assert progress["process"] == os.getpid()
        assert (progress["total_steps"], progress["epochs"]) == (training.steps_per_epoch * 3, 3)
        seen.append((len(checkpoint.curve.read_text().splitlines()) - 1, progress["steps"], progress["images_per_second"]))
        return False

    training.run(checkpoint, stop_requested)
    epochs = [epochs for epochs, _, _ in seen]
    assert epochs == sorted(epochs)
    assert set(epochs) == {0, 1, 2}
    assert {steps for _, steps, _ in seen} == {number * training.steps_per_epoch for number in (0, 1, 2)}
    assert all(rate > 0 for epochs, _, rate in seen if epochs)
    assert load_curve(checkpoint.curve)[-1].epoch == 3
    checkpoint.remove()
    assert not [*checkpoint.path.parent.iterdir()]


def test_the_seconds_of_a_resumed_run_include_those_before(checkpoint: Checkpoint) -> None:
    training = start()
    training.restore(saved(start()) | {"seconds": 5000.0})
    training.run(checkpoint, never)
    assert 5000 < training.seconds < 6000


def test_the_best_weights_are_measured_in_float32_on_images_without_augmentation(checkpoint: Checkpoint) -> None:
    augmentation = AugmentationParams(flip=True, crop_padding=2, crop_fill="black")
    training = start(dataclasses.replace(PARAMS, epochs=3), augmentation, Device("cpu", "bfloat16"), count=40)
    training.run(checkpoint, never)
    scores, temperature = training.measure_best()
    assert temperature == 1
    network = build_network(NetworkParams("study", (4, 8), "relu", False, 1.0, True, 16, 3, "none"), (8, 8, 1), DESCRIPTION, 0)
    network.load_state_dict(training.best_weights)
    network.eval()
    train, validation = easy_split(40, 1), easy_split(30, 2)
    with torch.inference_mode():
        logits, validation_logits = (network(torch.from_numpy(split.images)) for split in (train, validation))
    labels = torch.from_numpy(validation.labels)
    assert scores == {
        "training_accuracy": np.mean(logits.argmax(1).numpy() == train.labels),
        "validation_accuracy": np.mean(validation_logits.argmax(1).numpy() == validation.labels),
        "validation_loss": pytest.approx(torch.nn.functional.cross_entropy(validation_logits, labels).item(), rel=1e-6),
    }
    assert scores["validation_loss"] != pytest.approx(best_epoch(training.epochs).validation_loss, rel=1e-6), "bfloat16"


def test_a_temperature_lowers_the_validation_loss_and_changes_no_accuracy(checkpoint: Checkpoint) -> None:
    training = start(dataclasses.replace(PARAMS, epochs=2))
    training.run(checkpoint, never)
    plain, _ = training.measure_best()
    training.params = dataclasses.replace(training.params, temperature="validation")
    scores, temperature = training.measure_best()
    assert temperature != 1
    assert scores["validation_loss"] < plain["validation_loss"]
    assert {**scores, "validation_loss": 0} == {**plain, "validation_loss": 0}


def test_the_training_accuracy_is_that_of_the_first_5000_images(
    checkpoint: Checkpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    training = start()
    training.run(checkpoint, never)
    counts: list[int] = []

    def count(network: nn.Module, images: Tensor, device: Device) -> Tensor:
        counts.append(len(images))
        return predict(network, images, device)

    monkeypatch.setattr(trainer, "predict", count)
    monkeypatch.setattr(trainer, "MEASURED_IMAGES", 20)
    training.measure_best()
    assert counts == [20, 30]


@pytest.mark.filterwarnings("error")
def test_memory_mapped_images_give_the_same_result(
    checkpoint: Checkpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = start(dataclasses.replace(PARAMS, epochs=2))
    read.run(checkpoint, never)
    monkeypatch.setattr("classifier.data.split.MAPPED_FROM", 1)
    save_split(easy_split(32, 1), tmp_path / "train")
    save_split(easy_split(30, 2), tmp_path / "validation")
    train, validation = load_split(tmp_path / "train"), load_split(tmp_path / "validation")
    assert isinstance(train.images, np.memmap)
    mapped = Training(start().network, train, validation, NO_AUGMENTATION, read.params, CPU)
    mapped.run(checkpoint, never)
    assert same_result(mapped, read)


def test_the_error_of_a_training_that_diverged_names_the_step_and_no_state_is_given_away() -> None:
    training = start(dataclasses.replace(PARAMS, batch_size=4))

    def poison(*_: object, **__: object) -> None:
        if len(training.epochs) == 1 and training.epoch_step == 5:
            for parameter in training.network.parameters():
                parameter.data.fill_(torch.nan)

    training.run_epoch(poison)
    training.state()
    expected = r"the loss of epoch 2, step 6 of 8, is not a finite number: the training diverged; lower train\.learning_rate"
    with pytest.raises(InputError, match=expected):
        training.run_epoch(poison)
    with pytest.raises(InputError, match=expected):
        training.state()
    assert len(training.epochs) == 1


def test_weights_that_the_last_step_of_an_epoch_spoils_show_in_its_validation() -> None:
    training = start()

    def poison(*_: object, **__: object) -> None:
        if training.epoch_step == 2:
            for parameter in training.network.parameters():
                parameter.data.fill_(torch.nan)

    with pytest.raises(InputError, match="the validation loss after epoch 1, step 2, is not a finite number"):
        training.run_epoch(poison)


@pytest.mark.parametrize("schedule", ["constant", "linear", "cosine"])
@pytest.mark.parametrize(("optimizer", "learning_rate"), [("adam", 0.01), ("sgd", 0.05), ("muon", 0.12)])
@pytest.mark.parametrize("design", ["study", "airbench"])
def test_every_design_optimizer_and_schedule_learns_32_images_by_heart(
    design: Literal["study", "airbench"],
    optimizer: Literal["adam", "sgd", "muon"],
    learning_rate: float,
    schedule: Literal["constant", "linear", "cosine"],
) -> None:
    params = dataclasses.replace(
        PARAMS, epochs=20, optimizer=optimizer, learning_rate=learning_rate, schedule=schedule, label_smoothing=0.1
    )
    network = build_network(dataclasses.replace(AIRBENCH, design=design, hidden_width=16), (8, 8, 1), DESCRIPTION, 0)
    split = easy_split(32, 1)
    fit_whitening(network, torch.from_numpy(split.images))
    training = Training(network, split, easy_split(30, 2), NO_AUGMENTATION, params, CPU)
    epochs = [training.run_epoch(ignore) for _ in range(20)]
    assert epochs[-1].train_accuracy == 1
    assert epochs[-1].train_loss < epochs[0].train_loss
    assert best_epoch(epochs).validation_accuracy > 0.9


@pytest.mark.parametrize("activation", ["relu", "silu", "gelu"])
@pytest.mark.parametrize("whitening", [False, True])
@pytest.mark.parametrize("design", ["study", "airbench"])
def test_a_gradient_reaches_every_weight_that_is_trained_and_no_other(
    design: Literal["study", "airbench"], whitening: bool, activation: Literal["relu", "silu", "gelu"]
) -> None:
    params = NetworkParams(design, (8, 16), activation, whitening, 1.0, True, 16, 3, "none")
    network = build_network(params, (8, 8, 1), DESCRIPTION, 0)
    split = easy_split(32, 1)
    fit_whitening(network, torch.from_numpy(split.images))
    logits = network(torch.from_numpy(split.images))
    torch.nn.functional.cross_entropy(logits, torch.from_numpy(split.labels)).backward()  # type: ignore[no-untyped-call]
    for name, parameter in network.named_parameters():
        assert (parameter.grad is not None and parameter.grad.abs().sum() > 0) == parameter.requires_grad, name


class Nondeterministic(torch.autograd.Function):
    """Returns its input; its gradient is an operation that has no deterministic implementation."""

    @staticmethod
    def forward(_: Any, values: Tensor) -> Tensor:
        return values.clone()

    @staticmethod
    def backward(_: Any, gradient: Tensor) -> Tensor:
        return gradient.clone().put_(torch.tensor([0]), torch.tensor([0.0]))


class Layer(nn.Module):
    def forward(self, values: Tensor) -> Tensor:
        return Nondeterministic.apply(values)  # type: ignore[no-any-return]


def test_a_network_without_a_deterministic_gradient_is_refused_in_one_line() -> None:
    training = start()
    training.network.append(Layer())
    mode = torch.get_deterministic_debug_mode()
    torch.set_deterministic_debug_mode("error")
    line = r"^params\.yaml: network\.design: this design has no deterministic gradient on cpu \(put_\), "
    try:
        with pytest.raises(InputError, match=line):
            training.run_epoch(ignore)
    finally:
        torch.set_deterministic_debug_mode(mode)


def test_each_step_and_each_seed_has_random_numbers_of_its_own_for_dropout() -> None:
    def masks(seed: int) -> list[tuple[float, ...]]:
        training = start(dataclasses.replace(PARAMS, seed=seed))
        dropout, seen = nn.Dropout(0.5), list[tuple[float, ...]]()
        training.network.append(dropout)
        dropout.register_forward_hook(lambda _, __, output: seen.append(tuple((output == 0).flatten().tolist())))
        training.run_epoch(ignore)
        return [mask for mask in seen if any(mask)]

    first, other = masks(1), masks(2)
    torch.manual_seed(9)
    assert masks(1) == first
    assert len({*first, *other}) == len(first) + len(other) == 4, "two steps of each"
