// Which trained model a verb opens: a run folder, one of its checkpoints, and where to compute.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace elbow::launch {

struct RunChoice {
  std::filesystem::path run;
  std::string checkpoint = "latest";  // best, latest, or the number of a step
  std::vector<std::string> words;     // key=value: where it computes and where the data lie
};

}  // namespace elbow::launch
