#include "trainer/dataset.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <cstring>
#include <filesystem>
#include <vector>

#include "models/drawn_shapes.h"
#include "tests/support/idx_bytes.h"
#include "tests/support/temporary_directory.h"
#include "trainer/error.h"
#include "trainer/mnist.h"

namespace elbow::trainer {
namespace {

using elbow::tests::gzip;
using elbow::tests::idx_file;
using elbow::tests::TemporaryDirectory;
using testing::AllOf;
using testing::HasSubstr;

// MNIST's four files, of ten training and four test images of 3 x 5.
void write_small_files(const TemporaryDirectory& folder) {
  folder.write("train-images-idx3-ubyte", idx_file({10, 3, 5}));
  folder.write("train-labels-idx1-ubyte.gz", gzip(idx_file({10})));
  folder.write("t10k-images-idx3-ubyte.gz", gzip(idx_file({4, 3, 5})));
  folder.write("t10k-labels-idx1-ubyte", idx_file({4}));
}

DataSettings from(const TemporaryDirectory& folder, int64_t validation = 0) {
  DataSettings settings;
  settings.source = "idx";
  settings.dir = folder.path().string();
  settings.validation = validation;
  return settings;
}

template <typename Error>
std::string complaint(const DataSettings& settings) {
  try {
    load_dataset(settings);
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

const Dataset& mnist() {
  static const Dataset dataset = load_dataset({});
  return dataset;
}

TEST(Mnist, HasItsKnownConstants) {
  EXPECT_EQ(mnist().train.images.sizes(), (std::vector<int64_t>{60000, 784}));
  EXPECT_EQ(mnist().test.images.sizes(), (std::vector<int64_t>{10000, 784}));
  EXPECT_EQ(mnist().observed(), 784);
  EXPECT_NEAR(mnist().train.images.to(at::kDouble).mean().item<double>() / 255, 0.13066, 5e-6);
  EXPECT_EQ(mnist().train.images.eq(128).sum().item<int64_t>(), 74946);
  EXPECT_EQ(mnist().test.images.eq(128).sum().item<int64_t>(), 13266);
  const std::vector<int64_t> digits = {5, 0, 4, 1, 9, 2};
  for (size_t i = 0; i < digits.size(); ++i)
    EXPECT_EQ(mnist().train.labels[i].item<int64_t>(), digits[i]);
}

TEST(Mnist, IsRecognisedByItsHashes) {
  EXPECT_EQ(mnist().name, "MNIST (known files)");
  ASSERT_EQ(mnist().files.size(), 4u);
  EXPECT_EQ(mnist().files[0].name, "embedded:train-images-idx3-ubyte.gz");
  EXPECT_EQ(mnist().files[0].sha256,
            "71524e2cd1ad2968737f7f2f2ff69cbfc32df8ccddff51593f7cb2d4e0eb5b64");
  EXPECT_EQ(mnist().files[3].known_as, "MNIST t10k-labels-idx1-ubyte");
}

TEST(Mnist, IsTheSameFromAFolder) {
  DataSettings settings;
  settings.source = "idx";
  settings.dir = ELBOW_SOURCE_DIR "/configs/data/mnist";
  const auto dataset = load_dataset(settings);
  EXPECT_EQ(dataset.name, "MNIST (known files)");
  EXPECT_TRUE(at::equal(dataset.train.images, mnist().train.images));
  EXPECT_TRUE(at::equal(dataset.test.labels, mnist().test.labels));
}

TEST(Mnist, IsRecognisedHoweverPacked) {
  const auto embedded = parse_idx(embedded_mnist(kTestLabels), "embedded");
  EXPECT_EQ(known_mnist_name(embedded), "MNIST t10k-labels-idx1-ubyte");
  auto repacked = embedded;
  repacked.sha256 = "of another packing";
  EXPECT_EQ(known_mnist_name(repacked), "MNIST t10k-labels-idx1-ubyte");
  repacked.bytes = embedded.bytes.clone();
  repacked.bytes[17] = 11;
  EXPECT_EQ(known_mnist_name(repacked), "");
}

TEST(Dataset, ReadsPlainAndPackedFilesOfAFolder) {
  const TemporaryDirectory folder;
  write_small_files(folder);
  const auto dataset = load_dataset(from(folder));
  EXPECT_EQ(dataset.height, 3);
  EXPECT_EQ(dataset.width, 5);
  EXPECT_EQ(dataset.train.examples(), 10);
  EXPECT_EQ(dataset.test.examples(), 4);
  EXPECT_EQ(dataset.validation.examples(), 0);
  EXPECT_EQ(&dataset.selection(), &dataset.test);
  EXPECT_EQ(dataset.name, "IDX files of " + folder.path().string());
  EXPECT_EQ(dataset.files[1].name, (folder.path() / "train-labels-idx1-ubyte.gz").string());
  EXPECT_EQ(dataset.files[1].known_as, "");
}

TEST(Dataset, ReadsFlatExamplesAsOneLine) {
  const TemporaryDirectory folder;
  write_small_files(folder);
  folder.write("train-images-idx3-ubyte", idx_file({10, 6}));
  folder.write("t10k-images-idx3-ubyte.gz", idx_file({4, 6}));
  const auto dataset = load_dataset(from(folder));
  EXPECT_EQ(dataset.height, 1);
  EXPECT_EQ(dataset.observed(), 6);
}

TEST(Dataset, ValidationIsTheLastTrainingExamplesWithTheirOldIndices) {
  const TemporaryDirectory folder;
  write_small_files(folder);
  const auto whole = load_dataset(from(folder));
  const auto cut = load_dataset(from(folder, 3));
  EXPECT_EQ(cut.train.examples(), 7);
  EXPECT_EQ(cut.train.first_index, 0);
  EXPECT_EQ(cut.validation.first_index, 7);
  EXPECT_EQ(cut.test.first_index, 10);
  EXPECT_EQ(whole.test.first_index, 10);
  EXPECT_EQ(&cut.selection(), &cut.validation);
  EXPECT_TRUE(cut.validation.images.is_contiguous());
  EXPECT_TRUE(at::equal(cut.validation.images, whole.train.images.narrow(0, 7, 3)));
  EXPECT_TRUE(at::equal(cut.validation.labels, whole.train.labels.narrow(0, 7, 3)));
}

TEST(Dataset, RefusesAValidationSplitThatLeavesNothing) {
  const TemporaryDirectory folder;
  write_small_files(folder);
  EXPECT_EQ(load_dataset(from(folder, 9)).train.examples(), 1);
  EXPECT_THAT(complaint<SettingError>(from(folder, 10)),
              HasSubstr("data.validation = 10 is out of range: 0 .. 9"));
  EXPECT_THAT(complaint<SettingError>(from(folder, -1)),
              HasSubstr("data.validation = -1 is out of range: 0 .. 9"));
}

TEST(Dataset, RefusesAnUnknownSourceAndAnEmptyFolderName) {
  DataSettings settings;
  settings.source = "minst";
  EXPECT_THAT(complaint<SettingError>(settings),
              HasSubstr("data.source = minst is not known; allowed: mnist, idx, npy, synthetic"));
  settings.source = "idx";
  EXPECT_THAT(complaint<SettingError>(settings), HasSubstr("data.dir is empty"));
}

TEST(Dataset, NamesAMissingFile) {
  const TemporaryDirectory folder;
  write_small_files(folder);
  std::filesystem::remove(folder.path() / "t10k-labels-idx1-ubyte");
  EXPECT_THAT(complaint<DataError>(from(folder)),
              AllOf(HasSubstr((folder.path() / "t10k-labels-idx1-ubyte").string()),
                    HasSubstr("No such file or directory (at byte 0)")));
}

TEST(Dataset, RefusesLabelsThatDoNotCountTheImages) {
  const TemporaryDirectory folder;
  write_small_files(folder);
  const auto labels = folder.write("t10k-labels-idx1-ubyte", idx_file({5}));
  EXPECT_THAT(complaint<DataError>(from(folder)),
              AllOf(HasSubstr(labels.string() + " does not fit, at byte 4: it has 5 labels"),
                    HasSubstr("t10k-images-idx3-ubyte.gz has 4 images")));
}

TEST(Dataset, RefusesImagesAndLabelsOfTheWrongKind) {
  const TemporaryDirectory folder;
  write_small_files(folder);
  folder.write("train-images-idx3-ubyte", idx_file({10}));
  EXPECT_THAT(
      complaint<DataError>(from(folder)),
      HasSubstr("train-images-idx3-ubyte does not fit, at byte 3: images need 2 or 3 dimensions"));
  write_small_files(folder);
  folder.write("t10k-labels-idx1-ubyte", idx_file({4, 1}));
  EXPECT_THAT(
      complaint<DataError>(from(folder)),
      HasSubstr(
          "t10k-labels-idx1-ubyte does not fit, at byte 3: labels need 1 dimension and it has 2"));
}

TEST(Dataset, RefusesTestImagesOfAnotherSize) {
  const TemporaryDirectory folder;
  write_small_files(folder);
  folder.write("t10k-images-idx3-ubyte.gz", gzip(idx_file({4, 5, 3})));
  EXPECT_THAT(complaint<DataError>(from(folder)),
              AllOf(HasSubstr("t10k-images-idx3-ubyte.gz does not fit, at byte 8"),
                    HasSubstr("another size")));
}

TEST(Dataset, ReadsLargeOrNamedPlainImagesInPlace) {
  const TemporaryDirectory folder;
  write_small_files(folder);
  auto settings = from(folder, 3);
  EXPECT_TRUE(load_dataset(settings).train.images.defined()) << "auto: small files are held";
  settings.in_memory = "false";
  EXPECT_THAT(complaint<DataError>(settings),
              AllOf(HasSubstr("t10k-images-idx3-ubyte.gz is packed with gzip, at byte 0"),
                    HasSubstr("gunzip"), HasSubstr("data.in_memory=true")));
  std::filesystem::remove(folder.path() / "t10k-images-idx3-ubyte.gz");
  folder.write("t10k-images-idx3-ubyte", idx_file({4, 3, 5}));
  const auto whole = load_dataset(from(folder, 3));
  const auto in_place = load_dataset(settings);
  EXPECT_EQ(in_place.files[0].sha256, "");
  EXPECT_NE(in_place.files[0].note, "");
  EXPECT_NE(in_place.files[1].sha256, "");
  EXPECT_EQ(in_place.height, 3);
  EXPECT_EQ(in_place.width, 5);
  for (const auto split : {&Dataset::train, &Dataset::validation, &Dataset::test}) {
    const auto& held = whole.*split;
    const auto& read = in_place.*split;
    EXPECT_FALSE(read.images.defined());
    EXPECT_EQ(read.examples(), held.examples());
    EXPECT_EQ(read.first_index, held.first_index);
    EXPECT_TRUE(at::equal(read.labels, held.labels));
    for (int64_t i = 0; i < held.examples(); ++i) {
      auto bytes = at::empty({15}, at::kByte);
      read.source->read(std::array{i}, bytes.mutable_data_ptr<uint8_t>());
      EXPECT_TRUE(at::equal(bytes, held.images[i])) << held.name << " " << i;
    }
  }
}

TEST(Dataset, ChecksFilesReadInPlaceAsStrictlyAsOthers) {
  const TemporaryDirectory folder;
  write_small_files(folder);
  std::filesystem::remove(folder.path() / "t10k-images-idx3-ubyte.gz");
  folder.write("t10k-images-idx3-ubyte", idx_file({4, 3, 5}));
  auto settings = from(folder);
  settings.in_memory = "false";
  const auto whole = idx_file({10, 3, 5});
  const auto complaint_about = [&](const tests::Bytes& bytes) {
    folder.write("train-images-idx3-ubyte", bytes);
    return complaint<DataError>(settings);
  };
  EXPECT_THAT(complaint_about({}), HasSubstr("at byte 0: it is empty"));
  EXPECT_THAT(complaint_about(tests::first(whole, 10)), HasSubstr("at byte 10: it ends inside"));
  EXPECT_THAT(complaint_about(tests::first(whole, whole.size() - 1)),
              HasSubstr("10 x 3 x 5 promise 150 bytes, but at most 149 follow"));
  auto excess = whole;
  excess.push_back(1);
  EXPECT_THAT(complaint_about(excess), HasSubstr("at byte 166: bytes follow the 150"));
  auto type = whole;
  type[2] = 0x0d;
  EXPECT_THAT(complaint_about(type), HasSubstr("at byte 2"));
}

TEST(Dataset, DrawsShapesWithIndicesThatNoTwoSplitsShare) {
  DataSettings settings;
  settings.source = "synthetic";
  settings.seed = 4;
  settings.examples = 1'000'000'000;
  settings.test_examples = 50;
  settings.validation = 7;
  settings.height = 20;
  settings.width = 24;
  const auto data = load_dataset(settings);
  EXPECT_EQ(data.train.examples(), 999'999'993);
  EXPECT_EQ(data.validation.first_index, 999'999'993);
  EXPECT_EQ(data.test.first_index, 1'000'000'000);
  EXPECT_EQ(data.observed(), 480);
  EXPECT_TRUE(data.files.empty());
  std::vector<uint8_t> expected(480), read(480);
  models::draw_example(4, 1'000'000'049, 20, 24, expected.data());
  data.test.source->read(std::array{int64_t{49}}, read.data());
  EXPECT_EQ(0, std::memcmp(read.data(), expected.data(), 480));
}

}  // namespace
}  // namespace elbow::trainer
