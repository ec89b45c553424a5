#include "trainer/file_rows.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <pthread.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <condition_variable>
#include <csignal>
#include <exception>
#include <list>
#include <mutex>
#include <system_error>
#include <thread>
#include <vector>

#include "trainer/error.h"

namespace elbow::trainer {

// The file and where its rows lie.
class FileRows::File {
 public:
  File(std::filesystem::path path, int64_t begin, int64_t row_bytes)
      : path_(std::move(path)), begin_(begin), row_bytes_(row_bytes) {
    // Without O_NONBLOCK the opening of a pipe would wait for a writer.
    descriptor_ = ::open(path_.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (descriptor_ < 0) fail(0, std::generic_category().message(errno));
    struct stat status;
    if (::fstat(descriptor_, &status) == 0 && S_ISREG(status.st_mode)) return;
    ::close(descriptor_);
    fail(0, "it is not a regular file");
  }
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  ~File() { ::close(descriptor_); }

  int64_t row_bytes() const { return row_bytes_; }

  // Neighbours in the file are read at once.
  void read(std::span<const int64_t> rows, uint8_t* out) const {
    while (!rows.empty()) {
      size_t run = 1;
      while (run < rows.size() && rows[run] == rows[run - 1] + 1) ++run;
      read_run(begin_ + rows[0] * row_bytes_, static_cast<size_t>(row_bytes_) * run, out);
      out += static_cast<size_t>(row_bytes_) * run;
      rows = rows.subspan(run);
    }
  }

 private:
  void read_run(int64_t offset, size_t bytes, uint8_t* out) const {
    while (bytes > 0) {
      const ssize_t count = ::pread(descriptor_, out, bytes, offset);
      if (count < 0 && errno == EINTR) continue;
      if (count < 0) fail(offset, std::generic_category().message(errno));
      if (count == 0) fail(offset, "it ends here, so it became shorter while it was in use");
      offset += count;
      out += count;
      bytes -= static_cast<size_t>(count);
    }
  }

  [[noreturn]] void fail(int64_t offset, const std::string& why) const {
    throw DataError(fmt::format(
        "cannot read {}: {} (at byte {}); give an existing, readable file and leave it alone",
        path_.string(), why, offset));
  }

  const std::filesystem::path path_;
  const int64_t begin_;
  const int64_t row_bytes_;
  int descriptor_;
};

class FileRows::Ahead {
 public:
  explicit Ahead(const File& file) : file_(file) {}
  ~Ahead() {
    {
      const std::lock_guard guard(mutex_);
      stop_ = true;
    }
    changed_.notify_all();
    if (thread_.joinable()) thread_.join();
  }

  void ask(std::span<const int64_t> rows) {
    {
      const std::lock_guard guard(mutex_);
      if (!thread_.joinable()) start();
      forget_oldest();
      std::list<Batch> made;
      if (!spare_.empty()) made.splice(made.begin(), spare_, spare_.begin());
      if (made.empty()) made.emplace_back();
      Batch& batch = made.front();
      batch.rows.assign(rows.begin(), rows.end());
      batch.state = State::kAsked;
      batch.wanted = false;
      batch.error = nullptr;
      batches_.splice(batches_.end(), made);
    }
    changed_.notify_all();
  }

  // Copies the batch of these rows to `out`, waiting for one that is being read. False where there
  // is none, or its turn has not come: then the caller is faster alone.
  bool take(std::span<const int64_t> rows, uint8_t* out) {
    std::list<Batch> taken;
    {
      std::unique_lock lock(mutex_);
      const auto found = std::find_if(batches_.begin(), batches_.end(), [&](const Batch& batch) {
        return !batch.wanted &&
               std::equal(batch.rows.begin(), batch.rows.end(), rows.begin(), rows.end());
      });
      if (found == batches_.end()) return false;
      if (found->state == State::kAsked) {
        spare_.splice(spare_.end(), batches_, found);
        return false;
      }
      found->wanted = true;
      changed_.wait(lock, [&] { return found->state == State::kRead; });
      taken.splice(taken.begin(), batches_, found);
    }
    const Batch& batch = taken.front();
    const auto error = batch.error;
    if (!error) std::copy(batch.bytes.begin(), batch.bytes.end(), out);
    {
      const std::lock_guard guard(mutex_);
      spare_.splice(spare_.end(), taken);
    }
    if (error) std::rethrow_exception(error);
    return true;
  }

