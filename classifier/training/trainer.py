"""The training engine: one loop over images held in memory, on any device."""

import dataclasses
import math
import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from classifier.data.split import Split
from classifier.networks.build import freezable_parameters
from classifier.networks.device import Device, as_tensor
from classifier.networks.inference import predict
from classifier.params import AugmentationParams, TrainParams
from classifier.results.learning_curve import Epoch, best_epoch
from classifier.runtime.console import TrainingBar, counted, log
from classifier.runtime.errors import InputError, is_out_of_memory
from classifier.runtime.load import Load
from classifier.training.augmentation import augment, scale
from classifier.training.checkpoints import Checkpoint
from classifier.training.loss import class_weights, training_loss
from classifier.training.optimizers import build_optimizer, set_rate_factor
from classifier.training.schedules import rate_factor
from classifier.training.temperature import fit_temperature

MEASURED_IMAGES = 5000  # number of training images on which the training accuracy of the best weights is measured


class Training:
    """A training run.

    Raises InputError at the start when the network cannot take an image size of `params`, or has fewer convolutions or
    blocks than are to be frozen.

    Attributes
    ----------
    network
        Being trained.
    epochs
        The learning curve so far.
    epoch_step
        Number of steps done in the current epoch.
    best_weights
        State of the network after the best epoch so far, on the CPU.
    """

    def __init__(
        self,
        network: nn.Sequential,
        train: Split,
        validation: Split,
        augmentation: AugmentationParams,
        params: TrainParams,
        device: Device,
    ) -> None:
        self.network = network.to(device.name)
        self.device = device
        self.images, self.labels = _tensors(train, device)
        self._check_image_sizes(params)
        self.freezable = freezable_parameters(network)
        if len(params.freeze) > (most := len(self.freezable)):
            raise InputError(
                f"params.yaml: train.freeze: should have at most {counted(most, 'share')}, one for each convolution of the "
                f"network (in torchvision's designs, for each block), got {len(params.freeze)}"
            )
        self.validation_images, self.validation_labels = _tensors(validation, device)
        weights = class_weights(params.class_weights, train.labels)
        self.class_weights = None if weights is None else weights.to(device.name)
        self.augmentation = augmentation
        self.params = params
        self.optimizer = build_optimizer(params, self.network.parameters())
        self.steps_per_epoch = -(-len(train) // params.batch_size)
        self.generator = torch.Generator().manual_seed(params.seed)
        self.mirrored_first: Tensor | None = None
        if augmentation.flip == "alternating":
            self.mirrored_first = torch.randint(2, (len(train),), generator=self.generator, dtype=torch.bool)
        self.epochs: list[Epoch] = []
        self.best_weights: dict[str, Tensor] = {}
        self.started = time.perf_counter()
        self._start_epoch()

    def run(self, checkpoint: Checkpoint, stop_requested: Callable[[], bool], load: Load | None = None) -> None:
        """Train until the training is finished, with a log line after each epoch and a progress bar.

        The state is saved whenever the checkpoint is due after a step, at the end, when a stop is requested, and before `load`
        restarts this process. What those who watch may read is written then, at the start and after each epoch.

        Raises
        ------
        KeyboardInterrupt
            When a stop was requested, after the current step.
        InputError
            As `run_epoch`.
        """
        epochs = self.params.epochs
        first, started = self._steps_done(), time.perf_counter()

        def seconds_left() -> float:
            done = self._steps_done()
            return (time.perf_counter() - started) / (done - first) * (self.steps_per_epoch * epochs - done)

        def show() -> None:
            rate = (self._steps_done() - first) / self.steps_per_epoch * len(self.labels) / (time.perf_counter() - started)
            checkpoint.show(
                self.epochs,
                {
                    "steps": self._steps_done(),
                    "total_steps": self.steps_per_epoch * epochs,
                    "epochs": epochs,
                    "seconds": round(self.seconds, 1),
                    "images_per_second": round(rate),
                },
            )

        def after_step(images: int) -> None:
            if bar.advance(images):
                bar.show(*self.means())
            stopping = stop_requested()
            restarting = load is not None and not stopping and load.should_restart(self.device.threads, seconds_left)
            if stopping or restarting or checkpoint.is_due():
                checkpoint.save(self.state())
                show()
            if stopping:
                raise KeyboardInterrupt
            if load and restarting:
                bar.close()
                load.restart(stop_requested)

        show()
        with TrainingBar(epochs, len(self.labels), len(self.epochs) * len(self.labels) + self.seen) as bar:
            while not self.finished:
                epoch = self.run_epoch(after_step)
                show()
                bar.end_epoch()
                log(
                    f"train: epoch {epoch.epoch}/{epochs}: loss {epoch.train_loss:.3f}, accuracy {epoch.train_accuracy:.4f}; "
                    f"validation loss {epoch.validation_loss:.3f}, accuracy {epoch.validation_accuracy:.4f}"
                )
        if len(self.epochs) < epochs:
            log(
                f"train: ends after {len(self.epochs)} of {epochs} epochs: the best, epoch {best_epoch(self.epochs).epoch}, "
                f"lies {counted(self.params.patience, 'epoch')} back (train.patience)"
            )
        checkpoint.save(self.state())  # writing the results may fail

    def run_epoch(self, after_step: Callable[[int], object]) -> Epoch:
        """Train on every training image once, in random order, then measure the validation split.

        After `restore`, this resumes in the middle of an epoch.

        Parameters
        ----------
        after_step
            Called after every step with its number of images.

        Raises
        ------
        InputError
            When a loss is no longer a finite number; the epoch is not counted then.
        """
        self.network.train()
        # Sizes differ by one image at most: batch normalisation could not use the statistics of a small last batch.
        batches = self.order.tensor_split(self.steps_per_epoch)
        for indices in batches[self.epoch_step :]:
            step = self._steps_done()
            images, labels = self._batch(indices, step)
            self._freeze(step)
            set_rate_factor(self.optimizer, rate_factor(self.params.schedule, self._progress(step)))
            torch.manual_seed(_seed_of_step(self.params.seed, step))  # of dropout and stochastic depth
            with self.device.autocast():
                logits = self.network(images)
            loss = training_loss(logits.float(), labels, self.params.label_smoothing, self.class_weights)
            self.optimizer.zero_grad()
            self._backward(loss)
            self.optimizer.step()
            self.loss_sum += loss.detach() * len(labels)
            self.correct += (logits.detach().argmax(dim=1) == labels).sum()
            self.finite_steps += self.loss_sum.isfinite()
            self.epoch_step += 1
            self.seen += len(labels)
            after_step(len(labels))
        self._check_finite()
        validation_logits = predict(self.network, self.validation_images, self.device)
        train_loss, train_accuracy = self.means()
        epoch = Epoch(
            epoch=len(self.epochs) + 1,
            train_loss=train_loss,
            validation_loss=cross_entropy(validation_logits, self.validation_labels).item(),
            train_accuracy=train_accuracy,
            validation_accuracy=_accuracy(validation_logits, self.validation_labels),
            learning_rate=self.optimizer.param_groups[0]["lr"],
        )
        if not math.isfinite(epoch.validation_loss):
            raise self._diverged(f"the validation loss after epoch {epoch.epoch}, step {self.steps_per_epoch}")
        self.epochs.append(epoch)
        if best_epoch(self.epochs) == epoch:
            self.best_weights = {name: weight.cpu().clone() for name, weight in self.network.state_dict().items()}
        self._start_epoch()
        return epoch

    def _backward(self, loss: Tensor) -> None:
        """Compute the gradients; InputError when the device has no deterministic implementation of an operation."""
        try:
            loss.backward()  # type: ignore[no-untyped-call]
        except RuntimeError as error:
            operation, found, _ = str(error).partition(" does not have a deterministic implementation")
            if not found:
                raise
            raise InputError(
                f"params.yaml: network.design: this design has no deterministic gradient on {self.device.name} ({operation}), "
                "so that no result could be reproduced: choose another design, or set train.device to cpu"
            ) from None

    def means(self) -> tuple[float, float]:
        """Return mean loss and accuracy of the current epoch so far."""
        return self.loss_sum.item() / self.seen, self.correct.item() / self.seen

    @property
    def finished(self) -> bool:
        """Whether all epochs are done, or the best one lies as many epochs back as `patience` says."""
        done, patience = len(self.epochs), self.params.patience
        return done == self.params.epochs or (0 < patience <= done and done - best_epoch(self.epochs).epoch >= patience)

    @property
    def seconds(self) -> float:
        """Time spent in this run, including the time before it was resumed."""
        return time.perf_counter() - self.started

    def measure_best(self) -> tuple[dict[str, float], float]:
        """Return the scores of the best weights in float32 and evaluation mode, without augmentation, and their temperature.

        The network has the best weights afterwards.

        Returns
        -------
        scores
            `training_accuracy` on the first 5,000 training images, `validation_accuracy`, `validation_loss` in nats at the
            temperature.
        temperature
            Fitted to the validation split, or 1.
        """
        self.network.load_state_dict(self.best_weights)
        device = self.device.in_float32()
        training_logits = predict(self.network, self.images[:MEASURED_IMAGES], device)
        validation_logits = predict(self.network, self.validation_images, device)
        fitted = self.params.temperature == "validation"
        temperature = fit_temperature(validation_logits, self.validation_labels) if fitted else 1.0
        scores = {
            "training_accuracy": _accuracy(training_logits, self.labels[:MEASURED_IMAGES]),
            "validation_accuracy": _accuracy(validation_logits, self.validation_labels),
            "validation_loss": cross_entropy(validation_logits / temperature, self.validation_labels).item(),
        }
        return scores, temperature

    def state(self) -> dict[str, Any]:
        """Return everything that `restore` needs to continue as if nothing had happened, as tensors and plain values.

        The tensors are not copied. Raises InputError when the training has diverged.
        """
        self._check_finite()
        return {
            "network": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "generator": self.generator.get_state(),
            "epoch_step": self.epoch_step,
            "order": self.order,
            "loss_sum": self.loss_sum,
            "correct": self.correct,
            "finite_steps": self.finite_steps,
            "epochs": [dataclasses.astuple(epoch) for epoch in self.epochs],
            "best_weights": self.best_weights,
            "seconds": self.seconds,
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Continue from the state of a run that was started with the same arguments."""
        self.network.load_state_dict(state["network"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.generator.set_state(state["generator"])
        self.epoch_step = state["epoch_step"]
        self.order = state["order"]
        self.seen = sum(map(len, self.order.tensor_split(self.steps_per_epoch)[: self.epoch_step]))
        self.loss_sum = state["loss_sum"].to(self.device.name)
        self.correct = state["correct"].to(self.device.name)
        self.finite_steps = state["finite_steps"].to(self.device.name)
        self.epochs = [Epoch(*values) for values in state["epochs"]]
        self.best_weights = state["best_weights"]
        self.started = time.perf_counter() - state["seconds"]

    def _start_epoch(self) -> None:
        self.epoch_step = 0
        self.seen = 0
        self.order = torch.randperm(len(self.labels), generator=self.generator)
        self.loss_sum = torch.zeros((), device=self.device.name)
        self.correct = torch.zeros((), dtype=torch.int64, device=self.device.name)
        self.finite_steps = torch.zeros((), dtype=torch.int64, device=self.device.name)

    def _check_finite(self) -> None:
        if not self.loss_sum.isfinite():
            step = self.finite_steps.item() + 1
            raise self._diverged(f"the loss of epoch {len(self.epochs) + 1}, step {step} of {self.steps_per_epoch}")

    def _diverged(self, loss: str) -> InputError:
        return InputError(
            f"{loss}, is not a finite number: the training diverged; "
            f"lower train.learning_rate in params.yaml, which is {self.params.learning_rate:g}"
        )

    @torch.inference_mode()
    def _check_image_sizes(self, params: TrainParams) -> None:
        """Try every image size at the start, so that none fails in the middle of the training.

        The images' own size is tried first: an error there has another cause. Batch normalisation needs two values per channel.
        """
        self.network.eval()
        image = self.images[:1].to(self.device.name)
        pixels: list[int] = []  # that batch normalisation sees of an image
        hooks = [
            layer.register_forward_pre_hook(lambda _, values: pixels.append(values[0][0, 0].numel()))
            for layer in self.network.modules()
            if isinstance(layer, nn.BatchNorm2d)
        ]
        self.network(image)
        if params.image_sizes:
            pixels.clear()
        for size in params.image_sizes:
            try:
                self.network(scale(image, size))
            except RuntimeError as error:
                if is_out_of_memory(error):
                    raise
                raise InputError(
                    "params.yaml: train.image_sizes: should be sizes that the network can take (the study's takes images of "
                    f"their own size alone, airbench those that its poolings allow), got {size}"
                ) from None
        for hook in hooks:
            hook.remove()
        count = len(self.labels)
        if min(pixels, default=2) == 1 and count // -(-count // params.batch_size) == 1:
            raise InputError(
                "params.yaml: train.batch_size: should give batches of 2 images or more, since batch normalisation sees a "
                f"single pixel of each image, got {params.batch_size} with {counted(count, 'training image')}"
            )

    def _freeze(self, step: int) -> None:
        """Stop training a convolution or block after its share of the steps.

        Brock et al., "FreezeOut" (2017), without its rates.
        """
        for share, parameters in zip(self.params.freeze, self.freezable, strict=False):
            if self._progress(step) >= share:
                for parameter in parameters:
                    parameter.requires_grad_(False)

    def _steps_done(self) -> int:
        done: int = len(self.epochs) * self.steps_per_epoch + self.epoch_step
        return done

    def _progress(self, step: int) -> float:
        return step / (self.steps_per_epoch * self.params.epochs)

    def _batch(self, indices: Tensor, step: int) -> tuple[Tensor, Tensor]:
        """Return the augmented images at these indices, at the size of this step, with their labels."""
        # Alternating flips: an image is flipped in every other epoch (Jordan 2024, section 3.6).
        mirrored = None if self.mirrored_first is None else self.mirrored_first[indices] ^ (len(self.epochs) % 2 == 1)
        images = self.images.index_select(0, indices.to(self.images.device)).to(self.device.name)
        images = augment(images, self.augmentation, self.generator, mirrored)
        if sizes := self.params.image_sizes:
            images = scale(images, sizes[int(self._progress(step) * len(sizes))])
        return images, self.labels[indices.to(self.device.name)]


def _seed_of_step(seed: int, step: int) -> int:
    """Return a seed for a step, whose lower half, all that CPUs use, depends on both arguments, too."""
    return int(np.random.SeedSequence([seed, step]).generate_state(1, np.uint64)[0])


def _tensors(split: Split, device: Device) -> tuple[Tensor, Tensor]:
    """Return images and labels on the device; memory-mapped images stay where they are, since they may not fit on it."""
    images, labels = as_tensor(split.images), as_tensor(split.labels).to(device.name)
    return images if isinstance(split.images, np.memmap) else images.to(device.name), labels


def _accuracy(logits: Tensor, labels: Tensor) -> float:
    return (logits.argmax(dim=1) == labels).sum().item() / len(labels)
