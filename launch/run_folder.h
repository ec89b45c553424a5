// Where a run goes: the folder that --out names, or one of its own below runs/. Rank 0 only.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "trainer/run_directory.h"

namespace elbow::launch {

// Creates `out`, or runs/NAME-YYYYmmdd-HHMMSS (local time). Throws trainer::SettingError.
trainer::RunDirectory create_run_folder(const std::optional<std::filesystem::path>& out,
                                        const std::string& name);

// Where the environment has ELBOW_RESULT_FILE, the absolute path of `result`, which is the
// result.json of a run or a sweep, is written into the file that it names: launch/elbow takes the
// exit code from there.
void tell_launcher(const std::filesystem::path& result);

}  // namespace elbow::launch
