#include "trainer/checkpoint_state.h"

#include <fmt/format.h>

#include <cmath>
#include <limits>

#include "trainer/error.h"
#include "trainer/metric_sums.h"
#include "trainer/metrics_json.h"

namespace elbow::trainer {
namespace {

using Json = nlohmann::ordered_json;

[[noreturn]] void fail(const std::string& why) { throw DamagedCheckpoint(why); }

// --- Single values -------------------------------------------------------------------------------

// JSON has no infinity and no NaN, so those are words.
Json from_number(double value) {
  if (std::isfinite(value)) return value;
  return std::isnan(value) ? "nan" : value > 0 ? "inf" : "-inf";
}

const Json& member(const Json& object, const char* name) {
  if (!object.is_object() || !object.contains(name)) fail(fmt::format("it has no '{}'", name));
  return object[name];
}

const Json& list(const Json& object, const char* name) {
  const Json& value = member(object, name);
  if (!value.is_array()) fail(fmt::format("'{}' is not a list", name));
  return value;
}

double to_number(const Json& value, const char* name) {
  if (value.is_number()) return value.get<double>();
  if (value == "nan") return std::numeric_limits<double>::quiet_NaN();
  if (value == "inf") return std::numeric_limits<double>::infinity();
  if (value == "-inf") return -std::numeric_limits<double>::infinity();
  fail(fmt::format("'{}' is not a number", name));
}

double number(const Json& object, const char* name) {
  return to_number(member(object, name), name);
}

// Counts are not negative, and seeds may use all 64 bits.
uint64_t whole(const Json& object, const char* name) {
  const Json& value = member(object, name);
  if (!value.is_number_unsigned()) fail(fmt::format("'{}' is not a whole number", name));
  return value.get<uint64_t>();
}

int64_t count(const Json& object, const char* name) {
  const uint64_t value = whole(object, name);
  if (value > INT64_MAX) fail(fmt::format("'{}' is too large", name));
  return static_cast<int64_t>(value);
}

std::string text(const Json& value, const char* name) {
  if (!value.is_string()) fail(fmt::format("'{}' is not text", name));
  return value.get<std::string>();
}

std::map<std::string, std::string> texts(const Json& object, const char* name) {
  const Json& value = member(object, name);
  if (!value.is_object()) fail(fmt::format("'{}' is not an object", name));
  std::map<std::string, std::string> result;
  for (const auto& [key, entry] : value.items()) result[key] = text(entry, name);
  return result;
}

SplitMetrics metrics(const Json& value) {
  try {
    return metrics_from_json(value);
  } catch (const DataError& error) {
    fail(error.what());
  }
}

// --- One row -------------------------------------------------------------------------------------

Json row_json(const RowSnapshot& row, const TrialProgress& progress) {
  Json json = {{"seed", row.seed},
               {"epoch", row.epoch},
               {"step", row.step},
               {"beta", from_number(row.beta)},
               {"lr", from_number(row.lr)},
               {"rate_factor", from_number(row.rate_factor)},
               {"sums", Json::array()},
               {"epochs_done", progress.epochs_done},
               {"final", Json::array()},
               {"best", progress.best ? metrics_json(*progress.best) : Json(nullptr)},
               {"train_seconds", from_number(progress.train_seconds)},
               {"train_examples", from_number(progress.train_examples)},
               {"seconds", from_number(progress.seconds)},
               {"rollbacks", progress.rollbacks},
               {"warnings", progress.warnings},
               {"metrics_bytes", progress.metrics_bytes}};
  for (const double sum : row.sums) json["sums"].push_back(from_number(sum));
  for (const auto& entry : progress.final_metrics) json["final"].push_back(metrics_json(entry));
  return json;
}

RowSnapshot row_from(const Json& json) {
  RowSnapshot snapshot{.seed = whole(json, "seed"),
                       .beta = number(json, "beta"),
                       .lr = number(json, "lr"),
                       .rate_factor = number(json, "rate_factor"),
                       .epoch = count(json, "epoch"),
                       .step = count(json, "step")};
  for (const Json& sum : list(json, "sums")) snapshot.sums.push_back(to_number(sum, "sums"));
  if (snapshot.sums.size() != kMetricSums)
    fail(fmt::format("'sums' has {} numbers instead of {}", snapshot.sums.size(),
                     static_cast<int>(kMetricSums)));
  return snapshot;
}

TrialProgress progress_from(const Json& json) {
  TrialProgress progress{.epochs_done = count(json, "epochs_done"),
                         .train_seconds = number(json, "train_seconds"),
                         .train_examples = number(json, "train_examples"),
                         .seconds = number(json, "seconds"),
                         .rollbacks = count(json, "rollbacks"),
                         .metrics_bytes = whole(json, "metrics_bytes")};
  for (const Json& entry : list(json, "final")) progress.final_metrics.push_back(metrics(entry));
  if (const Json& best = member(json, "best"); !best.is_null()) progress.best = metrics(best);
  for (const Json& warning : list(json, "warnings"))
    progress.warnings.push_back(text(warning, "warnings"));
  return progress;
}

}  // namespace

std::string state_text(const Checkpoint& checkpoint) {
  Json json = {{"batch", checkpoint.snapshot.batch},
               {"epoch_seconds", from_number(checkpoint.snapshot.epoch_seconds)},
               {"rows", Json::array()},
               {"settings", checkpoint.identity.settings},
               {"exact_settings", checkpoint.identity.exact_settings},
               {"data_sha256", checkpoint.identity.data_sha256}};
  for (size_t k = 0; k < checkpoint.snapshot.rows.size(); ++k)
    json["rows"].push_back(row_json(checkpoint.snapshot.rows[k], checkpoint.progress.at(k)));
  return json.dump(/*indent=*/1, ' ', /*ensure_ascii=*/true, Json::error_handler_t::replace) + "\n";
}

Checkpoint parse_state(std::string_view stored) {
  const Json json = Json::parse(stored, /*callback=*/nullptr, /*allow_exceptions=*/false);
  if (json.is_discarded()) fail("it is not JSON");
  Checkpoint checkpoint;
  checkpoint.snapshot.batch = count(json, "batch");
  checkpoint.snapshot.epoch_seconds = number(json, "epoch_seconds");
  for (const Json& row : list(json, "rows")) {
    checkpoint.snapshot.rows.push_back(row_from(row));
    checkpoint.progress.push_back(progress_from(row));
  }
  if (checkpoint.snapshot.rows.empty()) fail("it has no row");
  checkpoint.identity.settings = texts(json, "settings");
  checkpoint.identity.exact_settings = texts(json, "exact_settings");
  for (const Json& hash : list(json, "data_sha256"))
    checkpoint.identity.data_sha256.push_back(text(hash, "data_sha256"));
  return checkpoint;
}

}  // namespace elbow::trainer
