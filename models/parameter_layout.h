// Where each parameter lies in a flat row of P numbers, and views into flat buffers.
//
// One flat buffer [K, P] holds all parameters of K trials, another their gradients, others the
// optimizer's state: row k is trial k. A ParameterLayout knows names, shapes and offsets but owns
// no memory. Every parameter starts at a multiple of 16 numbers (64 bytes), so that all rows are
// aligned alike; the gaps stay 0.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace elbow::models {

// One tensor as others see it: columns [begin, end) of a parameter's last dimension. A parameter
// that serves two heads in one product, such as mean and log-variance, has two parts.
struct ParameterPart {
  std::string name;  // plain per-trial name, such as "encoder.mean.weight"
  int64_t begin;
  int64_t end;
};

// How a parameter of one trial, [in, out] or [out], lies in files, which have PyTorch's layout.
enum class FileLayout {
  kPlain,                  // [out, in]
  kConvolution,            // [kernel * kernel * channels, out] as [out, channels, kernel, kernel]
  kTransposedConvolution,  // [in, kernel * kernel * channels] as [in, channels, kernel, kernel]
  kFromImage,              // [positions * channels, out] as [out, channels * positions]
  kToImage,  // [in, positions * channels] as [channels * positions, in]; a bias likewise
};

struct Parameter {
  std::vector<int64_t> shape;  // of one trial: [in, out] for a weight, [out] for a bias
  bool is_weight;  // weights are decayed and initialised at random, biases are not decayed
  int64_t fan_in;
  std::vector<ParameterPart> parts;
  std::optional<double> start{};  // every number's first value; without it initialise() decides
  int64_t fan_out = 0;            // 0: a part's columns
  FileLayout file = FileLayout::kPlain;
  int64_t channels = 1;  // for the layouts that have some
  int64_t kernel = 1;    // its side
  int64_t products = 1;  // rows that an example gives to the weight's product
  int64_t offset = 0;    // in numbers, within a row; set by the layout
  int64_t count() const;
};

class ParameterLayout {
 public:
  // Returns the parameter's index.
  int add(Parameter parameter);

  int64_t size() const { return size_; }  // P, gaps included; a multiple of 16
  int64_t trainable() const;              // without gaps
  const std::vector<Parameter>& parameters() const { return parameters_; }

  // View of parameter `index` in flat [K, P]: [K, shape...].
  at::Tensor view(const at::Tensor& flat, int index) const;

  // The parameters of one row [P] under their plain names, copied into PyTorch's layout: weights
  // [out, in].
  std::vector<std::pair<std::string, at::Tensor>> to_named(const at::Tensor& row) const;
  // The reverse: fills `row` [P]. Throws std::invalid_argument that names the missing, unknown or
  // misshapen tensor.
  void from_named(const std::vector<std::pair<std::string, at::Tensor>>& named,
                  at::Tensor row) const;

 private:
  std::vector<Parameter> parameters_;
  int64_t size_ = 0;
};

// What the rows of a stack are: trials, each with its gradient; or leaves of one trial's batch,
// whose gradients are added up in one row (ordered_products.h).
enum class Rows { kTrials, kLeaves };

// Values and gradients of all parameters for some rows, bound to memory. Gradients may be undefined
// (evaluation), and so may the rounded values, which only products in bfloat16 read: the caller
// rounds them whenever the values change. Backward passes overwrite the gradient of each parameter
// that they use, so a parameter is used once per pass.
class BoundParameters {
 public:
  // values, rounded: [rows, P]; gradients: [rows, P], of leaves [1, P].
  BoundParameters(const ParameterLayout& layout, const at::Tensor& values,
                  const at::Tensor& gradients = {}, const at::Tensor& rounded = {},
                  Rows rows = Rows::kTrials);
  Rows rows() const { return rows_; }
  const at::Tensor& value(int index) const { return values_[index]; }
  const at::Tensor& gradient(int index) const { return gradients_[index]; }
  const at::Tensor& rounded(int index) const { return rounded_[index]; }

  // For each parameter a number that no |gradient| exceeds, as far as the last backward pass, which
  // writes it, knows one; infinity or NaN where it does not. float32, on the CPU.
  const at::Tensor& bounds() const { return bounds_; }

 private:
  std::vector<at::Tensor> values_;
  std::vector<at::Tensor> gradients_;
  std::vector<at::Tensor> rounded_;
  at::Tensor bounds_;
  Rows rows_;
};

}  // namespace elbow::models
