#include "models/ordered_products.h"

#include <ATen/ATen.h>
#include <xmmintrin.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <vector>

#include "models/simd.h"
#include "models/working_memory.h"

namespace elbow::models {
namespace {

// Terms of a sum that are worked on at a time: a panel of b with so many lines stays in the nearest
// cache.
constexpr int64_t kTermsAtOnce = 128;
// The deepest tree over leaves that have so many terms together.
constexpr int kLevels = 8;
// Lines of the result, and of a, that are worked on at a time, so that little memory is kept.
constexpr int64_t kLinesAtOnce = 1024;

// Some terms that are worked on at a time: those of whole leaves, a complete subtree; or a piece of
// a long leaf.
struct Run {
  int64_t leaf;    // the first
  int64_t leaves;  // 1 for a piece
  int64_t first;   // term of the leaf
  int64_t terms;   // of each leaf
  bool begins;     // no piece of its leaf comes before
  bool ends;       // nor after
  int64_t lines() const { return leaves * terms; }
};

std::vector<Run> runs_of(int64_t leaves, int64_t terms) {
  std::vector<Run> runs;
  if (terms > kTermsAtOnce) {
    for (int64_t leaf = 0; leaf < leaves; ++leaf) {
      for (int64_t done = 0; done < terms; done += kTermsAtOnce) {
        const int64_t count = std::min(kTermsAtOnce, terms - done);
        runs.push_back({leaf, 1, done, count, done == 0, done + count == terms});
      }
    }
    return runs;
  }
  int64_t together = 1;
  while (together < leaves && 2 * together * terms <= kTermsAtOnce) together *= 2;
  for (int64_t leaf = 0; leaf < leaves; leaf += together)
    runs.push_back({leaf, together, 0, terms, true, true});
  return runs;
}

// A factor as its tiles are cut from it: term t of line i (of a) or column i (of b) in leaf l.
struct Factor {
  const float* numbers;
  int64_t leaf_stride;  // in numbers
  int64_t stride;       // between terms, or between lines where `terms_together`
  bool terms_together;  // terms lie side by side, else lines do
  int64_t count;        // of lines

  const float* at(int64_t leaf, int64_t term, int64_t line) const {
    return numbers + leaf * leaf_stride +
           (terms_together ? line * stride + term : term * stride + line);
  }
};

// to[t * width + i] = from[i * stride + t] for t < terms, i < lines.
inline __attribute__((always_inline)) void transpose(const float* from, int64_t stride,
                                                     int64_t lines, int64_t terms, float* to,
                                                     int64_t width) {
  int64_t t = 0;
  for (; t + 4 <= terms; t += 4) {
    int64_t i = 0;
    for (; i + 4 <= lines; i += 4) {
      const float* p = from + i * stride + t;
      auto a = _mm_loadu_ps(p), b = _mm_loadu_ps(p + stride);
      auto c = _mm_loadu_ps(p + 2 * stride), d = _mm_loadu_ps(p + 3 * stride);
      _MM_TRANSPOSE4_PS(a, b, c, d);
      float* q = to + t * width + i;
      _mm_storeu_ps(q, a);
      _mm_storeu_ps(q + width, b);
      _mm_storeu_ps(q + 2 * width, c);
      _mm_storeu_ps(q + 3 * width, d);
    }
    for (; i < lines; ++i)
      for (int64_t j = t; j < t + 4; ++j) to[j * width + i] = from[i * stride + j];
  }
  for (; t < terms; ++t)
    for (int64_t i = 0; i < lines; ++i) to[t * width + i] = from[i * stride + t];
}

// A run's terms of lines [line, line + count) side by side, term after term, in rows of `width`;
// zeros after the last line. Returns the end of what it wrote.
template <int64_t width>
inline __attribute__((always_inline)) float* gather_terms(const Factor& factor, const Run& run,
                                                          int64_t line, int64_t count, float* to) {
  if (count < width) std::fill_n(to, run.lines() * width, 0.0f);
  for (int64_t leaf = 0; leaf < run.leaves; ++leaf, to += run.terms * width) {
    const float* from = factor.at(run.leaf + leaf, run.first, line);
    if (factor.terms_together) {
      transpose(from, factor.stride, count, run.terms, to, width);
    } else if (count == width) {
      for (int64_t t = 0; t < run.terms; ++t)
        std::memcpy(to + t * width, from + t * factor.stride, sizeof(float) * width);
    } else {
      for (int64_t t = 0; t < run.terms; ++t)
        std::copy_n(from + t * factor.stride, count, to + t * width);
    }
  }
  return to;
}

// The memory that the next gather_terms() will read, on its way to the nearer caches while tiles
// are multiplied.
class Ahead {
 public:
  Ahead(const Factor& factor, const Run& run, int64_t line, int64_t count)
      : from_(factor.at(run.leaf, run.first, line)),
        stride_(factor.stride),
        rows_(factor.terms_together ? count : run.terms),
        bytes_(static_cast<int64_t>(sizeof(float)) * (factor.terms_together ? run.terms : count)) {}

