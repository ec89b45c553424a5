#include "models/sparse_products.h"

#include <ATen/ATen.h>

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

// Columns of w, or of dy, that are worked on at a time, a panel: up to so many blocks of a cache
// line each. They are copied side by side, so that what is read again and again lies in the nearer
// caches, and their sums stay in registers. Panels hold numbers as w does: bfloat16's are summed as
// the float32 numbers that they stand for.
template <class Held>
constexpr bool kHalved = std::is_same_v<Held, at::BFloat16>;
template <class Held>
using Sum = std::conditional_t<kHalved<Held>, float, Held>;
template <class Held>
constexpr int64_t kBlocks = kHalved<Held> ? 4 : 5;
template <class Held>
constexpr int64_t kBlock = 64 / static_cast<int64_t>(sizeof(Held));
// Lines of w that are worked on at a time.
constexpr int64_t kLinesAtOnce = 192;

// Has a piece of a matrix's line come nearer, to be read (0) or written (1): the CPU does not
// foresee where the next one lies.
template <int kUse, class Number>
inline __attribute__((always_inline)) void will_need(const Number* piece, int64_t count) {
  for (int64_t i = 0; i < count; i += kBlock<Number>) __builtin_prefetch(piece + i, kUse);
}

template <class Number, int kBytes>
using VectorOf __attribute__((vector_size(kBytes), may_alias)) = Number;

// A line's numbers: places in a panel, and what each is multiplied by.
template <class Scalar>
struct Terms {
  const int32_t* place;
  const Scalar* value;
  int64_t count;
};

// sums += value * line, whose kCount numbers lie in a panel. A block of bfloat16 is 16 words, of
// which the l-th has column l below and column 16 + l above: a shift or a mask makes them float32.
template <int kBytes, int64_t kCount, class Held>
inline __attribute__((always_inline)) void add_line(Sum<Held> value, const Held* line,
                                                    VectorOf<Sum<Held>, kBytes>* sums) {
  using Vector = VectorOf<Sum<Held>, kBytes>;
  if constexpr (kHalved<Held>) {
    using Words = VectorOf<uint32_t, kBytes>;
    constexpr int64_t kHalf = 64 / kBytes;  // vectors of a block's lower, or upper, columns
    const Words* words = reinterpret_cast<const Words*>(line);
#pragma GCC unroll 16
    for (int64_t v = 0; v < kCount / kBlock<Held> * kHalf; ++v) {
      const int64_t at = v / kHalf * 2 * kHalf + v % kHalf;
      Words both = words[v];
      asm("" : "+v"(both));  // else the compiler loads it for each half
      sums[at] += value * reinterpret_cast<Vector>(both << 16);
      sums[at + kHalf] += value * reinterpret_cast<Vector>(both & 0xFFFF0000u);
    }
  } else {
    const Vector* numbers = reinterpret_cast<const Vector*>(line);
#pragma GCC unroll 16
    for (int64_t v = 0; v < kCount * static_cast<int64_t>(sizeof(Held)) / kBytes; ++v)
      sums[v] += value * numbers[v];
  }
}

// to[0 .. kWidth) = before, or zeros where that is null, + value * panel[place] for each term, in
// this order, in vectors of kBytes. Sums stay in registers, kPart numbers at a time; copied as one
// array they would lie in memory.
template <int kBytes, int64_t kWidth, int64_t kPart, class Held>
inline __attribute__((always_inline)) void add_terms(const Terms<Sum<Held>>& terms,
                                                     const Held* panel, const Sum<Held>* before,
                                                     Sum<Held>* to) {
  using Vector = VectorOf<Sum<Held>, kBytes>;
  constexpr int64_t kLanes = kBytes / static_cast<int64_t>(sizeof(Sum<Held>));
  constexpr int64_t kVectors = kPart / kLanes;
  for (int64_t part = 0; part < kWidth; part += kPart) {
    Vector sums[kVectors];
    if (before == nullptr) {
#pragma GCC unroll 16
      for (int64_t v = 0; v < kVectors; ++v) sums[v] = Vector{};
    } else {
#pragma GCC unroll 16
      for (int64_t v = 0; v < kVectors; ++v)
        sums[v] = *reinterpret_cast<const Vector*>(before + part + v * kLanes);
    }
    for (int64_t i = 0; i < terms.count; ++i)
      add_line<kBytes, kPart>(terms.value[i], panel + int64_t{terms.place[i]} * kWidth + part,
                              sums);
#pragma GCC unroll 16
    for (int64_t v = 0; v < kVectors; ++v) std::memcpy(to + part + v * kLanes, &sums[v], kBytes);
  }
}

