// The desk reads each leader's letters, and sends orders to whoever leads a group now.
#include <gmock/gmock.h>

#include <map>
#include <set>

#include "launch/cluster/coordinator_desk.h"
#include "launch/simulation/pretended_mailbox.h"
#include "launch/sweep/study_head.h"
#include "tests/support/temporary_directory.h"

namespace elbow::launch::cluster {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

// Rank 0 is a group, ranks 1 and 2 are another.
class Desk {
 public:
  void post(int rank, const Report& report) { mailbox_.post(rank, letter_of(report)); }
  void note_lost(int rank) { mailbox_.note_lost(rank); }

  // What each rank is told to begin in this turn, one second behind the last one.
  std::map<int, std::vector<int64_t>> turn() {
    std::map<int, std::vector<int64_t>> begun;
    time_.advance_to(time_.now() + 1);
    const std::chrono::seconds now(static_cast<int64_t>(time_.now()));
    desk_.turn(CoordinatorDesk::Clock::time_point(now), sweep::Time(now));
    mailbox_.take_away([&](int rank, const std::string& letter) {
      const auto orders = orders_from(letter);
      for (const auto& start : orders.begin) begun[rank].push_back(start.trial);
      if (orders.dismissed) dismissed_.insert(rank);
    });
    time_.advance_to(time_.now());
    return begun;
  }
  const std::set<int>& dismissed() const { return dismissed_; }  // so far
  CoordinatorDesk& desk() { return desk_; }

 private:
  std::set<int> dismissed_;
  tests::TemporaryDirectory folder_;
  sweep::SweepConfig sweep_ =
      sweep::parse_sweep_text("[sweep]\nobjective.kl_wt = 1, 2, 3, 4, 5, 6\n", "a.cfg");
  sweep::Ledger ledger_ =
      sweep::Ledger::create(folder_.path() / "ledger.jsonl", study_head(sweep_, {}));
  simulation::VirtualTime time_;
  simulation::PretendedMailbox mailbox_{time_, /*ranks=*/3, /*letter_s=*/0};
  Coordinator coordinator_{sweep_, ledger_, {}, {"a", "b"}};
  CoordinatorDesk desk_{
      {.coordinator = coordinator_, .mailbox = mailbox_, .ranks_of_group = {{0}, {1, 2}}}};
};

TEST(CoordinatorDesk, TheSuccessorOfALeaderGetsItsGroupsOrders) {
  Desk desk;
  desk.post(1, {.group = 1, .number = 1, .rows = 2});
  EXPECT_THAT(desk.turn()[1], ElementsAre(0, 1));
  desk.note_lost(1);
  desk.post(2, {.group = 1, .number = 1, .rows = 2, .lost = {"rank 1"}});
  EXPECT_THAT(desk.turn()[2], ElementsAre(0, 1));
}

TEST(CoordinatorDesk, WhatALeaderWroteBeforeItDiedDoesNotTakeItsSuccessorsTrialsAway) {
  Desk desk;
  desk.note_lost(1);
  desk.post(2, {.group = 1, .number = 1, .rows = 2, .lost = {"rank 1"}});
  EXPECT_THAT(desk.turn()[2], ElementsAre(0, 1));
  desk.post(1, {.group = 1, .number = 1, .rows = 2});
  desk.post(0, {.group = 0, .number = 1, .rows = 6});
  auto begun = desk.turn();
  EXPECT_THAT(begun[1], IsEmpty());
  EXPECT_THAT(begun[0], ElementsAre(2, 3, 4, 5));
}

TEST(CoordinatorDesk, WhoSaysFarewellWaitsUntilAllThatLiveHave) {
  Desk desk;
  desk.post(0, {.group = 0, .farewell = true});
  desk.post(1, {.group = 1, .farewell = true});
  desk.turn();
  EXPECT_FALSE(desk.desk().everybody_said_farewell());
  EXPECT_THAT(desk.dismissed(), IsEmpty());
  desk.note_lost(2);
  desk.turn();
  EXPECT_TRUE(desk.desk().everybody_said_farewell());
  desk.desk().dismiss();
  desk.turn();
  EXPECT_THAT(desk.dismissed(), ElementsAre(0, 1));
}

TEST(CoordinatorDesk, BehindAWrittenEndAFarewellIsAnsweredAtOnce) {
  Desk desk;
  desk.desk().dismiss();
  desk.post(2, {.group = 1, .farewell = true});
  desk.turn();
  EXPECT_THAT(desk.dismissed(), ElementsAre(2));
}

}  // namespace
}  // namespace elbow::launch::cluster
