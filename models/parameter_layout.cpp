#include "models/parameter_layout.h"

#include <ATen/ATen.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <limits>
#include <map>
#include <numeric>
#include <stdexcept>

namespace elbow::models {
namespace {

constexpr int64_t kAlignment = 16;  // numbers

// One trial's part, a view whose numbers are in the order of files; file_shape() is what it is
// flattened to there.
at::Tensor part_of(const at::Tensor& values, const Parameter& parameter,
                   const ParameterPart& part) {
  const auto columns = values.narrow(-1, part.begin, part.end - part.begin);
  const int64_t k = parameter.kernel, c = parameter.channels;
  switch (parameter.file) {
    case FileLayout::kConvolution:
      return columns.view({k, k, c, -1}).permute({3, 2, 0, 1});
    case FileLayout::kTransposedConvolution:
      return columns.view({-1, k, k, c}).permute({0, 3, 1, 2});
    case FileLayout::kFromImage:
      return columns.unflatten(0, {-1, c}).permute({2, 1, 0});
    case FileLayout::kToImage:
      if (columns.dim() == 1) return columns.view({-1, c}).t();
      return columns.unflatten(1, {-1, c}).permute({2, 1, 0});
    case FileLayout::kPlain:
      break;
  }
  return columns.dim() == 2 ? columns.t() : columns;
}

std::vector<int64_t> file_shape(const at::Tensor& part, const Parameter& parameter) {
  auto shape = part.sizes().vec();
  if (parameter.file == FileLayout::kFromImage) shape = {shape[0], shape[1] * shape[2]};
  if (parameter.file == FileLayout::kToImage) {
    shape[1] *= shape[0];
    shape.erase(shape.begin());
  }
  return shape;
}

}  // namespace

int64_t Parameter::count() const {
  return std::accumulate(shape.begin(), shape.end(), int64_t{1}, std::multiplies<>());
}

int ParameterLayout::add(Parameter parameter) {
  parameter.offset = size_;
  size_ += (parameter.count() + kAlignment - 1) / kAlignment * kAlignment;
  parameters_.push_back(std::move(parameter));
  return static_cast<int>(parameters_.size()) - 1;
}

int64_t ParameterLayout::trainable() const {
  int64_t sum = 0;
  for (const auto& parameter : parameters_) sum += parameter.count();
  return sum;
}

at::Tensor ParameterLayout::view(const at::Tensor& flat, int index) const {
  const auto& parameter = parameters_[index];
  std::vector<int64_t> shape = {flat.size(0)};
  shape.insert(shape.end(), parameter.shape.begin(), parameter.shape.end());
  std::vector<int64_t> strides(shape.size(), 1);
  for (size_t i = shape.size() - 1; i > 1; --i) strides[i - 1] = strides[i] * shape[i];
  strides[0] = flat.stride(0);
  return flat.as_strided(shape, strides, flat.storage_offset() + parameter.offset);
}

std::vector<std::pair<std::string, at::Tensor>> ParameterLayout::to_named(
    const at::Tensor& row) const {
  std::vector<std::pair<std::string, at::Tensor>> named;
  const auto flat = row.unsqueeze(0);
  for (size_t i = 0; i < parameters_.size(); ++i) {
    const auto parameter = view(flat, static_cast<int>(i)).select(0, 0);
    for (const auto& part : parameters_[i].parts) {
      const auto values = part_of(parameter, parameters_[i], part);
      named.emplace_back(part.name,
                         values.contiguous().clone().view(file_shape(values, parameters_[i])));
    }
  }
  return named;
}

void ParameterLayout::from_named(const std::vector<std::pair<std::string, at::Tensor>>& named,
                                 at::Tensor row) const {
  std::map<std::string, at::Tensor> by_name(named.begin(), named.end());
  const auto flat = row.unsqueeze(0);
  for (size_t i = 0; i < parameters_.size(); ++i) {
    const auto parameter = view(flat, static_cast<int>(i)).select(0, 0);
    for (const auto& part : parameters_[i].parts) {
      const auto found = by_name.find(part.name);
      if (found == by_name.end())
        throw std::invalid_argument(fmt::format("the tensor '{}' is missing", part.name));
      auto target = part_of(parameter, parameters_[i], part);
      const auto shape = file_shape(target, parameters_[i]);
      if (found->second.sizes() != at::IntArrayRef(shape)) {
        throw std::invalid_argument(
            fmt::format("the tensor '{}' has shape [{}], the model needs [{}]", part.name,
                        fmt::join(found->second.sizes(), ", "), fmt::join(shape, ", ")));
      }
      target.copy_(found->second.reshape(target.sizes()));
      by_name.erase(found);
    }
  }
  if (!by_name.empty()) {
    throw std::invalid_argument(
        fmt::format("the tensor '{}' is not part of this model", by_name.begin()->first));
  }
}

BoundParameters::BoundParameters(const ParameterLayout& layout, const at::Tensor& values,
                                 const at::Tensor& gradients, const at::Tensor& rounded, Rows rows)
    : rows_(rows) {
  const auto view = [&](const at::Tensor& flat, size_t i) {
    return flat.defined() ? layout.view(flat, static_cast<int>(i)) : at::Tensor();
  };
  for (size_t i = 0; i < layout.parameters().size(); ++i) {
    values_.push_back(view(values, i));
    gradients_.push_back(view(gradients, i));
    rounded_.push_back(view(rounded, i));
  }
  bounds_ = at::full({static_cast<int64_t>(values_.size())}, std::numeric_limits<float>::infinity(),
                     at::kFloat);
}

}  // namespace elbow::models