  void fetch(int64_t part, int64_t parts) const {
    for (int64_t row = rows_ * part / parts; row < rows_ * (part + 1) / parts; ++row) {
      const char* begin = reinterpret_cast<const char*>(from_ + row * stride_);
      for (int64_t byte = 0; byte < bytes_; byte += 64) __builtin_prefetch(begin + byte);
    }
  }

 private:
  const float* from_;
  int64_t stride_, rows_, bytes_;
};

// One tile of a run: what comes before, and where it goes.
struct TileEnds {
  const float* unfinished;   // the same leaf's pieces before this one; null: none
  const float* const* left;  // subtrees before this one that it completes, smallest first
  int64_t lefts;
  float* to;
  int64_t stride;          // of `to`, in numbers
  int64_t lines, columns;  // how much of the tile is wanted
};

// a: of each term, kLines numbers; b: of each term, a tile's width of numbers, aligned.
template <int kBytes, int kLines, int kVectors>
inline __attribute__((always_inline)) void tile(const Run& run, const float* a, const float* b,
                                                const TileEnds& ends) {
  typedef float Vector __attribute__((vector_size(kBytes), may_alias));
  constexpr int64_t kLanes = kBytes / static_cast<int64_t>(sizeof(float));
  constexpr int64_t kWidth = kVectors * kLanes;
  alignas(64) float subtrees[kLevels][kLines * kWidth];
#define ELBOW_EACH(statement)                              \
  _Pragma("GCC unroll 8") for (int i = 0; i < kLines; ++i) \
      _Pragma("GCC unroll 3") for (int j = 0; j < kVectors; ++j) statement
  const auto at = [](auto* numbers, int i, int j) __attribute__((always_inline)) {
    return numbers + i * kWidth + j * kLanes;
  };
  Vector sums[kLines][kVectors];
  for (int64_t leaf = 0;; ++leaf) {
    if (ends.unfinished == nullptr) {
      ELBOW_EACH(sums[i][j] = Vector{});
    } else {
      ELBOW_EACH(sums[i][j] = *reinterpret_cast<const Vector*>(at(ends.unfinished, i, j)));
    }
    for (int64_t term = 0; term < run.terms; ++term, a += kLines, b += kWidth)
      ELBOW_EACH(sums[i][j] += a[i] * *reinterpret_cast<const Vector*>(at(b, 0, j)));
    int level = 0;
    for (int64_t done = leaf; (done & 1) != 0; done >>= 1, ++level)
      ELBOW_EACH(sums[i][j] += *reinterpret_cast<const Vector*>(at(subtrees[level], i, j)));
    if (leaf + 1 == run.leaves) break;
    ELBOW_EACH(*reinterpret_cast<Vector*>(at(subtrees[level], i, j)) = sums[i][j]);
  }
  for (int64_t l = 0; l < ends.lefts; ++l)
    ELBOW_EACH(sums[i][j] += *reinterpret_cast<const Vector*>(at(ends.left[l], i, j)));
  if (ends.lines == kLines && ends.columns == kWidth) {
    ELBOW_EACH(std::memcpy(ends.to + i * ends.stride + j * kLanes, &sums[i][j], kBytes));
  } else {
    alignas(64) float whole[kLines * kWidth];
    ELBOW_EACH(*reinterpret_cast<Vector*>(at(whole, i, j)) = sums[i][j]);
    for (int64_t i = 0; i < ends.lines; ++i)
      std::copy_n(whole + i * kWidth, ends.columns, ends.to + i * ends.stride);
  }
#undef ELBOW_EACH
}

// out [a.count, b.count] = sum over the leaves of a b.
struct Problem {
  int64_t leaves, terms;
  Factor a, b;
  float* out;
};

struct Workspace {
  std::vector<float> a, panel, unfinished, subtrees;

