#include "trainer/pack_copies.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>

namespace elbow::trainer {
namespace {

constexpr int64_t kColumns = 16;

// Two rows, which have made 3 and 7 steps.
Pack small_pack() {
  Pack pack{.rows = std::vector<Row>(2),
            .parameters = at::ones({2, kColumns}),
            .state = at::zeros({2, 1, kColumns})};
  pack.rows[0].step = 3;
  pack.rows[1].step = 7;
  return pack;
}

using Rows = std::vector<int64_t>;

void add_one(at::Tensor parameters, at::Tensor state) {
  parameters.add_(1);
  state.sub_(1);
}

TEST(PackCopies, AnUpdateIsSeenWhenAllRowsHaveMadeIt) {
  auto pack = small_pack();
  const auto copies = PackCopies::make(pack);
  EXPECT_EQ(copies->rows_behind(), (Rows{0, 1}));
  const auto open = update_gate(at::ones({kColumns}), {});
  copies->write_row(0, open, add_one);
  EXPECT_EQ(copies->rows_behind(), Rows{1});
  copies->write_row(1, open, add_one);
  EXPECT_TRUE(copies->rows_behind().empty());
  EXPECT_TRUE(at::equal(pack.parameters, at::ones({2, kColumns}))) << "not yet";
  copies->flip();
  for (auto& row : pack.rows) ++row.step;
  EXPECT_TRUE(at::equal(pack.parameters, at::full({2, kColumns}, 2.0)));
  EXPECT_TRUE(at::equal(pack.state, at::full({2, 1, kColumns}, -1.0)));
  EXPECT_EQ(copies->rows_behind(), (Rows{0, 1})) << "the other copy holds the step before";
}

TEST(PackCopies, ARowThatStaysIsTheSameInBothCopies) {
  auto pack = small_pack();
  const auto copies = PackCopies::make(pack);
  pack.rows[1].active = false;
  copies->write_row(0, {}, add_one);
  copies->keep_row(1);
  EXPECT_TRUE(copies->rows_behind().empty());
  copies->flip();
  EXPECT_TRUE(at::equal(pack.parameters[0], at::full({kColumns}, 2.0)));
  EXPECT_TRUE(at::equal(pack.parameters[1], at::ones({kColumns})));
}

TEST(PackCopies, ARowBehindAClosedGateStaysAsItIs) {
  auto pack = small_pack();
  const auto copies = PackCopies::make(pack);
  const auto word = at::zeros({1}, at::kInt);
  auto bad = at::ones({kColumns});
  bad[3] = INFINITY;
  copies->write_row(0, update_gate(at::ones({kColumns}), word), add_one);
  copies->write_row(1, update_gate(bad, word), add_one);
  EXPECT_EQ(copies->rows_behind(), Rows{1});
  copies->flip();
  EXPECT_TRUE(at::equal(pack.parameters[0], at::full({kColumns}, 2.0)));
  EXPECT_TRUE(at::equal(pack.parameters[1], at::ones({kColumns})));
  EXPECT_TRUE(at::equal(pack.state[1], at::zeros({1, kColumns})));
}

TEST(PackCopies, TheGateIsClosedByTheAbortWordAndByWhatIsNotFinite) {
  const auto open = [](float number, int word) {
    return update_gate(at::full({kColumns}, number), at::full({1}, word, at::kInt)).item<bool>();
  };
  EXPECT_TRUE(open(1, 0));
  EXPECT_FALSE(open(1, 1));
  EXPECT_FALSE(open(NAN, 0));
  EXPECT_FALSE(open(-INFINITY, 0));
}

}  // namespace
}  // namespace elbow::trainer
