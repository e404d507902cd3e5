"""The training engine: one loop over images held in memory, on any device."""

import dataclasses
import math
from collections.abc import Mapping
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from classifier.data.split import Split
from classifier.networks.build import convolution_parameters
from classifier.networks.device import Device
from classifier.networks.inference import predict
from classifier.params import AugmentationParams, TrainParams
from classifier.results.learning_curve import Epoch, best_epoch
from classifier.runtime.errors import InputError
from classifier.training.augmentation import augment, scale
from classifier.training.optimizers import build_optimizer, set_rate_factor
from classifier.training.schedules import rate_factor


class Progress(Protocol):
    """What is called after every step."""

    def __call__(self, images: int, loss: Tensor, accuracy: Tensor) -> None:
        """Take the number of images of the step, and the epoch's mean loss and accuracy so far."""


class Training:
    """A training under way.

    Raises InputError at the start when the network cannot take an image size of `params`, or has fewer convolutions than are
    to be frozen.

    Attributes
    ----------
    network
        Being trained.
    epochs
        What came of each epoch so far.
    epoch_step
        Number of steps done of the epoch under way.
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
        self.images, self.labels = _on(device, train)
        self._check_image_sizes(params)
        self.convolutions = convolution_parameters(network)
        if len(params.freeze) > (most := len(self.convolutions)):
            raise InputError(
                f"params.yaml: train.freeze: should have at most {most} shares, one for each convolution of the network, "
                f"got {len(params.freeze)}"
            )
        self.validation_images, self.validation_labels = _on(device, validation)
        self.augmentation = augmentation
        self.params = params
        self.device = device
        self.optimizer = build_optimizer(params, self.network.parameters())
        self.steps_an_epoch = -(-len(train) // params.batch_size)
        self.generator = torch.Generator().manual_seed(params.seed)
        self.mirrored_first: Tensor | None = None
        if augmentation.flip == "alternating":
            self.mirrored_first = torch.randint(2, (len(train),), generator=self.generator, dtype=torch.bool)
        self.epochs: list[Epoch] = []
        self.best_weights: dict[str, Tensor] = {}
        self._start_epoch()

    def run_epoch(self, progress: Progress) -> Epoch:
        """Train on every training image once, in random order, then measure the validation split.

        An epoch that was under way when the state was saved goes on where it was.

        Raises
        ------
        InputError
            When a loss is no longer a finite number; the epoch is not counted then.
        """
        self.network.train()
        # Batches that differ by one image at most: no small last one, whose statistics batch normalisation could not use.
        batches = self.order.tensor_split(self.steps_an_epoch)
        seen = sum(map(len, batches[: self.epoch_step]))
        for indices in batches[self.epoch_step :]:
            step = len(self.epochs) * self.steps_an_epoch + self.epoch_step
            images, labels = self._batch(indices, step)
            self._freeze(step)
            set_rate_factor(self.optimizer, rate_factor(self.params.schedule, self._progress(step)))
            with self.device.autocast():
                logits = self.network(images)
            loss = cross_entropy(logits.float(), labels, label_smoothing=self.params.label_smoothing)
            self.optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            self.optimizer.step()
            self.loss_sum += loss.detach() * len(labels)
            self.correct += (logits.detach().argmax(dim=1) == labels).sum()
            self.finite_steps += self.loss_sum.isfinite()
            self.epoch_step += 1
            seen += len(labels)
            progress(len(labels), self.loss_sum / seen, self.correct / seen)
        self._check_finite()
        validation_logits = predict(self.network, self.validation_images, self.device)
        epoch = Epoch(
            epoch=len(self.epochs) + 1,
            train_loss=self.loss_sum.item() / seen,
            validation_loss=cross_entropy(validation_logits, self.validation_labels).item(),
            train_accuracy=self.correct.item() / seen,
            validation_accuracy=(validation_logits.argmax(dim=1) == self.validation_labels).sum().item()
            / len(validation_logits),
            learning_rate=self.optimizer.param_groups[0]["lr"],
        )
        if not math.isfinite(epoch.validation_loss):
            raise self._diverged(f"the validation loss after epoch {epoch.epoch}, step {self.steps_an_epoch}")
        self.epochs.append(epoch)
        if best_epoch(self.epochs) == epoch:
            self.best_weights = {name: weight.cpu().clone() for name, weight in self.network.state_dict().items()}
        self._start_epoch()
        return epoch

    def state(self) -> dict[str, Any]:
        """Return all that `restore` needs to go on from here as if nothing had happened, in tensors and plain values.

        The tensors are those of the training, not copies. A training that diverged raises InputError.
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
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take over the state of a training that was started with the same arguments."""
        self.network.load_state_dict(state["network"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.generator.set_state(state["generator"])
        self.epoch_step = state["epoch_step"]
        self.order = state["order"]
        self.loss_sum = state["loss_sum"].to(self.device.name)
        self.correct = state["correct"].to(self.device.name)
        self.finite_steps = state["finite_steps"].to(self.device.name)
        self.epochs = [Epoch(*values) for values in state["epochs"]]
        self.best_weights = state["best_weights"]

    def _start_epoch(self) -> None:
        self.epoch_step = 0
        self.order = torch.randperm(len(self.labels), generator=self.generator)
        self.loss_sum = torch.zeros((), device=self.device.name)
        self.correct = torch.zeros((), dtype=torch.int64, device=self.device.name)
        self.finite_steps = torch.zeros((), dtype=torch.int64, device=self.device.name)

    def _check_finite(self) -> None:
        if not self.loss_sum.isfinite():
            step = self.finite_steps.item() + 1
            raise self._diverged(f"the loss of epoch {len(self.epochs) + 1}, step {step} of {self.steps_an_epoch}")

    def _diverged(self, loss: str) -> InputError:
        return InputError(
            f"{loss}, is not a finite number: the training diverged; "
            f"lower train.learning_rate in params.yaml, which is {self.params.learning_rate:g}"
        )

    @torch.inference_mode()
    def _check_image_sizes(self, params: TrainParams) -> None:
        """Find out before the training is half done."""
        self.network.eval()
        for size in params.image_sizes:
            try:
                self.network(scale(self.images[:1], size))
            except RuntimeError:
                raise InputError(
                    "params.yaml: train.image_sizes: should be sizes that the network can take (the study's takes images of "
                    f"their own size alone, airbench those that its poolings allow), got {size}"
                ) from None

    def _freeze(self, step: int) -> None:
        """Take no more gradients for convolutions whose time is over: Brock et al., "FreezeOut" (2017), without its rates."""
        for share, parameters in zip(self.params.freeze, self.convolutions, strict=False):
            if self._progress(step) >= share:
                for parameter in parameters:
                    parameter.requires_grad_(False)

    def _progress(self, step: int) -> float:
        return step / (self.steps_an_epoch * self.params.epochs)

    def _batch(self, indices: Tensor, step: int) -> tuple[Tensor, Tensor]:
        """Return the augmented images at these indices, at the size of this step, with their labels."""
        # Alternating flips: whoever was mirrored in one epoch is not in the next (Jordan 2024, section 3.6).
        mirrored = None if self.mirrored_first is None else self.mirrored_first[indices] ^ (len(self.epochs) % 2 == 1)
        on_device = indices.to(self.device.name)
        images = augment(self.images.index_select(0, on_device), self.augmentation, self.generator, mirrored)
        if sizes := self.params.image_sizes:
            images = scale(images, sizes[int(self._progress(step) * len(sizes))])
        return images, self.labels[on_device]


def _on(device: Device, split: Split) -> tuple[Tensor, Tensor]:
    return torch.from_numpy(split.images).to(device.name), torch.from_numpy(split.labels).to(device.name)
