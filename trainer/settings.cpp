#include "trainer/settings.h"

namespace elbow::trainer {

double effective_beta(const ObjectiveSettings& objective, int64_t observed) {
  if (objective.kl_wt) return *objective.kl_wt * static_cast<double>(observed);
  return objective.beta.value_or(1.0);
}

}  // namespace elbow::trainer
