#include "comm/error.h"

#include <fmt/format.h>

namespace elbow::comm {
namespace {

std::string sentence(int rank, const std::string& host, int64_t step, const std::string& phase,
                     const std::string& operation) {
  const std::string who = rank < 0 ? "a peer" : fmt::format("rank {} on {}", rank, host);
  return fmt::format("{} was lost: {} in phase '{}' at step {} could not finish", who, operation,
                     phase, step);
}

}  // namespace

PeerLost::PeerLost(int rank, std::string host, int64_t step, std::string phase,
                   const std::string& operation)
    : Error(sentence(rank, host, step, phase, operation)),
      rank_(rank),
      host_(std::move(host)),
      step_(step),
      phase_(std::move(phase)) {}

}  // namespace elbow::comm
