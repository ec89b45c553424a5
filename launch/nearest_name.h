// Which known name somebody probably meant, for error sentences.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace elbow::launch {

// Insertions, deletions, substitutions and swaps of neighbours that turn `a` into `b` (restricted Damerau-Levenshtein).
int edit_distance(std::string_view a, std::string_view b);

// The name closest to `wrong`, nullopt where none is close enough to be meant. Names of the form SECTION.MEMBER are also
// found by their member alone, and under a wrong section.
std::optional<std::string> nearest_name(std::string_view wrong,
                                        const std::vector<std::string>& names);

// "; did you mean NAME?", or "" where no name is close.
std::string did_you_mean(std::string_view wrong, const std::vector<std::string>& names);

}  // namespace elbow::launch
