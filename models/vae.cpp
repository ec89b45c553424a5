#include <ATen/core/grad_mode.h>
#include <fmt/format.h>

#include <cmath>

#include "models/gaussian_latent.h"
#include "models/likelihood.h"
#include "models/linear.h"
#include "models/model.h"

namespace elbow::models {
namespace {

class Vae : public Model {
 public:
  explicit Vae(const VaeShape& shape) : shape_(shape) {
    int64_t width = shape.observed;
    for (const int64_t next : shape.encoder) width = add_hidden(encoder_, "encoder", width, next);
    const char* scale =
        shape.posterior == PosteriorScale::kLogVariance ? "encoder.log_variance" : "encoder.scale";
    encoder_.emplace_back(layout_, width,
                          std::vector<std::pair<std::string, int64_t>>{
                              {"encoder.mean", shape.latent}, {scale, shape.latent}},
                          Activation::kIdentity);
    width = shape.latent;
    for (const int64_t next : shape.decoder) width = add_hidden(decoder_, "decoder", width, next);
    decoder_.emplace_back(
        layout_, width,
        std::vector<std::pair<std::string, int64_t>>{{"decoder.output", shape.observed}},
        Activation::kIdentity, shape.precision);
    if (shape.likelihood == Likelihood::kGaussianLearned) {
      log_sigma_ = layout_.add({.shape = {1},
                                .is_weight = false,
                                .fan_in = 1,
                                .parts = {{"decoder.log_sigma", 0, 1}},
                                .start = std::log(shape.sigma)});
    }
  }

  int64_t observed() const override { return shape_.observed; }
  int64_t latent() const override { return shape_.latent; }
  Precision precision() const override { return shape_.precision; }

  int output_bias() const override { return decoder_.back().bias(); }
  at::Tensor output_bias_for(const at::Tensor& pixel_means) const override {
    return output_for_mean(shape_.likelihood, pixel_means);
  }

  ExampleTerms terms(const BoundParameters& parameters, const Batch& batch) const override {
    // The data needs no gradient, but something must, for autograd to record the first layer.
    auto h = batch.x.detach().requires_grad_(at::GradMode::is_enabled());
    bool input_gradient = false;
    for (const auto& layer : encoder_) {
      h = layer.forward(parameters, h, input_gradient);
      input_gradient = true;
    }
    auto latent = sample_gaussian(h, batch.noise, shape_.posterior, batch.log_ratio);
    h = latent.z;
    for (const auto& layer : decoder_) h = layer.forward(parameters, h, /*input_gradient=*/true);
    return {.reconstruction = reconstruction(parameters, h, batch.x),
            .kl = latent.kl,
            .posterior_mean = latent.mean,
            .posterior_scale = latent.scale,
            .log_ratio = latent.log_ratio,
            .z = latent.z};
  }

 private:
  int64_t add_hidden(std::vector<Linear>& layers, const char* side, int64_t in, int64_t out) {
    const auto name = fmt::format("{}.layers.{}", side, layers.size());
    layers.emplace_back(layout_, in, std::vector<std::pair<std::string, int64_t>>{{name, out}},
                        shape_.activation, shape_.precision);
    return out;
  }

  at::Tensor reconstruction(const BoundParameters& parameters, const at::Tensor& output,
                            const at::Tensor& x) const {
    switch (shape_.likelihood) {
      case Likelihood::kBernoulli:
        return bernoulli_nats(output, x);
      case Likelihood::kContinuousBernoulli:
        return continuous_bernoulli_nats(output, x);
      case Likelihood::kGaussian:
        return gaussian_nats(output, x, shape_.sigma);
      case Likelihood::kGaussianLearned:
        return gaussian_nats(output, x, parameters.value(log_sigma_),
                             parameters.gradient(log_sigma_));
      case Likelihood::kGaussianOptimal:
        break;
    }
    return half_squared_error(output, x);
  }

  VaeShape shape_;
  std::vector<Linear> encoder_;  // the last one is the head: means, then scales
  std::vector<Linear> decoder_;  // the last one gives what the likelihood reads
  int log_sigma_ = -1;           // of a Gaussian likelihood that learns it
};

}  // namespace

std::unique_ptr<Model> make_vae(const VaeShape& shape) { return std::make_unique<Vae>(shape); }

}  // namespace elbow::models
