// log p(x | c) of a linear-Gaussian conditional model with a learned prior, which is known.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>
#include <mutex>

#include "models/mkl.h"
#include "tests/support/spawn_ranks.h"
#include "trainer/condition_use.h"
#include "trainer/importance_nll.h"

namespace elbow::trainer {
namespace {

using tests::spawn_ranks;

// Before the first product of this process.
const std::string kBranch = models::fix_mkl_branch(models::best_mkl_branch());

constexpr int64_t kObserved = 5, kLatent = 2, kWidth = 3, kExamples = 150;
constexpr double kSigma = 0.4;

// A network without hidden layers: z | c ~ N(c P + p, diag(s^2)), x | z, c ~ N(z W + c V + b,
// sigma^2), so x | c ~ N((c P + p) W + c V + b, W' diag(s^2) W + sigma^2 I).
class Linear {
 public:
  Linear() {
    model = models::make_vae(
        {.observed = kObserved,
         .encoder = {},
         .latent = kLatent,
         .decoder = {},
         .activation = models::Activation::kIdentity,
         .likelihood = models::Likelihood::kGaussian,
         .sigma = kSigma,
         .condition = models::ConditionShape{.width = kWidth, .learned_prior = true}});
    at::manual_seed(11);
    const auto random = [](at::IntArrayRef shape) { return 0.7 * at::randn(shape, at::kDouble); };
    w = random({kObserved, kLatent});
    v = random({kObserved, kWidth});
    b = random({kObserved});
    p = random({kLatent, kWidth});
    p0 = random({kLatent});
    log_variance = at::tensor({0.6, -0.5}, at::kDouble);
    put_weights();
    const auto c = at::randn({kExamples, kWidth}, at::kDouble);
    const auto z = prior_mean(c) + (0.5 * log_variance).exp() * at::randn({kExamples, kLatent});
    const auto x =
        z.matmul(w.t()) + c.matmul(v.t()) + b + kSigma * at::randn({kExamples, kObserved});
    split = {.name = "test",
             .images = x.to(at::kFloat).contiguous(),
             .attributes = c.to(at::kFloat).contiguous()};
    plan = {.kind = ConditionKind::kAttributes,
            .observed = kObserved,
            .width = kWidth,
            .picture = kObserved};
  }

  at::Tensor prior_mean(const at::Tensor& c) const { return c.matmul(p.t()) + p0; }

  // log p(x | c), float64 [examples].
  at::Tensor log_likelihood() const {
    const auto x = split.images.to(at::kDouble), c = split.attributes.to(at::kDouble);
    const auto covariance =
        (w * log_variance.exp()).matmul(w.t()) + kSigma * kSigma * at::eye(kObserved, at::kDouble);
    const auto rest = x - prior_mean(c).matmul(w.t()) - c.matmul(v.t()) - b;
    const auto squares = (rest.matmul(covariance.inverse()) * rest).sum(1);
    return -0.5 * (squares + covariance.logdet() + kObserved * std::log(2 * M_PI));
  }

  ImportanceNll estimate(int64_t samples, comm::Communicator& ranks,
                         const NllSampling& sampling = {}) const {
    ThreadTeam team(2);
    return importance_nll(parts(), Row{.seed = 9}, parameters, kExamples, samples, ranks, team,
                          sampling);
  }

  EvaluationParts parts() const {
    return {.model = *model,
            .data = split,
            .split = SplitId::kTest,
            .request = {},
            .objective = *objective,
            .scale = 1,
            .condition = &plan};
  }

  std::unique_ptr<models::Model> model;
  std::unique_ptr<models::Objective> objective = models::make_elbo();
  at::Tensor w, v, b, p, p0, log_variance, parameters;
  Split split;
  ConditionPlan plan;

