#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <fmt/format.h>

#include <stdexcept>

#include "models/condition_path.h"
#include "models/decoder.h"
#include "models/encoder.h"
#include "models/gaussian_latent.h"
#include "models/likelihood.h"
#include "models/model.h"
#include "models/relative_latent.h"

namespace elbow::models {
namespace {

enum class Kind { kVae, kRegressor, kBottleneck };

// An example's numbers for each of its samples, which lie side by side.
at::Tensor for_samples(const at::Tensor& of_examples, int64_t count) {
  const int64_t batch = of_examples.size(1), samples = count / batch;
  if (samples == 1) return of_examples;
  return of_examples.unsqueeze(2)
      .expand({of_examples.size(0), batch, samples, of_examples.size(2)})
      .reshape({of_examples.size(0), count, of_examples.size(2)});
}

// p(z | c): hidden layers from the path's last one, then mean and log-variance.
class Prior {
 public:
  Prior(ParameterLayout& layout, const VaeShape& shape) {
    int64_t width = ConditionPath::features(*shape.condition);
    const auto add = [&](const std::vector<std::pair<std::string, int64_t>>& heads,
                         Activation activation, Precision precision) {
      layers_.push_back(std::make_unique<Linear>(layout, width, heads, activation, precision));
    };
    const auto& hidden = shape.condition->prior;
    for (size_t i = 0; i < hidden.size(); ++i) {
      add({{fmt::format("prior.layers.{}", i), hidden[i]}}, shape.activation, shape.precision);
      width = hidden[i];
    }
    add({{"prior.mean", shape.latent}, {"prior.log_variance", shape.latent}}, Activation::kIdentity,
        Precision::kFloat32);
  }

  at::Tensor head(const BoundParameters& parameters, const at::Tensor& features) const {
    auto h = features;
    for (const auto& layer : layers_) h = layer->forward(parameters, h, /*input_gradient=*/true);
    return h;
  }

 private:
  std::vector<std::unique_ptr<Linear>> layers_;
};

// What all three kinds are made of; each has some of the parts.
class Network : public Model {
 public:
  Network(const VaeShape& shape, Kind kind) : shape_(shape), kind_(kind) {
    if (shape_.condition && kind != Kind::kBottleneck) {
      const auto misfit = misfit_of(shape_, /*with_encoder=*/kind == Kind::kVae);
      if (!misfit.empty()) throw std::invalid_argument(misfit);
    }
    if (kind == Kind::kVae) add_vae();
    if (kind == Kind::kRegressor) add_regressor();
    if (kind == Kind::kBottleneck) {
      encoder_.emplace(layout_, shape_, shape_.condition->width);
      decoder_.emplace(layout_, shape_, shape_.latent, shape_.decoder);
    }
  }

  int64_t observed() const override { return shape_.observed; }
  int64_t latent() const override { return kind_ == Kind::kRegressor ? 0 : shape_.latent; }
  int64_t conditions() const override { return shape_.condition ? shape_.condition->width : 0; }
  Precision precision() const override { return shape_.precision; }

  int output_bias() const override { return decoder_->output_bias(); }
  at::Tensor output_bias_for(const at::Tensor& pixel_means) const override {
    const bool part = shape_.condition && !shape_.condition->target.empty() && !shape_.image;
    return decoder_->output_bias_for(
        part ? pixel_means.index_select(0, at::tensor(shape_.condition->target, at::kLong))
             : pixel_means);
  }

  ExampleTerms terms(const BoundParameters& parameters, const Batch& batch) const override {
    const auto given = features(parameters, batch.condition);
    auto latent = posterior(parameters, given, batch);
    const auto out = output(parameters, given, latent.z);
    return {.reconstruction = decoder_->nats(parameters, out, batch.x),
            .kl = latent.kl,
            .posterior_mean = latent.mean,
            .posterior_scale = latent.scale,
            .log_ratio = latent.log_ratio,
            .z = latent.z};
  }

  // Dense layers in a row, and a loss of pixels that has no parameters.
  bool knows_gradient() const override {
    return kind_ == Kind::kVae && !shape_.condition && !shape_.image &&
           (shape_.likelihood == Likelihood::kBernoulli ||
            shape_.likelihood == Likelihood::kContinuousBernoulli);
  }

