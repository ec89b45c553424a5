#include "launch/world.h"

#include <ATen/ATen.h>
#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>

#include "comm/communicators.h"
#include "comm/error.h"
#include "comm/text.h"
#include "trainer/error.h"

namespace elbow::launch {
namespace {

void print(const std::string& sentence) {
  if (!sentence.empty()) fmt::print(stderr, "elbow: {}\n", sentence);
}

}  // namespace

World::World()
    : ranks_(session_.size() > 1 ? comm::make_mpi(session_) : comm::make_self()),
      log_(session_.rank(), session_.host(session_.rank())) {
  const std::chrono::duration<double> mpi_s = std::chrono::steady_clock::now() - begin_;
  log_.tell(fmt::format("rank {} of {} is up, process {}: {} took {:.3f} s{}", session_.rank(),
                        session_.size(), getpid(), comm::mpi_library(), mpi_s.count(),
                        session_.fault_tolerant() ? " and survives lost ranks" : ""));
}

void World::together(const std::function<void()>& work) {
  std::string sentence;
  int64_t code = 0;
  try {
    work();
  } catch (const comm::PeerLost&) {
    throw;
  } catch (const std::exception& error) {
    sentence = error.what();
    code = static_cast<int64_t>(exit_code_of(error));
  }
  // The largest key is the lowest failed rank's: (ranks from it to the last, exit code).
  constexpr int64_t kCodes = 256;
  const int64_t key = code == 0 ? 0 : (ranks_->size() - ranks_->rank()) * kCodes + code;
  auto largest = at::full({1}, key, at::kLong);
  ranks_->all_reduce_max(largest);
  const int64_t found = largest.item<int64_t>();
  if (found != 0)
    throw SharedError(static_cast<ExitCode>(found % kCodes), found == key ? sentence : "");
}

std::string World::from_rank_0(const std::function<std::string()>& make) {
  std::string text;
  together([&] {
    if (ranks_->rank() == 0) text = make();
  });
  return comm::broadcast_text(*ranks_, text, 0);
}

ExitCode World::leave(ExitCode code) {
  log_.tell(fmt::format("leaves with exit code {}", static_cast<int>(code)));
  ranks_.reset();
  session_.close(static_cast<int>(code));
  if (!session_.healthy()) _exit(static_cast<int>(code));
  return code;
}

std::string World::by_this_rank(const std::exception& error) const {
  if (ranks_->size() == 1) return error.what();
  return fmt::format("rank {} on {}: {}", session_.rank(), session_.host(session_.rank()),
                     error.what());
}

ExitCode World::run(const std::function<ExitCode()>& verb) {
  try {
    return leave(verb());
  } catch (const SharedError& error) {
    print(error.what());
    log_.tell(error.what());
    return leave(error.code());
  } catch (const comm::PeerLost& error) {
    print(by_this_rank(error));
    log_.tell(error.what());
    return leave(exit_code_of(error));  // with the other survivors, who all know
  } catch (const trainer::Unfinished& error) {
    print(by_this_rank(error));
    log_.tell(error.what());
    if (ranks_->size() == 1) return leave(ExitCode::kUnfinished);
    // Cut off from ranks that live and go on: an abort, or an exit code, would end them as well
    // once they can be reached again.
    if (session_.survives_lost_hosts() && !session_.healthy()) raise(SIGKILL);
    session_.abort(static_cast<int>(ExitCode::kUnfinished));  // the others do not know
  } catch (const std::exception& error) {
    print(by_this_rank(error));
    log_.tell(error.what());
    if (ranks_->size() == 1) return leave(exit_code_of(error));
    session_.abort(static_cast<int>(exit_code_of(error)));
  }
}

bool under_launcher() {
  return std::getenv("PMIX_RANK") != nullptr || std::getenv("OMPI_COMM_WORLD_SIZE") != nullptr;
}

}  // namespace elbow::launch
