#include "comm/thread_world.h"

#include <ATen/ops/maximum.h>
#include <fmt/format.h>

#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <numeric>
#include <optional>

#include "comm/communicators.h"
#include "comm/error.h"
#include "comm/tensor_rules.h"

namespace elbow::comm {

enum class Life { kRunning, kFrozen, kLost, kLeft };

// Everything that the ranks share, guarded by one mutex; `changed` is notified whenever any of it
// changes.
struct ThreadWorldState {
  std::mutex mutex;
  std::condition_variable changed;
  std::chrono::milliseconds deadline;
  std::vector<std::string> hosts;  // per world rank
  std::vector<Life> lives;         // per world rank
};

namespace {

using Clock = std::chrono::steady_clock;
using Lock = std::unique_lock<std::mutex>;

enum class Operation { kSum, kMax, kGather, kBroadcast, kBarrier, kSplit };

const char* name_of(Operation operation) {
  switch (operation) {
    case Operation::kSum:
      return "all_reduce_sum";
    case Operation::kMax:
      return "all_reduce_max";
    case Operation::kGather:
      return "all_gather";
    case Operation::kBroadcast:
      return "broadcast";
    case Operation::kBarrier:
      return "barrier";
    case Operation::kSplit:
      return "split";
  }
  return "?";
}

// What one rank brings to a collective. Its thread is held until the collective is done, so the
// tensors stay valid.
struct Offer {
  Operation operation;
  at::Tensor tensor = {};
  at::Tensor output = {};  // all_gather
  int root = 0;            // broadcast
  int color = 0, key = 0;  // split
};

struct Group;

// One collective: the rank that arrives last does the work for all.
struct Round {
  explicit Round(size_t size) : offers(size), split(size) {}
  std::vector<std::optional<Offer>> offers;
  size_t arrived = 0;
  bool done = false;
  std::exception_ptr error;
  std::vector<std::shared_ptr<Group>> split;  // per rank: its new group
};

// One call of agree().
struct Vote {
  explicit Vote(size_t size) : came(size) {}
  std::vector<bool> came;  // per rank
  bool all_say_yes = true;
  bool done = false;
};

struct Group {
  explicit Group(std::vector<int> world_ranks)
      : members(std::move(world_ranks)),
        round(std::make_shared<Round>(members.size())),
        shrinking(members.size()),
        vote(std::make_shared<Vote>(members.size())) {}
  std::vector<int> members;  // world ranks, in the order of the group's ranks
  std::shared_ptr<Round> round;
  bool revoked = false;
  std::vector<bool> shrinking;       // per rank: waits in shrink()
  std::shared_ptr<Vote> vote;        // the present one of agree()
  std::shared_ptr<Group> survivors;  // set once, by the rank that completes a shrink
};

void check_shapes(const Round& round) {
  const Offer& first = *round.offers.front();
  for (const auto& offer : round.offers) {
    if (offer->operation != first.operation) {
      throw Error(fmt::format("ranks called {} and {} at the same time", name_of(first.operation),
                              name_of(offer->operation)));
    }
    if (first.operation == Operation::kGather || !first.tensor.defined()) continue;
    if (offer->tensor.sizes() != first.tensor.sizes() ||
        offer->tensor.scalar_type() != first.tensor.scalar_type()) {
      throw Error(
          fmt::format("{}: ranks passed different shapes or dtypes", name_of(first.operation)));
    }
  }
}

void reduce(const Round& round) {
  at::Tensor result = round.offers.front()->tensor.clone();
  for (size_t rank = 1; rank < round.offers.size(); ++rank) {
    const Offer& offer = *round.offers[rank];
    if (offer.operation == Operation::kSum) {
      result.add_(offer.tensor);
    } else {
      at::maximum_out(result, result, offer.tensor);
    }
  }
  for (const auto& offer : round.offers) offer->tensor.copy_(result);
}

void gather(const Round& round) {
  for (const auto& target : round.offers) {
    int64_t first = 0;
    for (const auto& source : round.offers) {
      const int64_t count = source->tensor.size(0);
      if (source->tensor.numel() > 0) target->output.narrow(0, first, count).copy_(source->tensor);
      first += count;
    }
  }
}

void broadcast_from(const Round& round, int root) {
  const at::Tensor& source = round.offers[root]->tensor;
  for (const auto& offer : round.offers) {
    if (!offer->tensor.is_same(source)) offer->tensor.copy_(source);
  }
}

void split_group(Round& round, const std::vector<int>& members) {
  std::vector<size_t> order(members.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) {
    const Offer &left = *round.offers[a], &right = *round.offers[b];
    return std::pair(left.color, left.key) < std::pair(right.color, right.key);
  });
  for (size_t begin = 0, end = 0; begin < order.size(); begin = end) {
    const int color = round.offers[order[begin]]->color;
    std::vector<int> chosen;
    for (; end < order.size() && round.offers[order[end]]->color == color; ++end) {
      chosen.push_back(members[order[end]]);
    }
    const auto group = std::make_shared<Group>(std::move(chosen));
    for (size_t i = begin; i < end; ++i) round.split[order[i]] = group;
  }
}

void carry_out(Round& round, const std::vector<int>& members) {
  try {
    check_shapes(round);
    switch (round.offers.front()->operation) {
      case Operation::kSum:
      case Operation::kMax:
        reduce(round);
        break;
      case Operation::kGather:
        gather(round);
        break;
      case Operation::kBroadcast:
        broadcast_from(round, round.offers.front()->root);
        break;
      case Operation::kBarrier:
        break;
      case Operation::kSplit:
        split_group(round, members);
        break;
    }
  } catch (...) {
    round.error = std::current_exception();
  }
  round.done = true;
}

class ThreadCommunicator final : public Communicator {
 public:
  ThreadCommunicator(std::shared_ptr<ThreadWorldState> world, std::shared_ptr<Group> group,
                     int rank)
      : world_(std::move(world)), group_(std::move(group)), rank_(rank) {}

