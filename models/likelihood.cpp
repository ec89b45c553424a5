#include "models/likelihood.h"

#include <ATen/ATen.h>
#include <ATen/Dispatch.h>
#include <torch/csrc/autograd/custom_function.h>

#include <cmath>
#include <stdexcept>

#include "models/forms.h"
#include "models/loops.h"
#include "models/ordered_products.h"

namespace elbow::models {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// log(2 pi) / 2
constexpr double kHalfLogTwoPi = 0.91893853320467274178;

// [rows, batch * samples, observed] as [rows, batch, samples, observed], and x to match.
at::Tensor by_example(const at::Tensor& output, int64_t batch) {
  return output.view({output.size(0), batch, -1, output.size(2)});
}

struct AtenLoss {
  at::Tensor nats, residual;  // of every pixel
};

// The loops of loops.h in ATen operations.
AtenLoss aten_loss(const at::Tensor& a, const at::Tensor& x, PixelLoss kind) {
  if (kind == PixelLoss::kHalfSquare) return {0.5 * (a - x).square(), a - x};
  const auto e = (-a.abs()).exp();
  auto nats = a.clamp_min(0) - a * x + at::log1p(e);
  auto residual = a.sigmoid() - x;
  if (kind == PixelLoss::kBernoulli) return {nats, residual};
  const auto s = a.square();
  const auto near = a.abs() < kContinuousBernoulliSeries;
  const auto log_c = at::where(near, log_normaliser_series<double>(s),
                               (a.abs() * (1 + e)).log() - (-at::expm1(-a.abs())).log());
  const auto slope = at::where(near, a * log_normaliser_slope_series<double>(s),
                               1 / a - 2 * a.sign() * e / (1 - e * e));
  return {nats - log_c, residual - slope};
}

}  // namespace

PixelNats run_pixel_loss(const at::Tensor& output, const at::Tensor& x, PixelLoss kind,
                         bool with_residual, const at::Tensor& scale) {
  PixelNats pass;
  if (!fused(output)) {
    const auto loss = aten_loss(by_example(output, x.size(1)), x.unsqueeze(2), kind);
    pass.nats = loss.nats.sum(3).view({output.size(0), output.size(1)});
    if (with_residual) pass.residual = loss.residual.view(output.sizes());
    if (with_residual && scale.defined()) pass.residual = pass.residual * scale.unsqueeze(2);
    return pass;
  }
  pass.nats = at::empty({output.size(0), output.size(1)}, output.options());
  if (with_residual) pass.residual = at::empty_like(output);
  AT_DISPATCH_FLOATING_TYPES(output.scalar_type(), "pixel_loss", [&] {
    loops::pixel_loss_rows<scalar_t>(
        kind, output.const_data_ptr<scalar_t>(), x.const_data_ptr<scalar_t>(),
        pass.nats.mutable_data_ptr<scalar_t>(),
        with_residual ? pass.residual.mutable_data_ptr<scalar_t>() : nullptr,
        scale.defined() ? scale.const_data_ptr<scalar_t>() : nullptr,
        {output.size(0) * output.size(1), output.size(2), output.size(1) / x.size(1)});
  });
  return pass;
}

namespace {

struct PixelLossFunction : torch::autograd::Function<PixelLossFunction> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& output, const at::Tensor& x,
                            int64_t kind, bool with_residual) {
    const at::AutoDispatchBelowADInplaceOrView plain;
    const auto pass = run_pixel_loss(output, x, static_cast<PixelLoss>(kind), with_residual,
                                     /*scale=*/{});
    context->saved_data["residual"] = pass.residual;
    return pass.nats;
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    const at::AutoDispatchBelowADInplaceOrView plain;
    const auto residual = context->saved_data["residual"].toTensor();
    const auto scale = gradients[0].contiguous();
    if (!fused(residual)) return {residual * scale.unsqueeze(2), {}, {}, {}};
    auto doutput = at::empty_like(residual);
    AT_DISPATCH_FLOATING_TYPES(residual.scalar_type(), "pixel_loss_backward", [&] {
      loops::scale_rows(residual.const_data_ptr<scalar_t>(), scale.const_data_ptr<scalar_t>(),
                        doutput.mutable_data_ptr<scalar_t>(), residual.size(0) * residual.size(1),
                        residual.size(2));
    });
    return {doutput, {}, {}, {}};
  }
};

