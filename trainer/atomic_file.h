// Files that are either there in full or not at all.
#pragma once

#include <filesystem>
#include <string_view>

namespace elbow::trainer {

// Writes `text` beside `file`, syncs it, renames it over `file`, and syncs the folder: after a crash at any moment there is
// the old file or the new one. Throws std::runtime_error that names file and reason; then the old file is untouched.
void write_file_atomically(const std::filesystem::path& file, std::string_view text);

}  // namespace elbow::trainer
