// A ledger as text: lines of Optuna's journal storage, one JSON object an operation (create study
// 0, study attribute 2 and 3, create trial 4, parameter 5, state and values 6, intermediate value
// 7, trial attribute 8 and 9). Pure.
//
// A trial begins with one line that holds its parameters and attributes too, so that it is known
// wholly or not at all. Attributes of ours are Optuna's user attributes; "trial", "values" and
// "seed" say what Optuna's own fields cannot.
#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "launch/sweep/ledger_record.h"

namespace elbow::launch::sweep {

// A ledger that cannot be read: the sentence names file and line. Exit code 4.
class DamagedLedger : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// All end in a newline. journal_trial: the trial's place in LedgerContents::trials.
// std::logic_error for an event that the journal cannot hold, such as a completion without a finite
// value.
std::string head_lines(const StudyHead& head);
std::string event_lines(const Event& event, const StudyHead& head, int64_t journal_trial);

// The contents of a ledger's text. A last line without its newline is one that was being written
// when its writer died, and is left out; `bytes` is where the whole lines end. Lines that Optuna or
// its dashboard adds (notes, tags, attributes) are kept in mind where they concern us and passed
// over where they do not. Throws DamagedLedger.
struct ReadLedger {
  LedgerContents contents;
  uint64_t bytes = 0;
};
ReadLedger ledger_from_text(std::string_view text, const std::string& source);

// "2024-01-31T12:00:00.123456", UTC, as Optuna writes times (without a zone).
std::string time_text(Time time);
std::optional<Time> time_from_text(const std::string& text);

}  // namespace elbow::launch::sweep
