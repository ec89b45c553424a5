#include "trainer/synthetic.h"

#include <algorithm>

#include "models/drawn_shapes.h"

namespace elbow::trainer {
namespace {

class DrawnSource final : public ExampleSource {
 public:
  explicit DrawnSource(const DrawnExamples& what) : what_(what) {}

  int64_t examples() const override { return what_.examples; }
  int64_t observed() const override { return what_.height * what_.width; }

  int64_t classes() const override { return models::kDrawnShapes; }
  int64_t attributes() const override { return kDrawnAttributes; }
  int64_t label(int64_t index) const override { return static_cast<int64_t>(factors(index).shape); }

  // The shape as one of ten, then the continuous factors, each from -1 to 1.
  void read_attributes(int64_t index, float* out) const override {
    const auto f = factors(index);
    std::fill_n(out, models::kDrawnShapes, 0.0f);
    out[static_cast<int>(f.shape)] = 1;
    out += models::kDrawnShapes;
    const auto turned = models::unit_vector(f.rotation);
    const float room = 0.47f - f.size - 0.5f * f.thickness;  // as drawn_factors() leaves it
    *out++ = f.x / room;
    *out++ = f.y / room;
    *out++ = (f.size - 0.27f) / 0.11f;
    *out++ = turned.x;
    *out++ = turned.y;
    *out++ = (f.thickness - 0.095f) / 0.045f;
    *out++ = (f.brightness - 0.75f) / 0.25f;
  }

  void read(std::span<const int64_t> indices, uint8_t* out) const override {
    for (const int64_t index : indices) {
      models::draw_example(what_.seed, static_cast<uint32_t>(what_.first_index + index),
                           what_.height, what_.width, out);
      out += observed();
    }
  }

 private:
  models::DrawnFactors factors(int64_t index) const {
    return models::drawn_factors(what_.seed, static_cast<uint32_t>(what_.first_index + index));
  }

  const DrawnExamples what_;
};

}  // namespace

std::shared_ptr<const ExampleSource> make_drawn_examples(const DrawnExamples& what) {
  return std::make_shared<DrawnSource>(what);
}

}  // namespace elbow::trainer
