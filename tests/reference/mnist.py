"""MNIST as it lies in the repository, read with NumPy alone."""
import gzip
import pathlib

import numpy as np

FOLDER = pathlib.Path(__file__).parents[2] / "configs" / "data" / "mnist"
FILES = {"train": "train-images-idx3-ubyte.gz", "test": "t10k-images-idx3-ubyte.gz"}


def images(split):
    """[examples, 784] float32 in [0, 1]."""
    pixels = np.frombuffer(gzip.decompress((FOLDER / FILES[split]).read_bytes()), np.uint8, offset=16)
    scaled = pixels.reshape(-1, 784).astype(np.float32)
    scaled /= 255
    return scaled
