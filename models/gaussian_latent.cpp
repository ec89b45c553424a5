#include "models/gaussian_latent.h"

#include <ATen/ATen.h>
#include <ATen/Dispatch.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <limits>
#include <stdexcept>

#include "models/aten_log_variance.h"
#include "models/forms.h"
#include "models/loops.h"

namespace elbow::models {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

struct Shape {
  int64_t examples;  // rows times batch
  int64_t samples;   // of an example
  int64_t latent;
};

Shape shape_of(const at::Tensor& head, const at::Tensor& noise) {
  return {head.size(0) * head.size(1), noise.size(1) / head.size(1), noise.size(2)};
}

// What the posterior is made of; each [rows, batch, latent].
struct Units {
  at::Tensor mean, sigma, log_variance, slope, excess, kl;
};

template <class Scalar>
void split_head(const Scalar* head, Scalar* mean, Scalar* pre_activation, const Shape& shape) {
  const int64_t latent = shape.latent;
  for (int64_t r = 0; r < shape.examples; ++r, head += 2 * latent) {
    std::copy_n(head, latent, mean + r * latent);
    std::copy_n(head + latent, latent, pre_activation + r * latent);
  }
}

Units units_of(const at::Tensor& head, PosteriorScale kind, const Shape& shape) {
  const auto part = [&] {
    return at::empty({head.size(0), head.size(1), shape.latent}, head.options());
  };
  Units units{part(), part(), part(), part(), part(), part()};
  AT_DISPATCH_FLOATING_TYPES(head.scalar_type(), "gaussian_latent_units", [&] {
    auto* mean = units.mean.mutable_data_ptr<scalar_t>();
    auto* sigma = units.sigma.mutable_data_ptr<scalar_t>();
    split_head(head.const_data_ptr<scalar_t>(), mean, sigma, shape);
    loops::posterior_units<scalar_t>(
        kind,
        {.mean = mean,
         .pre_activation = sigma,
         .sigma = sigma,
         .log_variance = units.log_variance.mutable_data_ptr<scalar_t>(),
         .slope = units.slope.mutable_data_ptr<scalar_t>(),
         .excess = units.excess.mutable_data_ptr<scalar_t>(),
         .kl = units.kl.mutable_data_ptr<scalar_t>()},
        shape.examples * shape.latent);
  });
  return units;
}

// z, and log_ratio unless it is null.
template <class Scalar>
void sample_rows(const Units& units, const Scalar* noise, Scalar* z, Scalar* log_ratio,
                 const Shape& shape) {
  const int64_t latent = shape.latent;
  for (int64_t r = 0; r < shape.examples; ++r) {
    const auto* mean = units.mean.const_data_ptr<Scalar>() + r * latent;
    const auto* sigma = units.sigma.const_data_ptr<Scalar>() + r * latent;
    const auto* log_variance = units.log_variance.const_data_ptr<Scalar>() + r * latent;
    Scalar half_log_determinant = 0;
    for (int64_t j = 0; log_ratio && j < latent; ++j)
      half_log_determinant += Scalar(0.5) * log_variance[j];
    for (int64_t i = r * shape.samples; i < (r + 1) * shape.samples; ++i) {
      const Scalar* e = noise + i * latent;
      Scalar* out = z + i * latent;
      for (int64_t j = 0; j < latent; ++j) out[j] = mean[j] + sigma[j] * e[j];
      if (log_ratio == nullptr) continue;
      Scalar half_squares = 0;
      for (int64_t j = 0; j < latent; ++j)
        half_squares += Scalar(0.5) * (out[j] * out[j] - e[j] * e[j]);
      log_ratio[i] = half_squares - half_log_determinant;
    }
  }
}

template <class Scalar>
struct Gradients {
  const Scalar *z, *kl, *scale, *log_ratio;  // each may be null
};

// Derivatives by mean and log-variance first, then the latter's chain to the pre-activation.
template <class Scalar>
void backward_rows(const Gradients<Scalar>& in, LogRatio ratio, const Units& units,
                   const Scalar* noise, Scalar* dhead, const Shape& shape) {
  const int64_t latent = shape.latent;
  for (int64_t r = 0; r < shape.examples; ++r) {
    const int64_t at = r * latent;
    const auto* mean = units.mean.const_data_ptr<Scalar>() + at;
    const auto* sigma = units.sigma.const_data_ptr<Scalar>() + at;
    const auto* slope = units.slope.const_data_ptr<Scalar>() + at;
    const auto* excess = units.excess.const_data_ptr<Scalar>() + at;
    Scalar* by_mean = dhead + 2 * at;
    Scalar* by_scale = by_mean + latent;
    std::fill_n(by_mean, 2 * latent, Scalar(0));
    Scalar direct = 0;
    for (int64_t i = r * shape.samples; i < (r + 1) * shape.samples; ++i) {
      const Scalar* e = noise + i * latent;
      const Scalar g = in.log_ratio ? in.log_ratio[i] : Scalar(0);
      if (ratio == LogRatio::kTotal) direct -= g;
      for (int64_t j = 0; j < latent; ++j) {
        Scalar dz = in.z ? in.z[i * latent + j] : Scalar(0);
        if (in.log_ratio) {
          const Scalar pull = ratio == LogRatio::kPathwise ? e[j] / sigma[j] : Scalar(0);
          dz += g * (mean[j] + sigma[j] * e[j] - pull);
        }
        by_mean[j] += dz;
        by_scale[j] += dz * (sigma[j] * e[j]);
      }
    }
    for (int64_t j = 0; j < latent; ++j) {
      const Scalar dkl = in.kl ? in.kl[at + j] : Scalar(0);
      const Scalar dscale = in.scale ? in.scale[at + j] : Scalar(0);
      by_mean[j] += dkl * mean[j];
      const Scalar sum = by_scale[j] + dkl * excess[j] + direct + dscale * sigma[j];
      by_scale[j] = Scalar(0.5) * sum * slope[j];
    }
  }
}

// The units in ATen operations.
AtenTerm aten_softplus(const at::Tensor& a, bool squared) {
  const auto sigma = a.clamp_min(0) + at::log1p((-a.abs()).exp());
  const auto half = 0.5 * a.exp();
  const auto tiny = a < -15;
  auto log_variance = at::where(tiny, 2 * (a - half), 2 * sigma.log());
  const auto slope = at::where(tiny, 2 * (1 - half), 2 * a.sigmoid() / sigma);
  if (squared) {
    const double smallest = a.scalar_type() == at::kDouble ? std::numeric_limits<double>::min()
                                                           : std::numeric_limits<float>::min();
    log_variance = log_variance.masked_fill(sigma * sigma < smallest,
                                            -std::numeric_limits<double>::infinity());
  }
  return {sigma, log_variance, slope};
}

AtenTerm aten_term(const at::Tensor& a, PosteriorScale kind) {
  if (kind == PosteriorScale::kLogVariance) return aten_clamped_log_variance(a);
  return aten_softplus(a, kind == PosteriorScale::kSoftplusSquared);
}

// [rows, batch * samples, ...] as [rows, batch, samples, ...]
at::Tensor by_example(const at::Tensor& of_samples, int64_t samples) {
  auto shape = of_samples.sizes().vec();
  shape[1] /= samples;
  shape.insert(shape.begin() + 2, samples);
  return of_samples.reshape(shape);
}

Units aten_units(const at::Tensor& head, PosteriorScale kind, const Shape& shape) {
  const auto mean = head.narrow(2, 0, shape.latent).contiguous();
  const auto term = aten_term(head.narrow(2, shape.latent, shape.latent), kind);
  const auto excess = at::expm1(term.log_variance);
  return {mean,       term.sigma, term.log_variance,
          term.slope, excess,     0.5 * (mean * mean + (excess - term.log_variance))};
}

template <class Scalar>
const Scalar* data_or_null(const at::Tensor& tensor) {
  return tensor.defined() ? tensor.const_data_ptr<Scalar>() : nullptr;
}

}  // namespace

