#include "models/gaussian_latent.h"

#include <ATen/ATen.h>
#include <ATen/Dispatch.h>
#include <torch/csrc/autograd/custom_function.h>

#include <limits>
#include <stdexcept>

#include "models/aten_log_variance.h"
#include "models/elementwise.h"
#include "models/forms.h"

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

template <class Scalar>
struct Outputs {
  Scalar *z, *kl, *mean, *scale, *log_ratio;  // log_ratio may be null
};

// The latent head is narrow (2 to 100 numbers an example): plain loops.
template <PosteriorScale kind, class Scalar>
void forward_rows(const Scalar* head, const Scalar* noise, const Outputs<Scalar>& out,
                  const Shape& shape) {
  const int64_t latent = shape.latent;
  for (int64_t r = 0; r < shape.examples; ++r) {
    Scalar half_log_determinant = 0;
    for (int64_t j = 0; j < latent; ++j) {
      const Scalar mu = head[r * 2 * latent + j];
      const auto term = posterior_term<kind>(head[r * 2 * latent + latent + j]);
      const int64_t at = r * latent + j;
      out.mean[at] = mu;
      out.scale[at] = term.sigma;
      out.kl[at] = kl_to_standard_normal(mu, term.log_variance);
      half_log_determinant += Scalar(0.5) * term.log_variance;
    }
    for (int64_t i = r * shape.samples; i < (r + 1) * shape.samples; ++i) {
      Scalar half_squares = 0;
      for (int64_t j = 0; j < latent; ++j) {
        const Scalar e = noise[i * latent + j];
        const Scalar z = out.mean[r * latent + j] + out.scale[r * latent + j] * e;
        out.z[i * latent + j] = z;
        half_squares += Scalar(0.5) * (z * z - e * e);
      }
      if (out.log_ratio) out.log_ratio[i] = half_squares - half_log_determinant;
    }
  }
}

template <class Scalar>
struct Gradients {
  const Scalar *z, *kl, *scale, *log_ratio;  // each may be null
};

// Derivatives by mean and log-variance first, then the latter's chain to the pre-activation.
template <PosteriorScale kind, class Scalar>
void backward_rows(const Gradients<Scalar>& in, LogRatio ratio, const Scalar* head,
                   const Scalar* noise, Scalar* dhead, const Shape& shape) {
  const int64_t latent = shape.latent;
  for (int64_t r = 0; r < shape.examples; ++r) {
    for (int64_t j = 0; j < latent; ++j) {
      const Scalar mu = head[r * 2 * latent + j];
      const auto term = posterior_term<kind>(head[r * 2 * latent + latent + j]);
      Scalar by_mean = 0, by_scale = 0, direct = 0;
      for (int64_t i = r * shape.samples; i < (r + 1) * shape.samples; ++i) {
        const Scalar e = noise[i * latent + j];
        Scalar dz = in.z ? in.z[i * latent + j] : Scalar(0);
        if (in.log_ratio) {
          const Scalar g = in.log_ratio[i];
          const Scalar pull = ratio == LogRatio::kPathwise ? e / term.sigma : Scalar(0);
          dz += g * (mu + term.sigma * e - pull);
          if (ratio == LogRatio::kTotal) direct -= g;
        }
        by_mean += dz;
        by_scale += dz * (term.sigma * e);
      }
      const int64_t at = r * latent + j;
      const Scalar dkl = in.kl ? in.kl[at] : Scalar(0);
      by_scale += dkl * expm1_of(term.log_variance);
      if (in.log_ratio) by_scale += direct;
      if (in.scale) by_scale += in.scale[at] * term.sigma;
      dhead[r * 2 * latent + j] = by_mean + dkl * mu;
      dhead[r * 2 * latent + latent + j] = Scalar(0.5) * by_scale * term.slope;
    }
  }
}

// The same in ATen operations.
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

// Calls run.template operator()<kind>() with the kind as a constant.
template <class Run>
void with_kind(PosteriorScale kind, const Run& run) {
  switch (kind) {
    case PosteriorScale::kLogVariance:
      return run.template operator()<PosteriorScale::kLogVariance>();
    case PosteriorScale::kSoftplus:
      return run.template operator()<PosteriorScale::kSoftplus>();
    case PosteriorScale::kSoftplusSquared:
      return run.template operator()<PosteriorScale::kSoftplusSquared>();
  }
}

template <class Scalar>
const Scalar* data_or_null(const at::Tensor& tensor) {
  return tensor.defined() ? tensor.const_data_ptr<Scalar>() : nullptr;
}

