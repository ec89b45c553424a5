#include "models/sparse_products.h"

#include <ATen/ATen.h>
#include <ATen/Dispatch.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <type_traits>
#include <utility>
#include <vector>

#include "models/simd.h"
#include "models/working_memory.h"

namespace elbow::models {
namespace {

// Columns of w, or of dy, that are worked on at a time. They are copied side by side, so that what
// is read again and again lies in the nearest cache.
constexpr int64_t kPanel = 64;

// A line's numbers: places in a panel, and what each is multiplied by.
template <class Scalar>
struct Terms {
  const int32_t* place;
  const Scalar* value;
  int64_t count;
};

// out[0 .. kPanel) = sum of value * panel[place], in this order, in vectors of so many bytes.
template <int kBytes, class Scalar>
inline __attribute__((always_inline)) void add_terms(const Terms<Scalar>& terms,
                                                     const Scalar* panel, Scalar* out) {
  typedef Scalar Vector __attribute__((vector_size(kBytes), may_alias));
  constexpr int64_t kLanes = kBytes / static_cast<int64_t>(sizeof(Scalar));
  // At most 8 sums at once, so that they stay in registers.
  constexpr int64_t kSums = std::min<int64_t>(8, kPanel / kLanes);
  for (int64_t part = 0; part < kPanel; part += kSums * kLanes) {
    Vector sums[kSums] = {};
    for (int64_t i = 0; i < terms.count; ++i) {
      const Scalar value = terms.value[i];
      const auto* line =
          reinterpret_cast<const Vector*>(panel + int64_t{terms.place[i]} * kPanel + part);
#pragma GCC unroll 8
      for (int64_t s = 0; s < kSums; ++s) sums[s] += value * line[s];
    }
    std::memcpy(out + part, sums, sizeof sums);
  }
}

// Lines of a product: line l's terms are [begin[l], begin[l + 1]), and its sums go to out + at[l] *
// stride, or l * stride where `at` is null; `width` of them. With several leaves line l has a list
// of terms for each, at begin[l * leaves] and on, and its sum is that of the lists' in the tree.
template <class Scalar>
struct Lines {
  int64_t count;
  int64_t leaves;
  const int32_t* begin;
  const int32_t* place;
  const Scalar* value;
  const int32_t* at;
  Scalar* out;
  int64_t stride;
  int64_t width;
};

template <int kBytes, class Scalar>
inline __attribute__((always_inline)) void lines_loop(const Lines<Scalar>& lines,
                                                      const Scalar* panel) {
  typedef Scalar Vector __attribute__((vector_size(kBytes), may_alias));
  constexpr int64_t kLanes = kBytes / static_cast<int64_t>(sizeof(Scalar));
  constexpr int kLevels = 32;
  alignas(64) Scalar subtrees[kLevels][kPanel];
  alignas(64) Scalar sums[kPanel];
  for (int64_t l = 0; l < lines.count; ++l) {
    for (int64_t leaf = 0; leaf < lines.leaves; ++leaf) {
      const int32_t* begin = lines.begin + l * lines.leaves + leaf;
      add_terms<kBytes, Scalar>(
          {lines.place + begin[0], lines.value + begin[0], begin[1] - begin[0]}, panel, sums);
      int level = 0;
      for (int64_t done = leaf; (done & 1) != 0; done >>= 1, ++level) {
#pragma GCC unroll 16
        for (int64_t i = 0; i < kPanel; i += kLanes)
          *reinterpret_cast<Vector*>(sums + i) +=
              *reinterpret_cast<const Vector*>(subtrees[level] + i);
      }
      if (leaf + 1 < lines.leaves) std::memcpy(subtrees[level], sums, sizeof sums);
    }
    const int64_t to = lines.at != nullptr ? lines.at[l] : l;
    Scalar* out = lines.out + to * lines.stride;
    if (lines.width == kPanel) {
      std::memcpy(out, sums, sizeof sums);
    } else {
      std::copy_n(sums, lines.width, out);
    }
  }
}

#define ELBOW_LINES(suffix, Scalar)                                                          \
  ELBOW_FOR_AVX512 void avx512_lines_##suffix(const Lines<Scalar>& l, const Scalar* panel) { \
    lines_loop<64>(l, panel);                                                                \
  }                                                                                          \
  ELBOW_FOR_AVX2 void avx2_lines_##suffix(const Lines<Scalar>& l, const Scalar* panel) {     \
    lines_loop<32>(l, panel);                                                                \
  }                                                                                          \
  void plain_lines_##suffix(const Lines<Scalar>& l, const Scalar* panel) {                   \
    lines_loop<16>(l, panel);                                                                \
  }                                                                                          \
  void add_lines(const Lines<Scalar>& l, const Scalar* panel) {                              \
    static const auto best =                                                                 \
        best_of(avx512_lines_##suffix, avx2_lines_##suffix, plain_lines_##suffix);           \
    best(l, panel);                                                                          \
  }

ELBOW_LINES(f, float)
ELBOW_LINES(d, double)

template <class Scalar>
struct Workspace {
  std::vector<Scalar> panel, value;
  std::vector<int32_t> begin, place, used, next;

  static Workspace& own() {
    thread_local Workspace workspace;
    return workspace;
  }
  Scalar* panel_of(int64_t lines) { return aligned_room(panel, lines * kPanel); }
};

// Columns [from, from + width) of some lines of a matrix [.., n] to the panel. `line` gives the
// i-th.
template <class Scalar, class Line>
void fill_panel(const Scalar* matrix, int64_t n, int64_t from, int64_t width, int64_t lines,
                const Line& line, Scalar* panel) {
  for (int64_t i = 0; i < lines; ++i) {
    Scalar* to = panel + i * kPanel;
    if (width == kPanel) {
      std::memcpy(to, matrix + line(i) * n + from, sizeof(Scalar) * kPanel);
    } else {
      std::memcpy(to, matrix + line(i) * n + from, sizeof(Scalar) * width);
      std::fill(to + width, to + kPanel, Scalar(0));
    }
  }
}

// The part of x that belongs to one row of the stack.
template <class Scalar>
struct Part {
  Part(const NonZeros& x, int64_t row, int64_t lines)
      : count(lines),
        begin(x.begin.const_data_ptr<int32_t>() + row * lines),
        column(x.column.const_data_ptr<int32_t>()),
        value(x.value.const_data_ptr<Scalar>()) {}
  int64_t count;
  const int32_t *begin, *column;
  const Scalar* value;
  int64_t first() const { return begin[0]; }
  int64_t last() const { return begin[count]; }
};

// How many numbers there are in each column, to `counts`; the columns that have some, to `used`.
template <class Scalar>
void count_columns(const Part<Scalar>& x, int64_t columns, std::vector<int32_t>& counts,
                   std::vector<int32_t>& used) {
  counts.assign(columns, 0);
  for (int64_t i = x.first(); i < x.last(); ++i) ++counts[x.column[i]];
  used.clear();
  for (int64_t c = 0; c < columns; ++c)
    if (counts[c] > 0) used.push_back(static_cast<int32_t>(c));
}

template <class Scalar>
void multiply_row(const Part<Scalar>& x, int64_t k, const Scalar* w, int64_t n, Scalar* out) {
  auto& own = Workspace<Scalar>::own();
  count_columns(x, k, own.next, own.used);
  const auto used = static_cast<int64_t>(own.used.size());
  for (int64_t i = 0; i < used; ++i) own.next[own.used[i]] = static_cast<int32_t>(i);
  room(own.place, x.last());
  for (int64_t i = x.first(); i < x.last(); ++i) own.place[i] = own.next[x.column[i]];
  Scalar* panel = own.panel_of(used);
  for (int64_t from = 0; from < n; from += kPanel) {
    const int64_t width = std::min(kPanel, n - from);
    fill_panel(
        w, n, from, width, used, [&](int64_t i) { return int64_t{own.used[i]}; }, panel);
    add_lines({.count = x.count,
               .leaves = 1,
               .begin = x.begin,
               .place = own.place.data(),
               .value = x.value,
               .at = nullptr,
               .out = out + from,
               .stride = n,
               .width = width},
              panel);
  }
}

// Column by column: the lines of x that are not zero there, in their order, in `leaves` lists.
template <class Scalar>
void multiply_transposed_row(const Part<Scalar>& x, int64_t leaves, int64_t k, const Scalar* dy,
                             int64_t n, Scalar* out) {
  auto& own = Workspace<Scalar>::own();
  count_columns(x, k, own.next, own.used);
  const auto used = static_cast<int64_t>(own.used.size());
  room(own.begin, used * leaves + 1);
  int32_t begin = 0;
  for (int64_t i = 0; i < used; ++i) {
    begin += std::exchange(own.next[own.used[i]], begin);
  }
  own.begin[used * leaves] = begin;
  room(own.place, begin);
  room(own.value, begin);
  for (int64_t line = 0; line < x.count; ++line) {
    if (line % (x.count / leaves) == 0) {
      const int64_t leaf = line / (x.count / leaves);
      for (int64_t i = 0; i < used; ++i) own.begin[i * leaves + leaf] = own.next[own.used[i]];
    }
    for (int64_t i = x.begin[line]; i < x.begin[line + 1]; ++i) {
      const int32_t to = own.next[x.column[i]]++;
      own.place[to] = static_cast<int32_t>(line);
      own.value[to] = x.value[i];
    }
  }
  int64_t done = 0;
  for (int64_t i = 0; i <= used; ++i) {
    const int64_t next = i < used ? own.used[i] : k;
    std::fill(out + done * n, out + next * n, Scalar(0));
    done = next + 1;
  }
  Scalar* panel = own.panel_of(x.count);
  for (int64_t from = 0; from < n; from += kPanel) {
    const int64_t width = std::min(kPanel, n - from);
    fill_panel(
        dy, n, from, width, x.count, [](int64_t i) { return i; }, panel);
    add_lines({.count = used,
               .leaves = leaves,
               .begin = own.begin.data(),
               .place = own.place.data(),
               .value = own.value.data(),
               .at = own.used.data(),
               .out = out + from,
               .stride = n,
               .width = width},
              panel);
  }
}

template <class Scalar>
using BitsOf = std::conditional_t<sizeof(Scalar) == 4, uint32_t, uint64_t>;

// Numbers of a line that are not +0, and their columns; returns how many. There is room for the
// whole line. First the blocks are listed that have some, without a branch, which would be
// mispredicted at every edge of a stroke.
template <class Scalar>
int64_t compress(const Scalar* line, int64_t columns, int32_t* blocks, int32_t* column,
                 Scalar* value) {
  using Bits = BitsOf<Scalar>;
  constexpr int64_t kBlock = 8;
  const int64_t whole = columns / kBlock * kBlock;
  int64_t listed = 0;
  for (int64_t begin = 0; begin < whole; begin += kBlock) {
    std::array<Bits, kBlock> bits;
    std::memcpy(bits.data(), line + begin, sizeof bits);
    Bits all = 0;
    for (const Bits number : bits) all |= number;
    blocks[listed] = static_cast<int32_t>(begin);
    listed += all != 0 ? 1 : 0;
  }
  int64_t n = 0;
  const auto take = [&](int64_t c) {
    column[n] = static_cast<int32_t>(c);
    value[n] = line[c];
    n += std::bit_cast<Bits>(line[c]) != 0 ? 1 : 0;
  };
  for (int64_t i = 0; i < listed; ++i) {
#pragma GCC unroll 8
    for (int64_t c = 0; c < kBlock; ++c) take(blocks[i] + c);
  }
  for (int64_t c = whole; c < columns; ++c) take(c);
  return n;
}

template <class Scalar>
NonZeros non_zeros_of(const at::Tensor& x) {
  const int64_t lines = x.size(0) * x.size(1), columns = x.size(2);
  const auto integers = x.options().dtype(at::kInt);
  NonZeros found{at::empty({lines + 1}, integers), {}, {}};
  auto& own = Workspace<Scalar>::own();
  auto* column = room(own.place, x.numel() + 1);
  auto* value = room(own.value, x.numel() + 1);
  auto* blocks = room(own.begin, columns + 1);
  auto* begin = found.begin.mutable_data_ptr<int32_t>();
  int64_t n = 0;
  for (int64_t line = 0; line < lines; ++line) {
    begin[line] = static_cast<int32_t>(n);
    n += compress(x.const_data_ptr<Scalar>() + line * columns, columns, blocks, column + n,
                  value + n);
  }
  begin[lines] = static_cast<int32_t>(n);
  found.column = at::empty({n}, integers);
  found.value = at::empty({n}, x.options());
  std::copy_n(column, n, found.column.mutable_data_ptr<int32_t>());
  std::copy_n(value, n, found.value.mutable_data_ptr<Scalar>());
  return found;
}

// Calls use(part of x, a, out) with the numbers of every row of the stack, as float or double;
// once, where rows go together.
template <class Use>
void for_each_row(const NonZeros& x, const at::Tensor& a, at::Tensor& out, bool together,
                  const Use& use) {
  const int64_t rows = together ? 1 : a.size(0);
  const int64_t lines = (x.begin.size(0) - 1) / std::max<int64_t>(rows, 1);
  AT_DISPATCH_FLOATING_TYPES(a.scalar_type(), "sparse product", [&] {
    for (int64_t row = 0; row < rows; ++row) {
      use(Part<scalar_t>(x, row, lines), a.const_data_ptr<scalar_t>() + row * a.stride(0),
          out.mutable_data_ptr<scalar_t>() + row * out.stride(0));
    }
  });
}

}  // namespace

