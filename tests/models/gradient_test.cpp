// Every gradient against finite differences in float64, per row.
#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include <functional>

#include "models/model.h"

namespace elbow::models {
namespace {

constexpr int64_t kRows = 2, kBatch = 5, kObserved = 7, kLatent = 4;

struct Case {
  const char* name;
  VaeShape model{kObserved, {6, 4}, kLatent, {5}, Activation::kTanh};
  ObjectiveShape objective{};
  double spread = 0.5;  // of the parameters
  bool sigma_weight = false;
  std::unique_ptr<Model> (*make)(const VaeShape&) = make_vae;
};

std::ostream& operator<<(std::ostream& out, const Case& one) { return out << one.name; }

// Loss [rows] of a small stacked VAE as a function of its parameters.
class GradientTest : public ::testing::TestWithParam<Case> {
 protected:
  GradientTest()
      : model_(GetParam().make(GetParam().model)),
        objective_(make_objective(GetParam().objective)) {
    at::set_num_threads(1);  // tensors are tiny
    at::manual_seed(3);
    values_ = GetParam().spread * at::randn({kRows, model_->layout().size()}, at::kDouble);
    const int64_t samples = objective_->samples();
    batch_ = {at::rand({kRows, kBatch, kObserved}, at::kDouble),
              at::randn({kRows, kBatch * samples, model_->latent()}, at::kDouble),
              objective_->log_ratio()};
    if (model_->conditions() > 0)
      batch_.condition = at::rand({kRows, kBatch, model_->conditions()}, at::kDouble);
    context_ = {.kl_weight = at::tensor({0.7, 2.5}, at::kDouble),
                .scale = at::tensor({1.0, 1.0 / kObserved}, at::kDouble),
                .batch_size = kBatch,
                .statistics = {},
                .capacity = at::tensor({0.3, 5.0}, at::kDouble),
                .free_bits = at::tensor({0.6, 0.2}, at::kDouble)};
    if (GetParam().sigma_weight) context_.sigma_weight = at::tensor({0.5, 1.5}, at::kDouble);
  }

  at::Tensor loss(const at::Tensor& values, const at::Tensor& gradients) const {
    at::AutoGradMode recorded(gradients.defined());
    const BoundParameters parameters(model_->layout(), values, gradients);
    auto context = context_;
    const auto terms = model_->terms(parameters, batch_);
    if (objective_->statistics() > 0) context.statistics = objective_->leaf_statistics(terms);
    const auto loss = objective_->leaf_loss(objective_->settled(terms, context), context);
    if (gradients.defined()) torch::autograd::backward({loss.sum()}, {});
    return loss.detach();
  }

  using Loss = std::function<at::Tensor(const at::Tensor& values)>;

  // `gradients` of the parameters whose first part's name begins with `prefix`.
  void expect_slopes(const Loss& of, const at::Tensor& gradients, const std::string& prefix) const {
    const double h = 1e-6;
    const auto rounding = 2e-9 * of(values_).abs();  // of the difference of two losses, over h
    for (const auto& parameter : model_->layout().parameters()) {
      if (!parameter.parts[0].name.starts_with(prefix)) continue;
      for (int64_t i = 0; i < parameter.count(); ++i) {
        const int64_t p = parameter.offset + i;
        auto above = values_.clone(), below = values_.clone();
        above.select(1, p).add_(h);
        below.select(1, p).sub_(h);
        const auto slope = (of(above) - of(below)) / (2 * h);
        for (int64_t k = 0; k < kRows; ++k) {
          const double expected = slope[k].item<double>();
          EXPECT_NEAR(gradients[k][p].item<double>(), expected,
                      1e-7 + 1e-6 * std::abs(expected) + rounding[k].item<double>())
              << parameter.parts[0].name << " element " << i << " row " << k;
        }
      }
    }
  }

