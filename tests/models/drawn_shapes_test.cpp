#include "models/drawn_shapes.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>
#include <set>
#include <vector>

namespace elbow::models {
namespace {

using Image = std::vector<int>;

Image drawn(uint64_t seed, uint32_t example, int64_t height = 28, int64_t width = 28) {
  std::vector<uint8_t> bytes(static_cast<size_t>(height * width), 77);
  draw_example(seed, example, height, width, bytes.data());
  return {bytes.begin(), bytes.end()};
}

// The same by the header alone, pixel by pixel, as a kernel would do it.
Image drawn_by_pixel(uint64_t seed, uint32_t example, int64_t height, int64_t width) {
  const Drawing d = drawing_of(drawn_factors(seed, example), height, width);
  Image image;
  for (int64_t row = 0; row < height; ++row) {
    for (int64_t column = 0; column < width; ++column) {
      const float x = static_cast<float>(column) + 0.5f, y = static_cast<float>(row) + 0.5f;
      float square = d.strokes == 0 ? square_from_arc(d, x, y) : 1e30f;
      for (int i = 0; i < d.strokes; ++i)
        square = std::min(square, square_from_stroke(d.stroke[i], x, y));
      image.push_back(paint(d, square));
    }
  }
  return image;
}

TEST(DrawnShapes, TheFastLoopPaintsWhatTheHeaderSaysForEverySize) {
  for (const auto& [height, width] : {std::pair{28, 28}, {8, 8}, {9, 33}, {40, 17}, {64, 64}}) {
    for (uint32_t example = 0; example < 200; ++example)
      ASSERT_EQ(drawn(3, example, height, width), drawn_by_pixel(3, example, height, width))
          << example << " of " << height << " x " << width;
  }
}

// Fixed for ever: these numbers are part of every run on synthetic data.
TEST(DrawnShapes, BytesAreTheRecordedOnes) {
  uint64_t hash = 14695981039346656037u;  // FNV-1a
  for (uint32_t example = 0; example < 1000; ++example) {
    for (const int byte : drawn(1, example))
      hash = (hash ^ static_cast<uint64_t>(byte)) * 1099511628211u;
  }
  EXPECT_EQ(hash, 14404492378368532377u);
}

TEST(DrawnShapes, SeedAndIndexDecideAndNothingElse) {
  EXPECT_EQ(drawn(1, 4294967295u), drawn(1, 4294967295u));
  EXPECT_NE(drawn(1, 5), drawn(2, 5));
  std::set<Image> different;
  for (uint32_t example = 0; example < 5000; ++example) different.insert(drawn(1, example));
  EXPECT_EQ(different.size(), 5000u);
}

TEST(DrawnShapes, FactorsFillTheirRangesAndLabelsAreEven) {
  constexpr int kExamples = 20000;
  std::array<int, kDrawnShapes> count{};
  std::vector<DrawnFactors> all;
  for (uint32_t example = 0; example < kExamples; ++example) {
    all.push_back(drawn_factors(7, example));
    ++count.at(static_cast<size_t>(all.back().shape));
  }
  for (const int shape_count : count) EXPECT_NEAR(shape_count, 2000, 5 * std::sqrt(1800));
  const auto expect_range = [&](auto member, float low, float high, float mean) {
    const auto [least, most] =
        std::minmax_element(all.begin(), all.end(),
                            [&](const auto& a, const auto& b) { return a.*member < b.*member; });
    const float width = high - low;
    EXPECT_GE((*least).*member, low);
    EXPECT_LE((*least).*member, low + 0.01f * width);
    EXPECT_LE((*most).*member, high);
    EXPECT_GE((*most).*member, high - 0.01f * width);
    double sum = 0;
    for (const auto& factors : all) sum += factors.*member;
    EXPECT_NEAR(sum / kExamples, mean, 0.015 * width);
  };
  expect_range(&DrawnFactors::size, 0.16f, 0.38f, 0.27f);
  expect_range(&DrawnFactors::thickness, 0.05f, 0.14f, 0.095f);
  expect_range(&DrawnFactors::rotation, 0, 1, 0.5f);
  expect_range(&DrawnFactors::brightness, 0.5f, 1, 0.75f);
  for (const auto& f : all) {
    const float outermost = f.size + 0.5f * f.thickness;
    EXPECT_LT(std::abs(f.x) + outermost, 0.4701f);
    EXPECT_LT(std::abs(f.y) + outermost, 0.4701f);
  }
}

// Where the paint is, and how much of it, follows from the factors.
TEST(DrawnShapes, PaintLiesAroundTheCentreAndIsAsBrightAsThePen) {
  for (uint32_t example = 0; example < 500; ++example) {
    const auto factors = drawn_factors(1, example);
    const auto image = drawn(1, example, 64, 64);
    const float centre_x = 32 + 64 * factors.x, centre_y = 32 + 64 * factors.y;
    const float reach = 64 * (factors.size + 0.5f * factors.thickness) + 1;
    for (int row = 0; row < 64; ++row) {
      for (int column = 0; column < 64; ++column) {
        if (image[64 * row + column] == 0) continue;
        EXPECT_LE(std::hypot(column + 0.5f - centre_x, row + 0.5f - centre_y), reach) << example;
      }
    }
    EXPECT_NEAR(*std::max_element(image.begin(), image.end()), 255 * factors.brightness, 1);
    for (int i = 0; i < 64; ++i) {
      EXPECT_EQ(image[i] + image[64 * 63 + i] + image[64 * i] + image[64 * i + 63], 0) << example;
    }
  }
}

TEST(DrawnShapes, AMeanImageIsGreyAndTheMiddleIsUsedAllOver) {
  constexpr int kExamples = 4000;
  std::vector<double> mean(784);
  for (uint32_t example = 0; example < kExamples; ++example) {
    const auto image = drawn(1, example);
    for (size_t i = 0; i < image.size(); ++i) mean[i] += image[i] / 255.0 / kExamples;
  }
  const double overall = std::accumulate(mean.begin(), mean.end(), 0.0) / 784;
  EXPECT_GT(overall, 0.04);
  EXPECT_LT(overall, 0.16);
  for (int row = 7; row < 21; ++row) {
    for (int column = 7; column < 21; ++column) EXPECT_GT(mean[28 * row + column], 0.06);
  }
}

}  // namespace
}  // namespace elbow::models
