#include "launch/devices.h"

#include <ATen/Context.h>
#include <fmt/format.h>

#include <cstdlib>

#include "comm/cuda_library.h"
#include "comm/device_choice.h"
#include "comm/text.h"
#include "trainer/error.h"

namespace elbow::launch {
namespace {

// cuBLAS reads it once, when it starts. Only with workspaces of a fixed size are its products the
// same bits each time.
constexpr const char* kWorkspaceVariable = "CUBLAS_WORKSPACE_CONFIG";
constexpr const char* kWorkspace = ":4096:8";

comm::DeviceRequest request_named(const std::string& name) {
  if (name == "cuda") return comm::DeviceRequest::kCuda;
  return name == "cpu" ? comm::DeviceRequest::kCpu : comm::DeviceRequest::kAuto;
}

void set_arithmetic(bool exact) {
  auto& context = at::globalContext();
  context.setAllowTF32CuBLAS(false);
  context.setAllowTF32CuDNN(false);
  if (!exact) return;
  context.setDeterministicAlgorithms(true, /*warn_only=*/false);
  // Would fill each new tensor with NaN; whoever reads what was never written is found by tests.
  context.setDeterministicFillUninitializedMemory(false);
}

void require_one_model(const std::vector<std::string>& names) {
  for (size_t rank = 1; rank < names.size(); ++rank) {
    if (names[rank] == names[0]) continue;
    throw trainer::SettingError(fmt::format(
        "train.reproducible = exact needs GPUs of one model, but rank 0 has {} and rank {} has {}: "
        "choose hosts alike, set train.device=cpu, or train.reproducible=fast",
        names[0], rank, names[rank]));
  }
}

}  // namespace

Devices choose_devices(const trainer::TrainSettings& settings, World& world) {
  auto& ranks = world.ranks();
  const bool exact = settings.reproducible == "exact";
  const auto request = request_named(settings.device);
  if (exact && request != comm::DeviceRequest::kCpu)
    setenv(kWorkspaceVariable, kWorkspace, /*overwrite=*/1);
  comm::Decision decision;
  world.together([&] { decision = comm::choose_together(ranks, request); });

  const int gpu = decision.device[ranks.rank()];
  if (gpu < 0)
    return {.own = at::kCPU,
            .names = std::vector<std::string>(ranks.size(), "cpu"),
            .why = decision.why};
  const auto& functions = *comm::cuda_library().functions;
  Devices devices{.own = {at::kCUDA, static_cast<c10::DeviceIndex>(gpu)},
                  .names = comm::gather_texts(ranks, functions.gpu_name(gpu)),
                  .why = decision.why};
  set_arithmetic(exact);
  if (exact) {
    world.together([&] { require_one_model(devices.names); });
    devices.exact_settings = {{"device_model", devices.names[0]}, {"cublas_workspace", kWorkspace}};
  }
  if (decision.nccl) {
    world.together([&] { devices.nccl = functions.make_nccl(ranks.split(0, ranks.rank()), gpu); });
  }
  return devices;
}

}  // namespace elbow::launch
