// Letters between single ranks of the launch, beside the collectives of groups: short texts, a few
// a second from each rank, for control. They arrive in the order in which they were sent, and a
// rank may write to itself.
//
// Threads: any; but each box of a rank is emptied by one thread.
// Errors:  a dead rank is an answer here, not an exception; comm::Error for everything else.
#pragma once

#include <memory>
#include <optional>
#include <string>

namespace elbow::comm {

class MpiSession;

class Mailbox {
 public:
  // Each rank has a box for what coordinates others and one for what is coordinated.
  enum class Box { kCoordinator = 1, kGroup = 2 };

  Mailbox() = default;
  Mailbox(const Mailbox&) = delete;
  Mailbox& operator=(const Mailbox&) = delete;
  virtual ~Mailbox() = default;

  virtual int rank() const = 0;
  virtual int size() const = 0;

  // False where that rank is dead. May wait for the other rank to empty its box.
  virtual bool send(int to, Box box, const std::string& letter) = 0;

  // The next letter from that rank; nothing where none has come.
  virtual std::optional<std::string> receive(int from, Box box) = 0;

  // Whether that rank is known here and now to be dead. What it sent before may be lost.
  virtual bool lost(int rank) = 0;
};

// Every rank of the launch calls it. Must end before the session.
std::unique_ptr<Mailbox> make_mailbox(MpiSession& session);

}  // namespace elbow::comm
