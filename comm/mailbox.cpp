#include "comm/mailbox.h"

#include <fmt/format.h>
#include <mpi.h>

#include <algorithm>
#include <array>
#include <deque>
#include <mutex>

#include "comm/error.h"
#include "comm/mpi_pulse.h"
#include "comm/mpi_session.h"
#include "comm/ulfm.h"

namespace elbow::comm {
namespace {

constexpr auto kBytesPerLetter = size_t{1} << 30;

// What this process writes to itself.
class OwnLetters {
 public:
  void put(Mailbox::Box box, const std::string& letter) {
    const std::lock_guard lock(mutex_);
    of(box).push_back(letter);
  }
  std::optional<std::string> take(Mailbox::Box box) {
    const std::lock_guard lock(mutex_);
    auto& letters = of(box);
    if (letters.empty()) return std::nullopt;
    auto letter = std::move(letters.front());
    letters.pop_front();
    return letter;
  }

 private:
  std::deque<std::string>& of(Mailbox::Box box) {
    return letters_[box == Mailbox::Box::kCoordinator ? 0 : 1];
  }

  std::mutex mutex_;
  std::array<std::deque<std::string>, 2> letters_;
};

// A process alone.
class OwnMailbox final : public Mailbox {
 public:
  int rank() const override { return 0; }
  int size() const override { return 1; }
  bool send(int, Box box, const std::string& letter) override {
    own_.put(box, letter);
    return true;
  }
  std::optional<std::string> receive(int, Box box) override { return own_.take(box); }
  bool lost(int) override { return false; }

 private:
  OwnLetters own_;
};

// On a communicator of its own, which is never revoked: a death matters to those alone who write to
// the dead rank, or wait for it.
class MpiMailbox final : public Mailbox {
 public:
  explicit MpiMailbox(MpiSession& session) : session_(session) {
    check(MPI_Comm_dup(MPI_COMM_WORLD, &comm_), "making a mailbox");
    MPI_Comm_set_errhandler(comm_, MPI_ERRORS_RETURN);
  }
  ~MpiMailbox() override {
    int finalized = 0;
    MPI_Finalized(&finalized);
    if (finalized == 0 && session_.healthy()) MPI_Comm_free(&comm_);
  }

  int rank() const override { return session_.rank(); }
  int size() const override { return session_.size(); }

  bool send(int to, Box box, const std::string& letter) override {
    if (to == rank()) {
      own_.put(box, letter);
      return true;
    }
    if (letter.size() > kBytesPerLetter) throw Error("a letter is too long");
    const MpiPulse::Quiet quiet;
    return arrived(MPI_Send(letter.data(), static_cast<int>(letter.size()), MPI_BYTE, to,
                            static_cast<int>(box), comm_),
                   to, "sending a letter");
  }

  std::optional<std::string> receive(int from, Box box) override {
    if (from == rank()) return own_.take(box);
    const MpiPulse::Quiet quiet;
    int there = 0;
    MPI_Message message = MPI_MESSAGE_NULL;
    MPI_Status status;
    if (!arrived(MPI_Improbe(from, static_cast<int>(box), comm_, &there, &message, &status), from,
                 "looking for a letter") ||
        there == 0)
      return std::nullopt;
    int bytes = 0;
    MPI_Get_count(&status, MPI_BYTE, &bytes);
    std::string letter(static_cast<size_t>(bytes), '\0');
    if (!arrived(MPI_Mrecv(letter.data(), bytes, MPI_BYTE, &message, &status), from,
                 "reading a letter"))
      return std::nullopt;
    return letter;
  }

  bool lost(int other) override {
    if (other == rank() || !session_.fault_tolerant()) return false;
    const MpiPulse::Quiet quiet;
    const auto failed = ulfm::failed_ranks(comm_);
    return std::ranges::find(failed, other) != failed.end();
  }

 private:
  bool arrived(int code, int other, const char* what) {
    if (code == MPI_SUCCESS) return true;
    if (ulfm::is_loss(code) || lost(other)) {
      session_.note_lost_peer();
      return false;
    }
    check(code, what);
    return false;
  }

  void check(int code, const char* what) const {
    if (code == MPI_SUCCESS) return;
    char text[MPI_MAX_ERROR_STRING] = {};
    int length = 0;
    MPI_Error_string(code, text, &length);
    throw Error(fmt::format("{} failed on rank {} on {}: {}", what, session_.rank(),
                            session_.host(session_.rank()), text));
  }

  MpiSession& session_;
  MPI_Comm comm_ = MPI_COMM_NULL;
  OwnLetters own_;
};

}  // namespace

std::unique_ptr<Mailbox> make_mailbox(MpiSession& session) {
  if (session.size() == 1) return std::make_unique<OwnMailbox>();
  return std::make_unique<MpiMailbox>(session);
}

}  // namespace elbow::comm
