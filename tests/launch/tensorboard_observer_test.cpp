#include "launch/tensorboard_observer.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "comm/communicators.h"
#include "tests/support/small_data.h"
#include "tests/support/temporary_directory.h"
#include "trainer/assembly.h"
#include "trainer/text_file.h"

namespace elbow::launch {
namespace {

uintmax_t bytes_below(const std::filesystem::path& folder) {
  uintmax_t bytes = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder))
    if (entry.is_regular_file()) bytes += entry.file_size();
  return bytes;
}

// Another host believes that the owner is gone, and takes the run over.
TEST(TensorboardObserver, WritesNothingForAnOwnerWhoseRunWasTakenOver) {
  const tests::TemporaryDirectory folder;
  const auto directory = trainer::RunDirectory::create(folder.path() / "run");
  const trainer::RunLock lock(directory.lock(), std::chrono::seconds(1));
  ParsedConfig config;
  config.settings.model = {.encoder = {8}, .decoder = {8}, .latent = 2};
  config.settings.objective.beta = 1;
  config.settings.train.batch_size = 32;
  const auto data = tests::small_data(64, 32, 5, 7);
  const auto ranks = comm::make_self();
  trainer::ThreadTeam team(1);
  trainer::Trainer trainer(config.settings, {trainer::row_of(config.settings, 35)}, data, *ranks,
                           team);
  const auto observer = make_tensorboard_observer(
      {.config = config, .trainer = trainer, .data = data, .directory = directory, .lock = &lock});
  const auto begun = bytes_below(directory.tensorboard());
  observer->on_step({.step = 1});
  const auto owned = bytes_below(directory.tensorboard());
  EXPECT_GT(owned, begun);
  trainer::replace_text_file(directory.lock(), "99 node07 4711\n");
  EXPECT_THROW(observer->on_step({.step = 2}), trainer::LockLost);
  EXPECT_THROW(observer->on_epoch({.split = "train"}, {.split = "test"}), trainer::LockLost);
  EXPECT_EQ(bytes_below(directory.tensorboard()), owned);
}

}  // namespace
}  // namespace elbow::launch
