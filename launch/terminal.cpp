#include "launch/terminal.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <cstdlib>
#include <string_view>

#include "launch/number_text.h"

namespace elbow::launch {

std::optional<int> terminal_columns() {
  constexpr int kUsual = 80;
  constexpr int64_t kWidest = 1000;
  if (isatty(STDERR_FILENO) != 0) {
    winsize size{};
    if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0) return kUsual;
    return size.ws_col;
  }
  const char* passed = std::getenv("ELBOW_TERMINAL_COLUMNS");
  const auto columns = passed == nullptr ? std::nullopt : integer_from_text(passed);
  if (!columns || *columns < 1 || *columns > kWidest) return std::nullopt;
  return static_cast<int>(*columns);
}

std::FILE* report_stream() {
  const char* stream = std::getenv("ELBOW_TERMINAL_STREAM");
  return stream != nullptr && std::string_view(stream) == "stderr" ? stderr : stdout;
}

}  // namespace elbow::launch
