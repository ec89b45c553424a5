#include "comm/cuda/nccl_communicator.h"

#include <ATen/cuda/CUDAEvent.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/full.h>
#include <c10/cuda/CUDACachingAllocator.h>
#include <c10/cuda/CUDAException.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>
#include <cuda_runtime_api.h>
#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstring>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>

#include "comm/cuda/nccl_handle.h"
#include "comm/error.h"
#include "comm/tensor_rules.h"

namespace elbow::comm {
namespace {

constexpr auto kWatchInterval = std::chrono::milliseconds(50);

ncclDataType_t type_of(at::ScalarType dtype) {
  switch (dtype) {
    case at::kFloat:
      return ncclFloat32;
    case at::kDouble:
      return ncclFloat64;
    case at::kInt:
      return ncclInt32;
    case at::kLong:
      return ncclInt64;
    default:
      return ncclUint8;
  }
}

// Rank 0's id on every rank. A failure of rank 0 is one of all.
ncclUniqueId agree_on_id(Communicator& control) {
  ncclUniqueId id{};
  auto message = at::empty({static_cast<int64_t>(sizeof(id)) + 1}, at::kByte);
  auto* bytes = message.data_ptr<uint8_t>();
  if (control.rank() == 0) {
    bytes[0] = ncclGetUniqueId(&id) == ncclSuccess ? 1 : 0;
    std::memcpy(bytes + 1, &id, sizeof(id));
  }
  control.broadcast(message, 0);
  if (bytes[0] == 0) throw Error(fmt::format("rank 0 on {} could not start NCCL", control.host(0)));
  std::memcpy(&id, bytes + 1, sizeof(id));
  return id;
}

// A handle on every rank, or comm::Error on every rank.
std::unique_ptr<NcclHandle> join(Communicator& control, int device) {
  const c10::cuda::CUDAGuard guard(static_cast<c10::DeviceIndex>(device));
  const ncclUniqueId id = agree_on_id(control);
  std::unique_ptr<NcclHandle> handle;
  std::string problem;
  try {
    handle = std::make_unique<NcclHandle>(id, control.rank(), control.size());
  } catch (const Error& error) {
    problem = error.what();
  }
  auto worst = at::full({1}, problem.empty() ? -1 : control.rank(), at::kLong);
  control.all_reduce_max(worst);
  const auto rank = static_cast<int>(worst.item<int64_t>());
  if (rank < 0) return handle;
  if (handle) handle->abort();
  if (!problem.empty()) throw Error(problem);
  throw Error(fmt::format("rank {} on {} could not join the NCCL group", rank, control.host(rank)));
}

// An int of the host that kernels read in place.
class AbortWord {
 public:
  explicit AbortWord(int device) {
    void* memory = nullptr;
    C10_CUDA_CHECK(
        cudaHostAlloc(&memory, sizeof(int), cudaHostAllocMapped | cudaHostAllocPortable));
    word_ = std::shared_ptr<int>(static_cast<int*>(memory), [](int* word) { cudaFreeHost(word); });
    *word_ = 0;
    void* mapped = nullptr;
    C10_CUDA_CHECK(cudaHostGetDevicePointer(&mapped, memory, 0));
    const at::Device place(at::kCUDA, static_cast<c10::DeviceIndex>(device));
    tensor_ = at::from_blob(
        mapped, {1}, [word = word_](void*) {}, at::TensorOptions(at::kInt).device(place), place);
  }

  void set() { std::atomic_ref<int>(*word_).store(1); }
  const at::Tensor& tensor() const { return tensor_; }

 private:
  std::shared_ptr<int> word_;
  at::Tensor tensor_;
};

// Looks for dead peers and for NCCL's own errors while the host is elsewhere, and then ends the
// collectives that would otherwise run for ever. What is queued behind them runs on partial sums.
class Watch {
 public:
  Watch(NcclHandle& handle, Communicator& control, std::function<void()> abort)
      : handle_(handle),
        control_(control),
        abort_(std::move(abort)),
        thread_([this](std::stop_token stop) { run(stop); }) {}

 private:
  void run(std::stop_token stop) {
    std::unique_lock lock(mutex_);
    while (!stop.stop_requested()) {
      if (handle_.failed() || control_.lost_rank() >= 0) return abort_();
      stopped_.wait_for(lock, stop, kWatchInterval, [] { return false; });
    }
  }

  NcclHandle& handle_;
  Communicator& control_;
  std::function<void()> abort_;
  std::mutex mutex_;
  std::condition_variable_any stopped_;
  std::jthread thread_;
};

class NcclCommunicator final : public Communicator {
 public:
  NcclCommunicator(std::unique_ptr<Communicator> control, int device)
      : control_(std::move(control)),
        device_(device),
        handle_(join(*control_, device)),
        abort_word_(device),
        stream_(c10::cuda::getStreamFromPool(/*isHighPriority=*/true,
                                             static_cast<c10::DeviceIndex>(device))) {
    watch_.emplace(*handle_, *control_, [this] { abort(); });
  }

  ~NcclCommunicator() override {
    watch_.reset();
    const c10::cuda::CUDAGuard guard(static_cast<c10::DeviceIndex>(device_));
    handle_.reset();
  }

  int rank() const override { return control_->rank(); }
  int size() const override { return control_->size(); }
  std::string backend() const override { return "nccl"; }
  std::string host(int rank) const override { return control_->host(rank); }
  int lost_rank() override { return control_->lost_rank(); }
  bool agree(bool yes) override { return control_->agree(yes); }
  at::Tensor abort_word() override { return abort_word_.tensor(); }

