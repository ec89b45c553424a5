#include "trainer/metrics_json.h"

#include <cmath>
#include <span>

namespace elbow::trainer {

void put_number(nlohmann::ordered_json& object, const char* name, double value) {
  if (std::isfinite(value)) {
    object[name] = value;
  } else {
    object[name] = nullptr;
    object["nonfinite"].push_back(name);
  }
}

namespace {

constexpr size_t kMostListed = 256;  // latent units; a longer list would swamp every line

// null where a value is not finite.
nlohmann::ordered_json list_of(std::span<const double> values) {
  auto list = nlohmann::ordered_json::array();
  for (const double value : values)
    list.push_back(std::isfinite(value) ? nlohmann::ordered_json(value) : nullptr);
  return list;
}

void put_posterior(nlohmann::ordered_json& object, const PosteriorStatistics& posterior) {
  object["active_units"] = posterior.active_units;
  object["active_units_kl"] = posterior.active_units_kl;
  put_number(object, "aggregate_kl_nats", posterior.aggregate_kl_nats);
  put_number(object, "mu_within_1sd", posterior.mu_within_1sd);
  put_number(object, "mu_within_2sd", posterior.mu_within_2sd);
  put_number(object, "mu_within_5sd", posterior.mu_within_5sd);
  object["mu_norm_quantiles"] = list_of(posterior.mu_norm_quantiles);
  if (posterior.mu_mean.size() > kMostListed) return;
  object["mu_mean_by_unit"] = list_of(posterior.mu_mean);
  object["mu_std_by_unit"] = list_of(posterior.mu_std);
  object["sigma_mean_by_unit"] = list_of(posterior.sigma_mean);
  object["sigma_std_by_unit"] = list_of(posterior.sigma_std);
  object["kl_nats_by_unit"] = list_of(posterior.kl_nats);
}

}  // namespace

nlohmann::ordered_json covariance_json(const PosteriorStatistics& posterior) {
  const size_t latent = posterior.mu_mean.size();
  auto rows = nlohmann::ordered_json::array();
  for (size_t at = 0; at < posterior.aggregate_covariance.size(); at += latent)
    rows.push_back(list_of(std::span(posterior.aggregate_covariance).subspan(at, latent)));
  return rows;
}

nlohmann::ordered_json metrics_json(const SplitMetrics& metrics) {
  nlohmann::ordered_json object = {{"split", metrics.split},
                                   {"epoch", metrics.epoch},
                                   {"step", metrics.step},
                                   {"examples", metrics.examples}};
  put_number(object, "loss", metrics.loss);
  put_number(object, "recon_nats", metrics.recon_nats);
  put_number(object, "kl_nats", metrics.kl_nats);
  put_number(object, "elbo_nats", metrics.elbo_nats);
  put_number(object, "mu_mean", metrics.mu_mean);
  put_number(object, "mu_std", metrics.mu_std);
  put_number(object, "sigma_mean", metrics.sigma_mean);
  put_number(object, "sigma_std", metrics.sigma_std);
  put_number(object, "clamp_rate", metrics.clamp_rate);
  if (metrics.sigma_min) put_number(object, "sigma_min", *metrics.sigma_min);
  if (metrics.sigma_max) put_number(object, "sigma_max", *metrics.sigma_max);
  if (metrics.posterior) put_posterior(object, *metrics.posterior);
  if (metrics.baseline_recon_nats)
    put_number(object, "baseline_recon_nats", *metrics.baseline_recon_nats);
  if (metrics.collapsed) object["collapsed"] = *metrics.collapsed;
  put_number(object, "seconds", metrics.seconds);
  put_number(object, "examples_per_s", metrics.examples_per_s);
  return object;
}

}  // namespace elbow::trainer
