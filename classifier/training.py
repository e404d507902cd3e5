"""The training engine: one loop over images held in memory, on any device."""

from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from classifier.augmentation import augment, scale
from classifier.datasets import Split
from classifier.device import Device
from classifier.errors import InputError
from classifier.inference import predict
from classifier.learning_curve import Epoch, best_epoch
from classifier.optimizers import build_optimizer, set_rate_factor
from classifier.params import AugmentationParams, TrainParams
from classifier.schedules import rate_factor


class Progress(Protocol):
    """What is called after every step."""

    def __call__(self, images: int, loss: Tensor, accuracy: Tensor) -> None:
        """Take the number of images of the step, and the epoch's mean loss and accuracy so far."""


class Training:
    """A training under way.

    Raises InputError at the start when the network cannot take an image size of `params`.

    Attributes
    ----------
    network
        Being trained.
    epochs
        What came of each epoch so far.
    best_weights
        State of the network after the best epoch so far, on the CPU.
    """

    def __init__(
        self,
        network: nn.Module,
        train: Split,
        validation: Split,
        augmentation: AugmentationParams,
        params: TrainParams,
        device: Device,
    ) -> None:
        self.network = network.to(device.name)
        self.images, self.labels = _on(device, train)
        self._check_image_sizes(params)
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

    def run_epoch(self, progress: Progress) -> Epoch:
        """Train on every training image once, in random order, then measure the validation split.

        Raises
        ------
        InputError
            When the loss is no longer a finite number.
        """
        self.network.train()
        loss_sum = torch.zeros((), device=self.device.name)
        correct = torch.zeros((), dtype=torch.int64, device=self.device.name)
        seen = 0
        order = torch.randperm(len(self.labels), generator=self.generator)
        # Batches that differ by one image at most: no small last one, whose statistics batch normalisation could not use.
        for step, indices in enumerate(order.tensor_split(self.steps_an_epoch), start=len(self.epochs) * self.steps_an_epoch):
            images, labels = self._batch(indices, step)
            set_rate_factor(self.optimizer, rate_factor(self.params.schedule, self._progress(step)))
            with self.device.autocast():
                logits = self.network(images)
            loss = cross_entropy(logits.float(), labels, label_smoothing=self.params.label_smoothing)
            self.optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            self.optimizer.step()
            loss_sum += loss.detach() * len(labels)
            correct += (logits.detach().argmax(dim=1) == labels).sum()
            seen += len(labels)
            progress(len(labels), loss_sum / seen, correct / seen)
        if not loss_sum.isfinite():
            raise InputError(
                f"the loss of epoch {len(self.epochs) + 1} is {loss_sum.item()}: the training diverged; "
                f"lower train.learning_rate in params.yaml, which is {self.params.learning_rate:g}"
            )
        validation_logits = predict(self.network, self.validation_images, self.device)
        epoch = Epoch(
            epoch=len(self.epochs) + 1,
            train_loss=loss_sum.item() / seen,
            validation_loss=cross_entropy(validation_logits, self.validation_labels).item(),
            train_accuracy=correct.item() / seen,
            validation_accuracy=(validation_logits.argmax(dim=1) == self.validation_labels).sum().item()
            / len(validation_logits),
            learning_rate=self.optimizer.param_groups[0]["lr"],
        )
        self.epochs.append(epoch)
        if best_epoch(self.epochs) == epoch:
            self.best_weights = {name: weight.cpu().clone() for name, weight in self.network.state_dict().items()}
        return epoch

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

    def _progress(self, step: int) -> float:
        return step / (self.steps_an_epoch * self.params.epochs)

    def _batch(self, indices: Tensor, step: int) -> tuple[Tensor, Tensor]:
        """Return the augmented images at these indices, at the size of this step, with their labels."""
        # Alternating flips: whoever was mirrored in one epoch is not in the next (Jordan 2024, section 3.6).
        mirrored = None if self.mirrored_first is None else self.mirrored_first[indices] ^ (len(self.epochs) % 2 == 1)
        on_device = indices.to(self.device.name)
        images = augment(self.images[on_device], self.augmentation, self.generator, mirrored)
        if sizes := self.params.image_sizes:
            images = scale(images, sizes[int(self._progress(step) * len(sizes))])
        return images, self.labels[on_device]


def _on(device: Device, split: Split) -> tuple[Tensor, Tensor]:
    return torch.from_numpy(split.images).to(device.name), torch.from_numpy(split.labels).to(device.name)
