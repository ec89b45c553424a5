#include "launch/sweep/shard.h"

#include <fmt/format.h>

#include "launch/config_level.h"
#include "launch/number_text.h"
#include "trainer/error.h"

namespace elbow::launch::sweep {

std::string Shard::text() const { return fmt::format("{}/{}", index + 1, count); }

Shard shard_from_text(const std::string& text) {
  const size_t slash = text.find('/');
  if (slash != std::string::npos) {
    const auto index = integer_from_text(text.substr(0, slash));
    const auto count = integer_from_text(text.substr(slash + 1));
    if (index && count && *index >= 1 && *index <= *count) return {*index - 1, *count};
  }
  throw trainer::SettingError(fmt::format(
      "--shard {} is not I/N with 1 <= I <= N, such as 2/8 for the second of eight jobs",
      shown(text)));
}

}  // namespace elbow::launch::sweep