at::Tensor pixel_loss(const at::Tensor& output, const at::Tensor& x, PixelLoss kind) {
  return PixelLossFunction::apply(output, x, static_cast<int64_t>(kind),
                                  at::GradMode::is_enabled());
}

// A parameter and its gradient's place, hidden from autograd.
struct LogSigma {
  at::Tensor value, gradient;  // [rows, 1]; the gradient of leaves: [1, 1]
};

struct LearnedSigmaFunction : torch::autograd::Function<LearnedSigmaFunction> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& half_squares,
                            const LogSigma& log_sigma, int64_t observed) {
    const at::AutoDispatchBelowADInplaceOrView plain;
    context->save_for_backward({half_squares});
    context->saved_data["log_sigma"] = log_sigma.value;
    context->saved_data["gradient"] = log_sigma.gradient;
    context->saved_data["observed"] = observed;
    return gaussian_nats_of(half_squares, log_sigma.value, observed);
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    const at::AutoDispatchBelowADInplaceOrView plain;
    const auto half_squares = context->get_saved_variables()[0];
    const auto log_sigma = context->saved_data["log_sigma"].toTensor();
    auto place = context->saved_data["gradient"].toTensor();
    const auto observed = static_cast<double>(context->saved_data["observed"].toInt());
    const auto precision = (-2 * log_sigma).exp();
    const auto gradient = (gradients[0] * (observed - 2 * half_squares * precision)).sum(1, true);
    if (place.size(0) < gradient.size(0)) {
      add_leaves(gradient, place);
    } else {
      place.copy_(gradient);
    }
    return {gradients[0] * precision, {}, {}};
  }
};

}  // namespace

Likelihood likelihood_named(const std::string& name) {
  if (name == "bernoulli") return Likelihood::kBernoulli;
  if (name == "continuous_bernoulli") return Likelihood::kContinuousBernoulli;
  if (name == "gaussian") return Likelihood::kGaussian;
  if (name == "gaussian_learned") return Likelihood::kGaussianLearned;
  if (name == "gaussian_optimal") return Likelihood::kGaussianOptimal;
  throw std::invalid_argument("unknown likelihood '" + name + "'");
}

at::Tensor bernoulli_nats(const at::Tensor& output, const at::Tensor& x) {
  return pixel_loss(output, x, PixelLoss::kBernoulli);
}

at::Tensor continuous_bernoulli_nats(const at::Tensor& output, const at::Tensor& x) {
  return pixel_loss(output, x, PixelLoss::kContinuousBernoulli);
}

at::Tensor half_squared_error(const at::Tensor& output, const at::Tensor& x) {
  return pixel_loss(output, x, PixelLoss::kHalfSquare);
}

at::Tensor gaussian_nats_of(const at::Tensor& half_squares, const at::Tensor& log_sigma,
                            int64_t observed) {
  return half_squares * (-2 * log_sigma).exp() +
         static_cast<double>(observed) * (log_sigma + kHalfLogTwoPi);
}

at::Tensor gaussian_nats(const at::Tensor& output, const at::Tensor& x, double sigma) {
  const auto log_sigma = at::full({1, 1}, std::log(sigma), output.options());
  return gaussian_nats_of(half_squared_error(output, x), log_sigma, output.size(2));
}

at::Tensor gaussian_nats(const at::Tensor& output, const at::Tensor& x, const at::Tensor& log_sigma,
                         const at::Tensor& log_sigma_gradient) {
  return LearnedSigmaFunction::apply(half_squared_error(output, x),
                                     LogSigma{log_sigma, log_sigma_gradient}, output.size(2));
}

at::Tensor output_for_mean(Likelihood likelihood, const at::Tensor& means) {
  const bool logits =
      likelihood == Likelihood::kBernoulli || likelihood == Likelihood::kContinuousBernoulli;
  return logits ? at::logit(means.clamp(0.001, 0.999)) : means;
}

at::Tensor mean_of_output(Likelihood likelihood, const at::Tensor& output) {
  if (likelihood == Likelihood::kBernoulli) return output.sigmoid();
  if (likelihood != Likelihood::kContinuousBernoulli) return output;
  // The two terms cancel near 0; there the mean is 1/2 + a / 12 - a^3 / 720.
  const auto series = 0.5 + output / 12 - output.pow(3) / 720;
  const auto near = output.abs() < 0.3;
  const auto a = at::where(near, at::ones_like(output), output);
  return at::where(near, series, (-at::expm1(-a)).reciprocal() - a.reciprocal());
}

}  // namespace elbow::models
