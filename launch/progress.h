// Reports a run as it goes. Lines that stay go to standard output; the bar, which is wiped and
// drawn anew, to standard error, so that a redirected output holds no control characters. Rank 0
// only, on the training thread.
#pragma once

#include <memory>

#include "launch/progress_style.h"
#include "trainer/observer.h"

namespace elbow::launch {

// `epochs`: of the whole run. Destruction wipes the bar.
std::unique_ptr<trainer::Observer> make_progress(ProgressStyle style, int64_t epochs);

}  // namespace elbow::launch
