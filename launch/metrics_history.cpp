#include "launch/metrics_history.h"

#include <fmt/format.h>

#include <limits>
#include <nlohmann/json.hpp>
#include <string_view>

#include "trainer/error.h"
#include "trainer/file_bytes.h"

namespace elbow::launch {
namespace {

using Json = nlohmann::json;

MetricsLine line_of(const Json& object) {
  MetricsLine line{.split = object.at("split").get<std::string>(),
                   .epoch = object.at("epoch").get<int64_t>(),
                   .step = object.at("step").get<int64_t>()};
  for (const auto& [name, value] : object.items()) {
    if (value.is_number()) line.numbers[name] = value.get<double>();
    if (value.is_boolean()) line.numbers[name] = value.get<bool>() ? 1 : 0;
    if (value.is_null()) line.numbers[name] = std::numeric_limits<double>::quiet_NaN();
  }
  return line;
}

}  // namespace

std::vector<MetricsLine> read_metrics(const std::filesystem::path& file) {
  std::vector<MetricsLine> lines;
  if (!std::filesystem::exists(file)) return lines;
  const auto bytes = trainer::read_file(file);
  std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  for (int64_t number = 1; text.find('\n') != text.npos; ++number) {
    const auto end = text.find('\n');
    try {
      lines.push_back(line_of(Json::parse(text.substr(0, end))));
    } catch (const Json::exception&) {
      throw trainer::DataError(
          fmt::format("{}:{} is not a line of metrics (a JSON object with split, epoch and step); "
                      "remove the line to go on without it",
                      file.string(), number));
    }
    text.remove_prefix(end + 1);
  }
  return lines;
}

History history_of(const std::vector<MetricsLine>& lines, const std::string& split,
                   const std::string& number) {
  History history;
  for (const auto& line : lines) {
    if (line.split != split) continue;
    const auto found = line.numbers.find(number);
    history.epochs.push_back(static_cast<double>(line.epoch));
    history.values.push_back(
        found != line.numbers.end() ? found->second : std::numeric_limits<double>::quiet_NaN());
  }
  return history;
}

std::string held_out_split(const std::vector<MetricsLine>& lines) {
  for (const char* split : {"validation", "test"})
    for (const auto& line : lines)
      if (line.split == split) return split;
  return "";
}

}  // namespace elbow::launch
