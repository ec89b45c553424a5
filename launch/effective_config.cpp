#include "launch/effective_config.h"

#include <fmt/format.h>

#include "launch/number_text.h"
#include "launch/setting_table.h"
#include "launch/sweep/sweep_settings.h"

namespace elbow::launch {
namespace {

// "# beta = 0.784 (= kl_wt * 784)": the one of the two weights that is not set.
std::string other_kl_weight(const trainer::ObjectiveSettings& objective,
                            std::optional<int64_t> observed) {
  if (objective.kl_wt) {
    if (!observed) return "# beta = kl_wt * D, with D observed values an example";
    return fmt::format("# beta = {:.9g} (= kl_wt * {})",
                       trainer::effective_beta(objective, *observed), *observed);
  }
  if (!observed) return "# kl_wt = beta / D, with D observed values an example";
  return fmt::format("# kl_wt = {:.9g} (= beta / {})",
                     *objective.beta / static_cast<double>(*observed), *observed);
}

std::string with_origin(const std::string& line, const std::string& origin) {
  return fmt::format("{:<38}  # {}", line, origin);
}

template <class Whole>
std::string help_of(const SettingOf<Whole>& setting, const Whole& defaults) {
  const std::string value = setting.print(defaults);
  return fmt::format("{:<31}{}\n{:31}{}, default {}; allowed: {}\n", setting.key, setting.help, "",
                     setting.type, value.empty() ? "unset" : value, setting.allowed);
}

}  // namespace

std::string effective_config(const ParsedConfig& config, std::optional<int64_t> observed,
                             Origins origins) {
  std::string text;
  std::string section;
  for (const Setting& setting : setting_table()) {
    if (setting.section() != section) {
      section = setting.section();
      text += fmt::format("{}[{}]\n", text.empty() ? "" : "\n", section);
    }
    const std::string value = setting.print(config.settings);
    if (value.empty() && setting.type == "number") {
      text += other_kl_weight(config.settings.objective, observed) + "\n";
      continue;
    }
    const std::string line =
        fmt::format("{} ={}{}", setting.member(), value.empty() ? "" : " ", value);
    text +=
        (origins == Origins::kAsComments ? with_origin(line, config.origin(setting.key)) : line) +
        "\n";
  }
  return text;
}

std::string settings_help() {
  std::string text =
      "Defaults hold for what a CONFIG file leaves out; without a file the built-in kl_vae.cfg is "
      "read (`elbow config`).\n";
  const trainer::Settings defaults;
  std::string section;
  for (const Setting& setting : setting_table()) {
    if (setting.section() != section) text += "\n";
    section = setting.section();
    text += help_of(setting, defaults);
  }
  text +=
      "\nOf sweeps. An axis is a line of [sweep] named by another key, such as objective.kl_wt = "
      "logspace(1e-4, 1e-1, 12):\nvalues between commas (or ';'), choice(a, b), linspace(a, b, n), "
      "logspace(a, b, n), uniform(a, b), loguniform(a, b).\n";
  for (const auto& setting : sweep::sweep_setting_table())
    text += help_of(setting, sweep::SweepSettings{});
  return text;
}

}  // namespace elbow::launch
