#include "trainer/background_writer.h"

#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <vector>

namespace elbow::trainer {
namespace {

// Jobs that note their number; the first one waits to be let go.
class Work : public testing::Test {
 protected:
  BackgroundWriter::Job job(int number) {
    return [this, number] { done_.push_back(number); };
  }
  BackgroundWriter::Job held_job(int number) {
    return [this, number] {
      begun_.set_value();
      go_.get_future().wait();
      done_.push_back(number);
    };
  }

  std::promise<void> begun_, go_;
  std::vector<int> done_;  // by the writer's thread, read after wait()
};

TEST_F(Work, IsDoneInOrder) {
  BackgroundWriter writer;
  for (int i = 0; i < 5; ++i) writer.submit(job(i), /*may_be_dropped=*/false);
  writer.wait();
  EXPECT_EQ(done_, (std::vector<int>{0, 1, 2, 3, 4}));
}

TEST_F(Work, ThatMayBeDroppedGivesItsPlaceToLaterWork) {
  BackgroundWriter writer;
  writer.submit(held_job(0), /*may_be_dropped=*/true);
  begun_.get_future().wait();
  writer.submit(job(1), /*may_be_dropped=*/true);
  writer.submit(job(2), /*may_be_dropped=*/true);
  go_.set_value();
  writer.wait();
  EXPECT_EQ(done_, (std::vector<int>{0, 2}));
}

TEST_F(Work, ThatMustBeDoneMakesLaterWorkWait) {
  BackgroundWriter writer;
  writer.submit(held_job(0), /*may_be_dropped=*/true);
  begun_.get_future().wait();
  writer.submit(job(1), /*may_be_dropped=*/false);
  std::atomic<bool> submitted{false};
  std::thread later([&] {
    writer.submit(job(2), /*may_be_dropped=*/true);
    submitted = true;
  });
  EXPECT_FALSE(submitted);
  go_.set_value();
  later.join();
  writer.wait();
  EXPECT_EQ(done_, (std::vector<int>{0, 1, 2}));
}

TEST_F(Work, IsFinishedByDestruction) {
  {
    BackgroundWriter writer;
    writer.submit(job(1), /*may_be_dropped=*/true);
  }
  EXPECT_EQ(done_, (std::vector<int>{1}));
}

}  // namespace
}  // namespace elbow::trainer
