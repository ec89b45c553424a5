#include "trainer/image_file.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/idx_bytes.h"
#include "tests/support/temporary_directory.h"
#include "trainer/batch.h"
#include "trainer/error.h"
#include "trainer/npy_file.h"

namespace elbow::trainer {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using tests::TemporaryDirectory;

at::Tensor counted(at::IntArrayRef shape) {
  int64_t count = 1;
  for (const int64_t size : shape) count *= size;
  return at::arange(count, at::kLong).remainder(251).to(at::kByte).view(shape);
}

class Folder {
 public:
  std::string npy(const std::string& name, const at::Tensor& values) const {
    const auto path = folder_.path() / name;
    write_npy(path, values);
    return path.string();
  }
  const TemporaryDirectory& directory() const { return folder_; }

 private:
  TemporaryDirectory folder_;
};

template <class Error>
std::string complaint(const std::function<void()>& work) {
  try {
    work();
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

TEST(ImageFile, HoldsImagesOfAnyShape) {
  const Folder folder;
  const auto flat = read_image_file(folder.npy("a.npy", counted({4, 6})));
  EXPECT_EQ(std::tuple(flat.channels, flat.height, flat.width), std::tuple(1, 1, 6));
  const auto grey = read_image_file(folder.npy("a.npy", counted({4, 3, 2})));
  EXPECT_EQ(std::tuple(grey.channels, grey.height, grey.width), std::tuple(1, 3, 2));
  EXPECT_TRUE(at::equal(grey.images, counted({4, 6})));
  EXPECT_EQ(grey.file.sha256.size(), 64u);
}

TEST(ImageFile, ChannelsComeToLieSideBySide) {
  const Folder folder;
  const auto planes = counted({2, 3, 4, 5});
  const auto first = read_image_file(folder.npy("a.npy", planes));
  const auto last = read_image_file(folder.npy("b.npy", planes.permute({0, 2, 3, 1}).contiguous()));
  for (const auto& file : {first, last}) {
    EXPECT_EQ(std::tuple(file.channels, file.height, file.width), std::tuple(3, 4, 5));
    EXPECT_TRUE(at::equal(file.images, planes.permute({0, 2, 3, 1}).reshape({2, 60})));
  }
  const auto one = read_image_file(folder.npy("c.npy", counted({2, 4, 5, 1})));
  EXPECT_EQ(one.channels, 1);
}

TEST(ImageFile, ReadsIdxAsWell) {
  const Folder folder;
  const auto path = folder.directory().write("images", tests::gzip(tests::idx_file({3, 4, 5})));
  const auto file = read_image_file(path);
  EXPECT_EQ(std::tuple(file.channels, file.height, file.width), std::tuple(1, 4, 5));
  EXPECT_TRUE(at::equal(file.images, counted({3, 20})));
}

TEST(ImageFile, RefusesWhatIsNoImage) {
  const Folder folder;
  const auto refused = [&](const at::Tensor& values) {
    return complaint<DataError>([&] { read_image_file(folder.npy("a.npy", values)); });
  };
  EXPECT_THAT(refused(counted({7})), AllOf(HasSubstr("a.npy"), HasSubstr("shape is (7)")));
  EXPECT_THAT(refused(counted({2, 4, 5, 2})), HasSubstr("C = 1 or 3"));
  EXPECT_THAT(refused(at::empty({0, 4}, at::kByte)), HasSubstr("no pixel"));
  EXPECT_THAT(refused(at::zeros({2, 4}, at::kDouble)), HasSubstr("neither bytes nor float32"));
  auto values = at::full({2, 4}, 0.5);
  values[1][2] = 1.5;
  EXPECT_THAT(refused(values), AllOf(HasSubstr("at byte 152"), HasSubstr("1.5 is not in [0, 1]")));
  values[1][2] = std::nanf("");
  EXPECT_THAT(refused(values), HasSubstr("nan is not in [0, 1]"));
  const auto labels = folder.directory().write("labels", tests::idx_file({3}));
  EXPECT_THAT(complaint<DataError>([&] { read_image_file(labels); }), HasSubstr("not labels"));
}

DataSettings npy_settings(const Folder& folder, const at::Tensor& train, const at::Tensor& test) {
  DataSettings settings;
  settings.source = "npy";
  settings.train_images = folder.npy("train.npy", train);
  settings.test_images = folder.npy("test.npy", test);
  return settings;
}

TEST(NpyData, IsADataSetLikeAnyOther) {
  const Folder folder;
  auto settings = npy_settings(folder, counted({10, 4, 5}), counted({3, 4, 5}));
  settings.train_labels = folder.npy("labels.npy", at::arange(10));
  settings.validation = 4;
  const auto data = load_dataset(settings);
  EXPECT_EQ(data.shape(), (std::vector<int64_t>{4, 5}));
  EXPECT_EQ(data.train.examples(), 6);
  EXPECT_EQ(data.validation.first_index, 6);
  EXPECT_EQ(data.validation.labels[0].item<int64_t>(), 6);
  EXPECT_TRUE(at::equal(data.validation.images, counted({10, 20}).narrow(0, 6, 4)));
  EXPECT_EQ(data.test.first_index, 10);
  EXPECT_FALSE(data.test.labels.defined());
  ASSERT_EQ(data.files.size(), 3u);
  EXPECT_EQ(data.files[2].name, settings.train_labels);
}

TEST(NpyData, RefusesFilesThatDoNotFitTogether) {
  const Folder folder;
  const auto refused = [](const DataSettings& settings) {
    return complaint<DataError>([&] { load_dataset(settings); });
  };
  EXPECT_THAT(refused(npy_settings(folder, counted({9, 4, 5}), counted({3, 5, 4}))),
              AllOf(HasSubstr("test.npy"), HasSubstr("another size")));
  auto settings = npy_settings(folder, counted({9, 4, 5}), counted({3, 4, 5}));
  settings.test_labels = folder.npy("labels.npy", at::arange(4));
  EXPECT_THAT(refused(settings), AllOf(HasSubstr("labels.npy"), HasSubstr("3 images")));
  settings.test_labels = folder.npy("labels.npy", at::arange(254, 257));
  EXPECT_THAT(refused(settings), HasSubstr("0 to 255"));
  settings.test_labels = folder.npy("labels.npy", at::zeros({3}));
  EXPECT_THAT(refused(settings), HasSubstr("bytes or int64"));
  settings.test_labels = "";
  settings.validation = 9;
  EXPECT_THAT(complaint<SettingError>([&] { load_dataset(settings); }), HasSubstr("0 .. 8"));
}

// Numbers in [0, 1] that are bytes / 255 must come out as the bytes do.
TEST(NpyData, FloatsAreBinarisedAsTheirBytesAre) {
  const auto bytes = counted({40, 30});
  const Split whole{.name = "a", .images = bytes};
  const Split floats{.name = "a", .images = bytes.to(at::kFloat) / 255};
  std::vector<int64_t> indices = {3, 0, 39, 17};
  for (const auto binarise :
       {Binarise::kNone, Binarise::kThreshold, Binarise::kStochastic, Binarise::kStatic}) {
    const BatchRequest request{.binarise = binarise, .threshold = 100, .seed = 4, .time = 2};
    const auto a = at::empty({4, 30}), b = at::empty({4, 30});
    gather(whole, indices, request, a);
    gather(floats, indices, request, b);
    EXPECT_TRUE(at::allclose(a, b, 0, binarise == Binarise::kNone ? 1e-7 : 0));
    EXPECT_EQ(at::logical_and(a > 0, a < 1).any().item<bool>(), binarise == Binarise::kNone);
  }
}

}  // namespace
}  // namespace elbow::trainer
