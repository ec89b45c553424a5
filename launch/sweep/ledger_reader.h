// A ledger's text read back (ledger_lines.h says what it holds). Pure.
#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>

#include "launch/sweep/ledger_record.h"

namespace elbow::launch::sweep {

// A ledger that cannot be read: the sentence names file and line. Exit code 4.
class DamagedLedger : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// The contents of a ledger's text. A last line without its newline is one that was being written
// when its writer died, and is left out; `bytes` is where the whole lines end. Lines that Optuna or
// its dashboard adds (notes, tags, attributes) are kept in mind where they concern us and passed
// over where they do not. Throws DamagedLedger.
struct ReadLedger {
  LedgerContents contents;
  uint64_t bytes = 0;
};
ReadLedger ledger_from_text(std::string_view text, const std::string& source);

}  // namespace elbow::launch::sweep
