// Verbs and flags of `elbow`. Knows nothing of what a verb does.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "launch/progress_style.h"
#include "trainer/error.h"

namespace elbow::launch {

// A command line that cannot be meant: one sentence, exit code 2.
class UsageError : public trainer::SettingError {
 public:
  using SettingError::SettingError;
};

// What a folder that holds a run is for.
enum class Resume {
  kNever,  // an error
  kAuto,   // to be gone on with, where it holds one
  kMust,   // to be gone on with
};

struct TrainCommand {
  std::optional<std::filesystem::path> config;     // unset: the built-in kl_vae.cfg
  std::vector<std::string> words;                  // key=value
  std::optional<std::filesystem::path> out;        // unset: runs/NAME-DATE-TIME
  std::optional<std::filesystem::path> init_from;  // run whose weights are the first ones
  Resume resume = Resume::kNever;
  ProgressStyle progress = ProgressStyle::kAuto;
};

struct ConfigCommand {
  std::optional<std::filesystem::path> config;
  std::vector<std::string> words;
  bool keys = false;  // list all keys instead
};

enum class BenchKind { kStep, kComm };

struct BenchCommand {
  BenchKind kind = BenchKind::kStep;
  std::optional<std::filesystem::path> config;
  std::vector<std::string> words;
  bool json = false;  // one JSON object instead of a table
};

// --help and --version: a text for standard output.
struct ShowText {
  std::string text;
};

using Command = std::variant<TrainCommand, ConfigCommand, BenchCommand, ShowText>;

// `arguments`: without the program's name. Throws UsageError.
Command parse_command_line(const std::vector<std::string>& arguments);

}  // namespace elbow::launch