  void all_reduce_sum(at::Tensor tensor) override {
    if (!on_gpu(tensor)) return control().all_reduce_sum(tensor);
    all_reduce(tensor, ncclSum, "all_reduce_sum");
  }

  void all_reduce_max(at::Tensor tensor) override {
    if (!on_gpu(tensor)) return control().all_reduce_max(tensor);
    all_reduce(tensor, ncclMax, "all_reduce_max");
  }

  void all_gather(const at::Tensor& input, at::Tensor output,
                  std::span<const int64_t> counts) override {
    if (!on_gpu(input)) return control().all_gather(input, output, counts);
    require_gatherable(input, output, counts, rank(), size());
    if (output.numel() == 0) return;
    const auto row_bytes = static_cast<int64_t>(output.nbytes()) / output.size(0);
    auto* target = static_cast<char*>(output.data_ptr());
    enqueue("all_gather", {input, output}, [&](ncclComm_t comm) {
      if (std::ranges::count(counts, counts[0]) == size()) {
        return ncclAllGather(input.data_ptr(), target, counts[0] * row_bytes, ncclUint8, comm,
                             stream_);
      }
      ncclGroupStart();
      int64_t first = 0;
      for (int root = 0; root < size(); ++root) {
        const int64_t bytes = counts[root] * row_bytes;
        char* place = target + first;
        const void* source = root == rank() ? input.data_ptr() : place;
        if (bytes > 0) ncclBroadcast(source, place, bytes, ncclUint8, root, comm, stream_);
        first += bytes;
      }
      return ncclGroupEnd();  // tells of errors of the calls in between
    });
  }

  void broadcast(at::Tensor tensor, int root) override {
    if (!on_gpu(tensor)) return control().broadcast(tensor, root);
    require_contiguous(tensor, "broadcast");
    require_root(root, size());
    if (tensor.numel() == 0) return;
    enqueue("broadcast", {tensor}, [&](ncclComm_t comm) {
      return ncclBroadcast(tensor.data_ptr(), tensor.data_ptr(), tensor.nbytes(), ncclUint8, root,
                           comm, stream_);
    });
  }

  void barrier() override {
    throw_if_lost("barrier");
    stream_.synchronize();  // the watch ends it if a peer is dead
    throw_if_lost("barrier");
    control().barrier();
  }

  void wait() override {
    throw_if_lost("wait");
    done_.block(c10::cuda::getCurrentCUDAStream(static_cast<c10::DeviceIndex>(device_)));
  }

  std::unique_ptr<Communicator> split(int color, int key) override {
    throw_if_lost("split");
    return make_nccl(control().split(color, key), device_);
  }

  std::unique_ptr<Communicator> shrink() override {
    watch_.reset();
    abort();
    lost_ = true;
    return make_nccl(control().shrink(), device_);
  }

 private:
  // Collectives end after it, with whatever they have: any thread.
  void abort() {
    abort_word_.set();
    handle_->abort();
  }

  Communicator& control() {
    control_->at(step(), phase());
    return *control_;
  }

  bool on_gpu(const at::Tensor& tensor) const {
    if (!tensor.defined() || tensor.is_cpu()) return false;
    if (tensor.is_cuda() && tensor.device().index() == device_) return true;
    throw Error(fmt::format("rank {} on {} uses GPU {}, but the tensor is on {}", rank(),
                            host(rank()), device_, tensor.device().str()));
  }

  void all_reduce(const at::Tensor& tensor, ncclRedOp_t op, const char* name) {
    require_reducible(tensor, name);
    if (tensor.numel() == 0) return;
    enqueue(name, {tensor}, [&](ncclComm_t comm) {
      return ncclAllReduce(tensor.data_ptr(), tensor.data_ptr(), tensor.numel(),
                           type_of(tensor.scalar_type()), op, comm, stream_);
    });
  }

  // Queues a collective on this group's own stream, behind what the caller's stream holds now.
  void enqueue(const char* name, std::initializer_list<at::Tensor> tensors,
               const std::function<ncclResult_t(ncclComm_t)>& call) {
    throw_if_lost(name);
    const c10::cuda::CUDAGuard guard(static_cast<c10::DeviceIndex>(device_));
    ready_.record(c10::cuda::getCurrentCUDAStream());
    ready_.block(stream_);
    for (const at::Tensor& tensor :
         tensors) {  // their memory is not given to others before the collective is done
      c10::cuda::CUDACachingAllocator::recordStream(tensor.storage().data_ptr(), stream_);
    }
    try {
      handle_->run(name, call);
    } catch (const Error&) {
      if (lost_rank() >= 0) abort();
      throw_if_lost(name);
      throw;
    }
    done_.record(stream_);
  }

  void throw_if_lost(const char* operation) {
    if (lost_) {
      throw Error(
          fmt::format("{} was called on rank {} on {} after a peer was lost; call shrink() first",
                      operation, rank(), host(rank())));
    }
    if (!handle_->aborted()) return;
    lost_ = true;
    const int rank = lost_rank();
    throw PeerLost(rank, rank < 0 ? "" : host(rank), step(), phase(), operation);
  }

  std::unique_ptr<Communicator> control_;
  int device_;
  std::unique_ptr<NcclHandle> handle_;
  AbortWord abort_word_;
  c10::cuda::CUDAStream stream_;
  at::cuda::CUDAEvent ready_;  // the caller's work before the newest operation
  at::cuda::CUDAEvent done_;   // the newest operation
  std::optional<Watch> watch_;
  bool lost_ = false;
};

}  // namespace

std::unique_ptr<Communicator> make_nccl(std::unique_ptr<Communicator> control, int device) {
  return std::make_unique<NcclCommunicator>(std::move(control), device);
}

}  // namespace elbow::comm
