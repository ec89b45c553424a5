// Whole files as bytes: read at once, or replaced at once so that a reader, or a crash, sees the
// old file or the new one and nothing between. Blocking; any thread.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <vector>

namespace elbow::trainer {

// DataError where the file is missing, is not a regular file (a pipe could block for ever) or
// cannot be read.
std::vector<uint8_t> read_file(const std::filesystem::path& path);

// The same of the first `at_most` bytes. `file_bytes` receives the size of the whole file.
std::vector<uint8_t> read_beginning(const std::filesystem::path& path, uint64_t at_most,
                                    uint64_t& file_bytes);

// Writes a new file, or over an old one, and syncs it; its folder is not synced. std::system_error
// where the disk refuses.
void write_synced(const std::filesystem::path& path,
                  std::span<const std::span<const uint8_t>> pieces);

// Syncs what a folder lists, or what a file holds. std::system_error.
void sync_path(const std::filesystem::path& path);

// Writes the pieces one after another into a temporary file beside `path`, syncs it, renames it to
// `path` and syncs the folder. std::system_error where the disk refuses; `path` is then what it
// was, and no temporary file is left.
void replace_file(const std::filesystem::path& path,
                  std::span<const std::span<const uint8_t>> pieces);

}  // namespace elbow::trainer
