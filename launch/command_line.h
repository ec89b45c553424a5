// Verbs and flags of `elbow`. Knows nothing of what a verb does.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "launch/progress_style.h"
#include "launch/run_choice.h"
#include "launch/slurm_job.h"
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
  bool verbose = false;  // what each rank tells its log goes to standard error too
  bool dry_run = false;  // everything is checked, nothing trained or written
};

struct SweepCommand {
  std::filesystem::path config;              // with axes
  std::vector<std::string> words;            // key=value
  std::optional<std::filesystem::path> out;  // unset: runs/NAME-DATE-TIME
  std::string shard = "1/1";                 // which of a job array's
  Resume resume = Resume::kNever;
  ProgressStyle progress = ProgressStyle::kAuto;
  bool verbose = false;
  bool dry_run = false;
};

struct ConfigCommand {
  std::optional<std::filesystem::path> config;
  std::vector<std::string> words;
  bool keys = false;  // list all keys instead
};

enum class BenchKind { kStep, kComm, kSweep, kScaling };

struct BenchCommand {
  BenchKind kind = BenchKind::kStep;
  std::optional<std::filesystem::path> config;
  std::vector<std::string> words;
  bool json = false;  // one JSON object instead of a table
};

struct DoctorCommand {
  std::optional<std::filesystem::path> config;
  std::vector<std::string> words;
  std::optional<std::filesystem::path> out;      // where runs would go; unset: runs/
  std::optional<std::filesystem::path> pretend;  // JSON of facts that replace those found
  double seconds = 5;                            // in which sums are measured
  bool json = false;                             // one JSON object instead of a text
};

struct ReportCommand {
  std::vector<std::filesystem::path> runs;   // at least one
  std::optional<std::filesystem::path> out;  // unset: the run's folder, or comparison/ of several
};

struct EvaluateCommand {
  RunChoice choice;
  std::string split = "test";
  int64_t importance_samples = 0;            // 0: no importance-sampled likelihood
  std::optional<int64_t> examples;           // of it: the split's first N; unset: all
  std::optional<std::filesystem::path> out;  // .npy with the likelihood of each example
  bool json = false;                         // one JSON object instead of a table
};

struct EncodeCommand {
  RunChoice choice;
  std::optional<std::filesystem::path> data;  // a file of images; unset: a split of the run
  std::string split = "test";
  std::filesystem::path out;  // .npy or .csv
};

enum class SampleKind {
  kPrior,
  kReconstruction,
  kInterpolation,
  kTraversal,
  kCompletion,
  kClasses,
};

struct SampleCommand {
  RunChoice choice;
  SampleKind kind = SampleKind::kPrior;
  int64_t count = 64;  // pictures
  std::string split = "test";
  std::optional<std::string> condition;            // label=3, attributes=0.1,0.2, example=17, none
  std::optional<std::filesystem::path> complete;   // a file of images, of which a part is given
  std::optional<std::filesystem::path> regressor;  // kCompletion: a run to compare with
  std::optional<std::filesystem::path> out;        // .npy or .png; unset: a .png in RUN/figures
};

struct ExportCommand {
  RunChoice choice;
  std::filesystem::path out;  // a folder
};

struct SlurmCommand {
  SlurmJob job;
};

// --help and --version: a text for standard output.
struct ShowText {
  std::string text;
};

using Command = std::variant<TrainCommand, SweepCommand, ConfigCommand, BenchCommand,
                             EvaluateCommand, EncodeCommand, SampleCommand, ExportCommand,
                             ReportCommand, DoctorCommand, SlurmCommand, ShowText>;

// `arguments`: without the program's name. Throws UsageError.
Command parse_command_line(const std::vector<std::string>& arguments);

}  // namespace elbow::launch
