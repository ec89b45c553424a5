#include "trainer/npy_data.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <filesystem>

#include "trainer/error.h"
#include "trainer/file_bytes.h"
#include "trainer/image_file.h"
#include "trainer/npy_file.h"
#include "trainer/sha256.h"

namespace elbow::trainer {
namespace {

[[noreturn]] void fail(const std::string& file, const std::string& why) {
  throw DataError(
      fmt::format("{} does not fit, at byte 0: {}; give files of one data set", file, why));
}

ImageFile images_of(const std::string& path) {
  if (path.empty()) throw SettingError("data.source = npy needs data.train_images and test_images");
  return read_image_file(path);
}

// Undefined where `path` is empty.
at::Tensor read_labels(const std::string& path, const ImageFile& images,
                       std::vector<DataFile>& files) {
  if (path.empty()) return {};
  const auto stored = read_file(path);
  auto labels = parse_npy(stored, path);
  if (labels.dim() != 1 || labels.size(0) != images.images.size(0)) {
    fail(path, fmt::format("it must have one label for each of the {} images of {}",
                           images.images.size(0), images.file.name));
  }
  if (labels.scalar_type() != at::kByte && labels.scalar_type() != at::kLong)
    fail(path, "labels must be bytes or int64");
  if (labels.min().item<int64_t>() < 0 || labels.max().item<int64_t>() > 255)
    fail(path, "labels must lie in 0 to 255");
  files.push_back({.name = path, .sha256 = sha256(stored)});
  return labels.to(at::kByte);
}

Split part_of_split(const Split& whole, const char* name, int64_t begin, int64_t examples) {
  Split part{.name = name,
             .images = whole.images.narrow(0, begin, examples),
             .first_index = whole.first_index + begin};
  if (whole.labels.defined()) part.labels = whole.labels.narrow(0, begin, examples);
  return part;
}

}  // namespace

Dataset load_npy(const DataSettings& settings) {
  const auto train = images_of(settings.train_images);
  const auto test = images_of(settings.test_images);
  if (train.channels != test.channels || train.height != test.height || train.width != test.width)
    fail(test.file.name,
         fmt::format("its images have another size than those of {}", train.file.name));
  const int64_t examples = train.images.size(0);
  check_validation(settings.validation, examples);

  Dataset dataset;
  dataset.name = fmt::format("NumPy file {}", train.file.name);
  dataset.channels = train.channels;
  dataset.height = train.height;
  dataset.width = train.width;
  dataset.files = {train.file, test.file};
  const Split all{.name = "train",
                  .images = train.images,
                  .labels = read_labels(settings.train_labels, train, dataset.files)};
  const int64_t remaining = examples - settings.validation;
  dataset.train = part_of_split(all, "train", 0, remaining);
  dataset.validation = part_of_split(all, "validation", remaining, settings.validation);
  dataset.test = {.name = "test",
                  .images = test.images,
                  .labels = read_labels(settings.test_labels, test, dataset.files),
                  .first_index = examples};
  return dataset;
}

}  // namespace elbow::trainer