GaussianPass run_gaussian(const at::Tensor& head, const at::Tensor& noise, PosteriorScale kind,
                          LogRatio ratio) {
  const auto shape = shape_of(head, noise);
  const auto units = fused(head) ? units_of(head, kind, shape) : aten_units(head, kind, shape);
  at::Tensor z, log_ratio;
  if (fused(head)) {
    z = at::empty_like(noise);
    if (ratio != LogRatio::kNone)
      log_ratio = at::empty({noise.size(0), noise.size(1)}, noise.options());
    AT_DISPATCH_FLOATING_TYPES(head.scalar_type(), "gaussian_latent", [&] {
      sample_rows(units, noise.const_data_ptr<scalar_t>(), z.mutable_data_ptr<scalar_t>(),
                  log_ratio.defined() ? log_ratio.mutable_data_ptr<scalar_t>() : nullptr, shape);
    });
  } else {
    const auto e = by_example(noise, shape.samples);
    const auto samples = units.mean.unsqueeze(2) + units.sigma.unsqueeze(2) * e;
    z = samples.reshape(noise.sizes());
    if (ratio != LogRatio::kNone) {
      const auto determinant = (0.5 * units.log_variance).sum(2).unsqueeze(2);
      log_ratio = ((0.5 * (samples * samples - e * e)).sum(3) - determinant)
                      .reshape({noise.size(0), noise.size(1)});
    }
  }
  return {.latent = {z, units.kl, units.mean, units.sigma, log_ratio},
          .noise = noise,
          .slope = units.slope,
          .excess = units.excess,
          .ratio = ratio};
}

