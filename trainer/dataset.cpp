#include "trainer/dataset.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <functional>
#include <future>
#include <new>
#include <system_error>

#include "trainer/attributes.h"
#include "trainer/error.h"
#include "trainer/file_bytes.h"
#include "trainer/file_rows.h"
#include "trainer/idx.h"
#include "trainer/mnist.h"
#include "trainer/npy_data.h"
#include "trainer/synthetic.h"

namespace elbow::trainer {
namespace {

// One file: its content in memory, or its shape and a way to read its rows.
struct NamedArray {
  std::string file;
  IdxArray array;  // without bytes and hash where `rows` is set
  std::shared_ptr<const FileRows> rows{};
};

using FourFiles = std::array<NamedArray, 4>;  // in the order of MnistFile

[[noreturn]] void fail(const std::string& file, int offset, const std::string& why) {
  throw DataError(
      fmt::format("{} does not fit, at byte {}: {}; give MNIST's four files of one data set", file,
                  offset, why));
}

NamedArray read_embedded(MnistFile file) {
  auto name = fmt::format("embedded:{}.gz", kMnistFileNames[file]);
  auto array = parse_idx(embedded_mnist(file), name);
  return {std::move(name), std::move(array)};
}

// Images are read in place where the settings say so, or where they are plain and large.
bool belongs_in_memory(const DataSettings& settings, uint64_t file_bytes, bool packed) {
  constexpr uint64_t kLargeBytes = uint64_t{1} << 30;
  if (settings.in_memory == "auto") return packed || file_bytes <= kLargeBytes;
  return settings.in_memory == "true";
}

IdxArray held_images(const std::filesystem::path& path) {
  const auto too_large = [&] {
    return DataError(fmt::format(
        "{} does not fit into the memory that this process may use, at byte 0; unpack it if it is "
        "packed, and set data.in_memory=false",
        path.string()));
  };
  try {
    return read_idx(path);
  } catch (const std::bad_alloc&) {
    throw too_large();
  } catch (const c10::Error&) {  // of a tensor
    throw too_large();
  }
}

NamedArray read_images(const DataSettings& settings, const std::filesystem::path& path) {
  uint64_t file_bytes = 0;
  const auto beginning = read_beginning(path, kLongestIdxHeader, file_bytes);
  const bool packed = is_packed_idx(beginning);
  if (belongs_in_memory(settings, file_bytes, packed)) return {path.string(), held_images(path)};
  if (packed) {
    throw DataError(fmt::format(
        "{} is packed with gzip, at byte 0, so data.in_memory = {} cannot read it in place; unpack "
        "it with gunzip, or set data.in_memory=true",
        path.string(), settings.in_memory));
  }
  auto header = parse_idx_header(beginning, file_bytes, path.string());
  int64_t row_bytes = 1;
  for (size_t i = 1; i < header.shape.size(); ++i) row_bytes *= header.shape[i];
  auto rows = std::make_shared<FileRows>(path, header.data_begin, row_bytes);
  return {path.string(), {std::move(header.shape), {}, ""}, std::move(rows)};
}

NamedArray read_from_folder(const DataSettings& settings, MnistFile file) {
  const std::filesystem::path folder = settings.dir;
  const auto plain = folder / kMnistFileNames[file];
  auto packed = plain;
  packed += ".gz";
  std::error_code ignored;
  const bool only_packed =
      !std::filesystem::exists(plain, ignored) && std::filesystem::exists(packed, ignored);
  const auto& path = only_packed ? packed : plain;
  if (file == kTrainImages || file == kTestImages) return read_images(settings, path);
  return {path.string(), read_idx(path)};
}

// The training images take as long to unpack as all the rest, so they get a thread of their own.
FourFiles read_all(const std::function<NamedArray(MnistFile)>& read) {
  auto train_images = std::async(std::launch::async, read, kTrainImages);
  FourFiles files;
  for (const auto file : {kTrainLabels, kTestImages, kTestLabels}) files[file] = read(file);
  files[kTrainImages] = train_images.get();
  return files;
}

FourFiles read_source(const DataSettings& settings) {
  if (settings.source == "mnist") return read_all(read_embedded);
  if (settings.source != "idx") {
    throw SettingError(fmt::format(
        "data.source = {} is not known; allowed: mnist, idx, npy, synthetic", settings.source));
  }
  if (settings.dir.empty()) {
    throw SettingError(
        "data.dir is empty, but data.source = idx needs it; set data.dir to the folder of MNIST's "
        "four files");
  }
  return read_all([&](MnistFile file) { return read_from_folder(settings, file); });
}

void check_pair(const NamedArray& images, const NamedArray& labels) {
  if (images.array.shape.size() < 2)
    fail(images.file, 3, "images need 2 or 3 dimensions and it has 1");
  if (labels.array.shape.size() != 1) {
    fail(labels.file, 3,
         fmt::format("labels need 1 dimension and it has {}", labels.array.shape.size()));
  }
  const int64_t image_count = images.array.shape[0];
  const int64_t label_count = labels.array.shape[0];
  if (label_count != image_count) {
    fail(labels.file, 4,
         fmt::format("it has {} labels, but {} has {} images", label_count, images.file,
                     image_count));
  }
}

void check_sizes(const NamedArray& train, const NamedArray& test) {
  if (std::equal(train.array.shape.begin() + 1, train.array.shape.end(),
                 test.array.shape.begin() + 1, test.array.shape.end())) {
    return;
  }
  fail(test.file, 8, fmt::format("its images have another size than those of {}", train.file));
}

// Images [examples, observed] and labels of one pair of files.
Split whole_split(const char* name, const NamedArray& images, const NamedArray& labels) {
  const int64_t examples = images.array.shape[0];
  Split split{.name = name, .labels = labels.array.bytes};
  if (images.rows) {
    split.source = make_file_examples(images.rows, /*begin=*/0, examples);
  } else {
    split.images = images.array.bytes.view({examples, -1});
  }
  return split;
}

// Examples [begin, begin + examples) of the training files.
Split part(const Split& split, const NamedArray& images, const char* name, int64_t begin,
           int64_t examples) {
  Split result{.name = name,
               .labels = split.labels.narrow(0, begin, examples),
               .first_index = split.first_index + begin};
  if (images.rows) {
    result.source = make_file_examples(images.rows, begin, examples);
  } else {
    result.images = split.images.narrow(0, begin, examples);
  }
  return result;
}

// Also notes in `dataset` what the files are: name, hashes, and whether all four are MNIST's.
void describe(Dataset& dataset, const FourFiles& files, const DataSettings& settings) {
  bool is_mnist = true;
  for (size_t i = 0; i < files.size(); ++i) {
    const auto& [file, array, rows] = files[i];
    dataset.files.push_back(
        rows ? DataFile{.name = file, .note = "not hashed: read in place, never as a whole"}
             : DataFile{.name = file, .sha256 = array.sha256, .known_as = known_mnist_name(array)});
    is_mnist &= dataset.files.back().known_as == fmt::format("MNIST {}", kMnistFileNames[i]);
  }
  dataset.name = is_mnist ? "MNIST (known files)" : fmt::format("IDX files of {}", settings.dir);
}

Dataset load_files(const DataSettings& settings) {
  const FourFiles files = read_source(settings);
  check_pair(files[kTrainImages], files[kTrainLabels]);
  check_pair(files[kTestImages], files[kTestLabels]);
  check_sizes(files[kTrainImages], files[kTestImages]);

  const auto all = whole_split("train", files[kTrainImages], files[kTrainLabels]);
  check_validation(settings.validation, all.examples());
  const int64_t remaining = all.examples() - settings.validation;

  Dataset dataset;
  const auto& images = files[kTrainImages];
  dataset.train = part(all, images, "train", 0, remaining);
  dataset.validation = part(all, images, "validation", remaining, settings.validation);
  dataset.test = whole_split("test", files[kTestImages], files[kTestLabels]);
  dataset.test.first_index = all.examples();
  const auto& shape = files[kTrainImages].array.shape;
  dataset.height = shape.size() == 3 ? shape[1] : 1;
  dataset.width = shape.back();
  describe(dataset, files, settings);
  return dataset;
}

Dataset draw_shapes(const DataSettings& settings) {
  check_validation(settings.validation, settings.examples);
  Dataset dataset;
  dataset.name = fmt::format("drawn shapes, seed {}", settings.seed);
  dataset.height = settings.height;
  dataset.width = settings.width;
  const auto split = [&](const char* name, int64_t first_index, int64_t examples) {
    return Split{.name = name,
                 .first_index = first_index,
                 .source = make_drawn_examples({.seed = static_cast<uint64_t>(settings.seed),
                                                .height = settings.height,
                                                .width = settings.width,
                                                .first_index = first_index,
                                                .examples = examples})};
  };
  const int64_t remaining = settings.examples - settings.validation;
  dataset.train = split("train", 0, remaining);
  dataset.validation = split("validation", remaining, settings.validation);
  dataset.test = split("test", settings.examples, settings.test_examples);
  return dataset;
}

}  // namespace

void check_validation(int64_t validation, int64_t examples) {
  if (validation >= 0 && validation < examples) return;
  throw SettingError(
      fmt::format("data.validation = {} is out of range: 0 .. {}, because at least one of the {} "
                  "training examples must remain",
                  validation, examples - 1, examples));
}

Dataset load_dataset(const DataSettings& settings) {
  if (settings.source == "synthetic") return draw_shapes(settings);
  auto data = settings.source == "npy" ? load_npy(settings) : load_files(settings);
  read_attributes(settings, data);
  return data;
}

}  // namespace elbow::trainer