  int rank() const override { return rank_; }
  int size() const override { return static_cast<int>(group_->members.size()); }
  std::string backend() const override { return "threads"; }
  std::string host(int rank) const override { return world_->hosts.at(group_->members.at(rank)); }

  void all_reduce_sum(at::Tensor tensor) override {
    require_reducible(tensor, "all_reduce_sum");
    meet({.operation = Operation::kSum, .tensor = tensor.detach()});
  }

  void all_reduce_max(at::Tensor tensor) override {
    require_reducible(tensor, "all_reduce_max");
    meet({.operation = Operation::kMax, .tensor = tensor.detach()});
  }

  void all_gather(const at::Tensor& input, at::Tensor output,
                  std::span<const int64_t> counts) override {
    require_gatherable(input, output, counts, rank_, size());
    meet({.operation = Operation::kGather, .tensor = input.detach(), .output = output.detach()});
  }

  void broadcast(at::Tensor tensor, int root) override {
    require_contiguous(tensor, "broadcast");
    require_root(root, size());
    meet({.operation = Operation::kBroadcast, .tensor = tensor.detach(), .root = root});
  }

  void barrier() override { meet({.operation = Operation::kBarrier}); }
  void wait() override {}

  std::unique_ptr<Communicator> split(int color, int key) override {
    require_color(color);
    const auto round = meet({.operation = Operation::kSplit, .color = color, .key = key});
    return of(round->split[rank_]);
  }

  std::unique_ptr<Communicator> shrink() override {
    Lock lock(world_->mutex);
    stay_alive(lock);
    group_->revoked = true;
    group_->shrinking[rank_] = true;
    world_->changed.notify_all();
    const auto deadline = Clock::now() + world_->deadline;
    while (!lost(rank_) && !group_->survivors) {
      if (!form_survivors())
        wait_for_peers(lock, deadline, [&](int rank) { return group_->shrinking[rank]; });
    }
    if (lost(rank_)) throw RankKilled{group_->members[rank_]};
    return of(group_->survivors);
  }

  bool agree(bool yes) override {
    Lock lock(world_->mutex);
    stay_alive(lock);
    const auto vote = group_->vote;
    vote->came[rank_] = true;
    vote->all_say_yes = vote->all_say_yes && yes;
    world_->changed.notify_all();
    const auto deadline = Clock::now() + world_->deadline;
    while (!lost(rank_) && !vote->done) {
      if (group_->revoked) return false;  // a rank that does not come waits in shrink()
      if (!finish(*vote))
        wait_for_peers(lock, deadline, [&](int rank) { return vote->came[rank]; });
    }
    if (lost(rank_)) throw RankKilled{group_->members[rank_]};
    return vote->all_say_yes;
  }

  int lost_rank() override {
    const Lock lock(world_->mutex);
    return first(Life::kLost);
  }

 private:
  // Takes part in one collective and returns when it is done.
  std::shared_ptr<Round> meet(Offer offer) {
    const char* name = name_of(offer.operation);
    Lock lock(world_->mutex);
    stay_alive(lock);
    if (lost_a_peer_) {
      throw Error(fmt::format("{} was called on rank {} after a peer was lost; call shrink() first",
                              name, rank_));
    }
    const auto round = group_->round;
    if (!broken()) {
      round->offers[rank_] = std::move(offer);
      if (++round->arrived == round->offers.size()) {
        carry_out(*round, group_->members);
        group_->round = std::make_shared<Round>(group_->members.size());
        world_->changed.notify_all();
      }
    }
    const auto deadline = Clock::now() + world_->deadline;
    while (!round->done) {
      if (lost(rank_)) throw RankKilled{group_->members[rank_]};
      if (broken()) throw_peer_lost(name);
      wait_for_peers(lock, deadline, [&](int rank) { return round->offers[rank].has_value(); });
    }
    if (round->error) std::rethrow_exception(round->error);
    return round;
  }

