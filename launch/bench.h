// What `elbow bench` measures: one function a kind, which every rank of `world` calls.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "launch/command_line.h"
#include "launch/exit_code.h"
#include "launch/world.h"

namespace elbow::launch {

ExitCode bench_step(const BenchCommand& command, World& world);
ExitCode bench_comm(const BenchCommand& command, World& world);
ExitCode bench_sweep(const BenchCommand& command, World& world);
ExitCode bench_scaling(const BenchCommand& command, World& world);

// Prints one of them, on rank 0.
void show_bench(const BenchCommand& command, World& world, const nlohmann::ordered_json& result,
                const std::string& text);

double median(std::vector<double> values);  // at least one

}  // namespace elbow::launch
