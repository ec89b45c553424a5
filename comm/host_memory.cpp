#include "comm/host_memory.h"

#include <ATen/ATen.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sched.h>
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <random>
#include <thread>

#include "comm/error.h"
#include "comm/text.h"

namespace elbow::comm {
namespace {

using Clock = std::chrono::steady_clock;

// A peer on a core of its own comes within microseconds; one that shares ours needs it.
constexpr int kSpins = 2000;
constexpr int kYields = 200;
constexpr auto kNap = std::chrono::microseconds(50);
constexpr auto kLookForTheDead = std::chrono::milliseconds(2);

constexpr int64_t kLargePage = 2 << 20;  // bytes
#ifdef MADV_COLLAPSE
constexpr int kCollapse = MADV_COLLAPSE;
#else
constexpr int kCollapse = 25;  // of Linux 6.1, which older headers do not know
#endif

int64_t rounded_up(int64_t bytes, int64_t unit) { return (bytes + unit - 1) / unit * unit; }

// Whole pages of a file, at an address where a large page may begin. MAP_FAILED with errno set on
// failure.
void* map_file(int file, int64_t bytes) {
  const int64_t room = bytes + kLargePage;
  void* reserved = mmap(nullptr, static_cast<size_t>(room), PROT_NONE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (reserved == MAP_FAILED) return MAP_FAILED;
  auto* begin = static_cast<std::byte*>(reserved);
  const int64_t skipped = -reinterpret_cast<intptr_t>(begin) & (kLargePage - 1);
  void* mapping = mmap(begin + skipped, static_cast<size_t>(bytes), PROT_READ | PROT_WRITE,
                       MAP_SHARED | MAP_FIXED, file, 0);
  const int error = errno;
  const int64_t kept = mapping == MAP_FAILED ? 0 : bytes;
  if (skipped > 0) munmap(begin, static_cast<size_t>(skipped));
  munmap(begin + skipped + kept, static_cast<size_t>(room - skipped - kept));
  errno = error;
  return mapping;
}

// Makes it large pages, and maps those that another process made, where the system can: it does not
// give any to shared memory unasked. Where it cannot, the memory is only slower.
void ask_for_large_pages(void* mapping, int64_t bytes) {
  madvise(mapping, static_cast<size_t>(bytes / kLargePage * kLargePage), kCollapse);
}

// A file in /dev/shm for the time in which ranks open it.
class Name {
 public:
  explicit Name(std::string text) : text_(std::move(text)) {}
  ~Name() {
    if (owner_) shm_unlink(text_.c_str());
  }

  // Makes the file with its space reserved, because memory that is not there would end the process
  // at its first use. Returns "" or what went wrong.
  std::string make(int64_t bytes) {
    const int file = shm_open(text_.c_str(), O_RDWR | O_CREAT | O_EXCL, 0600);
    if (file < 0) return std::strerror(errno);
    owner_ = true;
    const int error = posix_fallocate(file, 0, bytes);
    ::close(file);
    return error == 0 ? "" : std::strerror(error);
  }

  std::string map(int64_t bytes, void*& mapping) const {
    const int file = shm_open(text_.c_str(), O_RDWR, 0);
    if (file < 0) return std::strerror(errno);
    mapping = map_file(file, bytes);
    const int error = errno;
    ::close(file);
    if (mapping != MAP_FAILED) return "";
    mapping = nullptr;
    return std::strerror(error);
  }

 private:
  std::string text_;
  bool owner_ = false;
};

std::string new_name(const Communicator& ranks) {
  if (ranks.rank() != 0) return "";
  return fmt::format("/elbow-{}-{:08x}", getpid(), std::random_device()());
}

}  // namespace

struct alignas(64) HostMemory::Counter {
  std::atomic<uint64_t> value;
};

std::unique_ptr<HostMemory> HostMemory::create(Communicator& ranks, int64_t bytes,
                                               std::string& reason) {
  for (int rank = 1; rank < ranks.size(); ++rank) {
    if (ranks.host(rank) != ranks.host(0)) {
      reason = fmt::format("ranks run on several hosts ({}, {})", ranks.host(0), ranks.host(rank));
      return nullptr;
    }
  }
  const int64_t wanted = static_cast<int64_t>(sizeof(Counter)) * ranks.size() + bytes;
  const int64_t mapped =
      rounded_up(wanted, wanted < kLargePage ? sysconf(_SC_PAGESIZE) : kLargePage);
  Name name(broadcast_text(ranks, new_name(ranks), 0));
  std::string failure = ranks.rank() == 0 ? name.make(mapped) : "";
  ranks.barrier();  // the file is there, or rank 0 knows why not
  void* mapping = nullptr;
  if (failure.empty()) failure = name.map(mapped, mapping);
  // One rank after another: two that make the same page large are in each other's way.
  if (failure.empty() && ranks.rank() == 0) ask_for_large_pages(mapping, mapped);
  for (const auto& text : gather_texts(ranks, failure)) {
    if (reason.empty() && !text.empty())
      reason = fmt::format("no {} bytes of shared memory: {}", mapped, text);
  }
  if (reason.empty()) {
    if (ranks.rank() != 0) ask_for_large_pages(mapping, mapped);
    return std::unique_ptr<HostMemory>(new HostMemory(ranks, mapping, mapped));
  }
  if (mapping != nullptr) munmap(mapping, static_cast<size_t>(mapped));
  return nullptr;
}

HostMemory::HostMemory(Communicator& ranks, void* mapping, int64_t mapped_bytes)
    : ranks_(ranks),
      arrived_(static_cast<Counter*>(mapping)),
      data_(reinterpret_cast<std::byte*>(arrived_ + ranks.size())),
      mapped_bytes_(mapped_bytes) {}

HostMemory::~HostMemory() { munmap(arrived_, static_cast<size_t>(mapped_bytes_)); }

void HostMemory::meet() {
  const Communicator::Waiting waiting(ranks_);
  ++meetings_;
  arrived_[ranks_.rank()].value.store(meetings_, std::memory_order_release);
  for (int rank = 0; rank < ranks_.size(); ++rank) await(arrived_[rank].value, meetings_);
}

void HostMemory::await(const std::atomic<uint64_t>& word, uint64_t value) {
  int tries = 0;
  auto looked = Clock::now();
  while (word.load(std::memory_order_acquire) < value) {
    ++tries;
    if (tries < kSpins) {
#if defined(__x86_64__)
      __builtin_ia32_pause();
#endif
      continue;
    }
    if (tries < kSpins + kYields) {
      sched_yield();
    } else {
      std::this_thread::sleep_for(kNap);
    }
    if (Clock::now() - looked < kLookForTheDead) continue;
    looked = Clock::now();
    if (const int lost = ranks_.lost_rank(); lost >= 0) {
      throw PeerLost(lost, ranks_.host(lost), ranks_.step(), ranks_.phase(),
                     "the meeting in shared memory");
    }
  }
}

}  // namespace elbow::comm
