// What each verb does: one function a verb, in a file of its own. Results go to standard output;
// errors are exceptions.
#pragma once

#include <string>
#include <vector>

#include "launch/command_line.h"
#include "launch/exit_code.h"

namespace elbow::launch {

class World;

// Parses `arguments` (without the program's name) and runs the verb.
ExitCode run_command(const std::vector<std::string>& arguments);

ExitCode run_config(const ConfigCommand& command);
ExitCode run_report(const ReportCommand& command);
ExitCode run_slurm(const SlurmCommand& command, const std::vector<std::string>& arguments);
// Every rank of `world` calls it.
ExitCode run_train(const TrainCommand& command, const std::vector<std::string>& arguments,
                   World& world);
ExitCode run_sweep(const SweepCommand& command, const std::vector<std::string>& arguments,
                   World& world);
ExitCode run_bench(const BenchCommand& command, World& world);
ExitCode run_doctor(const DoctorCommand& command, World& world);
ExitCode run_evaluate(const EvaluateCommand& command, World& world);
ExitCode run_encode(const EncodeCommand& command, World& world);
ExitCode run_sample(const SampleCommand& command, World& world);
ExitCode run_export(const ExportCommand& command, World& world);

}  // namespace elbow::launch
