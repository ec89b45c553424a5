// Where a trial may take its first weights from (sweep.warm_start). Pure.
#pragma once

#include <optional>

#include "launch/sweep/ledger_record.h"
#include "launch/sweep/search_space.h"

namespace elbow::launch::sweep {

// The complete trial that is nearest to `plan` along the weight of the KL (ratio of the weights),
// with the same repetition and the same values of all other axes; among equals the lowest number.
// Nothing where there is none, or no axis is objective.beta or objective.kl_wt.
std::optional<int64_t> nearest_complete(const SearchSpace& space, const TrialPlan& plan,
                                        const LedgerContents& contents);

}  // namespace elbow::launch::sweep
