// What stands at the other end of standard error.
#pragma once

#include <optional>

namespace elbow::launch {

// Columns of the terminal that standard error reaches, nullopt where it reaches none. Under
// launch/elbow -n the ranks write into mpirun's pipe; the launcher passes the terminal's width on
// in ELBOW_TERMINAL_COLUMNS.
std::optional<int> terminal_columns();

}  // namespace elbow::launch
