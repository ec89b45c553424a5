#include "launch/evaluation_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <numeric>
#include <vector>

#include "trainer/metrics_json.h"

namespace elbow::launch {
namespace {

using trainer::PosteriorStatistics;
using trainer::SplitMetrics;

std::string line(const char* subject, const std::string& text) {
  return fmt::format("{:<12}{}\n", subject, text);
}

std::string bound_text(const SplitMetrics& m) {
  return line("loss", fmt::format("{:.6g} on the optimised scale", m.loss)) +
         line("elbo", fmt::format("{:.4f} nats (recon {:.4f}, kl {:.4f})", m.elbo_nats,
                                  m.recon_nats, m.kl_nats));
}

std::string collapse_text(const SplitMetrics& m) {
  if (!m.collapsed) return "";
  return line("collapse",
              fmt::format("{}: reconstruction {:.2f} nats, the mean picture alone {:.2f}",
                          *m.collapsed ? "yes" : "no", m.recon_nats, *m.baseline_recon_nats));
}

// The units with the largest KL, at most so many.
std::string unit_lines(const PosteriorStatistics& p) {
  constexpr size_t kMostShown = 20;
  std::vector<size_t> order(p.kl_nats.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return p.kl_nats[a] > p.kl_nats[b]; });
  auto text = fmt::format("{:<12}{:>10}{:>11}{:>11}{:>11}{:>11}\n", "unit", "KL, nats", "mean mu",
                          "std mu", "mean sigma", "std sigma");
  for (size_t i = 0; i < std::min(order.size(), kMostShown); ++i) {
    const size_t j = order[i];
    text += fmt::format("{:<12}{:>10.4f}{:>11.4f}{:>11.4f}{:>11.4f}{:>11.4f}\n", j, p.kl_nats[j],
                        p.mu_mean[j], p.mu_std[j], p.sigma_mean[j], p.sigma_std[j]);
  }
  if (order.size() > kMostShown)
    text += fmt::format("{:<12}({} more units)\n", "", order.size() - kMostShown);
  return text;
}

std::string posterior_lines(const SplitMetrics& m) {
  const auto& p = *m.posterior;
  const auto& q = p.mu_norm_quantiles;
  return line("mu",
              fmt::format("mean {:.4f}, std {:.4f} over examples and units", m.mu_mean, m.mu_std)) +
         line("sigma", fmt::format("mean {:.4f}, std {:.4f}, from {:.4g} to {:.4g}", m.sigma_mean,
                                   m.sigma_std, *m.sigma_min, *m.sigma_max)) +
         line("|mu|", fmt::format("min {:.3f}, 5 % {:.3f}, median {:.3f}, 95 % {:.3f}, max {:.3f}",
                                  q[0], q[1], q[3], q[5], q[6])) +
         line("means",
              fmt::format("{:.1f} % within 1 SD of the prior, {:.1f} % within 2, {:.1f} % "
                          "within 5",
                          100 * p.mu_within_1sd, 100 * p.mu_within_2sd, 100 * p.mu_within_5sd)) +
         line("active", fmt::format("{} of {} units by var(mu) > 0.01, {} by KL > 0.01 nats",
                                    p.active_units, p.mu_mean.size(), p.active_units_kl)) +
         line("aggregate", fmt::format("KL(N(mean, cov) of q(z) || N(0, I)) = {:.4f} nats",
                                       p.aggregate_kl_nats));
}

std::string information_lines(const trainer::LatentInformation& i) {
  return line("mutual", fmt::format("I(x;z) = {:.4f} nats; an estimate over {} examples cannot "
                                    "exceed log N = {:.4f}",
                                    i.mutual_nats, i.examples, i.mutual_bound)) +
         line("correlation", fmt::format("total correlation {:.4f} nats, KL of the units to the "
                                         "prior {:.4f} nats",
                                         i.total_correlation_nats, i.unit_kl_nats));
}

std::string importance_lines(const trainer::ImportanceNll& i) {
  return line("nll", fmt::format("{:.4f} +- {:.4f} nats (standard error) over {} examples, K = {}",
                                 i.nll_nats, i.standard_error, i.examples, i.samples)) +
         line("samples", fmt::format("{:.1f} effective on average, {:.1f} at least, of {}",
                                     i.effective_samples, i.effective_samples_min, i.samples));
}

std::string condition_lines(const EvaluationResult& r) {
  std::string text;
  if (r.from_prior) {
    text +=
        line("from prior",
             fmt::format("{:.4f} +- {:.4f} nats by samples of the prior, the best of {}: {:.4f}",
                         r.from_prior->nll_nats, r.from_prior->standard_error,
                         r.from_prior->samples, r.from_prior->best_nats));
  }
  if (r.condition_use) {
    text += line("condition",
                 fmt::format("worth {:.4f} +- {:.4f} nats against another example's, over {} "
                             "examples, K = {}",
                             r.condition_use->nats, r.condition_use->standard_error,
                             r.condition_use->examples, r.condition_use->samples));
  }
  if (r.sample_diversity)
    text += line("diversity",
                 fmt::format("two samples of one condition differ by {:.4f} summed over pixels",
                             *r.sample_diversity));
  return text;
}

}  // namespace

