// A data set: bytes, split into train, validation and test, in memory or behind an ExampleSource.
// Scaling and binarising happen later, for each batch (trainer/batch.h). Immutable after loading,
// so any thread may read it; tensors of the splits share memory.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "trainer/example_source.h"
#include "trainer/settings.h"

namespace elbow::trainer {

struct Split {
  std::string name;   // train, validation or test
  at::Tensor images;  // uint8, or float32 in [0, 1], [examples, observed], contiguous, on the CPU;
                      // undefined where `source` is set
  at::Tensor labels;  // uint8 [examples]; undefined for drawn shapes, whose labels are a function,
                      // and where no file has them
  int64_t first_index =
      0;  // global index of its first example: names its noise, and no two examples share one

  at::Tensor attributes{};  // float32 [examples, attributes]; undefined where no file has them, and
                            // for drawn shapes, whose attributes are a function

  std::shared_ptr<const ExampleSource> source{};  // of examples that do not lie in memory

  int64_t examples() const { return source ? source->examples() : images.size(0); }
  int64_t observed() const { return source ? source->observed() : images.size(1); }
};

// Where bytes came from, for the manifest.
struct DataFile {
  std::string name;      // path, or "embedded:" and the file's name
  std::string sha256;    // of the file as stored; empty where it was not computed
  std::string known_as;  // "MNIST train-images-idx3-ubyte" where its content is that; else empty
  std::string note{};    // why there is no hash
};

struct Dataset {
  std::string name;
  Split train;
  Split validation;  // may have no examples
  Split test;
  int64_t channels = 1;  // of a pixel; they lie side by side
  int64_t height = 0;
  int64_t width = 0;
  std::vector<DataFile> files;

  int64_t observed() const { return channels * height * width; }  // values of an example
  // Of one example: [height, width], or [height, width, channels] where there are several.
  std::vector<int64_t> shape() const {
    return channels == 1 ? std::vector{height, width} : std::vector{height, width, channels};
  }
  // What models are selected on: validation, or test where there is no validation.
  const Split& selection() const { return validation.examples() > 0 ? validation : test; }
};

// Reads what `settings` name. Global indices count train, then validation, then test, so that an
// example keeps its index whatever the size of the validation split. DataError for files,
// SettingError for source, dir and validation.
Dataset load_dataset(const DataSettings& settings);

// SettingError where data.validation leaves no training example.
void check_validation(int64_t validation, int64_t examples);

}  // namespace elbow::trainer
