#include "launch/cluster/messages.h"

#include <nlohmann/json.hpp>

namespace elbow::launch::cluster {
namespace {

using Json = nlohmann::json;
constexpr int kVersion = 2;

// JSON has no NaN.
Json number_or_null(double value) { return std::isfinite(value) ? Json(value) : Json(nullptr); }
double number_or_nan(const Json& json) {
  return json.is_null() ? std::numeric_limits<double>::quiet_NaN() : json.get<double>();
}

Json json_of(const sweep::Attributes& attributes) {
  Json json = Json::object();
  for (const auto& [name, value] : attributes)
    std::visit([&](const auto& held) { json[name] = held; }, value);
  return json;
}

sweep::Attributes attributes_of(const Json& json) {
  sweep::Attributes attributes;
  for (const auto& [name, value] : json.items()) {
    if (value.is_string()) {
      attributes[name] = value.get<std::string>();
    } else {
      attributes[name] = value.get<double>();
    }
  }
  return attributes;
}

Json json_of(const RowNews& news) {
  return {{"trial", news.trial},
          {"epoch", news.epoch},
          {"value", number_or_null(news.value)},
          {"end", static_cast<int>(news.end)},
          {"error", news.error},
          {"batch", news.batch},
          {"attributes", json_of(news.attributes)}};
}

RowNews news_of(const Json& json) {
  return {.trial = json.at("trial"),
          .epoch = json.at("epoch"),
          .value = number_or_nan(json.at("value")),
          .end = static_cast<RowEnd>(json.at("end").get<int>()),
          .error = json.at("error"),
          .batch = json.at("batch"),
          .attributes = attributes_of(json.at("attributes"))};
}

// Sentences may quote any bytes.
std::string text_of(const Json& json) {
  return json.dump(-1, ' ', /*ensure_ascii=*/false, Json::error_handler_t::replace);
}

template <class Read>
auto read(std::string_view letter, const Read& take) {
  try {
    const auto json = Json::parse(letter);
    if (json.at("version") != kVersion) throw BadLetter("a letter of another version of elbow");
    return take(json);
  } catch (const Json::exception& error) {
    throw BadLetter(error.what());
  }
}

}  // namespace

std::string letter_of(const Report& report) {
  Json json = {{"version", kVersion},
               {"group", report.group},
               {"number", report.number},
               {"rows", report.rows},
               {"batch", report.batch},
               {"running", report.running},
               {"news", Json::array()},
               {"examples_per_s", number_or_null(report.examples_per_s)},
               {"interrupted", report.interrupted},
               {"lost", report.lost},
               {"farewell", report.farewell}};
  for (const auto& news : report.news) json["news"].push_back(json_of(news));
  return text_of(json);
}

Report report_from(std::string_view letter) {
  return read(letter, [](const Json& json) {
    Report report{.group = json.at("group"),
                  .number = json.at("number"),
                  .rows = json.at("rows"),
                  .batch = json.at("batch"),
                  .running = json.at("running"),
                  .examples_per_s = number_or_nan(json.at("examples_per_s")),
                  .interrupted = json.at("interrupted"),
                  .lost = json.at("lost"),
                  .farewell = json.at("farewell")};
    for (const auto& news : json.at("news")) report.news.push_back(news_of(news));
    return report;
  });
}

std::string letter_of(const Orders& orders) {
  Json json = {{"version", kVersion},          {"number", orders.number},
               {"stop", orders.stop},          {"begin", Json::array()},
               {"leave", orders.leave},        {"dismissed", orders.dismissed},
               {"exit_code", orders.exit_code}};
  for (const auto& start : orders.begin)
    json["begin"].push_back(
        {{"trial", start.trial}, {"prune", start.prune}, {"source", start.source}});
  return text_of(json);
}

Orders orders_from(std::string_view letter) {
  return read(letter, [](const Json& json) {
    Orders orders{.number = json.at("number"),
                  .stop = json.at("stop"),
                  .leave = json.at("leave"),
                  .dismissed = json.at("dismissed"),
                  .exit_code = json.at("exit_code")};
    for (const auto& start : json.at("begin"))
      orders.begin.push_back({start.at("trial"), start.at("prune"), start.at("source")});
    return orders;
  });
}

}  // namespace elbow::launch::cluster
