// What Linux tells of a process in /proc.
#pragma once

#include <sys/types.h>

#include "comm/hang_clock.h"

namespace elbow::comm {

// Of a process that is gone: nothing, and no time.
ProcessSample sample_process(pid_t process);

// Whether the process is gone, or on its way: it closes its sockets before it can be waited for.
bool is_ending(pid_t process);

// A descriptor that becomes readable when the process ends; -1 where the kernel has none.
int open_process(pid_t process);

}  // namespace elbow::comm