NonZeros non_zeros(const at::Tensor& x) {
  TORCH_CHECK(x.dim() == 3 && x.is_contiguous() && x.numel() < INT32_MAX,
              "non_zeros: x must be [rows, batch, k], contiguous and of less than 2^31 numbers");
  return x.scalar_type() == at::kDouble ? non_zeros_of<double>(x) : non_zeros_of<float>(x);
}

void multiply(const NonZeros& x, const at::Tensor& w, at::Tensor out) {
  const bool together = w.stride(0) == 0 && out.is_contiguous();
  for_each_row(x, w, out, together, [&](const auto& part, const auto* from, auto* to) {
    multiply_row(part, w.size(1), from, w.size(2), to);
  });
}

void multiply_transposed(const NonZeros& x, const at::Tensor& dy, at::Tensor out) {
  const int64_t leaves = out.size(0) < dy.size(0) ? dy.size(0) : 1;
  TORCH_CHECK(std::has_single_bit(static_cast<uint64_t>(leaves)) && (leaves == 1 || dy.size(1) > 0),
              "multiply_transposed: leaves must be a power of two, and not empty");
  for_each_row(x, dy, out, /*together=*/leaves > 1,
               [&](const auto& part, const auto* from, auto* to) {
                 multiply_transposed_row(part, leaves, out.size(1), from, dy.size(2), to);
               });
}

}  // namespace elbow::models
