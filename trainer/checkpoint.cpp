#include "trainer/checkpoint.h"

#include <ATen/ATen.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <charconv>
#include <stdexcept>
#include <system_error>

#include "trainer/checkpoint_manifest.h"
#include "trainer/error.h"
#include "trainer/file_bytes.h"

namespace elbow::trainer {
namespace {

namespace fs = std::filesystem;
using Bytes = std::vector<uint8_t>;

constexpr const char* kModel = "model.safetensors";
constexpr const char* kOptimizer = "optimizer.safetensors";
constexpr const char* kState = "state.json";
constexpr const char* kManifest = "manifest.json";
constexpr const char* kTemporary = ".tmp_";
constexpr const char* kReplacement = ".tmp";  // of trainer/file_bytes.h
constexpr std::string_view kStep = "step_";

// A name that no other writer takes, living or dead.
fs::path temporary_in(const fs::path& folder, const fs::path& name) {
  static std::atomic<int64_t> number{0};
  return folder / fmt::format("{}{}.{}.{}", kTemporary, name.string(), ::getpid(), ++number);
}

std::string prefix_of(size_t row, size_t rows) {
  return rows == 1 ? "" : fmt::format("rows.{}.", row);
}

Bytes bytes_of(std::string_view text) { return {text.begin(), text.end()}; }
std::string_view text_of(const Bytes& bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

void write(const fs::path& file, const Bytes& bytes) {
  const std::span<const uint8_t> whole(bytes);
  write_synced(file, std::span(&whole, 1));
}

void write_files(const fs::path& folder, const Checkpoint& checkpoint, const TensorNames& names) {
  CheckpointManifest manifest{.step = checkpoint.step()};
  const auto put = [&](const char* name, const Bytes& bytes) {
    manifest.files[name] = seal_of(bytes);
    write(folder / name, bytes);
  };
  const auto& rows = checkpoint.snapshot.rows;
  std::vector<NamedTensor> model, optimizer;
  for (size_t k = 0; k < rows.size(); ++k)
    put_row(rows[k], names, prefix_of(k, rows.size()), model, optimizer);
  put(kModel, safetensors_bytes(model));
  put(kOptimizer, safetensors_bytes(optimizer));
  put(kState, bytes_of(state_text(checkpoint)));
  write(folder / kManifest, bytes_of(manifest_text(manifest)));
}

// Puts a finished folder in its place.
void move_into_place(const fs::path& from, const fs::path& to) {
  if (fs::exists(to)) {
    const auto old = temporary_in(to.parent_path(), to.filename());
    fs::rename(to, old);
    fs::rename(from, to);
    fs::remove_all(old);
  } else {
    fs::rename(from, to);
  }
  sync_path(to.parent_path());
}

[[noreturn]] void fail(const fs::path& folder, const char* file, const std::string& why) {
  throw DamagedCheckpoint(
      fmt::format("the checkpoint {} is damaged: {}: {}", folder.string(), file, why));
}

// What `read` makes of a file; whatever is wrong with it is told with the file's name.
template <class Read>
auto reading(const fs::path& folder, const char* file, const Read& read) {
  try {
    return read();
  } catch (const std::runtime_error& error) {
    fail(folder, file, error.what());
  }
}

Bytes sealed_file(const fs::path& folder, const char* file, const CheckpointManifest& manifest) {
  const auto seal = manifest.files.find(file);
  if (seal == manifest.files.end()) fail(folder, kManifest, fmt::format("it lacks {}", file));
  auto bytes = reading(folder, file, [&] { return read_file(folder / file); });
  const auto found = seal_of(bytes);
  if (found.bytes != seal->second.bytes)
    fail(folder, file,
         fmt::format("it has {} bytes instead of {}", found.bytes, seal->second.bytes));
  if (found.xxh3 != seal->second.xxh3)
    fail(folder, file,
         fmt::format("its XXH3 is {:016x} instead of {:016x}", found.xxh3, seal->second.xxh3));
  return bytes;
}

std::optional<int64_t> step_named(const std::string& name) {
  if (!name.starts_with(kStep)) return std::nullopt;
  int64_t step = 0;
  const char* end = name.data() + name.size();
  const auto [rest, error] = std::from_chars(name.data() + kStep.size(), end, step);
  if (error != std::errc() || rest != end || step < 0) return std::nullopt;
  return step;
}

std::vector<fs::path> entries_of(const fs::path& folder) {
  std::vector<fs::path> entries;
  std::error_code ignored;
  for (fs::directory_iterator entry(folder, ignored), end; entry != end; entry.increment(ignored))
    entries.push_back(entry->path());
  return entries;
}

}  // namespace

void write_checkpoint(const RunDirectory& directory, const Checkpoint& checkpoint,
                      const TensorNames& names) {
  const auto place = directory.checkpoint(checkpoint.step());
  if (fs::create_directory(directory.checkpoints())) sync_path(directory.path());
  const auto temporary = temporary_in(directory.checkpoints(), place.filename());
  try {
    fs::create_directory(temporary);
    write_files(temporary, checkpoint, names);
    sync_path(temporary);
    move_into_place(temporary, place);
  } catch (...) {
    std::error_code ignored;
    fs::remove_all(temporary, ignored);
    throw;
  }
}

StoredCheckpoint read_checkpoint(const fs::path& folder) {
  const auto manifest = reading(folder, kManifest, [&] {
    const auto bytes = read_file(folder / kManifest);
    return parse_manifest(text_of(bytes));
  });
  if (step_named(folder.filename().string()) != manifest.step)
    fail(folder, kManifest, fmt::format("it is of step {}", manifest.step));
  const auto model = sealed_file(folder, kModel, manifest);
  const auto optimizer = sealed_file(folder, kOptimizer, manifest);
  const auto state = sealed_file(folder, kState, manifest);
  StoredCheckpoint stored{.folder = folder};
  stored.model = reading(folder, kModel, [&] { return parse_safetensors(model, kModel).tensors; });
  stored.optimizer =
      reading(folder, kOptimizer, [&] { return parse_safetensors(optimizer, kOptimizer).tensors; });
  stored.checkpoint = reading(folder, kState, [&] { return parse_state(text_of(state)); });
  if (stored.checkpoint.step() != manifest.step)
    fail(folder, kState, fmt::format("it is of step {}", stored.checkpoint.step()));
  return stored;
}

Newest load_newest(const RunDirectory& directory, int64_t before) {
  Newest newest;
  auto steps = checkpoint_steps(directory);
  std::erase_if(steps, [&](int64_t step) { return step >= before; });
  std::reverse(steps.begin(), steps.end());
  for (const int64_t step : steps) {
    try {
      newest.checkpoint = read_checkpoint(directory.checkpoint(step));
      return newest;
    } catch (const DamagedCheckpoint& error) {
      newest.damaged.emplace_back(error.what());
    }
  }
  if (!steps.empty())
    throw DamagedCheckpoint(fmt::format(
        "{}; {} there: restore one from a copy, or train anew with another --out",
        newest.damaged.front(),
        steps.size() == 1 ? "no other is" : fmt::format("none of {} is good", steps.size())));
  return newest;
}

void put_row(const RowSnapshot& row, const TensorNames& names, const std::string& prefix,
             std::vector<NamedTensor>& model, std::vector<NamedTensor>& optimizer) {
  for (auto& [name, values] : names.layout.to_named(row.parameters))
    model.emplace_back(prefix + name, values);
  for (size_t s = 0; s < names.states.size(); ++s) {
    const auto state = row.state.select(0, static_cast<int64_t>(s));
    for (auto& [name, values] : names.layout.to_named(state))
      optimizer.emplace_back(prefix + names.states[s] + "." + name, values);
  }
}

void take_row(const StoredCheckpoint& stored, const TensorNames& names, const std::string& prefix,
              RowSnapshot& row) {
  const auto fill = [&](const std::vector<NamedTensor>& all, const std::string& begin,
                        const char* file, const at::Tensor& flat) {
    std::vector<NamedTensor> own;
    for (const auto& [name, values] : all)
      if (name.starts_with(begin)) own.emplace_back(name.substr(begin.size()), values);
    try {
      names.layout.from_named(own, flat);
    } catch (const std::invalid_argument& error) {
      fail(stored.folder, file, error.what());
    }
  };
  fill(stored.model, prefix, kModel, row.parameters);
  for (size_t s = 0; s < names.states.size(); ++s)
    fill(stored.optimizer, prefix + names.states[s] + ".", kOptimizer,
         row.state.select(0, static_cast<int64_t>(s)));
}

Checkpoint with_tensors(const StoredCheckpoint& stored, const TensorNames& names) {
  auto checkpoint = stored.checkpoint;
  auto& rows = checkpoint.snapshot.rows;
  for (size_t k = 0; k < rows.size(); ++k) {
    rows[k].parameters = at::zeros({names.layout.size()});
    rows[k].state = at::zeros({static_cast<int64_t>(names.states.size()), names.layout.size()});
    take_row(stored, names, prefix_of(k, rows.size()), rows[k]);
  }
  return checkpoint;
}

std::vector<int64_t> checkpoint_steps(const RunDirectory& directory) {
  std::vector<int64_t> steps;
  for (const auto& entry : entries_of(directory.checkpoints())) {
    const auto step = step_named(entry.filename().string());
    if (step && entry == directory.checkpoint(*step)) steps.push_back(*step);
  }
  std::sort(steps.begin(), steps.end());
  return steps;
}

void remove_checkpoint(const RunDirectory& directory, int64_t step) {
  const auto place = directory.checkpoint(step);
  const auto doomed = temporary_in(directory.checkpoints(), place.filename());
  fs::rename(place, doomed);
  fs::remove_all(doomed);
}

int64_t remove_leftovers(const RunDirectory& directory) {
  std::vector<fs::path> leftovers;
  for (const auto& entry : entries_of(directory.checkpoints()))
    if (entry.filename().string().starts_with(kTemporary)) leftovers.push_back(entry);
  for (const auto& entry : entries_of(directory.path())) {
    for (const auto& file : {directory.config(), directory.manifest(), directory.result()})
      if (entry.string().starts_with(file.string() + kReplacement)) leftovers.push_back(entry);
  }
  for (const auto& entry : entries_of(directory.traces()))
    if (entry.filename().string().find(kReplacement) != std::string::npos)
      leftovers.push_back(entry);
  std::error_code ignored;
  for (const auto& leftover : leftovers) fs::remove_all(leftover, ignored);
  return static_cast<int64_t>(leftovers.size());
}

}  // namespace elbow::trainer
