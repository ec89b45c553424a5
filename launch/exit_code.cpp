#include "launch/exit_code.h"

#include "comm/error.h"
#include "launch/sweep/ledger_reader.h"
#include "trainer/error.h"

namespace elbow::launch {

ExitCode exit_code_of(const std::exception& error) {
  if (dynamic_cast<const trainer::SettingError*>(&error) != nullptr) return ExitCode::kUsage;
  if (dynamic_cast<const comm::NoDevice*>(&error) != nullptr) return ExitCode::kUsage;
  if (dynamic_cast<const trainer::DataError*>(&error) != nullptr) return ExitCode::kData;
  if (dynamic_cast<const trainer::DamagedCheckpoint*>(&error) != nullptr) return ExitCode::kDamaged;
  if (dynamic_cast<const sweep::DamagedLedger*>(&error) != nullptr) return ExitCode::kDamaged;
  if (dynamic_cast<const trainer::Unfinished*>(&error) != nullptr) return ExitCode::kUnfinished;
  if (dynamic_cast<const comm::PeerLost*>(&error) != nullptr) return ExitCode::kUnresumable;
  return ExitCode::kFailed;
}

}  // namespace elbow::launch
