#include "models/relative_latent.h"

#include <ATen/ATen.h>
#include <ATen/Dispatch.h>
#include <torch/csrc/autograd/custom_function.h>

#include "models/aten_log_variance.h"
#include "models/forms.h"
#include "models/posterior_scale.h"

namespace elbow::models {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// A prior in ATen operations.
struct AtenPrior {
  at::Tensor mean;
  AtenTerm scale;
};

AtenPrior aten_prior(const at::Tensor& prior) {
  const int64_t latent = prior.size(2) / 2;
  return {prior.narrow(2, 0, latent), aten_clamped_log_variance(prior.narrow(2, latent, latent))};
}

// The latent part is narrow: plain loops, one example after another.
template <class Scalar>
void relate_rows(const Scalar* head, const Scalar* prior, Scalar* out, int64_t examples,
                 int64_t latent) {
  for (int64_t r = 0; r < examples; ++r, head += 2 * latent, prior += 2 * latent) {
    for (int64_t j = 0; j < latent; ++j) {
      const auto p = clamped_log_variance_term(prior[latent + j]);
      out[j] = (head[j] - prior[j]) / p.sigma;
      out[latent + j] = head[latent + j] - p.log_variance;
    }
    out += 2 * latent;
  }
}

template <class Scalar>
void relate_back(const Scalar* gradient, const Scalar* head, const Scalar* prior, Scalar* dhead,
                 Scalar* dprior, int64_t examples, int64_t latent) {
  for (int64_t r = 0; r < examples; ++r) {
    const int64_t begin = r * 2 * latent;
    for (int64_t j = begin; j < begin + latent; ++j) {
      const auto p = clamped_log_variance_term(prior[latent + j]);
      const Scalar by_mean = gradient[j] / p.sigma;
      dhead[j] = by_mean;
      dprior[j] = -by_mean;
      dhead[latent + j] = gradient[latent + j];
      dprior[latent + j] =
          (Scalar(-0.5) * by_mean * (head[j] - prior[j]) - gradient[latent + j]) * p.slope;
    }
  }
}

struct RelateFunction : torch::autograd::Function<RelateFunction> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& head,
                            const at::Tensor& prior) {
    const at::AutoDispatchBelowADInplaceOrView plain;
    context->save_for_backward({head, prior});
    if (!fused(head)) {
      const auto p = aten_prior(prior);
      const int64_t latent = prior.size(2) / 2;
      return at::cat({(head.narrow(2, 0, latent) - p.mean) / p.scale.sigma,
                      head.narrow(2, latent, latent) - p.scale.log_variance},
                     2);
    }
    auto out = at::empty_like(head);
    AT_DISPATCH_FLOATING_TYPES(head.scalar_type(), "relative_to_prior", [&] {
      relate_rows(head.const_data_ptr<scalar_t>(), prior.const_data_ptr<scalar_t>(),
                  out.mutable_data_ptr<scalar_t>(), head.size(0) * head.size(1), head.size(2) / 2);
    });
    return out;
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    const at::AutoDispatchBelowADInplaceOrView plain;
    const auto saved = context->get_saved_variables();
    const auto &head = saved[0], &prior = saved[1];
    const auto gradient = gradients[0].contiguous();
    const int64_t latent = prior.size(2) / 2;
    if (!fused(head)) {
      const auto p = aten_prior(prior);
      const auto by_mean = gradient.narrow(2, 0, latent) / p.scale.sigma;
      const auto by_log_variance = gradient.narrow(2, latent, latent);
      const auto distance = head.narrow(2, 0, latent) - p.mean;
      return {
          at::cat({by_mean, by_log_variance}, 2),
          at::cat({-by_mean, (-0.5 * by_mean * distance - by_log_variance) * p.scale.slope}, 2)};
    }
    auto dhead = at::empty_like(head), dprior = at::empty_like(prior);
    AT_DISPATCH_FLOATING_TYPES(head.scalar_type(), "relative_to_prior_backward", [&] {
      relate_back(gradient.const_data_ptr<scalar_t>(), head.const_data_ptr<scalar_t>(),
                  prior.const_data_ptr<scalar_t>(), dhead.mutable_data_ptr<scalar_t>(),
                  dprior.mutable_data_ptr<scalar_t>(), head.size(0) * head.size(1), latent);
    });
    return {dhead, dprior};
  }
};