struct GaussianFunction : torch::autograd::Function<GaussianFunction> {
  static variable_list forward(AutogradContext* context, const at::Tensor& head,
                               const at::Tensor& noise, int64_t kind_number, int64_t ratio_number) {
    const at::AutoDispatchBelowADInplaceOrView plain;
    const auto kind = static_cast<PosteriorScale>(kind_number);
    const auto ratio = static_cast<LogRatio>(ratio_number);
    const auto shape = shape_of(head, noise);
    at::Tensor z, kl, mean, scale, log_ratio;
    if (fused(head)) {
      const std::vector<int64_t> of_example{head.size(0), head.size(1), shape.latent};
      z = at::empty_like(noise);
      kl = at::empty(of_example, noise.options());
      mean = at::empty_like(kl);
      scale = at::empty_like(kl);
      if (ratio != LogRatio::kNone)
        log_ratio = at::empty({noise.size(0), noise.size(1)}, noise.options());
      AT_DISPATCH_FLOATING_TYPES(head.scalar_type(), "gaussian_latent", [&] {
        const Outputs<scalar_t> out{
            z.mutable_data_ptr<scalar_t>(), kl.mutable_data_ptr<scalar_t>(),
            mean.mutable_data_ptr<scalar_t>(), scale.mutable_data_ptr<scalar_t>(),
            log_ratio.defined() ? log_ratio.mutable_data_ptr<scalar_t>() : nullptr};
        with_kind(kind, [&]<PosteriorScale k>() {
          forward_rows<k>(head.const_data_ptr<scalar_t>(), noise.const_data_ptr<scalar_t>(), out,
                          shape);
        });
      });
    } else {
      mean = head.narrow(2, 0, shape.latent).contiguous();
      const auto term = aten_term(head.narrow(2, shape.latent, shape.latent), kind);
      scale = term.sigma;
      const auto e = by_example(noise, shape.samples);
      const auto samples = mean.unsqueeze(2) + scale.unsqueeze(2) * e;
      z = samples.reshape(noise.sizes());
      kl = 0.5 * (mean * mean + (at::expm1(term.log_variance) - term.log_variance));
      if (ratio != LogRatio::kNone) {
        const auto determinant = (0.5 * term.log_variance).sum(2).unsqueeze(2);
        log_ratio = ((0.5 * (samples * samples - e * e)).sum(3) - determinant)
                        .reshape({noise.size(0), noise.size(1)});
      }
    }
    context->save_for_backward({head, noise});
    context->saved_data["kind"] = kind_number;
    context->saved_data["ratio"] = ratio_number;
    context->mark_non_differentiable({mean});
    context->set_materialize_grads(false);
    variable_list out{z, kl, mean, scale};
    if (log_ratio.defined()) out.push_back(log_ratio);
    return out;
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    const at::AutoDispatchBelowADInplaceOrView plain;
    const auto saved = context->get_saved_variables();
    const auto &head = saved[0], &noise = saved[1];
    const auto kind = static_cast<PosteriorScale>(context->saved_data["kind"].toInt());
    const auto ratio = static_cast<LogRatio>(context->saved_data["ratio"].toInt());
    const auto shape = shape_of(head, noise);
    const auto dense = [&](size_t index) {
      const bool given = index < gradients.size() && gradients[index].defined();
      return given ? gradients[index].contiguous() : at::Tensor();
    };
    const auto dz = dense(0), dkl = dense(1), dscale = dense(3), dratio = dense(4);
    auto dhead = at::empty_like(head);
    if (fused(head)) {
      AT_DISPATCH_FLOATING_TYPES(head.scalar_type(), "gaussian_latent_backward", [&] {
        const Gradients<scalar_t> in{data_or_null<scalar_t>(dz), data_or_null<scalar_t>(dkl),
                                     data_or_null<scalar_t>(dscale),
                                     data_or_null<scalar_t>(dratio)};
        with_kind(kind, [&]<PosteriorScale k>() {
          backward_rows<k>(in, ratio, head.const_data_ptr<scalar_t>(),
                           noise.const_data_ptr<scalar_t>(), dhead.mutable_data_ptr<scalar_t>(),
                           shape);
        });
      });
      return {dhead, {}, {}, {}};
    }
    const auto mean = head.narrow(2, 0, shape.latent);
    const auto term = aten_term(head.narrow(2, shape.latent, shape.latent), kind);
    const auto e = by_example(noise, shape.samples);
    const auto move = term.sigma.unsqueeze(2) * e;
    auto of_samples = dz.defined() ? by_example(dz, shape.samples) : at::zeros_like(e);
    auto by_scale = at::zeros_like(mean);
    if (dratio.defined()) {
      const auto g = by_example(dratio, shape.samples).unsqueeze(3);
      auto pull = mean.unsqueeze(2) + move;
      if (ratio == LogRatio::kPathwise) pull = pull - e / term.sigma.unsqueeze(2);
      of_samples = of_samples + g * pull;
      if (ratio == LogRatio::kTotal) by_scale = by_scale - g.sum(2);
    }
    auto by_mean = of_samples.sum(2);
    by_scale = by_scale + (of_samples * move).sum(2);
    if (dkl.defined()) {
      by_mean = by_mean + dkl * mean;
      by_scale = by_scale + dkl * at::expm1(term.log_variance);
    }
    if (dscale.defined()) by_scale = by_scale + dscale * term.sigma;
    dhead.narrow(2, 0, shape.latent).copy_(by_mean);
    dhead.narrow(2, shape.latent, shape.latent).copy_(0.5 * by_scale * term.slope);
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
