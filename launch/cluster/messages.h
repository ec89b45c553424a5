// What the leader of a group and the coordinator tell each other, as values and as letters (JSON).
// A leader reports and waits for orders; each report has one answer, which may come late. A rank
// whose group was sent away says farewell, and is dismissed when all have. Pure.
#pragma once

#include <cmath>
#include <cstdint>
#include <limits>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "launch/sweep/ledger_record.h"

namespace elbow::launch::cluster {

constexpr int64_t kNoTrial = -1;

// What has become of a trial in a group.
enum class RowEnd {
  kNone,      // it goes on
  kComplete,  // its last epoch is measured, or its patience at an end
  kPruned,    // stopped as ordered
  kFailed,    // for good: it diverged, or cannot be trained
  kBroken,    // something around it failed: it may be tried again
  kDeclined,  // it is in mid-epoch, at `batch`, where this pack is not
};

struct RowNews {
  int64_t trial = 0;
  int64_t epoch = 0;  // just measured, counted from 1; 0: none
  double value = std::numeric_limits<double>::quiet_NaN();  // of sweep.metric, at that epoch
  RowEnd end = RowEnd::kNone;
  std::string error{};             // of kFailed and kBroken
  int64_t batch = 0;               // of kDeclined
  sweep::Attributes attributes{};  // of an end: its last metrics
};

struct Report {
  int64_t group = 0;
  int64_t number = 0;              // of this leader's reports
  int64_t rows = 0;                // places in the pack
  int64_t batch = 0;               // where the pack stands in its epoch
  std::vector<int64_t> running{};  // trials in its rows, after the news
  std::vector<RowNews> news{};
  double examples_per_s = 0;        // of all rows, in the last epoch
  std::string interrupted{};        // why this group stops early; "" where it does not
  std::vector<std::string> lost{};  // ranks that it has lost since the last report
  bool farewell = false;            // of a single rank: its group has left, and only that counts
};

struct TrialStart {
  int64_t trial = 0;
  std::string prune{};  // why it is stopped where it stands, without a further epoch; "": it is not
  int64_t source = kNoTrial;  // the trial whose last weights are its first ones, where it has no
                              // checkpoint of its own
};

struct Orders {
  int64_t number = 0;               // of the report that this answers
  std::vector<int64_t> stop{};      // running trials that are pruned
  std::vector<TrialStart> begin{};  // one for a free place each; or to go on with
  bool leave = false;               // the sweep is over, or goes on some other time
  bool dismissed = false;           // answers a farewell: the end is written, the rank may exit
  int exit_code = 0;
};

// A letter that is none, or another program's.
class BadLetter : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

std::string letter_of(const Report& report);
std::string letter_of(const Orders& orders);
Report report_from(std::string_view letter);  // throw BadLetter
Orders orders_from(std::string_view letter);

}  // namespace elbow::launch::cluster
