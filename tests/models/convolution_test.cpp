// Convolutions against ATen's own, in its layout; gradients against finite differences.
#include "models/convolution.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include "models/forms.h"
#include "models/model.h"

namespace elbow::models {
namespace {

// Tensors are tiny: threads would only wait for one another.
const bool kOneThread = (at::set_num_threads(1), true);

struct ImageCase {
  int64_t height, width, channels, kernel, stride, out;
};

class ConvolutionTest : public ::testing::TestWithParam<ImageCase> {
 protected:
  static constexpr int64_t kRows = 2, kBatch = 3;
  ImageCase c_ = GetParam();
  PatchShape shape_{c_.height, c_.width, c_.channels, c_.kernel, c_.stride};

  // [rows, batch, positions * channels] as [batch, channels, height, width] of one row.
  static at::Tensor as_image(const at::Tensor& of_row, int64_t height, int64_t width) {
    return of_row.view({kBatch, height, width, -1}).permute({0, 3, 1, 2});
  }

  // One row through ATen with weights in the layout of files.
  static at::Tensor weight_of(const ParameterLayout& layout, const at::Tensor& values, int64_t row,
                              const std::string& name) {
    for (const auto& [part, tensor] : layout.to_named(values.select(0, row)))
      if (part == name) return tensor;
    throw std::invalid_argument(name);
  }
};

TEST_P(ConvolutionTest, IsThatOfAtenWithTheWeightsOfAFile) {
  ParameterLayout layout;
  const Convolution layer(layout, "a", shape_, c_.out, Activation::kIdentity);
  at::manual_seed(1);
  const auto values = at::randn({kRows, layout.size()}, at::kDouble);
  const auto x = at::randn({kRows, kBatch, c_.height * c_.width * c_.channels}, at::kDouble);
  at::NoGradGuard no_gradient;
  const auto y = layer.forward(BoundParameters(layout, values), x, false);
  for (int64_t k = 0; k < kRows; ++k) {
    const auto weight = weight_of(layout, values, k, "a.weight");
    EXPECT_EQ(weight.sizes(), at::IntArrayRef({c_.out, c_.channels, c_.kernel, c_.kernel}));
    const auto expected =
        at::conv2d(as_image(x[k], c_.height, c_.width), weight,
                   weight_of(layout, values, k, "a.bias"), c_.stride, shape_.padding());
    const auto mine = as_image(y[k], shape_.patch_rows(), shape_.patch_columns());
    EXPECT_TRUE(at::allclose(mine, expected, 1e-10, 1e-12));
  }
}

TEST_P(ConvolutionTest, TransposedIsThatOfAtenWithTheWeightsOfAFile) {
  ParameterLayout layout;
  const TransposedConvolution layer(layout, "a", c_.out, shape_, Activation::kIdentity);
  at::manual_seed(2);
  const auto values = at::randn({kRows, layout.size()}, at::kDouble);
  const auto x = at::randn({kRows, kBatch, shape_.patches() * c_.out}, at::kDouble);
  at::NoGradGuard no_gradient;
  const auto y = layer.forward(BoundParameters(layout, values), x, false);
  const int64_t rows = shape_.patch_rows(), columns = shape_.patch_columns();
  const auto missing = [&](int64_t size, int64_t patches) {  // PyTorch's output_padding
    return size - ((patches - 1) * c_.stride - 2 * shape_.padding() + c_.kernel);
  };
  for (int64_t k = 0; k < kRows; ++k) {
    const auto expected = at::conv_transpose2d(
        as_image(x[k], rows, columns), weight_of(layout, values, k, "a.weight"),
        weight_of(layout, values, k, "a.bias"), c_.stride, shape_.padding(),
        {missing(c_.height, rows), missing(c_.width, columns)});
    EXPECT_TRUE(at::allclose(as_image(y[k], c_.height, c_.width), expected, 1e-10, 1e-12));
  }
}

TEST_P(ConvolutionTest, PatchesHaveOneFormMore) {
  at::manual_seed(3);
  const auto images = at::randn({kRows, kBatch, c_.height * c_.width * c_.channels});
  const auto patches = extract_patches(images, shape_);
  const auto spread = spread_patches(patches, shape_);
  const AtenForms forced;
  EXPECT_TRUE(at::equal(extract_patches(images, shape_), patches));
  EXPECT_TRUE(at::allclose(spread_patches(patches, shape_), spread, 1e-6, 1e-6));
}

INSTANTIATE_TEST_SUITE_P(Images, ConvolutionTest,
                         ::testing::Values(ImageCase{8, 8, 1, 3, 2, 4}, ImageCase{7, 5, 3, 3, 2, 2},
                                           ImageCase{9, 6, 2, 5, 2, 3}, ImageCase{8, 6, 2, 4, 2, 3},
                                           ImageCase{6, 7, 3, 3, 1, 2},
                                           ImageCase{5, 5, 1, 1, 2, 2}));

VaeShape conv_vae(std::vector<int64_t> encoder, std::vector<int64_t> decoder) {
  return {.observed = 7 * 6 * 3,
          .encoder = std::move(encoder),
          .latent = 2,
          .decoder = std::move(decoder),
          .activation = Activation::kTanh,
          .image = ImageShape{7, 6, 3, {3, 4}, 3}};
}

// Loss [rows], and gradients where they are given.
at::Tensor loss_of(const Model& model, const Batch& batch, const at::Tensor& values,
                   const at::Tensor& gradients) {
  at::AutoGradMode recorded(gradients.defined());
  const auto rows = values.size(0);
  const auto loss =
      make_elbo()->leaf_loss(model.terms(BoundParameters(model.layout(), values, gradients), batch),
                             {.kl_weight = at::ones({rows}, at::kDouble),
                              .scale = at::ones({rows}, at::kDouble),
                              .batch_size = batch.x.size(1)});
  if (gradients.defined()) torch::autograd::backward({loss.sum()}, {});
  return loss.detach();
}

TEST(ConvolutionalVae, ItsGradientAgreesWithFiniteDifferencesInEveryRow) {
  auto even = conv_vae({5}, {4});
  even.image->kernel = 4;
  for (const auto& shape : {conv_vae({5}, {}), conv_vae({}, {4}), even}) {
    const auto model = make_vae(shape);
    at::manual_seed(4);
    const auto values = 0.4 * at::randn({2, model->layout().size()}, at::kDouble);
    const Batch batch{at::rand({2, 3, model->observed()}, at::kDouble),
                      at::randn({2, 3, 2}, at::kDouble)};
    auto gradients = at::zeros_like(values);
    loss_of(*model, batch, values, gradients);
    const double h = 1e-6;
    for (const auto& parameter : model->layout().parameters()) {
      for (int64_t i = 0; i < parameter.count(); i += 1 + parameter.count() / 8) {
        auto above = values.clone(), below = values.clone();
        above.select(1, parameter.offset + i).add_(h);
        below.select(1, parameter.offset + i).sub_(h);
        const auto slope =
            (loss_of(*model, batch, above, {}) - loss_of(*model, batch, below, {})) / (2 * h);
        for (int64_t k = 0; k < 2; ++k) {
          const double expected = slope[k].item<double>();
          EXPECT_NEAR(gradients[k][parameter.offset + i].item<double>(), expected,
                      1e-6 + 1e-6 * std::abs(expected))
              << parameter.parts[0].name << " " << i;
        }
      }
    }
  }
}

// Examples have the colours of a pixel side by side: exchanging them is exchanging input and output
// channels of the outermost kernels.
TEST(ConvolutionalVae, ColoursOfAPixelLieSideBySide) {
  const auto model = make_vae(conv_vae({5}, {4}));
  at::manual_seed(7);
  const auto values = 0.4 * at::randn({1, model->layout().size()}, at::kDouble);
  const auto x = at::rand({1, 3, 42, 3}, at::kDouble), noise = at::randn({1, 3, 2}, at::kDouble);
  auto row = values[0].clone();
  auto named = model->layout().to_named(row);
  const auto order = at::tensor({2, 0, 1});
  for (auto& [name, weight] : named) {
    if (name == "encoder.convolutions.0.weight") weight = weight.index_select(1, order);
    if (name.starts_with("decoder.output."))
      weight = weight.index_select(weight.dim() == 4 ? 1 : 0, order);
  }
  model->layout().from_named(named, row);
  const auto loss = [&](const at::Tensor& weights, const at::Tensor& images) {
    return loss_of(*model, {images.reshape({1, 3, 126}), noise}, weights, {});
  };
  EXPECT_TRUE(at::allclose(loss(row.unsqueeze(0), x.index_select(3, order)), loss(values, x)));
  EXPECT_FALSE(at::allclose(loss(values, x.index_select(3, order)), loss(values, x)));
}

TEST(ConvolutionalVae, LoopsAndAtenGiveTheSame) {
  const auto model = make_vae(conv_vae({5}, {4}));
  at::manual_seed(5);
  const auto values = 0.4 * at::randn({2, model->layout().size()});
  const Batch batch{at::rand({2, 3, model->observed()}), at::randn({2, 3, 2})};
  auto loops = at::zeros_like(values), aten = at::zeros_like(values);
  const auto loss = loss_of(*model, batch, values, loops);
  const AtenForms forced;
  EXPECT_TRUE(at::allclose(loss_of(*model, batch, values, aten), loss, 1e-6));
  EXPECT_TRUE(at::allclose(aten, loops, 1e-4, 1e-5));
}

// Files have the order in which PyTorch flattens an image: channel by channel.
TEST(ConvolutionalVae, WeightsGoThroughFilesAndTheirDenseLayersAreChannelsFirst) {
  const auto model = make_vae(conv_vae({5}, {}));
  const auto& layout = model->layout();
  at::manual_seed(6);
  auto row = at::zeros({layout.size()});
  for (const auto& parameter : layout.parameters())
    row.narrow(0, parameter.offset, parameter.count()).normal_();
  const auto named = layout.to_named(row);
  auto again = at::zeros_like(row);
  layout.from_named(named, again);
  EXPECT_TRUE(at::equal(again, row));
  for (const auto& [name, values] : named) {
    if (name == "encoder.layers.0.weight") {  // from 2 x 2 positions of 4 channels
      EXPECT_EQ(values.sizes(), at::IntArrayRef({5, 16}));
      const auto& parameter = layout.parameters()[4];
      const auto mine = row.narrow(0, parameter.offset, 16 * 5).view({4, 4, 5});
      EXPECT_TRUE(at::equal(values.view({5, 4, 4})[3][2][1], mine[1][2][3]));
    }
    if (name == "decoder.features.bias") {
      EXPECT_EQ(values.sizes(), at::IntArrayRef({16}));
    }
  }
}

}  // namespace
}  // namespace elbow::models
