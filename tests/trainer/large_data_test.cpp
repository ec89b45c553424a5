// Data that no process could hold: training must need no more memory for it, and give the same bits
// as from memory.
#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <filesystem>
#include <fstream>
#include <mutex>
#include <string>

#include "comm/communicators.h"
#include "models/mkl.h"
#include "tests/support/idx_bytes.h"
#include "tests/support/spawn_ranks.h"
#include "tests/support/temporary_directory.h"
#include "trainer/error.h"
#include "trainer/trainer.h"

namespace elbow::trainer {
namespace {

using tests::spawn_ranks;
using tests::TemporaryDirectory;

// Before the first product of this process.
const std::string kBranch = models::fix_mkl_branch(models::best_mkl_branch());

Settings small_network(int64_t batch_size) {
  Settings settings;
  settings.model = {.encoder = {8}, .decoder = {8}, .latent = 2};
  settings.train = {.epochs = 1, .batch_size = batch_size, .seed = 5};
  return settings;
}

at::Tensor weights_after(Settings settings, const Dataset& data, int ranks_count, int64_t threads,
                         int64_t epochs) {
  settings.train.epochs = epochs;
  at::Tensor weights;
  std::mutex lock;
  spawn_ranks(ranks_count, [&](comm::Communicator& ranks) {
    ThreadTeam team(threads);
    Trainer trainer(settings, {row_of(settings, data.observed())}, data, ranks, team);
    for (int64_t epoch = 0; epoch < epochs; ++epoch) {
      const auto result = trainer.run_epoch(nullptr, nullptr);
      EXPECT_EQ(result.train[0].examples, data.train.examples());
    }
    const std::lock_guard guard(lock);
    if (ranks.rank() == 0) weights = trainer.pack().parameters.clone();
  });
  return weights;
}

void train(const Settings& settings) {
  weights_after(settings, load_dataset(settings.data), /*ranks_count=*/1, /*threads=*/1,
                /*epochs=*/1);
}

TEST(LargeData, AFileReadInPlaceTrainsToTheBitsOfTheFileInMemory) {
  const TemporaryDirectory folder;
  folder.write("train-images-idx3-ubyte", tests::idx_file({333, 9, 11}));
  folder.write("train-labels-idx1-ubyte", tests::idx_file({333}));
  folder.write("t10k-images-idx3-ubyte", tests::idx_file({300, 9, 11}));
  folder.write("t10k-labels-idx1-ubyte", tests::idx_file({300}));
  auto settings = small_network(32);
  settings.train.reproducible = "exact";
  settings.train.leaves = 4;
  settings.data = {.source = "idx",
                   .dir = folder.path().string(),
                   .validation = 20,
                   .binarise = "stochastic",
                   .in_memory = "true"};
  const auto expected = weights_after(settings, load_dataset(settings.data), 1, 1, 3);
  settings.data.in_memory = "false";
  const auto data = load_dataset(settings.data);
  ASSERT_FALSE(data.train.images.defined());
  for (const int ranks : {1, 2, 3}) {
    for (const int64_t threads : {1, 2})
      EXPECT_TRUE(at::equal(weights_after(settings, data, ranks, threads, 3), expected))
          << ranks << " ranks, " << threads << " threads";
  }
}

TEST(LargeData, DrawnShapesTrainToTheSameBitsOnAnyNumberOfRanks) {
  auto settings = small_network(64);
  settings.train.reproducible = "exact";
  settings.train.leaves = 4;
  settings.data = {.source = "synthetic", .examples = 500, .test_examples = 300, .height = 12};
  const auto data = load_dataset(settings.data);
  const auto expected = weights_after(settings, data, 1, 1, 2);
  for (const int ranks : {1, 2, 4})
    EXPECT_TRUE(at::equal(weights_after(settings, data, ranks, 2, 2), expected)) << ranks;
}

int64_t peak_kilobytes() {
  rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  return usage.ru_maxrss;
}

TEST(LargeData, MemoryDoesNotGrowWithTheNumberOfDrawnExamples) {
  auto settings = small_network(1024);
  settings.data = {.source = "synthetic", .test_examples = 1000, .height = 8, .width = 8};
  settings.data.examples = 100'000;
  train(settings);
  const int64_t before = peak_kilobytes();
  settings.data.examples = 1'000'000;
  train(settings);
  EXPECT_LT(peak_kilobytes() - before, 2048) << "kilobytes; the examples would be 64,000";
  settings.data.examples = 1'000'000'000;
  EXPECT_EQ(load_dataset(settings.data).train.examples(), 1'000'000'000);
  EXPECT_LT(peak_kilobytes() - before, 2048);
}

// Sparse files: they have their sizes, and no disk.
void write_zeros(const std::filesystem::path& path, const std::vector<uint32_t>& shape) {
  const auto header = tests::idx_header(shape);
  std::ofstream(path, std::ios::binary)
      .write(reinterpret_cast<const char*>(header.data()),
             static_cast<std::streamsize>(header.size()));
  size_t bytes = header.size(), data = 1;
  for (const uint32_t size : shape) data *= size;
  std::filesystem::resize_file(path, bytes + data);
}

int64_t address_space_bytes() {
  int64_t pages = 0;
  std::ifstream("/proc/self/statm") >> pages;
  return pages * 4096;
}

TEST(LargeData, AFileLargerThanTheAddressSpaceThatIsLeftIsTrainedOn) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "a sanitizer needs address space without limit";
#endif
  const TemporaryDirectory folder;
  constexpr uint32_t kExamples = 100'000, kSide = 64;  // 400 MB
  write_zeros(folder.path() / "train-images-idx3-ubyte", {kExamples, kSide, kSide});
  write_zeros(folder.path() / "train-labels-idx1-ubyte", {kExamples});
  write_zeros(folder.path() / "t10k-images-idx3-ubyte", {10, kSide, kSide});
  write_zeros(folder.path() / "t10k-labels-idx1-ubyte", {10});
  auto settings = small_network(1000);
  settings.data = {.source = "idx", .dir = folder.path().string(), .in_memory = "false"};

  rlimit before;
  getrlimit(RLIMIT_AS, &before);
  rlimit tight = before;
  tight.rlim_cur = static_cast<rlim_t>(address_space_bytes() + 200'000'000);
  ASSERT_EQ(setrlimit(RLIMIT_AS, &tight), 0);
  EXPECT_NO_THROW(train(settings));
  settings.data.in_memory = "true";
  EXPECT_THROW(train(settings), DataError) << "the limit would have held the whole file";
  setrlimit(RLIMIT_AS, &before);
}

}  // namespace
}  // namespace elbow::trainer