 private:
  // The encoder is right about the posterior's mean, and a little too wide.
  void put_weights() {
    const auto precision = w.t().matmul(w) / (kSigma * kSigma) + (-log_variance).exp().diag();
    const auto covariance = precision.inverse();
    const auto gain = covariance.matmul(w.t()) / (kSigma * kSigma);
    const auto prior_gain = covariance.matmul((-log_variance).exp().diag());
    const auto by_condition = prior_gain.matmul(p) - gain.matmul(v);
    const auto zeros = [](at::IntArrayRef shape) { return at::zeros(shape, at::kDouble); };
    std::vector<std::pair<std::string, at::Tensor>> named = {
        {"encoder.mean.weight", gain},
        {"encoder.mean.bias", prior_gain.matmul(p0) - gain.matmul(b)},
        {"encoder.log_variance.weight", zeros({kLatent, kObserved})},
        {"encoder.log_variance.bias", (1.4 * covariance.diagonal()).log()},
        {"encoder.condition.weight", at::cat({by_condition, zeros({kLatent, kWidth})}, 0)},
        {"decoder.output.weight", w},
        {"decoder.output.bias", b},
        {"decoder.condition.weight", v},
        {"prior.mean.weight", p},
        {"prior.mean.bias", p0},
        {"prior.log_variance.weight", zeros({kLatent, kWidth})},
        {"prior.log_variance.bias", log_variance}};
    parameters = at::zeros({1, model->layout().size()});
    model->layout().from_named(named, parameters.select(0, 0));
  }
};

// Standard error of the estimates' mean, from the relative variance of each example's mean weight.
double error_of(const ImportanceNll& found) {
  const auto variance =
      found.values.select(1, 1).reciprocal() - 1.0 / static_cast<double>(found.samples);
  return std::sqrt(variance.sum().item<double>()) / static_cast<double>(found.examples);
}

TEST(ConditionalLikelihood, IsFoundByImportanceSamplingAndByPriorSampling) {
  const Linear linear;
  const auto truth = linear.log_likelihood();
  spawn_ranks(1, [&](comm::Communicator& ranks) {
    const auto importance = linear.estimate(2000, ranks);
    const auto prior = linear.estimate(20000, ranks, {.from_prior = true});
    for (const auto* found : {&importance, &prior}) {
      const auto difference = (found->values.select(1, 0) - truth).mean().item<double>();
      EXPECT_LT(std::abs(difference), 3 * error_of(*found));
      EXPECT_LT(error_of(*found), 0.03) << "the test has little to say";
    }
    EXPECT_LT(prior.best_nats, prior.nll_nats);
  });
}

TEST(ConditionalLikelihood, HasTheSameBitsOnAnyNumberOfRanks) {
  const Linear linear;
  at::Tensor expected;
  std::mutex lock;
  for (int size : {1, 2, 3}) {
    spawn_ranks(size, [&](comm::Communicator& ranks) {
      const auto found = linear.estimate(50, ranks, {.from_prior = true});
      const std::lock_guard guard(lock);
      if (!expected.defined()) expected = found.values;
      EXPECT_TRUE(at::equal(found.values, expected)) << size;
    });
  }
}

// log p(x | c) - log p(x | c') in expectation is known as well: here from the truth of both.
TEST(ConditionalLikelihood, AnotherExamplesConditionIsWorthLess) {
  const Linear linear;
  spawn_ranks(2, [&](comm::Communicator& ranks) {
    ThreadTeam team(1);
    const auto use = condition_use(linear.parts(), Row{.seed = 9}, linear.parameters, kExamples,
                                   200, ranks, team);
    EXPECT_GT(use.nats, 3 * use.standard_error);
    const auto diversity =
        sample_diversity(linear.parts(), Row{.seed = 9}, linear.parameters, kExamples, ranks, team);
    // E sum_d |w_d (z - z')|, z - z' ~ N(0, 2 diag(s^2)).
    const auto spread =
        (2 * linear.w.square() * linear.log_variance.exp()).sum(1).sqrt() * std::sqrt(2 / M_PI);
    EXPECT_NEAR(diversity, spread.sum().item<double>(), 0.15 * spread.sum().item<double>());
  });
}

}  // namespace
}  // namespace elbow::trainer
