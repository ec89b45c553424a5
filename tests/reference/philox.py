"""elbow's noise, written again in NumPy: Philox4x32-10 keyed by what a number is for, and Box-Muller.

Philox: Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3". Run this file to check the published vectors,
with --record also to write data/normals.json.
The words of a counter are (block, example, time, purpose << 24 | draw); the key is the seed, low word first.
"""
import json
import pathlib
import sys

import numpy as np

# What elbow's numbers are for (models/philox.h), and the `time` of evaluation noise: the split.
PURPOSES = {"initial_weights": 0, "permutation": 1, "training_noise": 2, "evaluation_noise": 3, "binarisation": 4}
SPLITS = {"train": 0, "validation": 1, "test": 2}


def philox4x32_10(counter, key):
    """counter: four arrays of words, key: two words. Returns four arrays of words, uint32."""
    c0, c1, c2, c3 = (np.asarray(word, np.uint64) for word in counter)
    key0, key1 = (int(word) for word in key)
    low = np.uint64(0xFFFFFFFF)
    for _ in range(10):
        product0, product1 = np.uint64(0xD2511F53) * c0, np.uint64(0xCD9E8D57) * c2
        c0, c1, c2, c3 = ((product1 >> np.uint64(32)) ^ c1 ^ np.uint64(key0), product1 & low,
                          (product0 >> np.uint64(32)) ^ c3 ^ np.uint64(key1), product0 & low)
        key0, key1 = (key0 + 0x9E3779B9) & 0xFFFFFFFF, (key1 + 0xBB67AE85) & 0xFFFFFFFF
    return [word.astype(np.uint32) for word in (c0, c1, c2, c3)]


def uniform_open(word):
    """In (0, 1): the 23 upper bits, centred; float64 holds it exactly."""
    return ((word >> np.uint32(9)).astype(np.float64) + 0.5) * 2.0**-23


def normal(seed, purpose, time, examples, draw, width):
    """[len(examples), width] standard normals, float64: block b of an example gives its elements 4b to 4b + 3."""
    seed, examples = seed & 0xFFFFFFFFFFFFFFFF, np.asarray(examples)[:, None]
    blocks = np.arange((width + 3) // 4)[None, :]
    counter = np.broadcast_arrays(blocks, examples, time, PURPOSES[purpose] << 24 | draw)
    words = [uniform_open(word) for word in philox4x32_10(counter, (seed & 0xFFFFFFFF, seed >> 32))]
    pairs = []
    for u1, u2 in ((words[0], words[1]), (words[2], words[3])):
        radius = np.sqrt(-2 * np.log(u1))
        pairs += [radius * np.cos(2 * np.pi * u2), radius * np.sin(2 * np.pi * u2)]
    return np.stack(pairs, axis=-1).reshape(len(examples), -1)[:, :width]


def evaluation_noise(seed, split, first_example, count, latent):
    """[count, latent]: what elbow draws to evaluate a split. `first_example` is the global index of the
    split's first example: indices count all training images, of which `validation` is the end, then the test images."""
    return normal(seed, "evaluation_noise", SPLITS[split], first_example + np.arange(count), 0, latent)


def check_published_vectors():
    """The three vectors of the Random123 distribution (kat_vectors)."""
    vectors = [
        ((0, 0, 0, 0), (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
        ((0xFFFFFFFF,) * 4, (0xFFFFFFFF,) * 2, (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
        ((0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344), (0xA4093822, 0x299F31D0),
         (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1)),
    ]
    for counter, key, expected in vectors:
        words = tuple(int(word) for word in philox4x32_10(counter, key))
        assert words == expected, f"Philox of {counter}, {key} is {words}, not {expected}"


def record():
    """Some normals for elbow to compare with: odd widths, large examples, seeds of more than 32 bits, several draws."""
    cases = [(1, "evaluation_noise", 2, [0, 1, 9999], 0, 2), (1, "training_noise", 469, [0, 59999], 0, 7),
             (2**63 + 12345, "training_noise", 2**32 - 1, [2**32 - 1, 5], 3, 20),
             (0, "evaluation_noise", 1, [50000], 7, 1)]
    lines = [json.dumps({"seed": seed, "purpose": PURPOSES[purpose], "time": time, "examples": examples, "draw": draw,
                         "normals": normal(seed, purpose, time, examples, draw, width).tolist()})
             for seed, purpose, time, examples, draw, width in cases]
    path = pathlib.Path(__file__).parent / "data" / "normals.json"
    path.write_text("[\n" + ",\n".join(lines) + "\n]\n")


if __name__ == "__main__":
    check_published_vectors()
    if "--record" in sys.argv:
        record()
    sample = normal(1, "evaluation_noise", SPLITS["test"], range(100000), 0, 3)
    assert abs(sample.mean()) < 0.01 and abs(sample.std() - 1) < 0.01
    print("Philox gives the published vectors; mean", sample.mean().round(4), "and deviation", sample.std().round(4))
