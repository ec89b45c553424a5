#include "trainer/run_files.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <chrono>

#include "trainer/build_info.h"
#include "trainer/error.h"
#include "trainer/file_bytes.h"
#include "trainer/metrics_json.h"
#include "trainer/text_file.h"

namespace elbow::trainer {
namespace {

using Json = nlohmann::ordered_json;

const char* text_of(RunStatus status) {
  switch (status) {
    case RunStatus::kComplete:
      return "complete";
    case RunStatus::kInterrupted:
      return "interrupted";
    case RunStatus::kPruned:
      return "pruned";
    case RunStatus::kFailed:
      break;
  }
  return "failed";
}

// Arguments and paths may be any bytes; what is not UTF-8 is replaced rather than refused.
void write_json(const std::filesystem::path& file, const Json& json) {
  replace_text_file(
      file,
      json.dump(/*indent=*/2, ' ', /*ensure_ascii=*/false, Json::error_handler_t::replace) + "\n");
}

}  // namespace

void write_manifest(const std::filesystem::path& file, const Manifest& manifest) {
  const BuildInfo& build = build_info();
  Json json = {{"arguments", manifest.arguments},
               {"started", manifest.started},
               {"versions",
                {{"elbow", build.elbow},
                 {"git_revision", build.git_revision},
                 {"libtorch", build.libtorch},
                 {"mpi", manifest.mpi},
                 {"compiler", build.compiler}}},
               {"backend", manifest.backend},
               {"threads_per_rank", manifest.threads_per_rank},
               {"ranks", Json::array()},
               {"data_files", Json::array()},
               {"exact_settings", manifest.exact_settings}};
  if (!manifest.init_from.empty()) json["init_from"] = manifest.init_from;
  for (const RankPlace& place : manifest.ranks)
    json["ranks"].push_back({{"host", place.host}, {"device", place.device}});
  for (const DataFile& data : manifest.data_files) {
    json["data_files"].push_back(
        {{"name", data.name},
         {"sha256", data.sha256.empty() ? Json(nullptr) : Json(data.sha256)},
         {"known_as", data.known_as}});
    if (!data.note.empty()) json["data_files"].back()["note"] = data.note;
  }
  write_json(file, json);
}

void write_result(const std::filesystem::path& file, const RunResult& result) {
  Json json = {{"status", text_of(result.status)},
               {"exit_code", result.exit_code},
               {"error", result.error.empty() ? Json(nullptr) : Json(result.error)},
               {"epochs_done", result.epochs_done},
               {"steps_done", result.steps_done}};
  put_number(json, "seconds", result.seconds);
  put_number(json, "examples_per_s", result.examples_per_s);
  json["final"] = Json::object();
  for (const SplitMetrics& metrics : result.final_metrics)
    json["final"][metrics.split] = metrics_json(metrics);
  if (!result.recon_floor_nats.empty()) json["recon_floor_nats"] = result.recon_floor_nats;
  json["best"] = result.best ? metrics_json(*result.best) : Json(nullptr);
  json["weights"] = result.weights.empty() ? Json(nullptr) : Json(result.weights);
  json["interrupted_by"] =
      result.interrupted_by.empty() ? Json(nullptr) : Json(result.interrupted_by);
  json["rollbacks"] = result.rollbacks;
  json["healed"] = result.healed;
  json["warnings"] = result.warnings;
  write_json(file, json);
}

std::optional<RunStatus> status_in(const std::filesystem::path& file) {
  Json json;
  try {
    json = Json::parse(read_file(file), /*callback=*/nullptr, /*allow_exceptions=*/false);
  } catch (const DataError&) {
    return std::nullopt;
  }
  if (!json.is_object() || !json.contains("status")) return std::nullopt;
  for (const auto status :
       {RunStatus::kComplete, RunStatus::kFailed, RunStatus::kInterrupted, RunStatus::kPruned})
    if (json["status"] == text_of(status)) return status;
  return std::nullopt;
}

std::string utc_now() {
  const auto now = std::chrono::system_clock::to_time_t(std::chrono::system_clock::now());
  return fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(now));
}

}  // namespace elbow::trainer
