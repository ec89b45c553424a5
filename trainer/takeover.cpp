#include "trainer/takeover.h"

#include <fmt/format.h>

#include <filesystem>
#include <string>

#include "trainer/checkpoint.h"
#include "trainer/error.h"

namespace elbow::trainer {
namespace {

// The lost rank 0 may have been one step further than the survivors, and may have died of writing
// the end.
void require_left_behind(const Takeover& takeover, int64_t last_epoch) {
  const auto& directory = takeover.directory;
  const auto stop = [&](const std::string& why) {
    throw LockLost(
        fmt::format("{} {}: this part of the group was cut off and stops without writing",
                    directory.path().string(), why));
  };
  if (takeover.newest_epoch && last_epoch > *takeover.newest_epoch)
    stop("belongs to another launch");
  if (!takeover.trained && std::filesystem::exists(directory.result())) stop("has ended elsewhere");
  std::optional<StoredCheckpoint> newest;
  try {
    newest = load_newest(directory).checkpoint;
  } catch (const DamagedCheckpoint&) {  // what is there is replaced by what the survivors hold
  }
  if (newest && newest->checkpoint.step() > takeover.step + 1)
    stop(fmt::format("has been trained elsewhere, to step {}", newest->checkpoint.step()));
}

}  // namespace

RunLock take_over_lock(const Takeover& takeover) {
  try {
    return {takeover.directory.lock(), takeover.patience,
            [&](int64_t last_epoch) { require_left_behind(takeover, last_epoch); }};
  } catch (const SettingError& error) {
    throw LockLost(
        fmt::format("this part of the group cannot take the run over and stops without "
                    "writing: {}",
                    error.what()));
  }
}

}  // namespace elbow::trainer
