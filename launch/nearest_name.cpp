#include "launch/nearest_name.h"

#include <algorithm>
#include <cctype>

namespace elbow::launch {
namespace {

std::string lower_case(std::string_view text) {
  std::string lower(text);
  std::transform(lower.begin(), lower.end(), lower.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return lower;
}

std::string_view member_of(std::string_view name) {
  const size_t dot = name.rfind('.');
  return dot == std::string_view::npos ? name : name.substr(dot + 1);
}

int largest_slip(std::string_view name) { return std::max<int>(1, static_cast<int>(name.size()) / 3); }

}  // namespace

int edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::vector<int>> cost(a.size() + 1, std::vector<int>(b.size() + 1));
  for (size_t i = 0; i <= a.size(); ++i) {
    for (size_t j = 0; j <= b.size(); ++j) {
      if (i == 0 || j == 0) {
        cost[i][j] = static_cast<int>(i + j);
        continue;
      }
      const int substitution = a[i - 1] == b[j - 1] ? 0 : 1;
      cost[i][j] = std::min({cost[i - 1][j] + 1, cost[i][j - 1] + 1,
                             cost[i - 1][j - 1] + substitution});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
        cost[i][j] = std::min(cost[i][j], cost[i - 2][j - 2] + 1);
    }
  }
  return cost[a.size()][b.size()];
}

std::optional<std::string> nearest_name(std::string_view wrong,
                                        const std::vector<std::string>& names) {
  constexpr size_t kLongest = 100;  // nobody meant a name with this
  if (wrong.empty() || wrong.size() > kLongest) return std::nullopt;
  const std::string given = lower_case(wrong);
  const std::string_view given_member = member_of(given);
  std::optional<std::string> nearest;
  int smallest = 0;
  for (const std::string& name : names) {
    const int whole = edit_distance(given, name);
    const int member = edit_distance(given_member, member_of(name));
    int distance = whole;
    bool close = whole <= largest_slip(name);
    if (member <= largest_slip(member_of(name)) && (!close || member + 1 < whole)) {
      distance = member + 1;  // a wrong or missing section counts as one slip
      close = true;
    }
    if (close && (!nearest || distance < smallest)) nearest = name, smallest = distance;
  }
  return nearest;
}

std::string did_you_mean(std::string_view wrong, const std::vector<std::string>& names) {
  const auto name = nearest_name(wrong, names);
  return name ? "; did you mean " + *name + "?" : "";
}

}  // namespace elbow::launch
