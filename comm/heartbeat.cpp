#include "comm/heartbeat.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

namespace elbow::comm {
namespace {

constexpr size_t kPageBytes = sizeof(Heartbeat) * HeartbeatPage::kRanks;

// Characters that are read while they are replaced are a mixture, never out of bounds.
template <size_t size>
void put(std::array<std::atomic<char>, size>& to, const char* text) {
  size_t i = 0;
  for (; i + 1 < size && text[i] != '\0'; ++i) to[i].store(text[i], std::memory_order_relaxed);
  to[i].store('\0', std::memory_order_relaxed);
}

template <size_t size>
bool holds(const std::array<std::atomic<char>, size>& stored, const char* text) {
  for (size_t i = 0; i + 1 < size; ++i) {
    if (stored[i].load(std::memory_order_relaxed) != text[i]) return false;
    if (text[i] == '\0') return true;
  }
  return true;
}

template <size_t size>
std::string get(const std::array<std::atomic<char>, size>& from) {
  std::string text;
  for (const auto& character : from) {
    const char c = character.load(std::memory_order_relaxed);
    if (c == '\0') break;
    text += c;
  }
  return text;
}

}  // namespace

void Heartbeat::join() {
  at(0, "start");
  process_.store(getpid(), std::memory_order_release);
}

void Heartbeat::at(int64_t step, const char* phase) {
  progress();
  step_.store(step, std::memory_order_relaxed);
  if (!holds(phase_, phase)) put(phase_, phase);
}

void Heartbeat::begin_wait() {
  progress();
  waiting_.store(1, std::memory_order_relaxed);
}

void Heartbeat::end_wait() {
  progress();
  waiting_.store(0, std::memory_order_relaxed);
}

void Heartbeat::watch(const WatchRules& rules) {
  put(folder_, rules.folder.c_str());
  debugger_may_stop_.store(rules.debugger_may_stop ? 1 : 0, std::memory_order_relaxed);
  deadline_ms_.store(rules.deadline.count(), std::memory_order_release);
}

Beat Heartbeat::beat(int rank) const {
  return {.rank = rank,
          .process = static_cast<pid_t>(process_.load(std::memory_order_acquire)),
          .progress = progress_.load(std::memory_order_relaxed),
          .step = step_.load(std::memory_order_relaxed),
          .phase = get(phase_),
          .waiting = waiting_.load(std::memory_order_relaxed) != 0};
}

WatchRules Heartbeat::rules() const {
  return {.deadline = std::chrono::milliseconds(deadline_ms_.load(std::memory_order_acquire)),
          .debugger_may_stop = debugger_may_stop_.load(std::memory_order_relaxed) != 0,
          .folder = get(folder_)};
}

std::shared_ptr<HeartbeatPage> HeartbeatPage::make_private() {
  void* memory = mmap(nullptr, kPageBytes, PROT_READ | PROT_WRITE,
                      MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) return nullptr;
  return std::shared_ptr<HeartbeatPage>(new HeartbeatPage(memory));
}

std::shared_ptr<HeartbeatPage> HeartbeatPage::open(const std::string& name) {
  const int file = shm_open(name.c_str(), O_RDWR | O_CREAT, 0600);
  if (file < 0) return make_private();
  void* memory = MAP_FAILED;
  if (ftruncate(file, kPageBytes) == 0)
    memory = mmap(nullptr, kPageBytes, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  close(file);
  if (memory == MAP_FAILED) return make_private();
  return std::shared_ptr<HeartbeatPage>(new HeartbeatPage(memory));
}

void HeartbeatPage::forget(const std::string& name) { shm_unlink(name.c_str()); }

HeartbeatPage::~HeartbeatPage() { munmap(slots_, kPageBytes); }

std::vector<Beat> HeartbeatPage::beats() const {
  std::vector<Beat> all;
  for (int rank = 0; rank < kRanks; ++rank) {
    if (slots_[rank].joined()) all.push_back(slots_[rank].beat(rank));
  }
  return all;
}

}  // namespace elbow::comm
