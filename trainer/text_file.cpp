#include "trainer/text_file.h"

#include <cstdint>
#include <span>

#include "trainer/file_bytes.h"

namespace elbow::trainer {

void replace_text_file(const std::filesystem::path& path, std::string_view text) {
  const std::span<const uint8_t> bytes(reinterpret_cast<const uint8_t*>(text.data()), text.size());
  replace_file(path, std::span(&bytes, 1));
}

}  // namespace elbow::trainer
