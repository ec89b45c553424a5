#include "launch/doctor/folder_trial.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <map>
#include <random>
#include <thread>

#include "comm/text.h"

namespace elbow::launch::doctor {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;
constexpr std::chrono::milliseconds kPause{20};

// "" or why it cannot be written.
std::string write(const fs::path& file, const std::string& text) {
  const int descriptor = open(file.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (descriptor < 0) return std::strerror(errno);
  std::string error;
  if (::write(descriptor, text.data(), text.size()) != static_cast<ssize_t>(text.size()) ||
      fsync(descriptor) != 0)
    error = std::strerror(errno);
  close(descriptor);
  return error;
}

bool holds(const fs::path& file, const std::string& text) {
  std::ifstream in(file);
  std::string found;
  return std::getline(in, found) && found == text;
}

template <class Condition>
bool within(std::chrono::milliseconds patience, const Condition& condition) {
  const auto deadline = Clock::now() + patience;
  while (!condition()) {
    if (Clock::now() >= deadline) return false;
    std::this_thread::sleep_for(kPause);
  }
  return true;
}

std::string filesystem_of(const fs::path& folder) {
  static const std::map<int64_t, std::string> names = {
      {0x6969, "nfs"},       {0x0BD00BD0, "lustre"},  {0x47504653, "gpfs"}, {0x19830326, "beegfs"},
      {0x00C36400, "ceph"},  {0xEF53, "ext4"},        {0x58465342, "xfs"},  {0x9123683E, "btrfs"},
      {0x01021994, "tmpfs"}, {0x794C7630, "overlay"}, {0x65735546, "fuse"}, {0xFF534D42, "cifs"},
      {0x2FC12FC1, "zfs"},   {0x01021997, "9p"},      {0x9FA0, "proc"}};
  struct statfs information {};
  if (statfs(folder.c_str(), &information) != 0) return "";
  const auto found = names.find(static_cast<int64_t>(information.f_type) & 0xFFFFFFFF);
  return found == names.end() ? "another file system" : found->second;
}

int64_t free_bytes_of(const fs::path& folder) {
  struct statvfs information {};
  if (statvfs(folder.c_str(), &information) != 0) return 0;
  return static_cast<int64_t>(information.f_bavail * information.f_frsize);
}

class FolderTrial {
 public:
  FolderTrial(comm::Communicator& ranks, std::chrono::milliseconds patience)
      : ranks_(ranks), patience_(patience) {}

  FolderFacts run(const fs::path& folder) {
    begin(folder);
    read_what_rank_0_wrote();
    write_own();
    look_at_the_others();
    see_a_new_name();
    respect_a_lock();
    end();
    return facts_;
  }

 private:
  bool first() const { return ranks_.rank() == 0; }
  fs::path file_of(int rank) const { return trial_ / fmt::format("rank_{}", rank); }

  // Rank 0 makes a folder whose name nobody can have seen before.
  void begin(const fs::path& folder) {
    if (first()) {
      const auto base = existing_part(fs::absolute(folder));
      token_ = fmt::format("{:08x}{:08x}", std::random_device()(), std::random_device()());
      trial_ = base / (".elbow-doctor-" + token_);
      std::error_code error;
      fs::create_directory(trial_, error);
      facts_.write_error = error ? error.message() : write(trial_ / "token", token_);
    }
    base_ = comm::broadcast_text(ranks_, trial_.parent_path().string(), 0);
    token_ = comm::broadcast_text(ranks_, token_, 0);
    made_ = comm::broadcast_text(ranks_, facts_.write_error, 0).empty();
    trial_ = base_ / (".elbow-doctor-" + token_);
    facts_.path = base_.string();
    facts_.filesystem = filesystem_of(base_);
    facts_.free_bytes = free_bytes_of(base_);
  }

  void read_what_rank_0_wrote() {
    if (!made_ || first()) return;
    const auto start = Clock::now();
    facts_.shared = within(patience_, [&] { return holds(trial_ / "token", token_); });
    facts_.seen_after_s =
        facts_.shared ? std::chrono::duration<double>(Clock::now() - start).count() : 0;
  }

  void write_own() {
    if (first()) return;
    const auto place = made_ && facts_.shared
                           ? file_of(ranks_.rank())
                           : base_ / fmt::format(".elbow-doctor-{}-{}", token_, ranks_.rank());
    facts_.write_error = write(place, token_);
    if (place.parent_path() == base_) unlink(place.c_str());
  }

  // Rank 0 sees what the others wrote; who is not seen learns it.
  void look_at_the_others() {
    std::string unseen;
    const auto written = comm::gather_texts(
        ranks_, made_ && facts_.shared && facts_.write_error.empty() ? "yes" : "");
    for (int rank = 1; first() && rank < ranks_.size(); ++rank) {
      const bool seen =
          written[rank].empty() || within(patience_, [&] { return holds(file_of(rank), token_); });
      unseen += seen ? '.' : 'x';
    }
    unseen = comm::broadcast_text(ranks_, unseen, 0);
    if (!first() && unseen.at(ranks_.rank() - 1) == 'x') facts_.shared = false;
  }

  void see_a_new_name() {
    if (!made_) return;
    if (first() && std::rename((trial_ / "token").c_str(), (trial_ / "renamed").c_str()) != 0)
      facts_.rename_error = std::strerror(errno);
    const auto failure = comm::broadcast_text(ranks_, facts_.rename_error, 0);
    if (first() || !facts_.shared || !failure.empty()) return;
    const bool seen = within(patience_, [&] {
      return holds(trial_ / "renamed", token_) && access((trial_ / "token").c_str(), F_OK) != 0;
    });
    if (!seen)
      facts_.rename_error =
          fmt::format("the old name was still seen after {} ms", patience_.count());
  }

  void respect_a_lock() {
    if (!made_) return;
    const int descriptor =
        facts_.shared ? open((trial_ / "lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644) : -1;
    if (first() && (descriptor < 0 || flock(descriptor, LOCK_EX | LOCK_NB) != 0))
      facts_.lock_error = std::strerror(errno);
    const auto failure = comm::broadcast_text(ranks_, facts_.lock_error, 0);
    if (!first() && descriptor >= 0 && failure.empty() && facts_.write_error.empty()) {
      if (flock(descriptor, LOCK_EX | LOCK_NB) == 0)
        facts_.lock_error = "a lock that rank 0 holds was granted again";
      else if (errno != EWOULDBLOCK)
        facts_.lock_error = std::strerror(errno);
    }
    ranks_.barrier();
    if (descriptor >= 0) close(descriptor);
  }

  void end() {
    ranks_.barrier();
    std::error_code ignored;
    if (first()) fs::remove_all(trial_, ignored);
  }

  comm::Communicator& ranks_;
  std::chrono::milliseconds patience_;
  fs::path base_, trial_;
  std::string token_;
  bool made_ = false;  // rank 0 could write
  FolderFacts facts_;
};

}  // namespace

fs::path existing_part(const fs::path& folder) {
  std::error_code ignored;
  auto part = folder;
  while (!fs::is_directory(part, ignored) && part.has_relative_path()) part = part.parent_path();
  return part;
}

FolderFacts try_folder(comm::Communicator& ranks, const fs::path& folder,
                       std::chrono::milliseconds patience) {
  return FolderTrial(ranks, patience).run(folder);
}

}  // namespace elbow::launch::doctor
