#include "trainer/metrics_json.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <span>

#include "trainer/error.h"

namespace elbow::trainer {
namespace {

// The numbers of a split, in the order of the file. To add a metric: a member and a line here.
struct Number {
  const char* name;
  double SplitMetrics::*member;
};
constexpr Number kNumbers[] = {
    {"loss", &SplitMetrics::loss},
    {"recon_nats", &SplitMetrics::recon_nats},
    {"kl_nats", &SplitMetrics::kl_nats},
    {"elbo_nats", &SplitMetrics::elbo_nats},
    {"mu_mean", &SplitMetrics::mu_mean},
    {"mu_std", &SplitMetrics::mu_std},
    {"sigma_mean", &SplitMetrics::sigma_mean},
    {"sigma_std", &SplitMetrics::sigma_std},
    {"clamp_rate", &SplitMetrics::clamp_rate},
};

struct OptionalNumber {
  const char* name;
  std::optional<double> SplitMetrics::*member;
};
constexpr OptionalNumber kOptionalNumbers[] = {{"sigma_min", &SplitMetrics::sigma_min},
                                               {"sigma_max", &SplitMetrics::sigma_max}};

constexpr Number kTimes[] = {{"seconds", &SplitMetrics::seconds},
                             {"examples_per_s", &SplitMetrics::examples_per_s}};

double number(const nlohmann::ordered_json& object, const char* name) {
  const auto found = object.find(name);
  if (found != object.end() && found->is_null()) return std::numeric_limits<double>::quiet_NaN();
  if (found == object.end() || !found->is_number())
    throw DataError(fmt::format("metrics have no number '{}'", name));
  return found->get<double>();
}

int64_t count(const nlohmann::ordered_json& object, const char* name) {
  const auto found = object.find(name);
  if (found == object.end() || !found->is_number_unsigned() || found->get<uint64_t>() > INT64_MAX)
    throw DataError(fmt::format("metrics have no count '{}'", name));
  return found->get<int64_t>();
}

}  // namespace

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
  if (posterior.mu_mean.empty() || posterior.mu_mean.size() > kMostListed) return;
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
  for (const auto& [name, member] : kNumbers) put_number(object, name, metrics.*member);
  for (const auto& [name, member] : kOptionalNumbers)
    if (metrics.*member) put_number(object, name, *(metrics.*member));
  if (metrics.posterior) put_posterior(object, *metrics.posterior);
  if (metrics.baseline_recon_nats)
    put_number(object, "baseline_recon_nats", *metrics.baseline_recon_nats);
  if (metrics.collapsed) object["collapsed"] = *metrics.collapsed;
  for (const auto& [name, member] : kTimes) put_number(object, name, metrics.*member);
  return object;
}

namespace {

double number_in(const nlohmann::ordered_json& value, const char* name) {
  if (value.is_null()) return std::numeric_limits<double>::quiet_NaN();
  if (!value.is_number()) throw DataError(fmt::format("metrics have no number in '{}'", name));
  return value.get<double>();
}

// Empty where the list is not there.
std::vector<double> list_in(const nlohmann::ordered_json& object, const char* name) {
  std::vector<double> values;
  const auto found = object.find(name);
  if (found == object.end()) return values;
  if (!found->is_array()) throw DataError(fmt::format("metrics have no list '{}'", name));
  for (const auto& value : *found) values.push_back(number_in(value, name));
  return values;
}

PosteriorStatistics posterior_from_json(const nlohmann::ordered_json& object) {
  PosteriorStatistics posterior{.mu_mean = list_in(object, "mu_mean_by_unit"),
                                .mu_std = list_in(object, "mu_std_by_unit"),
                                .sigma_mean = list_in(object, "sigma_mean_by_unit"),
                                .sigma_std = list_in(object, "sigma_std_by_unit"),
                                .kl_nats = list_in(object, "kl_nats_by_unit"),
                                .active_units = count(object, "active_units"),
                                .active_units_kl = count(object, "active_units_kl"),
                                .aggregate_kl_nats = number(object, "aggregate_kl_nats")};
  const auto quantiles = list_in(object, "mu_norm_quantiles");
  if (quantiles.size() != posterior.mu_norm_quantiles.size())
    throw DataError("metrics have other quantiles in 'mu_norm_quantiles'");
  std::copy(quantiles.begin(), quantiles.end(), posterior.mu_norm_quantiles.begin());
  posterior.mu_within_1sd = number(object, "mu_within_1sd");
  posterior.mu_within_2sd = number(object, "mu_within_2sd");
  posterior.mu_within_5sd = number(object, "mu_within_5sd");
  return posterior;
}

}  // namespace

SplitMetrics metrics_from_json(const nlohmann::ordered_json& object) {
  SplitMetrics metrics;
  if (!object.is_object() || !object.contains("split") || !object["split"].is_string())
    throw DataError("metrics have no name 'split'");
  metrics.split = object["split"].get<std::string>();
  metrics.epoch = count(object, "epoch");
  metrics.step = count(object, "step");
  metrics.examples = count(object, "examples");
  for (const auto& [name, member] : kNumbers) metrics.*member = number(object, name);
  for (const auto& [name, member] : kOptionalNumbers)
    if (object.contains(name)) metrics.*member = number(object, name);
  if (object.contains("active_units")) metrics.posterior = posterior_from_json(object);
  if (object.contains("baseline_recon_nats"))
    metrics.baseline_recon_nats = number(object, "baseline_recon_nats");
  if (object.contains("collapsed") && object["collapsed"].is_boolean())
    metrics.collapsed = object["collapsed"].get<bool>();
  for (const auto& [name, member] : kTimes) metrics.*member = number(object, name);
  return metrics;
}

}  // namespace elbow::trainer
