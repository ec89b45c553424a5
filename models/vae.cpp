#include <ATen/core/grad_mode.h>
#include <fmt/format.h>

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
    encoder_.emplace_back(
        layout_, width,
        std::vector<std::pair<std::string, int64_t>>{{"encoder.mean", shape.latent},
                                                     {"encoder.log_variance", shape.latent}},
        Activation::kIdentity);
    width = shape.latent;
    for (const int64_t next : shape.decoder) width = add_hidden(decoder_, "decoder", width, next);
    decoder_.emplace_back(
        layout_, width,
        std::vector<std::pair<std::string, int64_t>>{{"decoder.output", shape.observed}},
        Activation::kIdentity, shape.precision);
  }

  int64_t observed() const override { return shape_.observed; }
  int64_t latent() const override { return shape_.latent; }
  Precision precision() const override { return shape_.precision; }

  ExampleTerms terms(const BoundParameters& parameters, const Batch& batch) const override {
    // The data needs no gradient, but something must, for autograd to record the first layer.
    auto h = batch.x.detach().requires_grad_(at::GradMode::is_enabled());
    bool input_gradient = false;
    for (const auto& layer : encoder_) {
      h = layer.forward(parameters, h, input_gradient);
      input_gradient = true;
    }
    auto latent = sample_gaussian(h, batch.noise);
    h = latent.z;
    for (const auto& layer : decoder_) h = layer.forward(parameters, h, /*input_gradient=*/true);
    return {bernoulli_nats(h, batch.x), latent.kl, latent.mean, latent.scale};
  }

 private:
  int64_t add_hidden(std::vector<Linear>& layers, const char* side, int64_t in, int64_t out) {
    const auto name = fmt::format("{}.layers.{}", side, layers.size());
    layers.emplace_back(layout_, in, std::vector<std::pair<std::string, int64_t>>{{name, out}},
                        shape_.activation, shape_.precision);
    return out;
  }

  VaeShape shape_;
  std::vector<Linear> encoder_;  // the last one is the head: means, then log-variances
  std::vector<Linear> decoder_;  // the last one gives the logits
};

}  // namespace

std::unique_ptr<Model> make_vae(const VaeShape& shape) { return std::make_unique<Vae>(shape); }

}  // namespace elbow::models
