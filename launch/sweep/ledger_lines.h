// A ledger as text: lines of Optuna's journal storage, one JSON object an operation (create study
// 0, study attribute 2 and 3, create trial 4, parameter 5, state and values 6, intermediate value
// 7, trial attribute 8 and 9). Pure.
//
// A trial begins with one line that holds its parameters and attributes too, so that it is known
// wholly or not at all. Attributes of ours are Optuna's user attributes; "trial", "values" and
// "seed" say what Optuna's own fields cannot.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "launch/sweep/ledger_record.h"

namespace elbow::launch::sweep {

// Both end in a newline. journal_id: LedgerTrial's; of a trial that begins it is not written.
std::string head_lines(const StudyHead& head);
std::string event_line(const Event& event, const StudyHead& head, int64_t journal_id);

// "2024-01-31T12:00:00.123456", UTC, as Optuna writes times (without a zone).
std::string time_text(Time time);
std::optional<Time> time_from_text(const std::string& text);

}  // namespace elbow::launch::sweep
