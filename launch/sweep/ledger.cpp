#include "launch/sweep/ledger.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <string>
#include <system_error>
#include <utility>

#include "launch/sweep/ledger_lines.h"
#include "trainer/file_bytes.h"

namespace elbow::launch::sweep {
namespace {

[[noreturn]] void fail(const std::filesystem::path& file, const char* operation) {
  const std::error_code error(errno, std::generic_category());
  throw std::system_error(error,
                          fmt::format("cannot write {}: {} failed", file.string(), operation));
}

int opened(const std::filesystem::path& file) {
  const int descriptor = ::open(file.c_str(), O_WRONLY | O_APPEND | O_CLOEXEC);
  if (descriptor < 0) fail(file, "open");
  return descriptor;
}

ReadLedger read(const std::filesystem::path& file) {
  const auto bytes = trainer::read_file(file);
  return ledger_from_text({reinterpret_cast<const char*>(bytes.data()), bytes.size()},
                          file.string());
}

int64_t trial_of(const Event& event) {
  return std::visit([](const auto& one) { return one.trial; }, event);
}

}  // namespace

Ledger Ledger::create(const std::filesystem::path& file, const StudyHead& head, Sync sync,
                      const trainer::RunLock* lock) {
  if (std::filesystem::exists(file)) {
    errno = EEXIST;
    fail(file, "create");
  }
  const std::string lines = head_lines(head);
  const std::span<const uint8_t> bytes(reinterpret_cast<const uint8_t*>(lines.data()),
                                       lines.size());
  trainer::replace_file(file, std::array{bytes});
  Ledger ledger = open(file, lock);
  ledger.sync_ = sync;
  return ledger;
}

Ledger Ledger::open(const std::filesystem::path& file, const trainer::RunLock* lock) {
  return {file, opened(file), read(file), lock};
}

Ledger::Ledger(std::filesystem::path file, int descriptor, ReadLedger read,
               const trainer::RunLock* lock)
    : file_(std::move(file)),
      descriptor_(descriptor),
      lock_(lock),
      contents_(std::move(read.contents)),
      bytes_(read.bytes) {
  if (ftruncate(descriptor_, static_cast<off_t>(bytes_)) != 0) {
    const int reason = errno;
    ::close(descriptor_);
    errno = reason;
    fail(file_, "truncate");
  }
}

Ledger::Ledger(Ledger&& other) noexcept
    : file_(std::move(other.file_)),
      descriptor_(std::exchange(other.descriptor_, -1)),
      lock_(other.lock_),
      contents_(std::move(other.contents_)),
      bytes_(other.bytes_),
      sync_(other.sync_) {}

Ledger::~Ledger() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

void Ledger::append(std::span<const Event> events) {
  if (events.empty()) return;
  if (lock_ != nullptr) lock_->require();
  try {
    std::string lines;
    for (const Event& event : events) {
      contents_.apply(event);
      lines += event_line(event, contents_.head, contents_.find(trial_of(event))->journal_id);
    }
    write_synced(lines);
  } catch (...) {
    contents_ = read(file_).contents;  // as before: what the file holds
    throw;
  }
}

void Ledger::write_synced(const std::string& lines) {
  size_t done = 0;
  while (done < lines.size()) {
    const ssize_t written = ::write(descriptor_, lines.data() + done, lines.size() - done);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) break;
    done += static_cast<size_t>(written);
  }
  const bool whole = done == lines.size();
  if (whole && (sync_ == Sync::kNever || ::fdatasync(descriptor_) == 0)) {
    bytes_ += lines.size();
    return;
  }
  const int reason = errno;
  // What was written of it must not stay: the next line would be glued to it.
  const bool cut = ::ftruncate(descriptor_, static_cast<off_t>(bytes_)) == 0;
  errno = cut ? reason : errno;
  fail(file_, cut ? (whole ? "fdatasync" : "write") : "truncate");
}

LedgerContents read_ledger(const std::filesystem::path& file) { return read(file).contents; }

}  // namespace elbow::launch::sweep
