#include "trainer/run_lock.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>
#include <thread>

namespace elbow::trainer {
namespace {

using Clock = std::chrono::steady_clock;
constexpr std::chrono::milliseconds kPause{50};
constexpr int64_t kMostOwners = int64_t{1} << 50;  // a larger number is no epoch

[[noreturn]] void fail(const std::filesystem::path& file, const char* reason) {
  throw SettingError(fmt::format(
      "cannot lock the run folder with {}: {}; choose another with --out", file.string(), reason));
}

// "12 host-a 4711\n": epoch, host and process of the last owner.
std::string content(int descriptor) {
  std::array<char, 512> text{};
  const ssize_t count = pread(descriptor, text.data(), text.size(), 0);
  return count > 0 ? std::string(text.data(), static_cast<size_t>(count)) : std::string();
}

int64_t epoch_in(std::string_view text) {
  int64_t epoch = 0;
  std::from_chars(text.data(), text.data() + text.size(), epoch);
  return epoch > 0 && epoch < kMostOwners ? epoch : 0;
}

// "process 4711 on host-a", or less where the file says less.
std::string owner_in(std::string_view text) {
  text = text.substr(0, text.find('\n'));
  const size_t host = text.find(' '), process = text.rfind(' ');
  if (host == std::string_view::npos || process <= host) return "another process";
  return fmt::format("process {} on {}", text.substr(process + 1),
                     text.substr(host + 1, process - host - 1));
}

std::string this_owner(int64_t epoch) {
  std::array<char, 256> host{};
  gethostname(host.data(), host.size() - 1);
  return fmt::format("{} {} {}\n", epoch, host.data(), getpid());
}

}  // namespace

RunLock::RunLock(const std::filesystem::path& file, std::chrono::milliseconds patience,
                 const std::function<void(int64_t last_epoch)>& may_take)
    : file_(file), descriptor_(open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666)) {
  if (descriptor_ < 0) fail(file_, std::strerror(errno));
  const auto deadline = Clock::now() + patience;
  while (flock(descriptor_, LOCK_EX | LOCK_NB) != 0) {
    const int reason = errno;
    const bool busy = reason == EWOULDBLOCK || reason == EINTR;
    if (busy && Clock::now() < deadline) {
      std::this_thread::sleep_for(kPause);
      continue;
    }
    const auto owner = owner_in(content(descriptor_));
    close(descriptor_);
    if (!busy) fail(file_, std::strerror(reason));
    throw SettingError(fmt::format(
        "{} is being written by {}, for more than {} s: wait for it, end it, or choose another "
        "folder with --out",
        file_.parent_path().string(), owner,
        std::chrono::duration_cast<std::chrono::seconds>(patience).count()));
  }
  epoch_ = epoch_in(content(descriptor_)) + 1;
  try {
    if (may_take) may_take(epoch_ - 1);
  } catch (...) {
    close(descriptor_);
    throw;
  }
  const auto text = this_owner(epoch_);
  // In place: another's descriptor must see it. A file that a full disk left empty counts anew.
  if (pwrite(descriptor_, text.data(), text.size(), 0) != static_cast<ssize_t>(text.size()) ||
      ftruncate(descriptor_, static_cast<off_t>(text.size())) != 0 || fsync(descriptor_) != 0) {
    const int reason = errno;
    close(descriptor_);
    fail(file_, std::strerror(reason));
  }
}

RunLock::~RunLock() {
  if (descriptor_ >= 0) close(descriptor_);
}

RunLock::RunLock(RunLock&& other) noexcept
    : file_(std::move(other.file_)), descriptor_(other.descriptor_), epoch_(other.epoch_) {
  other.descriptor_ = -1;
}

void RunLock::require() const {
  const int now = open(file_.c_str(), O_RDONLY | O_CLOEXEC);
  if (now < 0) return;
  const auto text = content(now);
  close(now);
  if (text.empty() || epoch_in(text) == epoch_) return;
  throw LockLost(fmt::format(
      "{} belongs to {} now: this process stops without writing, and the run goes on there",
      file_.parent_path().string(), owner_in(text)));
}

}  // namespace elbow::trainer