at::Tensor gaussian_backward(const GaussianPass& pass, const GaussianGradients& gradients) {
  const auto& noise = pass.noise;
  const Units units{.mean = pass.latent.mean,
                    .sigma = pass.latent.scale,
                    .slope = pass.slope,
                    .excess = pass.excess};
  const auto ratio = pass.ratio;
  const auto shape = shape_of(units.mean, noise);
  const auto dense = [](const at::Tensor& gradient) {
    return gradient.defined() ? gradient.contiguous() : gradient;
  };
  const auto dz = dense(gradients.z), dkl = dense(gradients.kl), dscale = dense(gradients.scale),
             dratio = dense(gradients.log_ratio);
  auto dhead = at::empty({noise.size(0), units.mean.size(1), 2 * shape.latent}, noise.options());
  if (fused(dhead)) {
    AT_DISPATCH_FLOATING_TYPES(dhead.scalar_type(), "gaussian_latent_backward", [&] {
      const Gradients<scalar_t> in{data_or_null<scalar_t>(dz), data_or_null<scalar_t>(dkl),
                                   data_or_null<scalar_t>(dscale), data_or_null<scalar_t>(dratio)};
      backward_rows(in, ratio, units, noise.const_data_ptr<scalar_t>(),
                    dhead.mutable_data_ptr<scalar_t>(), shape);
    });
    return dhead;
  }
  const auto e = by_example(noise, shape.samples);
  const auto move = units.sigma.unsqueeze(2) * e;
  auto of_samples = dz.defined() ? by_example(dz, shape.samples) : at::zeros_like(e);
  auto by_scale = at::zeros_like(units.mean);
  if (dratio.defined()) {
    const auto g = by_example(dratio, shape.samples).unsqueeze(3);
    auto pull = units.mean.unsqueeze(2) + move;
    if (ratio == LogRatio::kPathwise) pull = pull - e / units.sigma.unsqueeze(2);
    of_samples = of_samples + g * pull;
    if (ratio == LogRatio::kTotal) by_scale = by_scale - g.sum(2);
  }
  auto by_mean = of_samples.sum(2);
  by_scale = by_scale + (of_samples * move).sum(2);
  if (dkl.defined()) {
    by_mean = by_mean + dkl * units.mean;
    by_scale = by_scale + dkl * units.excess;
  }
  if (dscale.defined()) by_scale = by_scale + dscale * units.sigma;
  dhead.narrow(2, 0, shape.latent).copy_(by_mean);
  dhead.narrow(2, shape.latent, shape.latent).copy_(0.5 * by_scale * units.slope);
  return dhead;
}

namespace {

struct GaussianFunction : torch::autograd::Function<GaussianFunction> {
  static variable_list forward(AutogradContext* context, const at::Tensor& head,
                               const at::Tensor& noise, int64_t kind, int64_t ratio) {
    const at::AutoDispatchBelowADInplaceOrView plain;
    const auto pass =
        run_gaussian(head, noise, static_cast<PosteriorScale>(kind), static_cast<LogRatio>(ratio));
    const auto& latent = pass.latent;
    context->save_for_backward({noise, latent.mean, latent.scale, pass.slope, pass.excess});
    context->saved_data["ratio"] = ratio;
    context->mark_non_differentiable({latent.mean});
    context->set_materialize_grads(false);
    variable_list out{latent.z, latent.kl, latent.mean, latent.scale};
    if (latent.log_ratio.defined()) out.push_back(latent.log_ratio);
    return out;
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    const at::AutoDispatchBelowADInplaceOrView plain;
    const auto saved = context->get_saved_variables();
    const GaussianPass pass{.latent = {.mean = saved[1], .scale = saved[2]},
                            .noise = saved[0],
                            .slope = saved[3],
                            .excess = saved[4],
                            .ratio = static_cast<LogRatio>(context->saved_data["ratio"].toInt())};
    const auto dhead =
        gaussian_backward(pass, {.z = gradients[0],
                                 .kl = gradients[1],
                                 .scale = gradients[3],
                                 .log_ratio = gradients.size() > 4 ? gradients[4] : at::Tensor()});
    return {dhead, {}, {}, {}};
  }
};

}  // namespace

GaussianLatent sample_gaussian(const at::Tensor& head, const at::Tensor& noise, PosteriorScale kind,
                               LogRatio ratio) {
  const auto out =
      GaussianFunction::apply(head, noise, static_cast<int64_t>(kind), static_cast<int64_t>(ratio));
  return {out[0], out[1], out[2], out[3], out.size() > 4 ? out[4] : at::Tensor()};
}

PosteriorScale posterior_scale_named(const std::string& name) {
  if (name == "log_variance") return PosteriorScale::kLogVariance;
  if (name == "softplus") return PosteriorScale::kSoftplus;
  if (name == "softplus_squared") return PosteriorScale::kSoftplusSquared;
  throw std::invalid_argument("unknown posterior scale '" + name + "'");
}

}  // namespace elbow::models