  ExampleTerms differentiate(const BoundParameters& parameters, const Batch& batch,
                             const LinearLoss& loss,
                             const WrittenFrom& written_from) const override {
    const at::AutoDispatchBelowADInplaceOrView plain;
    TORCH_CHECK(knows_gradient() && batch.log_ratio == LogRatio::kNone,
                "differentiate: of dense networks, and of terms without a log ratio");
    const auto encoded = run(encoder_->dense(), parameters, batch.x, /*input_gradient=*/false);
    const auto gaussian = run_gaussian(encoded.back().y, batch.noise, shape_.posterior);
    const auto& latent = gaussian.latent;
    const auto decoded = run(decoder_->dense(), parameters, latent.z, /*input_gradient=*/true);
    const auto& out = decoded.back().y;
    const auto scale = filled_rows(out.select(2, 0), loss.reconstruction).contiguous();
    const auto pixels = run_pixel_loss(out, batch.x,
                                       shape_.likelihood == Likelihood::kBernoulli
                                           ? PixelLoss::kBernoulli
                                           : PixelLoss::kContinuousBernoulli,
                                       /*with_residual=*/true, scale);
    const auto dz = backward(decoder_->dense(), decoded, pixels.residual, written_from);
    backward(encoder_->dense(), encoded,
             gaussian_backward(gaussian, {.z = dz, .kl = filled_rows(latent.kl, loss.kl)}),
             written_from);
    return {.reconstruction = pixels.nats,
            .kl = latent.kl,
            .posterior_mean = latent.mean,
            .posterior_scale = latent.scale,
            .z = latent.z};
  }

  Posterior encode(const BoundParameters& parameters, const at::Tensor& x,
                   const at::Tensor& condition) const override {
    const at::NoGradGuard no_gradient;
    const auto none = at::zeros({x.size(0), x.size(1), latent()}, x.options());
    const auto found = posterior(parameters, features(parameters, condition),
                                 {.x = x, .noise = none, .condition = condition});
    return {found.mean, found.scale};
  }

  at::Tensor decode(const BoundParameters& parameters, const at::Tensor& z,
                    const at::Tensor& condition) const override {
    const at::NoGradGuard no_gradient;
    return mean_of_output(shape_.likelihood,
                          output(parameters, features(parameters, condition), z));
  }

  at::Tensor reconstruction_nats(const BoundParameters& parameters, const at::Tensor& z,
                                 const at::Tensor& x, const at::Tensor& condition) const override {
    const at::NoGradGuard no_gradient;
    TORCH_CHECK(shape_.likelihood != Likelihood::kGaussianOptimal,
                "reconstruction_nats: the sigma is the batch's, not the model's");
    return decoder_->nats(parameters, output(parameters, features(parameters, condition), z), x);
  }

 private:
  struct Given {
    ConditionFeatures features;
    at::Tensor prior;  // head of a learned prior
  };

  using DenseLayers = std::vector<std::unique_ptr<Linear>>;

  static std::vector<Linear::Done> run(const DenseLayers& layers, const BoundParameters& parameters,
                                       at::Tensor x, bool input_gradient) {
    std::vector<Linear::Done> done;
    for (const auto& layer : layers) {
      done.push_back(layer->run(parameters, x, input_gradient));
      x = done.back().y;
      input_gradient = true;
    }
    return done;
  }

  // Layers lie in the layout as they follow each other.
  at::Tensor backward(const DenseLayers& layers, const std::vector<Linear::Done>& done,
                      at::Tensor gradient, const WrittenFrom& written_from) const {
    for (size_t i = layers.size(); i-- > 0;) {
      gradient = Linear::backward(done[i], gradient);
      if (written_from) written_from(layout_.parameters()[layers[i]->weight()].offset);
    }
    return gradient;
  }

