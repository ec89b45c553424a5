// What a condition does in a network: joins, learned priors, and what does not fit.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <stdexcept>

#include "models/gaussian_latent.h"
#include "models/model.h"
#include "models/relative_latent.h"

namespace elbow::models {
namespace {

constexpr int64_t kRows = 2, kBatch = 5, kObserved = 7, kLatent = 4, kWidth = 3;

VaeShape shape_with(ConditionShape condition) {
  return {.observed = kObserved,
          .encoder = {6, 4},
          .latent = kLatent,
          .decoder = {5},
          .activation = Activation::kTanh,
          .condition = std::move(condition)};
}

at::Tensor numbers(at::IntArrayRef shape) { return at::randn(shape, at::kDouble); }

// Weights of one row under their names in files: [out, in].
std::map<std::string, at::Tensor> named(const Model& model, const at::Tensor& row) {
  std::map<std::string, at::Tensor> weights;
  for (const auto& [name, values] : model.layout().to_named(row)) weights[name] = values;
  return weights;
}

at::Tensor dense(const std::map<std::string, at::Tensor>& weights, const std::string& name,
                 const at::Tensor& x) {
  return x.matmul(weights.at(name + ".weight").t()) + weights.at(name + ".bias");
}

TEST(Condition, ConcatenationIsOneMatrixOverBothInputs) {
  at::manual_seed(1);
  const auto model = make_vae(shape_with({.width = kWidth, .path = {6}}));
  const auto values = numbers({1, model->layout().size()});
  const auto z = numbers({1, kBatch, kLatent}), c = numbers({1, kBatch, kWidth});
  const auto decoded = model->decode(BoundParameters(model->layout(), values), z, c);

  const auto w = named(*model, values[0]);
  const auto path = dense(w, "condition.layers.0", c[0]).tanh();
  const auto joint =
      at::cat({w.at("decoder.layers.0.weight"), w.at("decoder.condition.weight")}, 1);
  const auto h =
      (at::cat({z[0], path}, 1).matmul(joint.t()) + w.at("decoder.layers.0.bias")).tanh();
  EXPECT_TRUE(at::allclose(decoded[0], dense(w, "decoder.output", h).sigmoid(), 1e-9, 1e-9));
}

// Doersch's tutorial: sums of pre-activations.
TEST(Condition, AdditionMeetsTheEncoderAndTheDecoderBeforeTheirActivations) {
  at::manual_seed(2);
  const auto model = make_vae(
      shape_with({.width = kWidth, .path = {8, 4, 5}, .join = Join::kAdd, .encoder_layer = 2}));
  const auto values = 0.5 * numbers({1, model->layout().size()});
  const BoundParameters parameters(model->layout(), values);
  const auto x = at::rand({1, kBatch, kObserved}, at::kDouble);
  const auto z = numbers({1, kBatch, kLatent}), c = numbers({1, kBatch, kWidth});

  const auto w = named(*model, values[0]);
  const auto first = dense(w, "condition.layers.0", c[0]).tanh();
  const auto second = dense(w, "condition.layers.1", first);
  const auto third = dense(w, "condition.layers.2", second.tanh());
  const auto h = dense(w, "encoder.layers.0", x[0]).tanh();
  const auto joined = (dense(w, "encoder.layers.1", h) + second).tanh();
  EXPECT_TRUE(at::allclose(model->encode(parameters, x, c).mean[0],
                           dense(w, "encoder.mean", joined), 1e-9, 1e-9));
  const auto d = (dense(w, "decoder.layers.0", z[0]) + third).tanh();
  EXPECT_TRUE(at::allclose(model->decode(parameters, z, c)[0],
                           dense(w, "decoder.output", d).sigmoid(), 1e-9, 1e-9));
}

TEST(Condition, ARegressorIsTheSamePathWithoutLatents) {
  at::manual_seed(3);
  const auto shape =
      shape_with({.width = kWidth, .path = {8, 5}, .join = Join::kAdd, .encoder_layer = 1});
  const auto model = make_regressor(shape);
  EXPECT_EQ(model->latent(), 0);
  const auto values = numbers({1, model->layout().size()});
  const auto c = numbers({1, kBatch, kWidth});
  const auto w = named(*model, values[0]);
  const auto h = dense(w, "condition.layers.1", dense(w, "condition.layers.0", c[0]).tanh()).tanh();
  const auto none = at::empty({1, kBatch, 0}, at::kDouble);
  EXPECT_TRUE(at::allclose(model->decode(BoundParameters(model->layout(), values), none, c)[0],
                           dense(w, "decoder.output", h).sigmoid(), 1e-9, 1e-9));
}

TEST(Condition, ReachesTheDecoderAndTheEncoderUnlessItIsToldNotTo) {
  at::manual_seed(4);
  for (const bool into_encoder : {true, false}) {
    const auto model = make_vae(shape_with({.width = kWidth, .into_encoder = into_encoder}));
    const auto values = numbers({kRows, model->layout().size()});
    const BoundParameters parameters(model->layout(), values);
    const auto x = at::rand({kRows, kBatch, kObserved}, at::kDouble);
    const auto z = numbers({kRows, kBatch, kLatent});
    const auto c = numbers({kRows, kBatch, kWidth}), other = numbers({kRows, kBatch, kWidth});
    EXPECT_FALSE(
        at::allclose(model->decode(parameters, z, c), model->decode(parameters, z, other)));
    EXPECT_EQ(
        at::equal(model->encode(parameters, x, c).mean, model->encode(parameters, x, other).mean),
        !into_encoder);
  }
}

TEST(Condition, WithoutOneTheDecoderSeesZAlone) {
  const auto model = make_bottleneck(shape_with({.width = kWidth}));
  for (const auto& parameter : model->layout().parameters())
    EXPECT_FALSE(parameter.parts[0].name.starts_with("condition")) << parameter.parts[0].name;
  EXPECT_EQ(model->layout().parameters()[0].shape[0], kWidth) << "the encoder reads c";
}

std::string refusal(const VaeShape& shape) {
  try {
    make_vae(shape);
  } catch (const std::invalid_argument& error) {
    return error.what();
  }
  return "";
}

TEST(Condition, LayersThatCannotBeAddedAreRefusedBySize) {
  const auto added = [](std::vector<int64_t> path, int64_t layer) {
    return refusal(shape_with(
        {.width = kWidth, .path = std::move(path), .join = Join::kAdd, .encoder_layer = layer}));
  };
  EXPECT_EQ(added({8, 4, 5}, 2), "");
  EXPECT_NE(added({}, 1).find("model.path has none"), std::string::npos);
  EXPECT_NE(added({8, 4, 9}, 2).find("of width 9"), std::string::npos);
  EXPECT_NE(added({8, 4, 5}, 1).find("of width 8"), std::string::npos);
  EXPECT_NE(added({8, 4, 5}, 3).find("model.join_layer = 3"), std::string::npos);
}

// --- A learned prior
// -------------------------------------------------------------------------------

struct Gaussians {
  at::Tensor q, p;  // heads: [1, examples, 2 latent]
  at::Tensor mean_q, log_variance_q, mean_p, log_variance_p;
};

Gaussians gaussians(int64_t examples) {
  Gaussians g{.q = numbers({1, examples, 2 * kLatent}), .p = numbers({1, examples, 2 * kLatent})};
  g.mean_q = g.q.narrow(2, 0, kLatent);
  g.log_variance_q = g.q.narrow(2, kLatent, kLatent);
  g.mean_p = g.p.narrow(2, 0, kLatent);
  g.log_variance_p = g.p.narrow(2, kLatent, kLatent);
  return g;
}

TEST(LearnedPrior, KlIsTheClosedFormOfTwoGaussians) {
  at::manual_seed(5);
  const auto g = gaussians(6);
  const auto none = at::zeros({1, 6, kLatent}, at::kDouble);
  const auto latent = sample_gaussian(relative_to_prior(g.q, g.p), none);
  const auto expected =
      0.5 *
      (g.log_variance_p - g.log_variance_q +
       (g.log_variance_q.exp() + (g.mean_q - g.mean_p).square()) / g.log_variance_p.exp() - 1);
  EXPECT_TRUE(at::allclose(latent.kl, expected, 1e-10, 1e-12));
}

TEST(LearnedPrior, KlIsTheMeanLogRatioOfSamplesOfTheSameDensities) {
  at::manual_seed(6);
  const int64_t samples = 40000;
  const auto g = gaussians(1);
  const auto noise = numbers({1, samples, kLatent});
  const auto latent = sample_gaussian(relative_to_prior(g.q, g.p), noise,
                                      PosteriorScale::kLogVariance, LogRatio::kTotal);
  // The samples are the posterior's, in z ...
  const auto z = from_prior(latent.z, g.p);
  EXPECT_TRUE(at::allclose(z, g.mean_q + (0.5 * g.log_variance_q).exp() * noise, 1e-9, 1e-9));
  // ... and the ratio is that of the two densities of z.
  const auto log_density = [&](const at::Tensor& mean, const at::Tensor& log_variance) {
    return (-0.5 * ((z - mean).square() / log_variance.exp() + log_variance)).sum(2);
  };
  const auto ratio =
      log_density(g.mean_q, g.log_variance_q) - log_density(g.mean_p, g.log_variance_p);
  EXPECT_TRUE(at::allclose(latent.log_ratio, ratio, 1e-8, 1e-8));
  const double error = ratio.std().item<double>() / std::sqrt(static_cast<double>(samples));
  EXPECT_NEAR(ratio.mean().item<double>(), latent.kl.sum().item<double>(), 3 * error);
}

TEST(LearnedPrior, NeverLosesASampleToAnExtremePreActivation) {
  auto prior = at::zeros({1, 1, 2 * kLatent});
  prior.narrow(2, kLatent, kLatent).fill_(500);
  EXPECT_TRUE(from_prior(at::ones({1, 1, kLatent}), prior).isfinite().all().item<bool>());
  prior.narrow(2, kLatent, kLatent).fill_(-500);
  const auto head = relative_to_prior(at::zeros({1, 1, 2 * kLatent}), prior);
  EXPECT_TRUE(head.isfinite().all().item<bool>());
}

}  // namespace
}  // namespace elbow::models
