// How `--progress` reports a run.
#pragma once

namespace elbow::launch {

enum class ProgressStyle {
  kAuto,   // a bar where standard error is a terminal, else plain
  kBar,    // one line that is refreshed, below the plain lines
  kPlain,  // one line an epoch
  kNone,
};

}  // namespace elbow::launch