  // Waits for a change; past the deadline, whoever is not here is lost.
  void wait_for_peers(Lock& lock, Clock::time_point deadline, auto is_here) {
    if (world_->changed.wait_until(lock, deadline) == std::cv_status::no_timeout) return;
    for (int rank = 0; rank < size(); ++rank) {
      if (!is_here(rank) && !gone(rank)) world_->lives[group_->members[rank]] = Life::kLost;
    }
    world_->changed.notify_all();
  }

  // A lost rank ends here; a frozen one stays here until it is lost, at the latest after the
  // deadline.
  void stay_alive(Lock& lock) {
    Life& life = world_->lives[group_->members[rank_]];
    world_->changed.wait_for(lock, 2 * world_->deadline, [&] { return life != Life::kFrozen; });
    if (life == Life::kRunning) return;
    life = Life::kLost;
    world_->changed.notify_all();
    throw RankKilled{group_->members[rank_]};
  }

  Life life(int rank) const { return world_->lives[group_->members[rank]]; }
  bool lost(int rank) const { return life(rank) == Life::kLost; }

  bool gone(int rank) const { return lost(rank) || life(rank) == Life::kLeft; }

  int first(Life wanted) const {
    for (int rank = 0; rank < size(); ++rank) {
      if (life(rank) == wanted) return rank;
    }
    return -1;
  }

  // The rank to blame: one that was lost rather than one that left because of it. -1 if all are
  // there.
  int first_gone() const {
    const int lost = first(Life::kLost);
    return lost >= 0 ? lost : first(Life::kLeft);
  }

  bool broken() const { return group_->revoked || first_gone() >= 0; }

  [[noreturn]] void throw_peer_lost(const char* operation) {
    lost_a_peer_ = true;
    const int rank = first_gone();
    throw PeerLost(rank, rank < 0 ? "" : host(rank), step(), phase(), operation);
  }

  // The survivors' group, once every member is either lost or waits in shrink().
  bool form_survivors() {
    std::vector<int> survivors;
    for (int rank = 0; rank < size(); ++rank) {
      if (gone(rank)) continue;
      if (!group_->shrinking[rank]) return false;
      survivors.push_back(group_->members[rank]);
    }
    group_->survivors = std::make_shared<Group>(std::move(survivors));
    world_->changed.notify_all();
    return true;
  }

  // The vote is done once every member is either gone or has come.
  bool finish(Vote& vote) {
    for (int rank = 0; rank < size(); ++rank) {
      if (!gone(rank) && !vote.came[rank]) return false;
    }
    vote.done = true;
    group_->vote = std::make_shared<Vote>(group_->members.size());
    world_->changed.notify_all();
    return true;
  }

  std::unique_ptr<Communicator> of(std::shared_ptr<Group> group) {
    const auto found = std::ranges::find(group->members, group_->members[rank_]);
    const int rank = static_cast<int>(found - group->members.begin());
    return std::make_unique<ThreadCommunicator>(world_, std::move(group), rank);
  }

  std::shared_ptr<ThreadWorldState> world_;
  std::shared_ptr<Group> group_;
  int rank_;
  bool lost_a_peer_ = false;
};

}  // namespace

struct ThreadWorld::Everyone {
  std::shared_ptr<Group> group;
};

ThreadWorld::ThreadWorld(int size, ThreadOptions options)
    : state_(std::make_shared<ThreadWorldState>()), everyone_(std::make_unique<Everyone>()) {
  if (size < 1)
    throw Error(fmt::format("a world of {} ranks was asked for; at least 1 is needed", size));
  if (options.hosts.empty()) options.hosts.assign(size, this_host());
  if (std::ssize(options.hosts) != size) {
    throw Error(fmt::format("{} hosts were given for {} ranks", options.hosts.size(), size));
  }
  state_->deadline = options.deadline;
  state_->hosts = std::move(options.hosts);
  state_->lives.assign(size, Life::kRunning);
  std::vector<int> ranks(size);
  std::iota(ranks.begin(), ranks.end(), 0);
  everyone_->group = std::make_shared<Group>(std::move(ranks));
}

ThreadWorld::~ThreadWorld() = default;

int ThreadWorld::size() const { return static_cast<int>(state_->hosts.size()); }

std::unique_ptr<Communicator> ThreadWorld::communicator(int rank) {
  if (rank < 0 || rank >= size())
    throw Error(fmt::format("no rank {} in a world of {}", rank, size()));
  return std::make_unique<ThreadCommunicator>(state_, everyone_->group, rank);
}

void ThreadWorld::lose(int rank) {
  const std::lock_guard lock(state_->mutex);
  state_->lives.at(rank) = Life::kLost;
  state_->changed.notify_all();
}

void ThreadWorld::leave(int rank) {
  const std::lock_guard lock(state_->mutex);
  if (state_->lives.at(rank) != Life::kLost) state_->lives[rank] = Life::kLeft;
  state_->changed.notify_all();
}

void ThreadWorld::freeze(int rank) {
  const std::lock_guard lock(state_->mutex);
  if (state_->lives.at(rank) == Life::kRunning) state_->lives[rank] = Life::kFrozen;
}

}  // namespace elbow::comm