  static Workspace& own() {
    thread_local Workspace workspace;
    return workspace;
  }
};

// Columns [from, from + columns) of the result, at most kVectors vectors of them. a: as gathered,
// run after run, in groups of kLines lines.
template <int kBytes, int kLines, int kVectors>
inline __attribute__((always_inline)) void columns_of(const Problem& p,
                                                      const std::vector<Run>& runs, const float* a,
                                                      int64_t from, int64_t columns) {
  constexpr int64_t kWidth = kVectors * kBytes / static_cast<int64_t>(sizeof(float));
  constexpr int64_t kTile = kLines * kWidth;
  auto& own = Workspace::own();
  const int64_t m = p.a.count, n = p.b.count, groups = (m + kLines - 1) / kLines;
  float* panel = aligned_room(own.panel, kTermsAtOnce * kWidth);
  float *unfinished = nullptr, *subtrees = nullptr;
  if (runs.size() > 1) {
    unfinished = aligned_room(own.unfinished, groups * kTile);
    subtrees = aligned_room(own.subtrees, std::bit_width(runs.size()) * groups * kTile);
  }
  const float* left[64];
  int64_t node = 0;  // complete subtrees so far
  for (size_t r = 0; r < runs.size(); ++r) {
    const Run& run = runs[r];
    const bool last = r + 1 == runs.size();
    gather_terms<kWidth>(p.b, run, from, columns, panel);
    const int64_t next = last ? from + columns : from;
    const Ahead ahead(p.b, runs[last ? 0 : r + 1], next, std::min(kWidth, n - next));
    const int64_t lefts = run.ends ? std::countr_one(static_cast<uint64_t>(node)) : 0;
    for (int64_t group = 0; group < groups; ++group, a += kLines * run.lines()) {
      const int64_t line = group * kLines, place = group * kTile;
      for (int64_t i = 0; i < lefts; ++i) left[i] = subtrees + i * groups * kTile + place;
      TileEnds ends{.unfinished = run.begins ? nullptr : unfinished + place,
                    .left = left,
                    .lefts = lefts,
                    .to = p.out + line * n + from,
                    .stride = n,
                    .lines = std::min<int64_t>(kLines, m - line),
                    .columns = columns};
      if (last) {
        // The next tile's lines, which are only written.
        for (int64_t i = kLines; i < 2 * kLines; ++i)
#pragma GCC unroll 3
          for (int j = 0; j < kVectors; ++j)
            __builtin_prefetch(ends.to + i * n + j * (kWidth / kVectors), 1);
      } else {
        ends.to = (run.ends ? subtrees + lefts * groups * kTile : unfinished) + place;
        ends.stride = kWidth;
        ends.lines = kLines;
        ends.columns = kWidth;
      }
      ahead.fetch(group, groups);
      tile<kBytes, kLines, kVectors>(run, a, panel, ends);
    }
    if (run.ends) ++node;
  }
}

template <int kBytes, int kLines>
inline __attribute__((always_inline)) void product_loop(const Problem& p) {
  constexpr int64_t kLanes = kBytes / static_cast<int64_t>(sizeof(float));
  const auto runs = runs_of(p.leaves, p.terms);
  const int64_t m = p.a.count, n = p.b.count, groups = (m + kLines - 1) / kLines;
  float* const a = aligned_room(Workspace::own().a, groups * kLines * p.leaves * p.terms);
  float* end = a;
  for (const Run& run : runs)
    for (int64_t line = 0; line < m; line += kLines)
      end = gather_terms<kLines>(p.a, run, line, std::min<int64_t>(kLines, m - line), end);
  for (int64_t from = 0; from < n; from += 3 * kLanes) {
    const int64_t columns = std::min(n - from, 3 * kLanes);
    if (columns > 2 * kLanes) {
      columns_of<kBytes, kLines, 3>(p, runs, a, from, columns);
    } else if (columns > kLanes) {
      columns_of<kBytes, kLines, 2>(p, runs, a, from, columns);
    } else {
      columns_of<kBytes, kLines, 1>(p, runs, a, from, columns);
    }
  }
}

ELBOW_FOR_AVX512 void avx512_product(const Problem& p) { product_loop<64, 8>(p); }
ELBOW_FOR_AVX2 void avx2_product(const Problem& p) { product_loop<32, 4>(p); }
void plain_product(const Problem& p) { product_loop<16, 4>(p); }

// A stack from `row` on: which of its dimensions counts the terms, and which the lines or columns.
Factor factor_of(const at::Tensor& stack, int64_t row, int64_t terms, int64_t lines) {
  const bool together = stack.stride(terms) == 1;
  return {.numbers = stack.const_data_ptr<float>() + row * stack.stride(0),
          .leaf_stride = stack.stride(0),
          .stride = stack.stride(together ? lines : terms),
          .terms_together = together,
          .count = stack.size(lines)};
}

}  // namespace

void multiply_in_order(const at::Tensor& a, const at::Tensor& b, at::Tensor out) {
  static const auto best = best_of(avx512_product, avx2_product, plain_product);
  const auto plain = [](const at::Tensor& t) { return t.stride(1) == 1 || t.stride(2) == 1; };
  if (!plain(a)) return multiply_in_order(a.contiguous(), b, out);
  if (!plain(b)) return multiply_in_order(a, b.contiguous(), out);
  const bool adds = out.size(0) < a.size(0);
  TORCH_CHECK(
      a.scalar_type() == at::kFloat && a.size(2) > 0 && out[0].is_contiguous() &&
          (!adds || std::has_single_bit(static_cast<uint64_t>(a.size(0)))),
      "multiply_in_order: float32, whole lines of out, a power of two of leaves, none empty");
  const int64_t products = adds ? 1 : a.size(0), m = a.size(1), n = b.size(2);
  for (int64_t row = 0; row < products; ++row) {
    const Factor whole = factor_of(a, row, 2, 1);
    for (int64_t line = 0; line < m; line += kLinesAtOnce) {
      Factor block = whole;
      block.numbers = whole.at(0, 0, line);
      block.count = std::min(kLinesAtOnce, m - line);
      best({.leaves = adds ? a.size(0) : 1,
            .terms = a.size(2),
            .a = block,
            .b = factor_of(b, row, 1, 2),
            .out = out.mutable_data_ptr<float>() + row * out.stride(0) + line * n});
    }
  }
}

void add_leaves(at::Tensor parts, at::Tensor out) {
  for (int64_t width = 1; width < parts.size(0); width *= 2)
    for (int64_t i = 0; i < parts.size(0); i += 2 * width)
      parts.select(0, i).add_(parts.select(0, i + width));
  out.select(0, 0).copy_(parts.select(0, 0));
}

}  // namespace elbow::models
