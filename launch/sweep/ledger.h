// The append-only journal of a sweep, and what it holds. One writer: whoever holds the sweep
// folder's RunLock, and sees before each write that it still does. What append() has written is on
// the disk when it returns, and is whole lines even if the machine dies within it.
//
// One thread at a time. Readers (elbow report, Optuna, its dashboard) need no lock.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>

#include "launch/sweep/ledger_reader.h"
#include "launch/sweep/ledger_record.h"
#include "trainer/run_lock.h"

namespace elbow::launch::sweep {

class Ledger {
 public:
  // Whether append() waits for the disk. kNever is for sweeps that nobody resumes: simulated ones.
  enum class Sync { kEachAppend, kNever };

  // A new file with the head's lines, synced with its folder. std::system_error where the disk
  // refuses or the file exists.
  static Ledger create(const std::filesystem::path& file, const StudyHead& head,
                       Sync sync = Sync::kEachAppend, const trainer::RunLock* lock = nullptr);

  // Goes on with a file: a torn last line is cut off. DamagedLedger, trainer::DataError where it
  // cannot be read, std::system_error. lock: must outlive the ledger; null: nobody else could
  // write.
  static Ledger open(const std::filesystem::path& file, const trainer::RunLock* lock = nullptr);

  Ledger(Ledger&& other) noexcept;
  Ledger& operator=(Ledger&&) = delete;
  ~Ledger();

  const LedgerContents& contents() const { return contents_; }

  // Writes all events with one write, one line each, and syncs once. All are written or none:
  // std::system_error where the disk refuses, and the file ends where it did. std::logic_error for
  // an event that cannot be (LedgerContents::apply), trainer::LockLost; nothing is written then.
  void append(std::span<const Event> events);
  void append(const Event& event) { append(std::span(&event, 1)); }

 private:
  Ledger(std::filesystem::path file, int descriptor, ReadLedger read, const trainer::RunLock* lock);
  void write_synced(const std::string& lines);

  std::filesystem::path file_;
  int descriptor_;
  const trainer::RunLock* lock_;
  LedgerContents contents_;
  uint64_t bytes_ = 0;
  Sync sync_ = Sync::kEachAppend;
};

// Reads without writing, even while a sweep runs. DamagedLedger, trainer::DataError.
LedgerContents read_ledger(const std::filesystem::path& file);

}  // namespace elbow::launch::sweep