template <class Scalar>
void place_rows(const Scalar* u, const Scalar* prior, Scalar* z, int64_t examples, int64_t samples,
                int64_t latent) {
  for (int64_t r = 0; r < examples; ++r, prior += 2 * latent) {
    for (int64_t s = 0; s < samples; ++s, u += latent, z += latent) {
      for (int64_t j = 0; j < latent; ++j)
        z[j] = prior[j] + clamped_log_variance_term(prior[latent + j]).sigma * u[j];
    }
  }
}

template <class Scalar>
void place_back(const Scalar* dz, const Scalar* u, const Scalar* prior, Scalar* du, Scalar* dprior,
                int64_t examples, int64_t samples, int64_t latent) {
  for (int64_t r = 0; r < examples; ++r) {
    for (int64_t j = 0; j < latent; ++j) {
      const int64_t mean = r * 2 * latent + j;
      const auto p = clamped_log_variance_term(prior[mean + latent]);
      Scalar by_mean = 0, by_move = 0;
      for (int64_t i = r * samples; i < (r + 1) * samples; ++i) {
        const Scalar g = dz[i * latent + j];
        du[i * latent + j] = g * p.sigma;
        by_mean += g;
        by_move += g * (p.sigma * u[i * latent + j]);
      }
      dprior[mean] = by_mean;
      dprior[mean + latent] = Scalar(0.5) * by_move * p.slope;
    }
  }
}

// [rows, batch * samples, latent] as [rows, batch, samples, latent]
at::Tensor by_example(const at::Tensor& of_samples, int64_t batch) {
  return of_samples.view({of_samples.size(0), batch, -1, of_samples.size(2)});
}

struct PlaceFunction : torch::autograd::Function<PlaceFunction> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& u,
                            const at::Tensor& prior) {
    const at::AutoDispatchBelowADInplaceOrView plain;
    context->save_for_backward({u, prior});
    if (!fused(u)) {
      const auto p = aten_prior(prior);
      return (p.mean.unsqueeze(2) + p.scale.sigma.unsqueeze(2) * by_example(u, prior.size(1)))
          .view(u.sizes());
    }
    auto z = at::empty_like(u);
    AT_DISPATCH_FLOATING_TYPES(u.scalar_type(), "from_prior", [&] {
      place_rows(u.const_data_ptr<scalar_t>(), prior.const_data_ptr<scalar_t>(),
                 z.mutable_data_ptr<scalar_t>(), prior.size(0) * prior.size(1),
                 u.size(1) / prior.size(1), u.size(2));
    });
    return z;
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    const at::AutoDispatchBelowADInplaceOrView plain;
    const auto saved = context->get_saved_variables();
    const auto &u = saved[0], &prior = saved[1];
    const auto dz = gradients[0].contiguous();
    if (!fused(u)) {
      const auto p = aten_prior(prior);
      const auto g = by_example(dz, prior.size(1));
      const auto move = p.scale.sigma.unsqueeze(2) * by_example(u, prior.size(1));
      return {(g * p.scale.sigma.unsqueeze(2)).view(u.sizes()),
              at::cat({g.sum(2), 0.5 * (g * move).sum(2) * p.scale.slope}, 2)};
    }
    auto du = at::empty_like(u), dprior = at::empty_like(prior);
    AT_DISPATCH_FLOATING_TYPES(u.scalar_type(), "from_prior_backward", [&] {
      place_back(dz.const_data_ptr<scalar_t>(), u.const_data_ptr<scalar_t>(),
                 prior.const_data_ptr<scalar_t>(), du.mutable_data_ptr<scalar_t>(),
                 dprior.mutable_data_ptr<scalar_t>(), prior.size(0) * prior.size(1),
                 u.size(1) / prior.size(1), u.size(2));
    });
    return {du, dprior};
  }
};

}  // namespace

at::Tensor relative_to_prior(const at::Tensor& head, const at::Tensor& prior) {
  return RelateFunction::apply(head, prior);
}

at::Tensor from_prior(const at::Tensor& u, const at::Tensor& prior) {
  return PlaceFunction::apply(u, prior);
}

}  // namespace elbow::models
