"""What the tests of networks share."""

from torch import nn

from classifier.data.split import DatasetInfo

THREE_CHANNELS = DatasetInfo(tuple("0123456789"), (0.5, 0.5, 0.5), (0.25, 0.25, 0.25))
ONE_CHANNEL = DatasetInfo(("no", "yes"), (0.3,), (0.2,))


def layers(network: nn.Sequential) -> str:
    """The types of the layers of a network, in order."""
    return " ".join(type(layer).__name__ for layer in network)
