// Small text files that are replaced as a whole: configuration, manifest, result.
#pragma once

#include <filesystem>
#include <string_view>

namespace elbow::trainer {

// A reader, or a crash, sees the old text or the new one. std::system_error with the file's name
// where the disk refuses.
void replace_text_file(const std::filesystem::path& path, std::string_view text);

}  // namespace elbow::trainer
