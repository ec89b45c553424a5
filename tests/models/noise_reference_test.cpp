// Noise against an implementation that shares no code with it.
#include <ATen/ops/empty.h>
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "models/noise.h"

namespace elbow::models {
namespace {

// data/normals.json is written by tests/reference/philox.py, which shares no code with elbow.
TEST(Noise, IsThatOfTheNumPyReference) {
  std::ifstream file(ELBOW_SOURCE_DIR "/tests/reference/data/normals.json");
  for (const auto& one : nlohmann::json::parse(file)) {
    const NoiseKey key{one["seed"].get<uint64_t>(),
                       static_cast<Purpose>(one["purpose"].get<uint32_t>()),
                       one["time"].get<uint32_t>(), one["draw"].get<uint32_t>()};
    const auto examples = one["examples"].get<std::vector<int64_t>>();
    const auto expected = one["normals"].get<std::vector<std::vector<double>>>();
    const auto width = static_cast<int64_t>(expected.at(0).size());
    auto noise = at::empty({static_cast<int64_t>(examples.size()), width});
    fill_normal(key, examples, noise);
    const float* value = noise.const_data_ptr<float>();
    for (const auto& row : expected) {
      for (const double number : row) EXPECT_NEAR(*value++, number, 2e-6);
    }
  }
}

}  // namespace
}  // namespace elbow::models
