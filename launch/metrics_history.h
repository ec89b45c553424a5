// What metrics.jsonl says, line by line.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

namespace elbow::launch {

// One split after one epoch. Numbers by their names; what is not finite is NaN, and what is no
// single number (such as a list) is left out.
struct MetricsLine {
  std::string split;
  int64_t epoch = 0;
  int64_t step = 0;
  std::map<std::string, double> numbers;
};

// In the file's order. A last line without its newline is one that is being written, and left out;
// a file that is not there has none. DataError where a line is damaged, with its number.
std::vector<MetricsLine> read_metrics(const std::filesystem::path& file);

// Of one split, one number over its epochs; NaN where a line lacks it.
struct History {
  std::vector<double> epochs;
  std::vector<double> values;
};
History history_of(const std::vector<MetricsLine>& lines, const std::string& split,
                   const std::string& number);

// validation or test, whichever the lines have; "" where they have neither.
std::string held_out_split(const std::vector<MetricsLine>& lines);

}  // namespace elbow::launch
