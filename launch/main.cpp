// Exceptions become exit codes here, and nowhere else.
#include <cstdio>
#include <exception>

#include "launch/commands.h"
#include "launch/exit_code.h"
#include "trainer/error.h"

namespace {

using elbow::launch::ExitCode;

int failed(const std::exception& error, ExitCode code) {
  std::fprintf(stderr, "elbow: %s\n", error.what());
  return static_cast<int>(code);
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return static_cast<int>(elbow::launch::run_command({argv + (argc > 0 ? 1 : 0), argv + argc}));
  } catch (const elbow::trainer::SettingError& error) {
    return failed(error, ExitCode::kUsage);
  } catch (const elbow::trainer::DataError& error) {
    return failed(error, ExitCode::kData);
  } catch (const std::exception& error) {
    return failed(error, ExitCode::kFailed);
  }
}
