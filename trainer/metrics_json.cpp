#include "trainer/metrics_json.h"

#include <fmt/format.h>

#include <cmath>
#include <limits>

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

nlohmann::ordered_json metrics_json(const SplitMetrics& metrics) {
  nlohmann::ordered_json object = {{"split", metrics.split},
                                   {"epoch", metrics.epoch},
                                   {"step", metrics.step},
                                   {"examples", metrics.examples}};
  for (const auto& [name, member] : kNumbers) put_number(object, name, metrics.*member);
  for (const auto& [name, member] : kOptionalNumbers)
    if (metrics.*member) put_number(object, name, *(metrics.*member));
  for (const auto& [name, member] : kTimes) put_number(object, name, metrics.*member);
  return object;
}

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
  for (const auto& [name, member] : kTimes) metrics.*member = number(object, name);
  return metrics;
}

}  // namespace elbow::trainer
