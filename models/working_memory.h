// Memory that a thread keeps from one call to the next, which a step would else ask for anew.
#pragma once

#include <cstdint>
#include <vector>

namespace elbow::models {

// Room for so many numbers. Never shrinks: what a vector grows by, it fills with zeros.
template <class Number>
Number* room(std::vector<Number>& memory, int64_t count) {
  if (std::ssize(memory) < count) memory.resize(static_cast<size_t>(count));
  return memory.data();
}

// The same, beginning at a cache line.
template <class Number>
Number* aligned_room(std::vector<Number>& memory, int64_t count) {
  constexpr int64_t kLine = 64;
  const auto address = reinterpret_cast<uintptr_t>(
      room(memory, count + kLine / static_cast<int64_t>(sizeof(Number))));
  return reinterpret_cast<Number*>((address + kLine - 1) / kLine * kLine);
}

}  // namespace elbow::models
