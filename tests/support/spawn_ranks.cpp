#include "tests/support/spawn_ranks.h"

#include <exception>
#include <thread>
#include <vector>

#include "comm/error.h"

namespace elbow::tests {
namespace {

struct Outcome {
  std::exception_ptr error;
  bool is_peer_lost = false;
};

Outcome run_rank(comm::ThreadWorld& world, int rank,
                 const std::function<void(comm::Communicator&, comm::ThreadWorld&)>& body) {
  try {
    const auto ranks = world.communicator(rank);
    body(*ranks, world);
  } catch (const comm::RankKilled&) {
  } catch (const comm::PeerLost&) {
    return {std::current_exception(), /*is_peer_lost=*/true};
  } catch (...) {
    return {std::current_exception()};
  }
  return {};
}

}  // namespace

void spawn_ranks(int size, const std::function<void(comm::Communicator&, comm::ThreadWorld&)>& body,
                 comm::ThreadOptions options) {
  comm::ThreadWorld world(size, std::move(options));
  std::vector<Outcome> outcomes(size);
  {
    std::vector<std::jthread> threads;
    for (int rank = 0; rank < size; ++rank) {
      threads.emplace_back([&, rank] {
        outcomes[rank] = run_rank(world, rank, body);
        world.leave(rank);
      });
    }
  }
  for (const bool peer_lost : {false, true}) {
    for (const Outcome& outcome : outcomes) {
      if (outcome.error && outcome.is_peer_lost == peer_lost) std::rethrow_exception(outcome.error);
    }
  }
}

void spawn_ranks(int size, const std::function<void(comm::Communicator&)>& body,
                 comm::ThreadOptions options) {
  spawn_ranks(
      size, [&](comm::Communicator& ranks, comm::ThreadWorld&) { body(ranks); },
      std::move(options));
}

}  // namespace elbow::tests
