// main() of the tests that run under mpirun: gtest on every rank, one exit code.
//
// Every rank runs the same tests in the same order. Rank 0 prints as usual, the others only their
// failures. An exception that leaves a test ends the whole job at once, since the other ranks would
// wait for this one.
#include <gtest/gtest.h>

#include <cstdio>

#include "comm/communicators.h"
#include "tests/support/mpi_world.h"

namespace elbow::tests {
namespace {

constexpr int kSkipped = 77;

comm::MpiSession* the_session = nullptr;

class FailurePrinter final : public testing::EmptyTestEventListener {
 public:
  explicit FailurePrinter(int rank) : rank_(rank) {}
  void OnTestPartResult(const testing::TestPartResult& result) override {
    if (!result.failed()) return;
    const auto* test = testing::UnitTest::GetInstance()->current_test_info();
    std::fprintf(stderr, "rank %d: %s.%s\n%s:%d: %s\n", rank_, test ? test->test_suite_name() : "",
                 test ? test->name() : "", result.file_name() ? result.file_name() : "",
                 result.line_number(), result.message());
  }

 private:
  int rank_;
};

int run(comm::MpiSession& session) {
  if (session.rank() != 0) {
    auto& listeners = testing::UnitTest::GetInstance()->listeners();
    delete listeners.Release(listeners.default_result_printer());
    listeners.Append(new FailurePrinter(session.rank()));
  }
  auto code = at::zeros({1}, at::kLong);
  code += RUN_ALL_TESTS();
  comm::make_mpi(session)->all_reduce_max(code);
  if (code.item<int64_t>() != 0) return 1;
  const auto& result = *testing::UnitTest::GetInstance();
  const bool all_skipped =
      result.skipped_test_count() > 0 && result.skipped_test_count() == result.test_to_run_count();
  return all_skipped ? kSkipped : 0;
}

}  // namespace

comm::MpiSession& mpi_session() { return *the_session; }

}  // namespace elbow::tests

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  GTEST_FLAG_SET(catch_exceptions, false);
  elbow::comm::MpiSession session;
  elbow::tests::the_session = &session;
  const int code = elbow::tests::run(session);
  session.close(code);
  return code;
}
