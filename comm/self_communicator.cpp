#include <unistd.h>

#include "comm/communicators.h"
#include "comm/error.h"
#include "comm/tensor_rules.h"

namespace elbow::comm {
namespace {

class SelfCommunicator final : public Communicator {
 public:
  int rank() const override { return 0; }
  int size() const override { return 1; }
  std::string backend() const override { return "self"; }
  std::string host(int) const override { return this_host(); }

  void all_reduce_sum(at::Tensor tensor) override { require_reducible(tensor, "all_reduce_sum"); }
  void all_reduce_max(at::Tensor tensor) override { require_reducible(tensor, "all_reduce_max"); }

  void all_gather(const at::Tensor& input, at::Tensor output,
                  std::span<const int64_t> counts) override {
    require_gatherable(input, output, counts, /*rank=*/0, /*size=*/1);
    if (input.numel() > 0) output.detach().copy_(input.detach());
  }

  void broadcast(at::Tensor tensor, int root) override {
    require_contiguous(tensor, "broadcast");
    require_root(root, /*size=*/1);
  }

  void barrier() override {}
  bool agree(bool yes) override { return yes; }
  void wait() override {}

  std::unique_ptr<Communicator> split(int color, int) override {
    require_color(color);
    return make_self();
  }
  std::unique_ptr<Communicator> shrink() override { return make_self(); }
};

}  // namespace

std::unique_ptr<Communicator> make_self() { return std::make_unique<SelfCommunicator>(); }

std::string this_host() {
  char name[256] = {};
  if (gethostname(name, sizeof(name) - 1) != 0) return "localhost";
  return name;
}

}  // namespace elbow::comm