  std::unique_ptr<Model> model_;
  std::unique_ptr<Objective> objective_;
  at::Tensor values_;
  Batch batch_;
  ObjectiveContext context_;
};

TEST_P(GradientTest, AgreesWithFiniteDifferencesInEveryRow) {
  auto gradients = at::zeros_like(values_);
  loss(values_, gradients);
  // The encoder's doubly reparameterized gradient is the slope of something else.
  const auto* part = GetParam().objective.bound == Bound::kDreg ? "decoder." : "";
  expect_slopes([&](const at::Tensor& values) { return loss(values, {}); }, gradients, part);
}

TEST_P(GradientTest, LossOfARowDoesNotDependOnItsNeighbours) {
  const auto before = loss(values_, {});
  auto poisoned = values_.clone();
  poisoned.select(0, 1).fill_(std::numeric_limits<double>::quiet_NaN());
  const auto after = loss(poisoned, {});
  EXPECT_EQ(after[0].item<double>(), before[0].item<double>());
  EXPECT_TRUE(std::isnan(after[1].item<double>()));
}

// The value that an evaluation finds is the value that a step finds.
TEST_P(GradientTest, ASplitsLossIsThatOfOneBatch) {
  const auto expected = loss(values_, {});
  const auto terms = model_->terms(BoundParameters(model_->layout(), values_), batch_);
  const auto own = objective_->leaf_split_sums(terms, context_).contiguous();
  ASSERT_EQ(own.size(1), objective_->split_sums());
  const auto number = [](const at::Tensor& of_rows, int64_t k) {
    return of_rows.defined() ? of_rows[k].item<double>() : 0.0;
  };
  for (int64_t k = 0; k < kRows; ++k) {
    const SplitSums sums{
        kBatch, terms.reconstruction[k].sum().item<double>() / objective_->samples(),
        terms.kl[k].sum().item<double>(), own.const_data_ptr<double>() + k * own.size(1)};
    const LossWeights weights{number(context_.kl_weight, k), number(context_.scale, k),
                              number(context_.capacity, k), number(context_.free_bits, k),
                              number(context_.sigma_weight, k)};
    const double value = expected[k].item<double>();
    EXPECT_NEAR(objective_->split_loss(sums, weights) / kBatch, value, 1e-9 * std::abs(value));
  }
}

VaeShape vae(Activation activation, PosteriorScale posterior = PosteriorScale::kLogVariance,
             Likelihood likelihood = Likelihood::kBernoulli, double sigma = 1) {
  return {kObserved, {6, 4}, kLatent, {5}, activation, posterior, likelihood, sigma};
}
VaeShape vae(Likelihood likelihood, double sigma = 1) {
  return vae(Activation::kTanh, PosteriorScale::kLogVariance, likelihood, sigma);
}
const VaeShape kSoft = vae(Activation::kTanh, PosteriorScale::kSoftplus);

VaeShape conditional(ConditionShape condition) {
  auto shape = vae(Activation::kTanh);
  shape.condition = std::move(condition);
  return shape;
}
// Columns 0 and 2 of a 4 x 3 image, but for one pixel, are to be explained.
VaeShape convolutional_mask() {
  auto shape = conditional({.width = 5,
                            .path = {6},
                            .learned_prior = true,
                            .given = {1, 4, 7, 10, 11},
                            .target = {0, 2, 3, 5, 6, 8, 9},
                            .picture = 12});
  shape.image = ImageShape{4, 3, 1, {3, 2}, 3};
  return shape;
}
const VaeShape kConcatenated = conditional({.width = 3, .path = {4}});
const VaeShape kAdded =
    conditional({.width = 3, .path = {6, 4, 5}, .join = Join::kAdd, .encoder_layer = 2});
const VaeShape kLearned =
    conditional({.width = 3, .path = {4}, .learned_prior = true, .prior = {6}});

const Case kCases[] = {
    {.name = "condition", .model = conditional({.width = 3})},
    {.name = "condition_with_a_path", .model = kConcatenated},
    {.name = "condition_into_the_decoder",
     .model = conditional({.width = 3, .into_encoder = false})},
    {.name = "condition_added", .model = kAdded},
    {.name = "condition_added_for_three_samples", .model = kAdded, .objective = {.samples = 3}},
    {.name = "learned_prior", .model = kLearned},
    {.name = "learned_prior_of_an_added_condition",
     .model = conditional({.width = 3, .path = {6, 5}, .join = Join::kAdd, .learned_prior = true})},
    {.name = "learned_prior_far_away", .model = kLearned, .spread = 2},
    {.name = "learned_prior_iwae",
     .model = kLearned,
     .objective = {.bound = Bound::kIwae, .samples = 3}},
    {.name = "regressor", .model = kConcatenated, .make = make_regressor},
    {.name = "regressor_added", .model = kAdded, .make = make_regressor},
    {.name = "bottleneck", .model = conditional({.width = 3}), .make = make_bottleneck},
    {.name = "convolutional_mask", .model = convolutional_mask()},
    {.name = "convolutional_regressor", .model = convolutional_mask(), .make = make_regressor},
    {.name = "tanh", .model = vae(Activation::kTanh)},
    {.name = "sigmoid", .model = vae(Activation::kSigmoid)},
    {.name = "softplus", .model = vae(Activation::kSoftplus)},
    {.name = "identity", .model = vae(Activation::kIdentity)},
    {.name = "relu", .model = vae(Activation::kRelu)},
    {.name = "softplus_posterior", .model = kSoft},
    {.name = "wide_softplus_posterior",
     .model = vae(Activation::kIdentity, PosteriorScale::kSoftplus),
     .spread = 3},
    {.name = "softplus_squared_posterior",
     .model = vae(Activation::kTanh, PosteriorScale::kSoftplusSquared)},
    {.name = "bent_log_variance", .model = vae(Activation::kIdentity), .spread = 1.7},
    {.name = "continuous_bernoulli", .model = vae(Likelihood::kContinuousBernoulli)},
    {.name = "gaussian", .model = vae(Likelihood::kGaussian, 0.3)},
    {.name = "gaussian_learned", .model = vae(Likelihood::kGaussianLearned)},
    {.name = "gaussian_optimal",
     .model = vae(Likelihood::kGaussianOptimal),
     .objective = {.samples = 2, .pooled_pixels = kObserved}},
    {.name = "elbo_of_three_samples", .objective = {.samples = 3}},
    {.name = "sigma_penalty", .objective = {.sigma_penalty = true}, .sigma_weight = true},
    {.name = "sigma_penalty_softplus",
     .model = kSoft,
     .objective = {.sigma_penalty = true},
     .sigma_weight = true},
    {.name = "batch_capacity", .objective = {.kl = KlForm::kBatchCapacity}},
    {.name = "example_capacity", .objective = {.kl = KlForm::kExampleCapacity}},
    {.name = "free_bits",
     .objective = {.kl = KlForm::kFreeBits, .latent = kLatent, .groups = kLatent}},
    {.name = "free_bits_of_groups",
     .objective = {.kl = KlForm::kFreeBits, .latent = kLatent, .groups = 2}},
    {.name = "free_bits_and_optimal_sigma",
     .model = vae(Likelihood::kGaussianOptimal),
     .objective = {.kl = KlForm::kFreeBits,
                   .latent = kLatent,
                   .groups = kLatent,
                   .pooled_pixels = kObserved}},
    {.name = "iwae", .objective = {.bound = Bound::kIwae, .samples = 3}},
    {.name = "iwae_softplus",
     .model = kSoft,
     .objective = {.bound = Bound::kIwae, .samples = 3, .sigma_penalty = true},
     .sigma_weight = true},
    {.name = "dreg", .objective = {.bound = Bound::kDreg, .samples = 3}},
};

INSTANTIATE_TEST_SUITE_P(Cases, GradientTest, ::testing::ValuesIn(kCases),
                         [](const auto& info) { return std::string(info.param.name); });

// Tucker et al. 2019, equation 8: the slope of sum_s w_s^2 log w_s through z alone, with the
// weights and the density q held still.
class DregTest : public GradientTest {};

TEST_P(DregTest, EncodersGradientIsTheDoublyReparameterizedOne) {
  auto gradients = at::zeros_like(values_);
  loss(values_, gradients);
  const auto terms_at = [&](const at::Tensor& values) {
    return model_->terms(BoundParameters(model_->layout(), values), batch_);
  };
  const int64_t samples = objective_->samples();
  const auto base = terms_at(values_);
  const auto log_w = -(base.reconstruction + context_.kl_weight.unsqueeze(1) * base.log_ratio);
  const auto weights = log_w.view({kRows, kBatch, samples}).softmax(2).view({kRows, -1});
  const auto mean = base.posterior_mean.repeat_interleave(samples, 1);
  const auto sigma = base.posterior_scale.repeat_interleave(samples, 1);
  const auto surrogate = [&](const at::Tensor& values) {
    const auto terms = terms_at(values);
    const auto log_ratio = 0.5 * (terms.z.square() - ((terms.z - mean) / sigma).square()).sum(2);
    const auto nats = terms.reconstruction + context_.kl_weight.unsqueeze(1) * log_ratio;
    return context_.scale / kBatch * (weights.square() * nats).sum(1);
  };
  expect_slopes(surrogate, gradients, "encoder.");
}

INSTANTIATE_TEST_SUITE_P(
    Cases, DregTest,
    ::testing::Values(Case{.name = "dreg", .objective = {.bound = Bound::kDreg, .samples = 3}},
                      Case{.name = "dreg_softplus",
                           .model = kSoft,
                           .objective = {.bound = Bound::kDreg, .samples = 2}}),
    [](const auto& info) { return std::string(info.param.name); });

}  // namespace
}  // namespace elbow::models
