#include "trainer/checkpoint_manifest.h"

#include <fmt/format.h>
#include <xxhash.h>

#include <charconv>
#include <nlohmann/json.hpp>

#include "trainer/error.h"

namespace elbow::trainer {
namespace {

using Json = nlohmann::ordered_json;

constexpr const char* kFormat = "elbow checkpoint";
constexpr uint64_t kVersion = 1;

[[noreturn]] void fail(const std::string& why) { throw DamagedCheckpoint(why); }

uint64_t whole(const Json& object, const char* name) {
  if (!object.is_object() || !object.contains(name) || !object[name].is_number_unsigned())
    fail(fmt::format("it has no count '{}'", name));
  return object[name].get<uint64_t>();
}

uint64_t hash_in(const Json& object) {
  if (!object.contains("xxh3") || !object["xxh3"].is_string()) fail("it has no hash 'xxh3'");
  const auto text = object["xxh3"].get<std::string>();
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, 16);
  if (error != std::errc() || end != text.data() + text.size()) fail("a hash is not hexadecimal");
  return value;
}

}  // namespace

FileSeal seal_of(std::span<const uint8_t> bytes) {
  return {bytes.size(), XXH3_64bits(bytes.data(), bytes.size())};
}

std::string manifest_text(const CheckpointManifest& manifest) {
  Json json = {{"format", kFormat},
               {"version", kVersion},
               {"step", manifest.step},
               {"files", Json::object()}};
  for (const auto& [name, seal] : manifest.files)
    json["files"][name] = {{"bytes", seal.bytes}, {"xxh3", fmt::format("{:016x}", seal.xxh3)}};
  const auto text = [&] {
    return json.dump(/*indent=*/1, ' ', /*ensure_ascii=*/true, Json::error_handler_t::replace) +
           "\n";
  };
  const auto unsealed = text();
  json["manifest_xxh3"] = fmt::format("{:016x}", XXH3_64bits(unsealed.data(), unsealed.size()));
  return text();
}

CheckpointManifest parse_manifest(std::string_view text) {
  const Json json = Json::parse(text, /*callback=*/nullptr, /*allow_exceptions=*/false);
  if (json.is_discarded()) fail("it is not JSON");
  if (!json.is_object() || !json.contains("format") || json["format"] != kFormat)
    fail("it is not the manifest of a checkpoint");
  if (const uint64_t version = whole(json, "version"); version != kVersion)
    fail(fmt::format("its format has version {}, and this elbow reads version {}", version,
                     kVersion));
  CheckpointManifest manifest;
  const uint64_t step = whole(json, "step");
  if (step > INT64_MAX) fail("its step is too large");
  manifest.step = static_cast<int64_t>(step);
  if (!json.contains("files") || !json["files"].is_object()) fail("it lists no files");
  for (const auto& [name, entry] : json["files"].items())
    manifest.files[name] = {whole(entry, "bytes"), hash_in(entry)};
  if (manifest_text(manifest) != text) fail("its text is not the one that its values seal");
  return manifest;
}

}  // namespace elbow::trainer
