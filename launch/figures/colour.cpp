#include "launch/figures/colour.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <iterator>

namespace elbow::launch::figures {
namespace {

constexpr Colour rgb(uint32_t code) {
  return {(code >> 16 & 255) / 255.0, (code >> 8 & 255) / 255.0, (code & 255) / 255.0};
}

constexpr std::array kLines = {rgb(0x0072b2), rgb(0xd55e00), rgb(0x009e73), rgb(0xcc79a7),
                               rgb(0xe69f00), rgb(0x56b4e9), rgb(0x7f4f24)};
constexpr std::array kClasses = {rgb(0x3f90da), rgb(0xffa90e), rgb(0xbd1f01), rgb(0x94a4a2),
                                 rgb(0x832db6), rgb(0xa96b59), rgb(0xe76300), rgb(0xb9ac70),
                                 rgb(0x717581), rgb(0x92dadd)};
constexpr std::array kDensity = {rgb(0xffffff), rgb(0xd6e5f2), rgb(0x9ec5e0),
                                 rgb(0x5a9dcb), rgb(0x2470ad), rgb(0x0b3f75)};

Colour between(const Colour& a, const Colour& b, double share) {
  return {a.red + share * (b.red - a.red), a.green + share * (b.green - a.green),
          a.blue + share * (b.blue - a.blue)};
}

template <class Table>
Colour along(const Table& table, double position) {
  const double place = std::clamp(position, 0.0, 1.0) * static_cast<double>(table.size() - 1);
  const auto index = std::min(static_cast<size_t>(place), table.size() - 2);
  return between(table[index], table[index + 1], place - static_cast<double>(index));
}

}  // namespace

Colour line_colour(int64_t index) { return kLines[index % std::ssize(kLines)]; }

Colour line_colour(int64_t index, int64_t count) {
  if (count <= std::ssize(kLines)) return line_colour(index);
  return spectrum(static_cast<double>(index) / static_cast<double>(count - 1));
}

Colour class_colour(int64_t index) { return kClasses[index % std::ssize(kClasses)]; }

Colour spectrum(double position) {
  constexpr std::array kSpectrum = {rgb(0xe3001b), rgb(0xf08a00), rgb(0xe0c400), rgb(0x3aa63c),
                                    rgb(0x009fc2), rgb(0x2350c8), rgb(0x7a1fb0)};
  return along(kSpectrum, position);
}

Colour density_colour(double position) { return along(kDensity, position); }

HexColour hex(const Colour& colour) {
  HexColour code{};
  const auto byte = [](double part) {
    return static_cast<unsigned>(std::lround(part * 255)) & 255;
  };
  std::snprintf(code.text, sizeof code.text, "#%02x%02x%02x", byte(colour.red), byte(colour.green),
                byte(colour.blue));
  return code;
}

}  // namespace elbow::launch::figures
