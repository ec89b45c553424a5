#include "launch/doctor/facts.h"

#include <fmt/format.h>

#include <stdexcept>

#include "launch/doctor/facts_json.h"

namespace elbow::launch::doctor {

using Json = nlohmann::json;

std::string text_of(const RankFacts& facts) {
  return Json(facts).dump(-1, ' ', /*ensure_ascii=*/false, Json::error_handler_t::replace);
}

RankFacts rank_facts_from(const std::string& text) { return Json::parse(text).get<RankFacts>(); }

RankFacts replaced(const RankFacts& facts, const std::string& patch) {
  try {
    Json json = facts;
    json.merge_patch(Json::parse(patch));
    return json.get<RankFacts>();
  } catch (const Json::exception& error) {
    throw std::invalid_argument(error.what());
  }
}

}  // namespace elbow::launch::doctor
