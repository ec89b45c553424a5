#include "comm/text.h"

#include <ATen/ops/empty.h>

#include <cstring>

namespace elbow::comm {
namespace {

at::Tensor bytes_of(const std::string& text) {
  at::Tensor bytes = at::empty({static_cast<int64_t>(text.size())}, at::kByte);
  if (!text.empty()) std::memcpy(bytes.data_ptr(), text.data(), text.size());
  return bytes;
}

std::string text_of(const at::Tensor& bytes, int64_t first, int64_t count) {
  if (count == 0) return {};
  return std::string(static_cast<const char*>(bytes.data_ptr()) + first, count);
}

}  // namespace

std::string broadcast_text(Communicator& ranks, std::string text, int root) {
  at::Tensor length = at::empty({1}, at::kLong);
  length.data_ptr<int64_t>()[0] = static_cast<int64_t>(text.size());
  ranks.broadcast(length, root);
  const int64_t count = length.data_ptr<int64_t>()[0];
  at::Tensor bytes = ranks.rank() == root ? bytes_of(text) : at::empty({count}, at::kByte);
  ranks.broadcast(bytes, root);
  return text_of(bytes, 0, count);
}

std::vector<std::string> gather_texts(Communicator& ranks, const std::string& text) {
  at::Tensor length = at::empty({1}, at::kLong);
  length.data_ptr<int64_t>()[0] = static_cast<int64_t>(text.size());
  at::Tensor lengths = at::empty({ranks.size()}, at::kLong);
  ranks.all_gather(length, lengths, std::vector<int64_t>(ranks.size(), 1));

  const int64_t* begin = lengths.data_ptr<int64_t>();
  const std::vector<int64_t> counts(begin, begin + ranks.size());
  int64_t total = 0;
  for (const int64_t count : counts) total += count;
  at::Tensor all = at::empty({total}, at::kByte);
  ranks.all_gather(bytes_of(text), all, counts);

  std::vector<std::string> texts;
  int64_t first = 0;
  for (const int64_t count : counts) {
    texts.push_back(text_of(all, first, count));
    first += count;
  }
  return texts;
}

}  // namespace elbow::comm
