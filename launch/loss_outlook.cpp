#include "launch/loss_outlook.h"

#include <algorithm>

namespace elbow::launch {

std::string loss_outlook(const Outlook& launch) {
  const auto& ranks = launch.ranks;
  if (ranks.size() < 2) return "";
  const bool several_hosts = std::ranges::any_of(
      ranks, [&](const trainer::RankPlace& rank) { return rank.host != ranks[0].host; });
  const bool on_gpus = std::ranges::any_of(
      ranks, [](const trainer::RankPlace& rank) { return rank.device != "cpu"; });
  const std::string resume = "elbow resume goes on from the last checkpoint";
  if (!launch.heals) {
    const std::string who = several_hosts ? "a lost rank or host" : "a lost rank";
    return who + (launch.sweep ? " ends the sweep (exit 75), and elbow resume goes on with it"
                               : " ends the run (exit 75), and " + resume);
  }
  const std::string host = !several_hosts       ? ""
                           : launch.heals_hosts ? "; so it is for a host that does not answer"
                                                : "; a lost host ends it (exit 75), and " + resume;
  if (launch.sweep)
    return "a lost rank's trials go on from their last checkpoints on other ranks" + host;
  if (on_gpus)
    return "a lost rank ends the run with a checkpoint of its step (exit 75), and elbow resume "
           "goes on" +
           host;
  return "the others take over a lost rank's work, and the run goes on" + host;
}

}  // namespace elbow::launch
