// What a run says of itself: the table of effective settings before training, and the summary at
// its end. Pure.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "trainer/run_files.h"
#include "trainer/settings.h"

namespace elbow::launch {

// What is known only once data, model and ranks are there.
struct RunDescription {
  std::filesystem::path folder;
  int64_t observed = 0;  // D, the observed values of an example
  int64_t parameters = 0;
  int64_t leaves = 0;  // in exact mode, after auto
  int64_t threads_per_rank = 0;
  std::string backend;  // of the communicator
  std::vector<trainer::RankPlace> ranks;
  std::string device_choice;                            // why these devices; "" leaves the line out
  std::string if_lost;                                  // loss_outlook(); likewise
  std::vector<std::pair<std::string, int64_t>> splits;  // name, examples
  int64_t steps = 0;                                    // optimizer steps of the whole run
  std::map<std::string, double> recon_floor_nats{};     // trainer::Trainer's, by split
};

// One line a subject, such as "objective  beta 0.784 = kl_wt 0.001 * 784, loss as pixel_mean".
std::string settings_report(const trainer::Settings& settings, const RunDescription& run);

// What was reached, where the files are, and what to do next; not the sentence of an error, which
// goes to standard error. `folder`: of the run.
std::string summary_report(const trainer::RunResult& result, const std::filesystem::path& folder);

}  // namespace elbow::launch
