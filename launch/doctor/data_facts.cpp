#include "launch/doctor/data_facts.h"

#include <fmt/format.h>

#include "trainer/error.h"
#include "trainer/file_bytes.h"
#include "trainer/sha256.h"

namespace elbow::launch::doctor {
namespace {

// Of a file that is too large to be read whole: its size, and the hash of its beginning.
std::string fingerprint(const std::string& file) {
  constexpr uint64_t kBeginning = uint64_t{16} << 20;
  uint64_t bytes = 0;
  const auto hash = trainer::sha256(trainer::read_beginning(file, kBeginning, bytes));
  return fmt::format("{} of the beginning of {} bytes", hash.substr(0, 16), bytes);
}

}  // namespace

trainer::Dataset load_data(const trainer::DataSettings& settings, DataFacts& facts) {
  try {
    auto data = trainer::load_dataset(settings);
    for (const auto& file : data.files) {
      facts.files.push_back({.name = file.name, .hash = file.sha256});
      const bool on_disk = !file.name.starts_with("embedded:") && settings.source != "synthetic";
      if (file.sha256.empty() && on_disk) facts.files.back().hash = fingerprint(file.name);
    }
    return data;
  } catch (const std::exception& error) {
    facts.error = error.what();
    return {};
  }
}

}  // namespace elbow::launch::doctor