// Lines of a product: line l's terms are [begin[l], end[l]), and its sums go to out + at[l] *
// stride, or l * stride where `at` is null; `width` of them. They begin with `before`, a panel's
// width a line, or with zeros where it is null. With several leaves line l has a list of terms for
// each, at l * leaves and on, and its sum is that of the lists' in the tree.
template <class Scalar>
struct Lines {
  int64_t count;
  int64_t leaves;
  const int32_t *begin, *end;
  const int32_t* place;
  const Scalar* value;
  const int32_t* at;
  const Scalar* before;
  Scalar* out;
  int64_t stride;
  int64_t width;
};

template <int kBytes, int64_t kWidth, class Held>
inline __attribute__((always_inline)) void lines_loop(const Lines<Sum<Held>>& lines,
                                                      const Held* panel) {
  using Scalar = Sum<Held>;
  using Vector = VectorOf<Scalar, kBytes>;
  constexpr int64_t kLanes = kBytes / static_cast<int64_t>(sizeof(Scalar));
  constexpr bool kFit = kBytes == 64 || (kBytes == 32 && !kHalved<Held>);  // in the registers
  constexpr int64_t kPart = kFit ? kWidth : kBlock<Held>;
  constexpr int kLevels = 32;
  alignas(64) Scalar subtrees[kLevels][kWidth];
  alignas(64) Scalar sums[kWidth];
  const auto out_of = [&](int64_t l) {
    return lines.out + (lines.at != nullptr ? lines.at[l] : l) * lines.stride;
  };
  for (int64_t l = 0; l < lines.count; ++l) {
    if (l + 2 < lines.count) will_need<1>(out_of(l + 2), kWidth);
    Scalar* out = out_of(l);
    const Scalar* before = lines.before != nullptr ? lines.before + l * kWidth : nullptr;
    if (lines.leaves == 1) {
      const int32_t begin = lines.begin[l];
      const bool whole = lines.width == kWidth;
      add_terms<kBytes, kWidth, kPart, Held>(
          {lines.place + begin, lines.value + begin, lines.end[l] - begin}, panel, before,
          whole ? out : sums);
      if (!whole) std::copy_n(sums, lines.width, out);
      continue;
    }
    for (int64_t leaf = 0; leaf < lines.leaves; ++leaf) {
      const int64_t list = l * lines.leaves + leaf;
      const int32_t begin = lines.begin[list];
      add_terms<kBytes, kWidth, kPart, Held>(
          {lines.place + begin, lines.value + begin, lines.end[list] - begin}, panel, before, sums);
      int level = 0;
      for (int64_t done = leaf; (done & 1) != 0; done >>= 1, ++level) {
#pragma GCC unroll 20
        for (int64_t i = 0; i < kWidth; i += kLanes)
          *reinterpret_cast<Vector*>(sums + i) +=
              *reinterpret_cast<const Vector*>(subtrees[level] + i);
      }
      if (leaf + 1 < lines.leaves) std::memcpy(subtrees[level], sums, sizeof sums);
    }
    std::copy_n(sums, lines.width, out);
  }
}

// The panel's width in blocks.
template <int kBytes, class Held>
inline __attribute__((always_inline)) void lines_loop(const Lines<Sum<Held>>& lines, int64_t blocks,
                                                      const Held* panel) {
  constexpr int64_t kOne = kBlock<Held>;
  switch (blocks) {
    case 1:
      return lines_loop<kBytes, 1 * kOne>(lines, panel);
    case 2:
      return lines_loop<kBytes, 2 * kOne>(lines, panel);
    case 3:
      return lines_loop<kBytes, 3 * kOne>(lines, panel);
    case 4:
      return lines_loop<kBytes, 4 * kOne>(lines, panel);
    default:
      return lines_loop<kBytes, kBlocks<Held> * kOne>(lines, panel);
  }
}

