#include "launch/run_folder.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <cstdlib>
#include <ctime>

#include "trainer/text_file.h"

namespace elbow::launch {
namespace {

// Two runs that start within a second get different names.
std::filesystem::path unused_folder(const std::string& name) {
  const std::string stem =
      fmt::format("{}-{:%Y%m%d-%H%M%S}", name, fmt::localtime(std::time(nullptr)));
  std::filesystem::path folder = std::filesystem::path("runs") / stem;
  for (int copy = 2; std::filesystem::exists(folder); ++copy)
    folder = std::filesystem::path("runs") / fmt::format("{}-{}", stem, copy);
  return folder;
}

}  // namespace

trainer::RunDirectory create_run_folder(const std::optional<std::filesystem::path>& out,
                                        const std::string& name) {
  return trainer::RunDirectory::create(out ? *out : unused_folder(name));
}

void tell_launcher(const std::filesystem::path& result) {
  if (const char* file = std::getenv("ELBOW_RESULT_FILE"); file != nullptr && *file != '\0')
    trainer::replace_text_file(file, std::filesystem::absolute(result).string());
}

}  // namespace elbow::launch
