#include "trainer/posterior_trace.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <charconv>
#include <limits>

#include "trainer/error.h"
#include "trainer/npy_file.h"

namespace elbow::trainer {
namespace {

constexpr std::string_view kBegin = "posterior_epoch_", kEnd = ".npy";

}  // namespace

std::filesystem::path posterior_trace_file(const std::filesystem::path& folder, int64_t epoch) {
  return folder / fmt::format("{}{:04}{}", kBegin, epoch, kEnd);
}

std::map<int64_t, std::filesystem::path> posterior_traces(const std::filesystem::path& folder) {
  std::map<int64_t, std::filesystem::path> traces;
  std::error_code missing;
  for (const auto& entry : std::filesystem::directory_iterator(folder, missing)) {
    const auto name = entry.path().filename().string();
    if (!name.starts_with(kBegin) || !name.ends_with(kEnd)) continue;
    const char* digits = name.data() + kBegin.size();
    const char* end = name.data() + name.size() - kEnd.size();
    int64_t epoch = 0;
    const auto [rest, error] = std::from_chars(digits, end, epoch);
    if (error == std::errc() && rest == end && epoch > 0) traces[epoch] = entry.path();
  }
  return traces;
}

void save_posterior_trace(const std::filesystem::path& folder, const PosteriorTrace& trace) {
  std::filesystem::create_directory(folder);  // not RUN itself, which may have been moved
  write_npy(posterior_trace_file(folder, trace.epoch), trace.values);
  for (const auto& [other, file] : posterior_traces(folder))
    if (other != 1 && other != trace.epoch) std::filesystem::remove(file);
}

at::Tensor load_posterior_trace(const std::filesystem::path& file) {
  auto trace = read_npy(file);
  if (trace.scalar_type() != at::kFloat || trace.dim() != 3 || trace.size(1) != 2 ||
      trace.size(2) == 0) {
    throw DataError(
        fmt::format("{} is no posterior trace: float32 [steps, 2, latent] is expected; remove it",
                    file.string()));
  }
  return trace;
}

at::Tensor resume_posterior_traces(const std::filesystem::path& folder, int64_t epoch, int64_t kept,
                                   int64_t latent) {
  auto trace = at::full({kept, 2, latent}, std::numeric_limits<float>::quiet_NaN());
  for (const auto& [other, file] : posterior_traces(folder)) {
    if (other < epoch) continue;
    if (other == epoch && kept > 0) {
      const auto stored = load_posterior_trace(file);
      const auto known = std::min(kept, stored.size(0));
      if (stored.size(2) == latent) trace.narrow(0, 0, known).copy_(stored.narrow(0, 0, known));
    }
    std::filesystem::remove(file);
  }
  if (kept > 0) save_posterior_trace(folder, {epoch, trace});
  return trace;
}

}  // namespace elbow::trainer
