#include "trainer/metrics_json.h"

#include <cmath>

namespace elbow::trainer {

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
  put_number(object, "seconds", metrics.seconds);
  put_number(object, "examples_per_s", metrics.examples_per_s);
  return object;
}

}  // namespace elbow::trainer
