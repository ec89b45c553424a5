#include "models/gaussian_latent.h"

#include <ATen/ATen.h>
#include <ATen/Dispatch.h>
#include <torch/csrc/autograd/custom_function.h>

#include "models/elementwise.h"
#include "models/forms.h"

namespace elbow::models {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// The latent head is narrow (2 to 100 numbers an example): plain loops.
template <class Scalar>
void forward_rows(const Scalar* head, const Scalar* noise, Scalar* z, Scalar* kl, Scalar* mean,
                  Scalar* scale, int64_t rows, int64_t latent) {
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t j = 0; j < latent; ++j) {
      const Scalar mu = head[r * 2 * latent + j];
      const Scalar log_variance = head[r * 2 * latent + latent + j];
      const Scalar sigma = exp_of(Scalar(0.5) * log_variance);
      const int64_t at = r * latent + j;
      mean[at] = mu;
      scale[at] = sigma;
      z[at] = mu + sigma * noise[at];
      kl[at] = kl_to_standard_normal(mu, log_variance);
    }
  }
}

template <class Scalar>
void backward_rows(const Scalar* dz, const Scalar* dkl, const Scalar* head, const Scalar* noise,
                   Scalar* dhead, int64_t rows, int64_t latent) {
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t j = 0; j < latent; ++j) {
      const Scalar mu = head[r * 2 * latent + j];
      const Scalar log_variance = head[r * 2 * latent + latent + j];
      const int64_t at = r * latent + j;
      dhead[r * 2 * latent + j] = dz[at] + dkl[at] * mu;
      dhead[r * 2 * latent + latent + j] =
          Scalar(0.5) * (dz[at] * (exp_of(Scalar(0.5) * log_variance) * noise[at]) +
                         dkl[at] * expm1_of(log_variance));
    }
  }
}

struct GaussianFunction : torch::autograd::Function<GaussianFunction> {
  static variable_list forward(AutogradContext* context, const at::Tensor& head,
                               const at::Tensor& noise) {
    const int64_t latent = noise.size(2);
    at::Tensor z, kl, mean, scale;
    if (fused(head)) {
      z = at::empty_like(noise);
      kl = at::empty_like(noise);
      mean = at::empty_like(noise);
      scale = at::empty_like(noise);
      AT_DISPATCH_FLOATING_TYPES(head.scalar_type(), "gaussian_latent", [&] {
        forward_rows(head.const_data_ptr<scalar_t>(), noise.const_data_ptr<scalar_t>(),
                     z.mutable_data_ptr<scalar_t>(), kl.mutable_data_ptr<scalar_t>(),
                     mean.mutable_data_ptr<scalar_t>(), scale.mutable_data_ptr<scalar_t>(),
                     noise.size(0) * noise.size(1), latent);
      });
    } else {
      mean = head.narrow(2, 0, latent).contiguous();
      const auto log_variance = head.narrow(2, latent, latent);
      scale = (0.5 * log_variance).exp();
      z = mean + scale * noise;
      kl = 0.5 * (mean * mean + (at::expm1(log_variance) - log_variance));
    }
    context->save_for_backward({head, noise});
    context->mark_non_differentiable({mean, scale});
    return {z, kl, mean, scale};
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    const auto saved = context->get_saved_variables();
    const auto& head = saved[0];
    const auto& noise = saved[1];
    const auto dz = gradients[0].defined() ? gradients[0].contiguous() : at::zeros_like(noise);
    const auto dkl = gradients[1].defined() ? gradients[1].contiguous() : at::zeros_like(noise);
    const int64_t latent = noise.size(2);
    auto dhead = at::empty_like(head);
    if (fused(head)) {
      AT_DISPATCH_FLOATING_TYPES(head.scalar_type(), "gaussian_latent_backward", [&] {
        backward_rows(dz.const_data_ptr<scalar_t>(), dkl.const_data_ptr<scalar_t>(),
                      head.const_data_ptr<scalar_t>(), noise.const_data_ptr<scalar_t>(),
                      dhead.mutable_data_ptr<scalar_t>(), noise.size(0) * noise.size(1), latent);
      });
    } else {
      const auto mean = head.narrow(2, 0, latent);
      const auto log_variance = head.narrow(2, latent, latent);
      dhead.narrow(2, 0, latent).copy_(dz + dkl * mean);
      dhead.narrow(2, latent, latent)
          .copy_(0.5 * (dz * ((0.5 * log_variance).exp() * noise) + dkl * at::expm1(log_variance)));
    }
    return {dhead, {}};
  }
};

}  // namespace

GaussianLatent sample_gaussian(const at::Tensor& head, const at::Tensor& noise) {
  const auto out = GaussianFunction::apply(head, noise);
  return {out[0], out[1], out[2], out[3]};
}

}  // namespace elbow::models
