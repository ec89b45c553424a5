#include "trainer/attributes.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include "trainer/error.h"
#include "trainer/file_bytes.h"
#include "trainer/idx.h"
#include "trainer/npy_file.h"
#include "trainer/sha256.h"

namespace elbow::trainer {
namespace {

[[noreturn]] void fail(const std::string& file, const std::string& why) {
  throw DataError(fmt::format(
      "{} does not fit, at byte 0: {}; give one line of finite numbers for each example", file,
      why));
}

at::Tensor numbers_of(const std::vector<uint8_t>& stored, const std::string& file) {
  if (!stored.empty() && stored[0] == 0x93) return parse_npy(stored, file);
  const auto array = parse_idx(stored, file);
  return array.bytes.view(array.shape);
}

at::Tensor lines_of(const std::string& file, int64_t examples, std::vector<DataFile>& files) {
  const auto stored = read_file(file);
  auto numbers = numbers_of(stored, file);
  if (numbers.dim() == 1) numbers = numbers.unsqueeze(1);
  if (numbers.dim() != 2 || numbers.size(1) == 0)
    fail(file, "it must have 1 or 2 dimensions, examples first");
  if (numbers.size(0) != examples)
    fail(file,
         fmt::format("it has {} lines, and the data have {} examples", numbers.size(0), examples));
  numbers = numbers.to(at::kFloat).contiguous();
  if (!numbers.isfinite().all().item<bool>()) fail(file, "it has a number that is not finite");
  files.push_back({.name = file, .sha256 = sha256(stored)});
  return numbers;
}

}  // namespace

void read_attributes(const DataSettings& settings, Dataset& data) {
  if (settings.train_attributes.empty() || settings.test_attributes.empty()) return;
  const int64_t train = data.train.examples(), validation = data.validation.examples();
  const auto all = lines_of(settings.train_attributes, train + validation, data.files);
  const auto test = lines_of(settings.test_attributes, data.test.examples(), data.files);
  if (test.size(1) != all.size(1))
    fail(settings.test_attributes, fmt::format("it has {} attributes, and {} has {}", test.size(1),
                                               settings.train_attributes, all.size(1)));
  data.train.attributes = all.narrow(0, 0, train);
  data.validation.attributes = all.narrow(0, train, validation);
  data.test.attributes = test;
}

}  // namespace elbow::trainer
