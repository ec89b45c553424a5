// Ends this process when the launcher that started it on this host (mpirun, its daemon, Slurm's
// step daemon) is gone, so that a killed job leaves no ranks behind. Does nothing for a process
// that was started by hand: it may outlive its shell. For ranks without a guard, which does the
// same.
//
// Owns one thread, which sleeps until the launcher ends. A frozen rank dies too where the launcher
// is its direct parent.
#pragma once

#include <sys/types.h>

#include <thread>

namespace elbow::comm {

// The nearest launcher among this process's ancestors: a shell or a wrapper may stand between. 0 if
// there is none.
pid_t find_launcher();
// Whether it is the part of a launcher on a host that is not the launcher's own.
bool is_launcher_daemon(pid_t process);

class LauncherWatch {
 public:
  LauncherWatch();
  ~LauncherWatch();
  LauncherWatch(const LauncherWatch&) = delete;
  LauncherWatch& operator=(const LauncherWatch&) = delete;

  pid_t launcher() const { return launcher_; }  // 0 if there is none

 private:
  void watch();

  pid_t launcher_ = 0;
  int process_ = -1;  // pidfd of the launcher; -1 where the kernel has none
  int stop_ = -1;     // eventfd
  std::thread thread_;
};

}  // namespace elbow::comm