 private:
  enum class State { kAsked, kReading, kRead };
  struct Batch {
    std::vector<int64_t> rows;
    std::vector<uint8_t> bytes;
    State state = State::kAsked;
    bool wanted = false;  // somebody waits for it, and it is theirs
    std::exception_ptr error;
  };

  // More than a rank's slices of one step; reached only where promises are not kept.
  static constexpr size_t kMostBatches = 256;

  void start() {
    // Signals are for the threads that expect them.
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    thread_ = std::thread([this] { serve(); });
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
  }

  void forget_oldest() {
    if (batches_.size() < kMostBatches) return;
    const auto oldest = std::find_if(batches_.begin(), batches_.end(), [](const Batch& batch) {
      return batch.state != State::kReading && !batch.wanted;
    });
    if (oldest != batches_.end()) spare_.splice(spare_.end(), batches_, oldest);
  }

  void serve() {
    std::unique_lock lock(mutex_);
    for (;;) {
      const auto next = std::find_if(batches_.begin(), batches_.end(), [](const Batch& batch) {
        return batch.state == State::kAsked;
      });
      if (stop_) return;
      if (next == batches_.end()) {
        changed_.wait(lock);
        continue;
      }
      next->state = State::kReading;  // from here on nobody moves or changes it
      lock.unlock();
      try {
        next->bytes.resize(next->rows.size() * static_cast<size_t>(file_.row_bytes()));
        file_.read(next->rows, next->bytes.data());
      } catch (...) {
        next->error = std::current_exception();
      }
      lock.lock();
      next->state = State::kRead;
      changed_.notify_all();
    }
  }

  const File& file_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::list<Batch> batches_;  // in the order in which they were asked for
  std::list<Batch> spare_;    // kept for their memory
  bool stop_ = false;
  std::thread thread_;  // from the first promise on
};

FileRows::FileRows(std::filesystem::path path, int64_t begin, int64_t row_bytes)
    : file_(std::make_unique<File>(std::move(path), begin, row_bytes)),
      ahead_(std::make_unique<Ahead>(*file_)) {}

FileRows::~FileRows() = default;

int64_t FileRows::row_bytes() const { return file_->row_bytes(); }

void FileRows::read(std::span<const int64_t> rows, uint8_t* out) const {
  if (!ahead_->take(rows, out)) file_->read(rows, out);
}

void FileRows::prefetch(std::span<const int64_t> rows) const {
  if (!rows.empty()) ahead_->ask(rows);
}

namespace {

// A run of a file's rows as examples.
class RowsOfFile final : public ExampleSource {
 public:
  RowsOfFile(std::shared_ptr<const FileRows> rows, int64_t begin, int64_t examples)
      : rows_(std::move(rows)), begin_(begin), examples_(examples) {}

  int64_t examples() const override { return examples_; }
  int64_t observed() const override { return rows_->row_bytes(); }
  void read(std::span<const int64_t> indices, uint8_t* out) const override {
    rows_->read(in_file(indices), out);
  }
  void prefetch(std::span<const int64_t> indices) const override {
    rows_->prefetch(in_file(indices));
  }

 private:
  std::vector<int64_t> in_file(std::span<const int64_t> indices) const {
    std::vector<int64_t> rows(indices.begin(), indices.end());
    for (int64_t& row : rows) row += begin_;
    return rows;
  }

  const std::shared_ptr<const FileRows> rows_;
  const int64_t begin_, examples_;
};

}  // namespace

std::shared_ptr<const ExampleSource> make_file_examples(std::shared_ptr<const FileRows> rows,
                                                        int64_t begin, int64_t examples) {
  return std::make_shared<RowsOfFile>(std::move(rows), begin, examples);
}

}  // namespace elbow::trainer
