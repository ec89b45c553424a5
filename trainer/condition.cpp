#include "trainer/condition.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "models/binarisation.h"
#include "models/philox.h"
#include "trainer/error.h"

namespace elbow::trainer {
namespace {

// Draws of the condition's stream.
constexpr uint32_t kGivenNumbers = 0, kHidden = 1;

std::vector<int64_t> numbers_after(const std::string& mask, size_t colon) {
  std::vector<int64_t> numbers;
  const char* at = mask.data() + colon;
  const char* end = mask.data() + mask.size();
  while (at != end) {
    int64_t number = 0;
    const auto [rest, error] = std::from_chars(at + 1, end, number);
    if (*at != ':' || error != std::errc() || number < 0) return {};
    numbers.push_back(number);
    at = rest;
  }
  return numbers;
}

struct Box {
  int64_t top, left, height, width;
};

[[noreturn]] void refuse_mask(const std::string& mask, const std::string& why) {
  throw SettingError(fmt::format(
      "data.mask = {} {}; allowed: column:N, row:N (from 0), half:left|right|top|bottom, "
      "quadrants:1|2|3 or box:TOP:LEFT:HEIGHT:WIDTH",
      mask, why));
}

// The boxes that together are given. Quadrants as in Pyro's CVAE example: lower left, left half,
// all but the upper right.
std::vector<Box> boxes_of(const std::string& mask, int64_t height, int64_t width) {
  const auto colon = mask.find(':');
  const auto kind = mask.substr(0, colon);
  const auto word = colon == std::string::npos ? "" : mask.substr(colon + 1);
  const int64_t middle = height / 2, centre = width / 2;
  const auto n = colon == std::string::npos ? std::vector<int64_t>() : numbers_after(mask, colon);
  if (kind == "column" && n.size() == 1) return {{0, n[0], height, 1}};
  if (kind == "row" && n.size() == 1) return {{n[0], 0, 1, width}};
  if (kind == "box" && n.size() == 4) return {{n[0], n[1], n[2], n[3]}};
  if (kind == "half" && word == "left") return {{0, 0, height, centre}};
  if (kind == "half" && word == "right") return {{0, centre, height, width - centre}};
  if (kind == "half" && word == "top") return {{0, 0, middle, width}};
  if (kind == "half" && word == "bottom") return {{middle, 0, height - middle, width}};
  if (kind == "quadrants" && word == "1") return {{middle, 0, height - middle, centre}};
  if (kind == "quadrants" && word == "2") return {{0, 0, height, centre}};
  if (kind == "quadrants" && word == "3")
    return {{0, 0, height, centre}, {middle, centre, height - middle, width - centre}};
  refuse_mask(mask, "is no part of a picture");
}

void check_labels(const Split& split, int64_t classes) {
  if (split.examples() == 0) return;
  const auto largest = split.labels.max().item<int64_t>();
  if (largest < classes) return;
  throw DataError(fmt::format(
      "split '{}' has the label {}, but the train split's go up to {}: give data whose classes are "
      "all trained on",
      split.name, largest, classes - 1));
}

int64_t classes_of(const Dataset& data) {
  if (data.train.source && data.train.source->classes() > 0) return data.train.source->classes();
  for (const auto* split : {&data.train, &data.validation, &data.test}) {
    if (split->examples() > 0 && !split->labels.defined())
      throw SettingError(fmt::format(
          "model.condition = label needs labels, and split '{}' has none: give data.train_labels "
          "and data.test_labels",
          split->name));
  }
  const int64_t classes = data.train.labels.max().item<int64_t>() + 1;
  check_labels(data.validation, classes);
  check_labels(data.test, classes);
  return classes;
}

int64_t attributes_of(const Dataset& data) {
  if (data.train.source && data.train.source->attributes() > 0)
    return data.train.source->attributes();
  if (!data.train.attributes.defined() || !data.test.attributes.defined())
    throw SettingError(
        "model.condition = attributes needs data.train_attributes and data.test_attributes, .npy "
        "or "
        "IDX files of one line of numbers an example");
  return data.train.attributes.size(1);
}

void plan_mask(ConditionPlan& plan, const Settings& settings, const Dataset& data) {
  plan.given = given_places(settings.data.mask, data);
  std::vector<bool> is_given(static_cast<size_t>(plan.picture), false);
  for (const int64_t place : plan.given) is_given[place] = true;
  plan.width = std::ssize(plan.given);
  if (settings.data.condition_binarise == "none") plan.binarise = Binarise::kNone;
  if (settings.data.condition_binarise == "threshold") plan.binarise = Binarise::kThreshold;
  if (settings.data.condition_binarise == "stochastic") plan.binarise = Binarise::kStochastic;
  if (settings.model.kind == "bottleneck") return;  // it is to explain the whole picture
  for (int64_t place = 0; place < plan.picture; ++place)
    if (!is_given[place]) plan.target.push_back(place);
  plan.observed = std::ssize(plan.target);
}

void put_label(int64_t label, int64_t classes, float* out) {
  std::fill_n(out, classes, 0.0f);
  out[label] = 1;
}

// Grey numbers that are given, drawn or cut by themselves.
void binarise_given(const ConditionPlan& plan, const BatchRequest& request, uint32_t example,
                    float* values) {
  if (plan.binarise == Binarise::kThreshold) {
    const auto threshold = static_cast<float>(request.threshold);
    for (int64_t j = 0; j < std::ssize(plan.given); ++j)
      values[j] = values[j] * 255.0f >= threshold ? 1.0f : 0.0f;
    return;
  }
  if (plan.binarise != Binarise::kStochastic) return;
  const models::StreamKey key{request.measured ? models::kStaticBinarisationSeed : request.seed,
                              models::Purpose::kConditionMask, request.measured ? 0 : request.time,
                              example, kGivenNumbers};
  constexpr double kWords = 4294967296.0;
  for (int64_t begin = 0; begin < std::ssize(plan.given); begin += 4) {
    const auto random = models::random_block(key, static_cast<uint32_t>(begin / 4));
    for (int64_t j = begin; j < std::min<int64_t>(begin + 4, std::ssize(plan.given)); ++j)
      values[j] = random.word[j - begin] < values[j] * kWords ? 1.0f : 0.0f;
  }
}

bool is_hidden(const ConditionPlan& plan, const BatchRequest& request, uint32_t example) {
  if (request.measured || plan.dropout == 0) return false;
  const auto random = models::random_block(
      {request.seed, models::Purpose::kConditionMask, request.time, example, kHidden}, 0);
  return models::uniform_open(random.word[0]) < plan.dropout;
}

void take(const std::vector<int64_t>& places, const float* picture, float* out) {
  for (const int64_t place : places) *out++ = picture[place];
}

// x and, where it is a part of the picture, c.
void gather_parts_of_pictures(const Split& split, std::span<const int64_t> indices,
                              const BatchRequest& request, const ConditionPlan& plan,
                              const at::Tensor& x, const at::Tensor& condition) {
  const auto count = static_cast<int64_t>(indices.size());
  const auto pictures = at::empty({count, plan.picture});
  gather(split, indices, request, pictures);
  const float* picture = pictures.const_data_ptr<float>();
  float* out = x.mutable_data_ptr<float>();
  if (plan.target.empty()) std::copy_n(picture, count * plan.picture, out);
  for (int64_t i = 0; i < count && !plan.target.empty(); ++i)
    take(plan.target, picture + i * plan.picture, out + i * plan.observed);
  if (plan.binarise && request.binarise != Binarise::kNone) {
    auto grey = request;
    grey.binarise = Binarise::kNone;
    gather(split, indices, grey, pictures);
  }
  float* c = condition.mutable_data_ptr<float>();
  for (int64_t i = 0; i < count; ++i, c += plan.width) {
    take(plan.given, picture + i * plan.picture, c);
    if (plan.binarise)
      binarise_given(plan, request, request.first_index + static_cast<uint32_t>(indices[i]), c);
  }
}

void gather_known(const Split& split, std::span<const int64_t> indices, const ConditionPlan& plan,
                  const at::Tensor& condition) {
  float* c = condition.mutable_data_ptr<float>();
  for (const int64_t index : indices) {
    const bool drawn = split.source && split.source->attributes() > 0;
    if (plan.kind == ConditionKind::kLabel) {
      put_label(drawn ? split.source->label(index) : split.labels.const_data_ptr<uint8_t>()[index],
                plan.values(), c);
    } else if (drawn) {
      split.source->read_attributes(index, c);
    } else {
      std::copy_n(split.attributes.const_data_ptr<float>() + index * plan.values(), plan.values(),
                  c);
    }
    c += plan.width;
  }
}

}  // namespace

std::vector<int64_t> given_places(const std::string& mask, const Dataset& data) {
  std::vector<bool> given(static_cast<size_t>(data.height * data.width), false);
  for (const auto& box : boxes_of(mask, data.height, data.width)) {
    if (box.height < 1 || box.width < 1 || box.top + box.height > data.height ||
        box.left + box.width > data.width) {
      refuse_mask(
          mask, fmt::format("does not lie within the images of {} x {}", data.height, data.width));
    }
    for (int64_t row = box.top; row < box.top + box.height; ++row) {
      for (int64_t column = box.left; column < box.left + box.width; ++column)
        given[row * data.width + column] = true;
    }
  }
  std::vector<int64_t> places;
  for (int64_t pixel = 0; pixel < std::ssize(given); ++pixel) {
    for (int64_t channel = 0; channel < data.channels && given[pixel]; ++channel)
      places.push_back(pixel * data.channels + channel);
  }
  if (std::ssize(places) == data.observed())
    refuse_mask(mask, "gives the whole picture, and nothing is left to explain");
  return places;
}

ConditionPlan condition_plan(const Settings& settings, const Dataset& data) {
  ConditionPlan plan{.observed = data.observed(), .picture = data.observed()};
  const auto& what = settings.model.condition;
  if (what == "none") return plan;
  if (what == "label") {
    plan.kind = ConditionKind::kLabel;
    plan.width = classes_of(data);
  } else if (what == "attributes") {
    plan.kind = ConditionKind::kAttributes;
    plan.width = attributes_of(data);
  } else {
    plan.kind = ConditionKind::kMask;
    plan_mask(plan, settings, data);
  }
  plan.dropout = settings.model.condition_dropout;
  if (plan.dropout > 0) ++plan.width;
  return plan;
}

void gather_pair(const Split& split, std::span<const int64_t> indices, const BatchRequest& request,
                 const ConditionPlan& plan, at::Tensor x, at::Tensor condition) {
  if (plan.kind == ConditionKind::kNone) return gather(split, indices, request, x);
  if (plan.kind == ConditionKind::kMask) {
    gather_parts_of_pictures(split, indices, request, plan, x, condition);
  } else {
    gather(split, indices, request, x);
    gather_known(split, indices, plan, condition);
  }
  if (plan.dropout == 0) return;
  float* c = condition.mutable_data_ptr<float>();
  for (const int64_t index : indices) {
    c[plan.width - 1] = 1;
    if (is_hidden(plan, request, request.first_index + static_cast<uint32_t>(index)))
      std::fill_n(c, plan.width, 0.0f);
    c += plan.width;
  }
}

at::Tensor explained_part(const ConditionPlan& plan, const at::Tensor& examples) {
  if (plan.target.empty()) return examples;
  return examples.index_select(-1, at::tensor(plan.target, at::kLong));
}

at::Tensor whole_pictures(const ConditionPlan& plan, const at::Tensor& x,
                          const at::Tensor& condition) {
  if (plan.target.empty()) return x;
  auto pictures = at::empty({x.size(0), plan.picture});
  pictures.index_copy_(1, at::tensor(plan.target, at::kLong), x);
  pictures.index_copy_(1, at::tensor(plan.given, at::kLong), condition.narrow(1, 0, plan.values()));
  return pictures;
}

at::Tensor condition_of_label(const ConditionPlan& plan, int64_t label) {
  if (plan.kind != ConditionKind::kLabel)
    throw SettingError(
        "a label is asked for, but the model's condition is none: look at model.condition in the "
        "run's config.cfg");
  if (label < 0 || label >= plan.values())
    throw SettingError(
        fmt::format("the label {} is not among the classes 0 to {}", label, plan.values() - 1));
  auto c = at::ones({plan.width});
  put_label(label, plan.values(), c.mutable_data_ptr<float>());
  return c;
}

at::Tensor condition_of_attributes(const ConditionPlan& plan, const std::vector<double>& values) {
  if (plan.kind != ConditionKind::kAttributes)
    throw SettingError(
        "attributes are asked for, but the model's condition is another: look at model.condition "
        "in "
        "the run's config.cfg");
  if (std::ssize(values) != plan.values())
    throw SettingError(fmt::format("{} attributes are given, and the model takes {}", values.size(),
                                   plan.values()));
  auto c = at::ones({plan.width});
  for (int64_t j = 0; j < plan.values(); ++j) c[j] = values[j];
  return c;
}

}  // namespace elbow::trainer
