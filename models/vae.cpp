#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <fmt/format.h>

#include <cmath>

#include "models/convolution.h"
#include "models/gaussian_latent.h"
#include "models/likelihood.h"
#include "models/linear.h"
#include "models/model.h"

namespace elbow::models {
namespace {

using Heads = std::vector<std::pair<std::string, int64_t>>;

class Vae : public Model {
 public:
  explicit Vae(const VaeShape& shape) : shape_(shape) {
    add_encoder();
    add_decoder();
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

  int output_bias() const override { return decoder_.back()->bias(); }
  at::Tensor output_bias_for(const at::Tensor& pixel_means) const override {
    const auto means =
        shape_.image ? pixel_means.view({-1, shape_.image->colours}).mean(0) : pixel_means;
    return output_for_mean(shape_.likelihood, means);
  }

  ExampleTerms terms(const BoundParameters& parameters, const Batch& batch) const override {
    auto latent =
        sample_gaussian(head(parameters, batch.x), batch.noise, shape_.posterior, batch.log_ratio);
    const auto out = output(parameters, latent.z);
    return {.reconstruction = reconstruction(parameters, out, batch.x),
            .kl = latent.kl,
            .posterior_mean = latent.mean,
            .posterior_scale = latent.scale,
            .log_ratio = latent.log_ratio,
            .z = latent.z};
  }

  Posterior encode(const BoundParameters& parameters, const at::Tensor& x) const override {
    const at::NoGradGuard no_gradient;
    const auto none = at::zeros({x.size(0), x.size(1), shape_.latent}, x.options());
    const auto latent = sample_gaussian(head(parameters, x), none, shape_.posterior);
    return {latent.mean, latent.scale};
  }

  at::Tensor decode(const BoundParameters& parameters, const at::Tensor& z) const override {
    const at::NoGradGuard no_gradient;
    return mean_of_output(shape_.likelihood, output(parameters, z));
  }

  at::Tensor reconstruction_nats(const BoundParameters& parameters, const at::Tensor& z,
                                 const at::Tensor& x) const override {
    const at::NoGradGuard no_gradient;
    TORCH_CHECK(shape_.likelihood != Likelihood::kGaussianOptimal,
                "reconstruction_nats: the sigma is the batch's, not the model's");
    return reconstruction(parameters, output(parameters, z), x);
  }

 private:
  using Layers = std::vector<std::unique_ptr<Layer>>;

  // Means, then pre-activations of the scale: [rows, batch, 2 latent].
  at::Tensor head(const BoundParameters& parameters, const at::Tensor& x) const {
    // The data needs no gradient, but something must, for autograd to record the first layer.
    auto h = x.detach();
    h.requires_grad_(at::GradMode::is_enabled());
    bool input_gradient = false;
    for (const auto& layer : encoder_) {
      h = layer->forward(parameters, h, input_gradient);
      input_gradient = true;
    }
    return h;
  }

  at::Tensor output(const BoundParameters& parameters, const at::Tensor& z) const {
    auto h = z;
    for (const auto& layer : decoder_) h = layer->forward(parameters, h, /*input_gradient=*/true);
    return h;
  }

  void add_dense(Layers& layers, int64_t in, const Heads& heads, Activation activation,
                 Precision precision, DenseNeighbour neighbour = {}) {
    layers.push_back(
        std::make_unique<Linear>(layout_, in, heads, activation, precision, neighbour));
  }

  // Hidden layers of these widths; returns the last one. The first one reads what `neighbour` says.
  int64_t add_hidden(Layers& layers, const char* side, int64_t in,
                     const std::vector<int64_t>& widths, DenseNeighbour neighbour = {}) {
    for (size_t i = 0; i < widths.size(); ++i) {
      add_dense(layers, in, {{fmt::format("{}.layers.{}", side, i), widths[i]}}, shape_.activation,
                shape_.precision, i == 0 ? neighbour : DenseNeighbour{});
      in = widths[i];
    }
    return in;
  }

  void add_encoder() {
    int64_t width = shape_.observed;
    DenseNeighbour image;
    if (shape_.image) {
      const auto steps = downwards();
      for (size_t i = 0; i < steps.size(); ++i) {
        encoder_.push_back(std::make_unique<Convolution>(
            layout_, fmt::format("encoder.convolutions.{}", i), steps[i], shape_.image->filters[i],
            shape_.activation, shape_.precision));
      }
      image = {FileLayout::kFromImage, shape_.image->filters.back()};
      width = steps.back().patches() * image.channels;
    }
    width = add_hidden(encoder_, "encoder", width, shape_.encoder, image);
    const char* scale =
        shape_.posterior == PosteriorScale::kLogVariance ? "encoder.log_variance" : "encoder.scale";
    add_dense(encoder_, width, {{"encoder.mean", shape_.latent}, {scale, shape_.latent}},
              Activation::kIdentity, Precision::kFloat32,
              shape_.encoder.empty() ? image : DenseNeighbour{});
  }

  void add_decoder() {
    const int64_t width = add_hidden(decoder_, "decoder", shape_.latent, shape_.decoder);
    if (!shape_.image) {
      return add_dense(decoder_, width, {{"decoder.output", shape_.observed}},
                       Activation::kIdentity, shape_.precision);
    }
    const auto& image = *shape_.image;
    auto steps = downwards();
    add_dense(decoder_, width,
              {{"decoder.features", steps.back().patches() * image.filters.back()}},
              shape_.activation, shape_.precision, {FileLayout::kToImage, image.filters.back()});
    int64_t channels = image.filters.back();
    for (size_t i = 0; i < steps.size(); ++i) {
      auto step = steps[steps.size() - 1 - i];
      step.channels = image.filters[steps.size() - 1 - i];  // as many as that convolution gave
      decoder_.push_back(std::make_unique<TransposedConvolution>(
          layout_, fmt::format("decoder.convolutions.{}", i), channels, step, shape_.activation,
          shape_.precision));
      channels = step.channels;
    }
    // Transposed, because then a position has kernel^2 * colours numbers on the way, not kernel^2 *
    // channels. Only an odd kernel keeps the size.
    const int64_t odd = image.kernel - 1 + image.kernel % 2;
    decoder_.push_back(std::make_unique<TransposedConvolution>(
        layout_, "decoder.output", channels,
        PatchShape{image.height, image.width, image.colours, odd, /*stride=*/1},
        Activation::kIdentity, shape_.precision));
  }

  // What each convolution of the encoder reads, from the image inwards.
  std::vector<PatchShape> downwards() const {
    const auto& image = *shape_.image;
    std::vector<PatchShape> steps;
    PatchShape step{image.height, image.width, image.colours, image.kernel, /*stride=*/2};
    for (const int64_t filters : image.filters) {
      steps.push_back(step);
      step = {step.patch_rows(), step.patch_columns(), filters, image.kernel, /*stride=*/2};
    }
    return steps;
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
  Layers encoder_;      // the last one is the head: means, then scales
  Layers decoder_;      // the last one gives what the likelihood reads
  int log_sigma_ = -1;  // of a Gaussian likelihood that learns it
};

}  // namespace

std::unique_ptr<Model> make_vae(const VaeShape& shape) { return std::make_unique<Vae>(shape); }

}  // namespace elbow::models
