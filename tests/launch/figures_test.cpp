#include <ATen/ATen.h>
#include <cairo.h>
#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>
#include <string_view>

#include "launch/figures/curve_figure.h"
#include "launch/figures/image_figures.h"
#include "launch/figures/latent_figures.h"
#include "launch/figures/ticks.h"

namespace elbow::launch::figures {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;

std::vector<std::string> labels_of(const Scale& scale, int wanted = 5) {
  std::vector<std::string> labels;
  for (const auto& tick : ticks_of(scale, wanted)) labels.push_back(tick.label);
  return labels;
}

// Width and height of a PNG.
std::pair<int, int> size_of(const std::string& png) {
  const auto number = [&](size_t at) {
    int value = 0;
    for (size_t i = 0; i < 4; ++i) value = value << 8 | static_cast<uint8_t>(png.at(at + i));
    return value;
  };
  return {number(16), number(20)};
}

TEST(Ticks, AreMultiplesThatPeopleRead) {
  EXPECT_THAT(labels_of({0, 10}), ElementsAre("0", "2", "4", "6", "8", "10"));
  EXPECT_THAT(labels_of({-10, 10}), ElementsAre("−10", "−5", "0", "5", "10"));
  EXPECT_THAT(labels_of({0.187, 0.262}), ElementsAre("0.20", "0.22", "0.24", "0.26"));
  EXPECT_THAT(labels_of({0.001, 10, /*logarithmic=*/true}),
              ElementsAre("0.001", "0.01", "0.1", "1", "10"));
  EXPECT_THAT(labels_of({0.15, 1.1, /*logarithmic=*/true}), ElementsAre("0.2", "0.5", "1"));
}

TEST(Ticks, EpochsAreWhole) {
  std::vector<std::string> labels;
  for (const auto& tick : whole_ticks({0.98, 3.02})) labels.push_back(tick.label);
  EXPECT_THAT(labels, ElementsAre("1", "2", "3"));
}

TEST(Ticks, AnyScaleHasTwoToTwiceTheWanted) {
  for (const double low : {-3.0, 0.0, 1e-7, 171.3}) {
    for (double extent = 1e-6; extent < 1e6; extent *= 1.7) {
      const auto ticks = ticks_of({low, low + extent}, 5);
      EXPECT_GE(ticks.size(), 2u) << low << " + " << extent;
      EXPECT_LE(ticks.size(), 10u) << low << " + " << extent;
    }
  }
}

TEST(Scale, LeavesOutWhatIsNotFiniteAndIsNeverEmpty) {
  const auto scale = scale_around({1, std::nan(""), 3, INFINITY}, false, 0.5);
  EXPECT_DOUBLE_EQ(scale.low, 0);
  EXPECT_DOUBLE_EQ(scale.high, 4);
  for (const auto& values : {std::vector<double>{}, {2, 2}, {0}, {std::nan("")}}) {
    for (const bool logarithmic : {false, true}) {
      const auto any = scale_around(values, logarithmic);
      EXPECT_LT(any.low, any.high);
    }
  }
}

TEST(Plane, ShowsTheUnitsThatVaryMost) {
  auto mu = at::zeros({50, 4});
  mu.select(1, 3).copy_(at::linspace(-2, 2, 50));
  mu.select(1, 1).copy_(at::linspace(-1, 1, 50).square());
  const auto plane = active_plane(mu);
  EXPECT_EQ(plane.across_label, "latent unit 2");
  EXPECT_EQ(plane.upwards_label, "latent unit 4");
  const auto flat = on_plane(plane, mu, at::full({50, 4}, 0.5));
  EXPECT_FLOAT_EQ(flat.y[0], -2);
  EXPECT_FLOAT_EQ(flat.x[0], 1);
  EXPECT_THAT(flat.covariance[7], ElementsAre(0.25, 0, 0.25));
  const auto z = from_plane(plane, {1}, {2});
  EXPECT_TRUE(at::equal(z, at::tensor({0.F, 1.F, 0.F, 2.F}).view({1, 4})));
}

TEST(Plane, PrincipalAxesTurnTheEllipses) {
  // All variance along (1, 1) / sqrt 2.
  const auto t = at::linspace(-1, 1, 20, at::kDouble);
  const auto mu = at::stack({t, t, 0.01 * t}, 1);
  const auto plane = principal_plane(mu);
  EXPECT_THAT(plane.across_label, HasSubstr("(100 % of"));
  EXPECT_NEAR(std::abs(plane.across[0].item<double>()), std::sqrt(0.5), 1e-3);
  const auto flat = on_plane(plane, mu, at::tensor({1.0, 2.0, 1.0}).expand({20, 3}));
  EXPECT_NEAR(std::abs(flat.x[0]), std::sqrt(2.0), 1e-3);
  EXPECT_NEAR(flat.covariance[0][0], 2.5, 1e-3);  // (1 + 4) / 2
}

TEST(Plane, OneLatentUnitIsALine) {
  const auto plane = active_plane(at::randn({9, 1}));
  EXPECT_TRUE(plane.is_line());
  EXPECT_EQ(grid_points(even_range(-1, 1, 5), plane).x.size(), 5u);
}

TEST(Grid, CoordinatesArePriorQuantilesFromTheTopLeft) {
  const auto z = prior_quantiles(15);
  EXPECT_NEAR(z.front(), -1.6448536, 1e-6);
  EXPECT_NEAR(z[7], 0, 1e-9);
  EXPECT_NEAR(z.back(), 1.6448536, 1e-6);
  const auto points = grid_points({-1, 1}, active_plane(at::randn({9, 2})));
  EXPECT_THAT(points.x, ElementsAre(-1, 1, -1, 1));
  EXPECT_THAT(points.y, ElementsAre(1, 1, -1, -1)) << "the top row is the largest";
}

TEST(Sheet, ImagesStandInRowsWithGapsAndChannelsSideBySide) {
  const auto grey = tiled(at::tensor({0.F, 1.F, 2.F, -1.F, 0.5F, 0.F}).view({3, 2}),
                          {.height = 1, .width = 2}, /*columns=*/2, /*gap=*/1);
  EXPECT_EQ(grey.width, 5);
  EXPECT_EQ(grey.height, 3);
  EXPECT_THAT(grey.bytes,
              ElementsAre(0, 255, 255, 255, 0, 255, 255, 255, 255, 255, 128, 0, 255, 255, 255));
  const auto colour = tiled(at::tensor({0.F, 0.2F, 0.4F, 0.6F, 0.8F, 1.F}).view({1, 6}),
                            {.height = 1, .width = 2, .channels = 3}, 1, 0);
  EXPECT_THAT(colour.bytes, ElementsAre(0, 51, 102, 153, 204, 255));
}

TEST(UnitStatistics, AreTheClosedFormOfEachUnit) {
  const auto mu = at::tensor({0.F, 1.F, 0.F, -1.F}).view({2, 2});
  const auto sigma = at::tensor({1.F, 0.5F, 1.F, 0.5F}).view({2, 2});
  const auto units = unit_statistics(mu, sigma);
  EXPECT_NEAR(units[0].kl_nats, 0, 1e-12);
  EXPECT_NEAR(units[1].kl_nats, 0.5 * (1 + 0.25 - 1 - std::log(0.25)), 1e-6);
  EXPECT_FLOAT_EQ(units[1].sigma_mean, 0.5);
}

TEST(Sheet, IsAPngOfItsPixelsMagnified) {
  const auto images = at::tensor({0.F, 1.F, 0.2F, 0.4F, 0.6F, 0.8F}).view({3, 2});
  const auto png = sheet_png(images, {.height = 1, .width = 2}, /*columns=*/2);
  EXPECT_THAT(png, StartsWith("\x89PNG"));
  EXPECT_EQ(size_of(png), std::pair(600, 400)) << "6 x 4 pixels with their gaps, 100 times";
}

TEST(Sheet, ItsColoursAreRedGreenAndBlue) {
  const auto png = sheet_png(at::tensor({0.F, 0.2F, 0.4F, 0.6F, 0.8F, 1.F}).view({1, 6}),
                             {.height = 1, .width = 2, .channels = 3}, /*columns=*/1);
  std::string_view rest = png;
  const auto take = [](void* from, unsigned char* to, unsigned int count) {
    auto& bytes = *static_cast<std::string_view*>(from);
    if (bytes.size() < count) return CAIRO_STATUS_READ_ERROR;
    std::copy_n(bytes.begin(), count, to);
    bytes.remove_prefix(count);
    return CAIRO_STATUS_SUCCESS;
  };
  cairo_surface_t* surface = cairo_image_surface_create_from_png_stream(take, &rest);
  ASSERT_EQ(cairo_surface_status(surface), CAIRO_STATUS_SUCCESS);
  const auto* pixels = reinterpret_cast<const uint32_t*>(cairo_image_surface_get_data(surface));
  EXPECT_EQ(pixels[0] & 0xffffff, 0x003366U);
  EXPECT_EQ(pixels[cairo_image_surface_get_width(surface) - 1] & 0xffffff, 0x99ccffU);
  cairo_surface_destroy(surface);
}

TEST(Figures, AreDrawnFromAnyNumbers) {
  const auto nan = std::nan("");
  const auto mu = at::randn({40, 3}), sigma = at::rand({40, 3}) + 0.1;
  mu[3][1] = nan;
  const auto plane = active_plane(at::randn({40, 3}));
  const auto flat = on_plane(plane, mu, sigma);
  const std::vector<Figure> all = {
      posterior_ellipses({{1, flat}, {100, flat}}, plane),
      posterior_ellipses({}, plane),
      latent_scatter(flat, std::vector<uint8_t>(40, 7), plane, "means"),
      latent_scatter(flat, {}, plane, "means"),
      aggregated_posterior(on_plane(plane, at::randn({9, 3}), at::zeros({9, 3})), plane),
      latent_units(std::vector<UnitStatistics>(1)),
      latent_units(std::vector<UnitStatistics>(10000, {0.1, 0.5, 0.4, 0.6})),
      curve_figure({{"loss", "nats", {{"train", {1, 2}, {nan, nan}, line_colour(0)}}}}, "epoch"),
      curve_figure({{"loss", "nats", {}}}, "epoch"),
      image_sheet(at::rand({7, 12}), {2, 2, 3}, 3, "samples"),
      reconstructions(at::rand({7, 9}), at::rand({7, 9}), {3, 3}, 4)};
  for (const auto& figure : all) {
    const auto png = png_of(figure, 2);
    EXPECT_THAT(png, StartsWith("\x89PNG"));
    EXPECT_EQ(size_of(png).first, std::lround(figure.width * 2));
    EXPECT_THAT(svg_of(figure), HasSubstr("</svg>"));
  }
}

TEST(Figures, AnEllipseIsWhereItsGaussianIs) {
  // One posterior at (5, 5): its centre stays white, and its rim is drawn red to the right of it.
  const Plane plane = active_plane(at::randn({4, 2}));
  const FlatGaussians one{.x = {5}, .y = {5}, .covariance = {{4, 0, 1}}};
  const auto figure = posterior_ellipses({{1, one}}, plane);
  const auto bare = posterior_ellipses({{1, {}}}, plane);
  EXPECT_NE(png_of(figure), png_of(bare));
  const FlatGaussians outside{.x = {50}, .y = {5}, .covariance = {{1, 0, 1}}};
  EXPECT_EQ(svg_of(posterior_ellipses({{1, outside}}, plane)).find("nan"), std::string::npos);
}

}  // namespace
}  // namespace elbow::launch::figures