std::string posterior_text(const SplitMetrics& m) {
  const auto& p = *m.posterior;
  auto text = fmt::format(
      "{} of {} units active, {:.2f} of means within 2 SD of the prior, "
      "aggregated posterior {:.3g} nats from it",
      p.active_units, p.mu_mean.size(), p.mu_within_2sd, p.aggregate_kl_nats);
  if (m.collapsed.value_or(false))
    text +=
        fmt::format("; collapsed: the mean picture alone has recon {:.2f}", *m.baseline_recon_nats);
  return text;
}

std::string evaluation_table(const EvaluationResult& r) {
  const auto& m = r.metrics;
  return line("run", fmt::format("{}, step {}, epoch {}", r.run, m.step, m.epoch)) +
         line("weights", r.weights) +
         line("split", fmt::format("{}, {} examples", m.split, m.examples)) + bound_text(m) +
         (r.importance ? importance_lines(*r.importance) : "") + condition_lines(r) +
         collapse_text(m) +
         (m.posterior
              ? posterior_lines(m) + information_lines(*r.information) + unit_lines(*m.posterior)
              : "");
}

std::string evaluation_json(const EvaluationResult& r) {
  using trainer::put_number;
  nlohmann::ordered_json json = {{"run", r.run}, {"weights", r.weights}};
  json.update(trainer::metrics_json(r.metrics));
  if (r.metrics.posterior)
    json["aggregate_covariance"] = trainer::covariance_json(*r.metrics.posterior);
  if (r.information) {
    json["information_examples"] = r.information->examples;
    put_number(json, "mutual_information_nats", r.information->mutual_nats);
    put_number(json, "mutual_information_bound", r.information->mutual_bound);
    put_number(json, "total_correlation_nats", r.information->total_correlation_nats);
    put_number(json, "unit_kl_nats", r.information->unit_kl_nats);
  }
  if (r.importance) {
    json["importance_samples"] = r.importance->samples;
    json["importance_examples"] = r.importance->examples;
    put_number(json, "nll_nats", r.importance->nll_nats);
    put_number(json, "nll_standard_error", r.importance->standard_error);
    put_number(json, "effective_samples", r.importance->effective_samples);
    put_number(json, "effective_samples_min", r.importance->effective_samples_min);
  }
  if (r.from_prior) {
    put_number(json, "prior_nll_nats", r.from_prior->nll_nats);
    put_number(json, "prior_nll_standard_error", r.from_prior->standard_error);
    put_number(json, "best_of_samples_nats", r.from_prior->best_nats);
  }
  if (r.condition_use) {
    put_number(json, "condition_use_nats", r.condition_use->nats);
    put_number(json, "condition_use_standard_error", r.condition_use->standard_error);
    json["condition_use_examples"] = r.condition_use->examples;
    json["condition_use_samples"] = r.condition_use->samples;
  }
  if (r.sample_diversity) put_number(json, "sample_diversity_pixels", *r.sample_diversity);
  return json.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
}

}  // namespace elbow::launch
