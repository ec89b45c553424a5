// MNIST: the names of its four files, what they must contain, and the copy inside the program.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>

#include "trainer/idx.h"

namespace elbow::trainer {

enum MnistFile { kTrainImages, kTrainLabels, kTestImages, kTestLabels };

// File names without a packing's ending, in the order of MnistFile.
inline constexpr std::array<const char*, 4> kMnistFileNames = {
    "train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte"};

// The gzip files of configs/data/mnist, which are part of the program.
std::span<const uint8_t> embedded_mnist(MnistFile file);

// "MNIST t10k-images-idx3-ubyte" where the array is that file of MNIST, however packed, proved by
// SHA-256; "" otherwise.
std::string known_mnist_name(const IdxArray& array);

}  // namespace elbow::trainer
