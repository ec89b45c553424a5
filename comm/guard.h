// A small process beside a rank that ends it when it is frozen, so that its peers can go on
// without it. It watches what the rank publishes, names a rank that does not get on after half of
// the deadline, and kills it at the deadline. Without a deadline it only sleeps.
//
// A rank that waits for others is never to blame for that: whoever keeps it waiting has a guard of
// its own. Only where all ranks of the host wait, and for four deadlines, nobody is to blame, and
// then each is ended.
//
// Guards of several hosts find each other in the run's folder: once one has named its rank there,
// the guard of each other host's lowest rank adds what that host's ranks do. A guard also ends its
// rank when the launcher on its host is gone, and says so there where that was one's daemon, of
// whose end nobody else may know.
#pragma once

#include <sys/types.h>

#include <memory>
#include <string>

#include "comm/heartbeat.h"

namespace elbow::comm {

// Forks the guard of this process, which publishes in the page's slot `rank`. To be called while
// the process has one thread. The guard ends with the process. launcher: what started the rank on
// this host, and without which it is not to go on; 0: nothing. host: for its sentences; "": this
// one's name. Returns its process; -1 where there can be none.
pid_t start_guard(const std::shared_ptr<HeartbeatPage>& page, int rank, pid_t launcher,
                  const std::string& host = "");

}  // namespace elbow::comm
