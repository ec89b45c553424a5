// manifest.json of a checkpoint: sizes and XXH3 hashes of its other files, the format's version,
// and a hash of all that. Its text follows from its values alone, so that any changed byte is
// noticed. Pure.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>

namespace elbow::trainer {

struct FileSeal {
  uint64_t bytes = 0;
  uint64_t xxh3 = 0;  // XXH3, 64 bits
  bool operator==(const FileSeal&) const = default;
};

FileSeal seal_of(std::span<const uint8_t> bytes);

struct CheckpointManifest {
  int64_t step = 0;
  std::map<std::string, FileSeal> files;
};

std::string manifest_text(const CheckpointManifest& manifest);

// Throws DamagedCheckpoint that says what is wrong, without the file's name.
CheckpointManifest parse_manifest(std::string_view text);

}  // namespace elbow::trainer
