// What stands at the other end of standard error, and where reports go.
#pragma once

#include <cstdio>
#include <optional>

namespace elbow::launch {

// Columns of the terminal that standard error reaches, nullopt where it reaches none. Under
// launch/elbow -n the ranks write into mpirun's pipe; the launcher passes the terminal's width on
// in ELBOW_TERMINAL_COLUMNS.
std::optional<int> terminal_columns();

// Where reports go: standard output, or standard error where launch/elbow says that both are one
// terminal behind pipes of mpirun, which would arrive in any order.
std::FILE* report_stream();

}  // namespace elbow::launch