  void add_vae() {
    const auto& condition = shape_.condition;
    if (!condition) {
      encoder_.emplace(layout_, shape_, shape_.observed);
      decoder_.emplace(layout_, shape_, shape_.latent, shape_.decoder);
      return;
    }
    const bool add = condition->join == Join::kAdd;
    const int64_t layer = add ? condition->encoder_layer - 1 : 0;
    const int64_t inputs = add ? 0 : ConditionPath::features(*condition);
    encoder_.emplace(layout_, shape_, shape_.observed, layer, condition->into_encoder ? inputs : 0);
    decoder_.emplace(layout_, shape_, shape_.latent, shape_.decoder, inputs);
    ConditionPath::Joins joins{.decoder_width = Decoder::joined_width(shape_),
                               .decoder_inputs = shape_.latent,
                               .features = condition->learned_prior};
    if (condition->into_encoder) {
      joins.encoder_width = Encoder::joined_width(shape_, layer);
      joins.encoder_inputs = encoder_->inputs_beside();
    }
    path_.emplace(layout_, shape_, joins);
    if (condition->learned_prior) prior_.emplace(layout_, shape_);
  }

  // The path's last layer stands in the place of the decoder's first where they are added.
  void add_regressor() {
    auto hidden = shape_.decoder;
    if (shape_.condition->join == Join::kAdd) hidden.erase(hidden.begin());
    decoder_.emplace(layout_, shape_, ConditionPath::features(*shape_.condition), hidden);
    path_.emplace(layout_, shape_, ConditionPath::Joins{.features = true});
  }

  Given features(const BoundParameters& parameters, const at::Tensor& condition) const {
    Given given;
    if (path_) given.features = path_->run(parameters, condition);
    if (prior_) given.prior = prior_->head(parameters, given.features.last);
    return given;
  }

  GaussianLatent posterior(const BoundParameters& parameters, const Given& given,
                           const Batch& batch) const {
    if (!encoder_) return no_latent(batch.x);
    auto head = encoder_->head(parameters, input(batch), given.features.to_encoder);
    if (prior_) head = relative_to_prior(head, given.prior);
    return sample_gaussian(head, batch.noise, shape_.posterior, batch.log_ratio);
  }

  static GaussianLatent no_latent(const at::Tensor& x) {
    const auto none = at::zeros({x.size(0), x.size(1), 0}, x.options());
    return {.z = none, .kl = none, .mean = none, .scale = none, .log_ratio = {}};
  }

  at::Tensor output(const BoundParameters& parameters, const Given& given,
                    const at::Tensor& u) const {
    if (kind_ == Kind::kRegressor)
      return decoder_->output(parameters, for_samples(given.features.last, u.size(1)), {});
    const auto z = prior_ ? from_prior(u, given.prior) : u;
    const auto& addend = given.features.to_decoder;
    return decoder_->output(parameters, z,
                            addend.defined() ? for_samples(addend, u.size(1)) : addend);
  }

  // What the encoder sees. A convolution needs the whole picture, with what is given in its place.
  at::Tensor input(const Batch& batch) const {
    if (kind_ == Kind::kBottleneck) return batch.condition;
    if (!shape_.image || !shape_.condition || shape_.condition->target.empty()) return batch.x;
    const auto& condition = *shape_.condition;
    auto picture =
        at::zeros({batch.x.size(0), batch.x.size(1), condition.picture}, batch.x.options());
    const auto places = [&](const std::vector<int64_t>& of) {
      return at::tensor(of, batch.x.options().dtype(at::kLong));
    };
    picture.index_copy_(2, places(condition.target), batch.x);
    if (condition.into_encoder)
      picture.index_copy_(2, places(condition.given),
                          batch.condition.narrow(2, 0, std::ssize(condition.given)));
    return picture;
  }

  VaeShape shape_;
  Kind kind_;
  std::optional<Encoder> encoder_;
  std::optional<Decoder> decoder_;
  std::optional<ConditionPath> path_;
  std::optional<Prior> prior_;
};

}  // namespace

ExampleTerms Model::differentiate(const BoundParameters&, const Batch&, const LinearLoss&,
                                  const WrittenFrom&) const {
  throw std::logic_error("differentiate: only autograd knows this model's gradient");
}

std::unique_ptr<Model> make_vae(const VaeShape& shape) {
  return std::make_unique<Network>(shape, Kind::kVae);
}

std::unique_ptr<Model> make_regressor(const VaeShape& shape) {
  return std::make_unique<Network>(shape, Kind::kRegressor);
}

std::unique_ptr<Model> make_bottleneck(const VaeShape& shape) {
  return std::make_unique<Network>(shape, Kind::kBottleneck);
}

}  // namespace elbow::models
