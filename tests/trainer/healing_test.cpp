// Ranks die at chosen moments of a run; the survivors end it with the files of one that nobody
// disturbed.
#include "trainer/healing.h"

#include <gtest/gtest.h>

#include <fstream>
#include <mutex>
#include <regex>
#include <sstream>
#include <thread>

#include "comm/communicators.h"
#include "models/forms.h"
#include "models/mkl.h"
#include "tests/support/small_data.h"
#include "tests/support/spawn_ranks.h"
#include "tests/support/temporary_directory.h"
#include "tests/support/unreliable_ranks.h"
#include "trainer/trial.h"

namespace elbow::trainer {
namespace {

using tests::Fault;

// Before the first product of this process.
const std::string kBranch = models::fix_mkl_branch(models::best_mkl_branch());

// Three steps an epoch.
const Dataset& data() {
  static const Dataset data = tests::small_data(75, 600, 5, 7);
  return data;
}

Settings small_settings() {
  Settings settings;
  settings.model = {.encoder = {24}, .decoder = {20}, .latent = 3};
  settings.train = {.epochs = 2, .batch_size = 32, .seed = 5, .reproducible = "exact", .leaves = 4};
  settings.optimizer.kind = "adam";
  settings.checkpoint.every_steps = 1;
  return settings;
}

enum class Hosts { kOne, kSeveral };  // ranks meet in shared memory, or send messages

std::string text_of(const std::filesystem::path& file) {
  std::ifstream stream(file, std::ios::binary);
  std::ostringstream text;
  text << stream.rdbuf();
  return text.str();
}

struct Outcome {
  RunResult result;  // of the rank that wrote it
  std::string weights;
  std::string metrics;  // without times
};

Outcome train(int size, Hosts hosts, const std::vector<Fault>& faults) {
  const tests::TemporaryDirectory folder;
  const auto directory = RunDirectory::create(folder.path() / "run");
  const auto settings = small_settings();
  const Interruption interruption;
  comm::ThreadOptions options;
  if (hosts == Hosts::kSeveral) {
    for (int rank = 0; rank < size; ++rank) options.hosts.push_back("host" + std::to_string(rank));
  }
  std::mutex mutex;
  Outcome outcome;
  tests::spawn_ranks(
      size,
      [&](comm::Communicator& ranks, comm::ThreadWorld& world) {
        const int rank = ranks.rank();
        const auto unreliable =
            tests::make_unreliable(world.communicator(rank), world, rank, faults);
        std::optional<RunLock> lock;
        if (rank == 0) lock.emplace(directory.lock(), std::chrono::seconds(1));
        ThreadTeam team(1);
        Trainer trainer(settings, {row_of(settings, 35)}, data(), *unreliable, team);
        const auto result = run_trial({.settings = settings,
                                       .data = data(),
                                       .ranks = *unreliable,
                                       .directory = directory,
                                       .observer = nullptr,
                                       .interruption = interruption,
                                       .lock = lock ? &*lock : nullptr},
                                      trainer);
        const std::lock_guard guard(mutex);
        if (result.written_here) outcome.result = result;
      },
      options);
  outcome.weights = text_of(directory.checkpoint(6) / "model.safetensors");
  outcome.metrics = std::regex_replace(text_of(directory.metrics()),
                                       std::regex(R"(,"seconds":.*?,"examples_per_s":[^}]*)"), "");
  return outcome;
}

const Outcome& undisturbed() {
  static const Outcome outcome = train(1, Hosts::kOne, {});
  return outcome;
}

void expect_healed(int size, Hosts hosts, const std::vector<Fault>& faults, size_t losses) {
  const auto outcome = train(size, hosts, faults);
  EXPECT_EQ(outcome.result.status, RunStatus::kComplete) << outcome.result.error;
  EXPECT_EQ(outcome.result.exit_code, 0);
  EXPECT_LE(outcome.result.healed.size(), losses);  // deaths at once may count as one
  EXPECT_EQ(outcome.result.healed.empty(), losses == 0);
  EXPECT_FALSE(outcome.weights.empty());
  EXPECT_EQ(outcome.weights, undisturbed().weights);
  EXPECT_EQ(outcome.metrics, undisturbed().metrics);
}

TEST(Healing, TheUndisturbedRunIsTheSameOnFourRanks) {
  expect_healed(4, Hosts::kOne, {}, 0);
  expect_healed(4, Hosts::kSeveral, {}, 0);
}

TEST(Healing, AnyRankMayDieAtTheBeginningOfAnyPhase) {
  for (const auto hosts : {Hosts::kOne, Hosts::kSeveral}) {
    for (const int rank : {0, 2}) {
      for (const auto& [step, phase] :
           std::vector<std::pair<int64_t, std::string>>{{0, "gradient sum"},
                                                        {2, "gradient sum"},
                                                        {3, "gradient sum"},
                                                        {3, "evaluation"},
                                                        {6, "evaluation"},
                                                        {6, "end"}}) {
        SCOPED_TRACE(testing::Message() << "rank " << rank << " in " << phase << " at " << step);
        expect_healed(4, hosts, {{rank, step, phase, 0, rank}}, 1);
      }
    }
  }
}

TEST(Healing, AnOperationMayFailOnOneSurvivorAlone) {
  struct Moment {
    int64_t step;
    std::string phase;
    int operation;
  };
  for (const Moment& moment :
       {Moment{1, "gradient sum", 1}, Moment{3, "evaluation", 1}, Moment{3, "evaluation", 2},
        Moment{6, "evaluation", 2}, Moment{6, "end", 1}, Moment{6, "end", 3}}) {
    for (const auto& [rank, dies] : {std::pair(1, 3), std::pair(1, 0), std::pair(0, 2)}) {
      SCOPED_TRACE(testing::Message() << "rank " << rank << " in " << moment.phase << " at "
                                      << moment.step << ", rank " << dies << " dies");
      expect_healed(4, Hosts::kSeveral, {{rank, moment.step, moment.phase, moment.operation, dies}},
                    1);
    }
  }
}

// The path of a GPU, on the CPU: a rank that has gone on behind a partial sum must have changed
// nothing, while another one has the whole sum and is a step ahead.
TEST(Healing, OnADeviceASumThatIsCutShortChangesNothing) {
  const models::AtenForms forced;
  const auto whole = train(1, Hosts::kOne, {});
  for (const int64_t step : {0, 2, 4}) {
    for (const auto& [rank, dies] : {std::pair(1, 3), std::pair(0, 2), std::pair(1, 0)}) {
      SCOPED_TRACE(testing::Message() << "rank " << rank << " at " << step << ", " << dies);
      const auto outcome =
          train(4, Hosts::kOne, {{rank, step, "gradient sum", 2, dies, /*cuts_short=*/true}});
      EXPECT_EQ(outcome.result.status, RunStatus::kComplete) << outcome.result.error;
      EXPECT_EQ(outcome.result.healed.size(), 1u);
      EXPECT_EQ(outcome.weights, whole.weights);
      EXPECT_EQ(outcome.metrics, whole.metrics);
    }
  }
}

TEST(Healing, SeveralMayDieAtOnceOrOneAfterAnotherDownToOne) {
  const auto all_but = [](int survivor) {
    std::vector<Fault> faults;
    for (int rank = 0; rank < 4; ++rank) {
      if (rank != survivor) faults.push_back({rank, 1 + rank, "gradient sum", 0, rank});
    }
    return faults;
  };
  for (const auto hosts : {Hosts::kOne, Hosts::kSeveral}) {
    expect_healed(4, hosts, all_but(0), 3);
    expect_healed(4, hosts, all_but(3), 3);
    expect_healed(
        4, hosts,
        {{0, 2, "gradient sum", 0, 0}, {1, 2, "gradient sum", 0, 1}, {3, 2, "gradient sum", 0, 3}},
        3);
  }
}

TEST(Healing, ARankMayDieWhileOthersHeal) {
  for (const int operation : {0, 1, 2, 4}) {
    for (const int second : {0, 1, 3}) {
      SCOPED_TRACE(testing::Message() << "rank " << second << " in operation " << operation);
      // Rank 1 is a step behind when rank 2 dies.
      expect_healed(4, Hosts::kSeveral,
                    {{1, 1, "gradient sum", 1, 2},
                     {second, second == 1 ? 1 : 2, "healing", operation, second}},
                    1);
    }
  }
}

}  // namespace
}  // namespace elbow::trainer
