// `elbow report SWEEP`: the ledgers of a sweep's folder, its tables, figures and page.
#pragma once

#include <filesystem>

namespace elbow::launch {

// Whether a folder holds a sweep, or a shard of one.
bool is_sweep_folder(const std::filesystem::path& folder);

// Writes results.csv, frontier.csv, figures/ and report.html into `out`, from the ledgers of all
// shards in `sweep` and the folders of its trials. Says where. trainer::SettingError where the
// ledgers are of different sweeps or `out` cannot be written; sweep::DamagedLedger,
// trainer::DataError where a ledger cannot be read. What is wrong with a trial's folder is a note.
void report_sweep(const std::filesystem::path& sweep, const std::filesystem::path& out);

}  // namespace elbow::launch
