#include "trainer/synthetic.h"

#include "models/drawn_shapes.h"

namespace elbow::trainer {
namespace {

class DrawnSource final : public ExampleSource {
 public:
  explicit DrawnSource(const DrawnExamples& what) : what_(what) {}

  int64_t examples() const override { return what_.examples; }
  int64_t observed() const override { return what_.height * what_.width; }

  void read(std::span<const int64_t> indices, uint8_t* out) const override {
    for (const int64_t index : indices) {
      models::draw_example(what_.seed, static_cast<uint32_t>(what_.first_index + index),
                           what_.height, what_.width, out);
      out += observed();
    }
  }

 private:
  const DrawnExamples what_;
};

}  // namespace

std::shared_ptr<const ExampleSource> make_drawn_examples(const DrawnExamples& what) {
  return std::make_shared<DrawnSource>(what);
}

}  // namespace elbow::trainer
