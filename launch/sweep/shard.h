// A share of a sweep's trials for one job of an array: --shard 2/8 runs trials 1, 9, 17, … (from
// 0), with a ledger of its own.
#pragma once

#include <cstdint>
#include <string>

namespace elbow::launch::sweep {

struct Shard {
  int64_t index = 0;  // in [0, count)
  int64_t count = 1;

  bool has(int64_t trial) const { return trial % count == index; }
  bool is_whole() const { return count == 1; }
  std::string text() const;  // "2/8"
};

// "2/8", counted from 1. trainer::SettingError where the text is anything else.
Shard shard_from_text(const std::string& text);

}  // namespace elbow::launch::sweep
