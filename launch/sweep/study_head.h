// What a sweep's ledger begins with. Pure.
#pragma once

#include "launch/sweep/ledger_record.h"
#include "launch/sweep/shard.h"
#include "launch/sweep/sweep_config.h"

namespace elbow::launch::sweep {

StudyHead study_head(const SweepConfig& sweep, const Shard& shard);

}  // namespace elbow::launch::sweep
