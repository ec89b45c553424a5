// Numbers, switches and lists as people write them in settings. Pure; nullopt where the text is
// something else.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace elbow::launch {

// 0.5, 1e-3, -2, or a fraction of two such numbers (1/784). Never infinite or NaN; nothing may
// follow the number.
std::optional<double> number_from_text(std::string_view text);

// 128, -1, or with an exponent that leaves it whole (6e4). 1.5 and 128.0 are not integers.
std::optional<int64_t> integer_from_text(std::string_view text);

// Seconds, from 90, 1.5h, 30m, 2d, 90s, or hours:minutes:seconds as Slurm writes them (1:30:00).
std::optional<double> seconds_from_text(std::string_view text);

// true, yes, on, 1; false, no, off, 0.
std::optional<bool> switch_from_text(std::string_view text);

// The shortest text that number_from_text reads back as the same bits.
std::string text_from_number(double value);

// Parts between commas, without the blanks around them; an empty part stays as "".
std::vector<std::string> parts_between_commas(std::string_view text);

std::string_view without_outer_blanks(std::string_view text);

}  // namespace elbow::launch