#define ELBOW_LINES(suffix, Held)                                                           \
  ELBOW_FOR_AVX512 void avx512_lines_##suffix(const Lines<Sum<Held>>& l, int64_t blocks,    \
                                              const Held* panel) {                          \
    lines_loop<64>(l, blocks, panel);                                                       \
  }                                                                                         \
  ELBOW_FOR_AVX2 void avx2_lines_##suffix(const Lines<Sum<Held>>& l, int64_t blocks,        \
                                          const Held* panel) {                              \
    lines_loop<32>(l, blocks, panel);                                                       \
  }                                                                                         \
  void plain_lines_##suffix(const Lines<Sum<Held>>& l, int64_t blocks, const Held* panel) { \
    lines_loop<16>(l, blocks, panel);                                                       \
  }                                                                                         \
  void add_lines(const Lines<Sum<Held>>& l, int64_t blocks, const Held* panel) {            \
    static const auto best =                                                                \
        best_of(avx512_lines_##suffix, avx2_lines_##suffix, plain_lines_##suffix);          \
    best(l, blocks, panel);                                                                 \
  }

ELBOW_LINES(f, float)
ELBOW_LINES(d, double)
ELBOW_LINES(b, at::BFloat16)

template <class Held>
struct Workspace {
  std::vector<Held> panel;
  std::vector<Sum<Held>> value, sums;
  std::vector<int32_t> begin, place, used, next;

  static Workspace& own() {
    thread_local Workspace workspace;
    return workspace;
  }
};

// Calls use(first column, columns, blocks) for panels that make up n columns. Narrow ones stay in
// the nearest cache, but each takes the time of kLeast blocks, the latency of an addition: wide
// ones only where they save some. Of bfloat16 wide ones stay there too.
template <class Held, class Use>
void for_each_panel(int64_t n, const Use& use) {
  constexpr int64_t kLeast = kHalved<Held> ? kBlocks<Held> : 4;
  const int64_t blocks = (n + kBlock<Held> - 1) / kBlock<Held>;
  const int64_t wide = (blocks + kBlocks<Held> - 1) / kBlocks<Held>;
  const int64_t narrow = (blocks + kLeast - 1) / kLeast;
  const int64_t panels = std::max(blocks, kLeast * wide) < kLeast * narrow ? wide : narrow;
  for (int64_t i = 0; i < panels; ++i) {
    const int64_t begin = blocks * i / panels, end = blocks * (i + 1) / panels;
    const int64_t from = begin * kBlock<Held>;
    use(from, std::min(end * kBlock<Held>, n) - from, end - begin);
  }
}

template <class Held>
void copy_to_panel(const Held* numbers, int64_t width, int64_t room, Held* panel) {
  std::memcpy(panel, numbers, sizeof(Held) * width);
  if (width < room) std::fill(panel + width, panel + room, Held(0));
}

// Blocks as add_line() reads them.
ELBOW_SIMD void pair_up(const uint16_t* __restrict numbers, int64_t blocks,
                        uint32_t* __restrict words) {
  constexpr int64_t kWords = kBlock<uint32_t>;
  for (int64_t b = 0; b < blocks; ++b, numbers += 2 * kWords, words += kWords) {
    for (int64_t l = 0; l < kWords; ++l)
      words[l] = uint32_t{numbers[kWords + l]} << 16 | numbers[l];
  }
}

template <>
void copy_to_panel(const at::BFloat16* numbers, int64_t width, int64_t room, at::BFloat16* panel) {
  constexpr int64_t kOne = kBlock<at::BFloat16>;
  const auto* bits = reinterpret_cast<const uint16_t*>(numbers);
  auto* words = reinterpret_cast<uint32_t*>(panel);
  const int64_t whole = width / kOne;
  pair_up(bits, whole, words);
  if (width == room) return;
  uint16_t last[kOne] = {};
  std::copy(bits + whole * kOne, bits + width, last);
  pair_up(last, 1, words + whole * kBlock<uint32_t>);
}

// Columns [from, from + width) of some lines of a matrix [.., n] to the panel, whose lines have
// `room` numbers, with zeros after them. `line` gives the i-th.
template <class Held, class Line>
void fill_panel(const Held* matrix, int64_t n, int64_t from, int64_t width, int64_t room,
                int64_t lines, const Line& line, Held* panel) {
  constexpr int64_t kAhead = 8;
  for (int64_t i = 0; i < lines; ++i, panel += room) {
    if (i + kAhead < lines) will_need<0>(matrix + line(i + kAhead) * n + from, width);
    copy_to_panel(matrix + line(i) * n + from, width, room, panel);
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

// Some lines of w at a time: where each line of x has them is in `begin`, chunk after chunk.
template <class Held, class Scalar = Sum<Held>>
void multiply_row(const Part<Scalar>& x, int64_t k, const Held* w, int64_t n, Scalar* out) {
  auto& own = Workspace<Held>::own();
  count_columns(x, k, own.next, own.used);
  const auto used = static_cast<int64_t>(own.used.size());
  for (int64_t i = 0; i < used; ++i) own.next[own.used[i]] = static_cast<int32_t>(i % kLinesAtOnce);
  room(own.place, x.last());
  for (int64_t i = x.first(); i < x.last(); ++i) own.place[i] = own.next[x.column[i]];
  const int64_t chunks = std::max<int64_t>(1, (used + kLinesAtOnce - 1) / kLinesAtOnce);
  auto* begin = std::copy_n(x.begin, x.count, room(own.begin, (chunks + 1) * x.count));
  for (int64_t chunk = 1; chunk < chunks; ++chunk, begin += x.count) {
    const int32_t column = own.used[chunk * kLinesAtOnce];
    for (int64_t line = 0; line < x.count; ++line)
      begin[line] = static_cast<int32_t>(
          std::lower_bound(x.column + x.begin[line], x.column + x.begin[line + 1], column) -
          x.column);
  }
  std::copy_n(x.begin + 1, x.count, begin);
  for_each_panel<Held>(n, [&](int64_t from, int64_t width, int64_t blocks) {
    const int64_t whole = blocks * kBlock<Held>;
    Held* panel = aligned_room(own.panel, kLinesAtOnce * whole);
    Scalar* sums = aligned_room(own.sums, x.count * whole);
    for (int64_t chunk = 0; chunk < chunks; ++chunk) {
      const bool last = chunk + 1 == chunks;
      const auto* lines = own.used.data() + chunk * kLinesAtOnce;
      fill_panel(
          w, n, from, width, whole, std::min(kLinesAtOnce, used - chunk * kLinesAtOnce),
          [&](int64_t i) { return int64_t{lines[i]}; }, panel);
      add_lines({.count = x.count,
                 .leaves = 1,
                 .begin = own.begin.data() + chunk * x.count,
                 .end = own.begin.data() + (chunk + 1) * x.count,
                 .place = own.place.data(),
                 .value = x.value,
                 .at = nullptr,
                 .before = chunk > 0 ? sums : nullptr,
                 .out = last ? out + from : sums,
                 .stride = last ? n : whole,
                 .width = last ? width : whole},
                blocks, panel);
    }
  });
}

// Column by column: the lines of x that are not zero there, in their order, in `leaves` lists.
template <class Held, class Scalar = Sum<Held>>
void multiply_transposed_row(const Part<Scalar>& x, int64_t leaves, int64_t k, const Held* dy,
                             int64_t n, Scalar* out) {
  auto& own = Workspace<Held>::own();
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
  for_each_panel<Held>(n, [&](int64_t from, int64_t width, int64_t blocks) {
    const int64_t whole = blocks * kBlock<Held>;
    Held* panel = aligned_room(own.panel, x.count * whole);
    fill_panel(
        dy, n, from, width, whole, x.count, [](int64_t i) { return i; }, panel);
    add_lines({.count = used,
               .leaves = leaves,
               .begin = own.begin.data(),
               .end = own.begin.data() + 1,
               .place = own.place.data(),
               .value = own.value.data(),
               .at = own.used.data(),
               .before = nullptr,
               .out = out + from,
               .stride = n,
               .width = width},
              blocks, panel);
  });
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

// Calls use(part of x, a, out) with the numbers of every row of the stack, of x's type and a's;
// once, where rows go together.
template <class Use>
void for_each_row(const NonZeros& x, const at::Tensor& a, at::Tensor& out, bool together,
                  const Use& use) {
  const int64_t rows = together ? 1 : a.size(0);
  const int64_t lines = (x.begin.size(0) - 1) / std::max<int64_t>(rows, 1);
  const auto with = [&]<class Held>(Held) {
    using Scalar = Sum<Held>;
    for (int64_t row = 0; row < rows; ++row) {
      use(Part<Scalar>(x, row, lines), a.const_data_ptr<Held>() + row * a.stride(0),
          out.mutable_data_ptr<Scalar>() + row * out.stride(0));
    }
  };
  if (a.scalar_type() == at::kDouble) return with(double());
  if (a.scalar_type() == at::kFloat) return with(float());
  with(at::BFloat16());
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
