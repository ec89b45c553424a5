#include "launch/warnings.h"

#include <fmt/format.h>

#include "trainer/assembly.h"

namespace elbow::launch {
namespace {

using trainer::Settings;

void warn_of_warm_up(const Settings& s, int64_t observed, int64_t steps,
                     std::vector<std::string>& out) {
  const auto row = trainer::row_of(s, observed);
  const double reached = models::annealing(row.anneal, steps - 1);
  if (row.anneal.steps > static_cast<double>(steps)) {
    out.push_back(fmt::format(
        "the annealing takes {:g} steps, longer than the run of {}: it ends with beta {:.3g} "
        "instead of {:.3g}",
        row.anneal.steps, steps, row.beta * reached, row.beta));
  }
  if (s.objective.capacity != "none" && row.capacity.steps > static_cast<double>(steps)) {
    out.push_back(fmt::format(
        "the capacity takes {:g} steps, longer than the run of {}: it ends at {:.3g} nats",
        row.capacity.steps, steps, models::capacity_nats(row.capacity, steps - 1)));
  }
}

void warn_of_bound(const Settings& s, double beta, std::vector<std::string>& out) {
  if (s.objective.kind == "elbo") return;
  if (beta != 1) {
    out.push_back(fmt::format(
        "beta {:.3g} stands inside the importance weights: objective.kind={} bounds the "
        "likelihood at beta 1 only",
        beta, s.objective.kind));
  }
  if (s.objective.samples == 1) {
    out.push_back(fmt::format(
        "objective.kind={} with one sample is the ELBO with its KL sampled: set objective.samples",
        s.objective.kind));
  }
}

}  // namespace

std::vector<std::string> warnings_of(const Settings& s, int64_t observed, int64_t steps) {
  std::vector<std::string> out;
  const double beta = trainer::effective_beta(s.objective, observed);
  warn_of_warm_up(s, observed, steps, out);
  warn_of_bound(s, beta, out);
  if (s.objective.capacity != "none") {
    out.push_back(
        fmt::format("beta {:.3g} weighs the KL's distance from the capacity, not the KL", beta));
  }
  if (s.model.likelihood == "gaussian" && s.model.sigma != 1) {
    out.push_back(
        fmt::format("with sigma {:.3g} fixed, the KL weighs {:.3g} against half the squared error",
                    s.model.sigma, beta * s.model.sigma * s.model.sigma));
  }
  if (s.objective.sigma_wt > 0) {
    out.push_back(fmt::format(
        "objective.sigma_wt {:.3g} pulls sigma to 1 beside the KL: loss is no bound, elbo_nats is",
        s.objective.sigma_wt));
  }
  return out;
}

}  // namespace elbow::launch
