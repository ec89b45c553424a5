// Times as people read them. Pure.
#pragma once

#include <string>

namespace elbow::launch {

// "3.2 s", "44 s", "5 min", "2 h 05 min", "3 days 4 h"
std::string duration_text(double seconds);

// "0:07", "12:00", "3:04:05"; "?" where it is not known (NaN, or less than 0).
std::string clock_text(double seconds);

}  // namespace elbow::launch
