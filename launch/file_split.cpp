#include "launch/file_split.h"

#include <fmt/format.h>

#include "trainer/error.h"
#include "trainer/image_file.h"

namespace elbow::launch {

trainer::Split split_of_file(const TrainedRun& run, const std::filesystem::path& path) {
  const auto kind = run.condition.kind;
  if (kind == trainer::ConditionKind::kLabel || kind == trainer::ConditionKind::kAttributes)
    throw trainer::SettingError(
        fmt::format("{} has images alone, and the run has model.condition = {}: give --split test",
                    path.string(), run.settings().model.condition));
  const auto file = trainer::read_image_file(path);
  if (file.images.size(1) != run.data.observed()) {
    throw trainer::DataError(fmt::format(
        "{} does not fit the model, at byte 0: its images have {} values and the run was trained "
        "on {} x {} x {} = {}; give images of that size",
        path.string(), file.images.size(1), run.data.height, run.data.width, run.data.channels,
        run.data.observed()));
  }
  return {.name = path.string(), .images = file.images};
}

}  // namespace elbow::launch
