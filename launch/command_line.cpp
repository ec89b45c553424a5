#include "launch/command_line.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <CLI/CLI.hpp>
#include <algorithm>

#include "launch/config_level.h"
#include "launch/nearest_name.h"
#include "trainer/build_info.h"
#include "trainer/run_directory.h"

namespace elbow::launch {
namespace {

constexpr const char* kMainFooter = R"(Examples:
  elbow train                                          train the built-in kl_vae.cfg on MNIST
  elbow train configs/pytorch_examples.cfg --out runs/first
  elbow train configs/kl_vae.cfg objective.kl_wt=1e-2 train.epochs=100
  launch/elbow -n 4 train train.reproducible=exact     four ranks under MPI
  elbow resume runs/first                              go on with a run that was interrupted
  elbow config configs/kl_vae.cfg train.epochs=3       what would hold, and where each value comes from
  elbow config --keys                                  every key with its range and default

Settings: command line (key=value) > environment (ELBOW_CFG_SECTION__KEY) > CONFIG file > default.

Exit codes: 0 done, 2 usage or configuration, 3 data, 4 damaged checkpoint, 75 not finished but resumable,
86 not finished and not resumable, 1 anything else.)";

constexpr const char* kTrainFooter = R"(Examples:
  elbow train train.epochs=1
  elbow train configs/kl_vae.cfg objective.kl_wt=1/784 --out runs/true-elbo
  elbow train my.cfg data.source=idx data.dir=/data/fashion --progress plain

`elbow config --keys` lists the keys.)";

constexpr const char* kResumeFooter = R"(Examples:
  elbow resume runs/first
  launch/elbow -n 4 resume runs/first                  on another number of ranks
  elbow resume runs/first train.epochs=200             longer than planned

Settings are those of the run's config.cfg; those that do not touch what was trained may be others:
train.epochs, train.threads, train.device, train.max_time, [checkpoint], [log].)";

constexpr const char* kConfigFooter = R"(Examples:
  elbow config                                         the built-in kl_vae.cfg
  elbow config configs/kl_vae.cfg train.epochs=3 > my.cfg

What it prints is a CONFIG file again.)";

constexpr const char* kBenchFooter = R"(Examples:
  elbow bench step configs/kl_vae.cfg train.threads=1  how near a step is to its matrix products alone
  launch/elbow -n 2 bench step --json                  the same on two ranks, as one JSON object
  launch/elbow -n 4 bench comm                         time and bandwidth of sums and gathers)";

// CLI11's help, with words for what our one positional takes.
class Help : public CLI::Formatter {
 public:
  Help() { column_width(24); }

  std::string make_usage(const CLI::App* app, std::string) const override {
    const bool is_verb = app->get_parent() != nullptr;
    const bool is_bench = app->get_name() == "bench";
    return fmt::format("\nUsage: elbow {}{}\n", is_verb ? app->get_name() : "COMMAND ...",
                       is_bench                      ? " step|comm [CONFIG] [key=value ...] [FLAGS]"
                       : app->get_name() == "resume" ? " RUN [key=value ...] [FLAGS]"
                       : is_verb                     ? " [CONFIG] [key=value ...] [FLAGS]"
                                                     : "");
  }
  std::string make_positionals(const CLI::App* app) const override {
    if (app->get_parent() == nullptr) return "";
    if (app->get_name() == "resume")
      return "\nRUN         a run's folder\n"
             "key=value   settings that replace the run's, such as train.epochs=200\n";
    return "\nCONFIG      a .cfg file; without it the built-in kl_vae.cfg\n"
           "key=value   settings that replace the file's, such as train.epochs=3\n";
  }
};

struct Flags {
  std::vector<std::string> words;
  std::string out;
  std::string init_from;
  std::string resume = "never";
  std::string progress = "auto";
  bool keys = false;
  bool json = false;
};

// Everything that CLI11 knows of one invocation.
struct Grammar {
  CLI::App app{"elbow trains variational autoencoders: one process, or many ranks under MPI.",
               "elbow"};
  Flags flags;
  CLI::App* train = nullptr;
  CLI::App* resume = nullptr;
  CLI::App* config = nullptr;
  CLI::App* bench = nullptr;

  Grammar() {
    app.footer(kMainFooter);
    app.formatter(std::make_shared<Help>());  // subcommands inherit it
    app.set_version_flag("--version", trainer::version_text());
    app.allow_extras();
    train = app.add_subcommand("train", "Train one model and write a run folder");
    train->footer(kTrainFooter);
    train->allow_extras();
    train->add_option("words", flags.words);
    train->add_option("--out", flags.out, "Run folder to create (default runs/NAME-DATE-TIME)")
        ->type_name("RUN");
    train
        ->add_option("--init-from", flags.init_from,
                     "Run folder, or safetensors file, whose weights to start from")
        ->type_name("RUN");
    train
        ->add_option("--resume", flags.resume,
                     "never: a folder that holds a run is refused; auto: it is gone on with")
        ->type_name("auto|never|must");
    add_progress(train);
    resume = app.add_subcommand("resume", "Go on with a run, on however many ranks");
    resume->footer(kResumeFooter);
    resume->allow_extras();
    resume->add_option("words", flags.words);
    add_progress(resume);
    config = app.add_subcommand("config", "Print the settings that hold and where each comes from");
    config->footer(kConfigFooter);
    config->allow_extras();
    config->add_option("words", flags.words);
    config->add_flag("--keys", flags.keys, "List every key with help, default and range");
    bench = app.add_subcommand("bench", "Measure the step, or the communication, of this launch");
    bench->footer(kBenchFooter);
    bench->allow_extras();
    bench->add_option("words", flags.words);
    bench->add_flag("--json", flags.json, "Print one JSON object");
  }

  void add_progress(CLI::App* verb) {
    verb->add_option("--progress", flags.progress,
                     "auto: a bar on a terminal, else a line an epoch")
        ->type_name("auto|bar|plain|none");
  }
};

std::vector<std::string> names_of_flags(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::Option* option : app.get_options())
    for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
  return names;
}

const std::vector<std::string>& verbs() {
  static const std::vector<std::string> names = {"train", "resume", "config", "bench"};
  return names;
}

[[noreturn]] void refuse_flag(const CLI::App& app, const std::string& word) {
  const std::string flag = word.substr(0, word.find('='));
  throw UsageError(fmt::format("unknown flag {}{}; `elbow {}--help` lists the flags", shown(flag),
                               did_you_mean(flag, names_of_flags(app)),
                               app.get_parent() == nullptr ? "" : app.get_name() + " "));
}

void refuse_extras(const CLI::App& app) {
  const auto extras = app.remaining();
  if (!extras.empty()) refuse_flag(app, extras.front());
}

[[noreturn]] void refuse_verb(const std::string& word) {
  throw UsageError(fmt::format("unknown command '{}'{}; commands are {}", shown(word),
                               did_you_mean(word, verbs()), fmt::join(verbs(), ", ")));
}

// The verb must come first, so that what follows is read by the verb's rules.
void check_first_word(const Grammar& grammar, const std::vector<std::string>& arguments) {
  if (arguments.empty())
    throw UsageError("which command? `elbow train` trains a model, `elbow --help` explains");
  const std::string& first = arguments.front();
  if (first == "--help" || first == "-h" || first == "--version") return;
  if (first.starts_with("-")) refuse_flag(grammar.app, first);
  if (std::find(verbs().begin(), verbs().end(), first) == verbs().end()) refuse_verb(first);
}

const CLI::App& chosen(const Grammar& grammar) {
  for (const CLI::App* verb : {grammar.train, grammar.resume, grammar.config, grammar.bench})
    if (verb->parsed()) return *verb;
  return grammar.app;
}

// The first word is the CONFIG file unless it is a key=value.
std::optional<std::filesystem::path> take_config(std::vector<std::string>& words) {
  if (words.empty() || words.front().find('=') != std::string::npos) return std::nullopt;
  const std::filesystem::path file = words.front();
  if (file.empty())
    throw UsageError("CONFIG is an empty word; leave it out for the built-in kl_vae.cfg");
  words.erase(words.begin());
  return file;
}

template <class Value>
Value one_of(const std::string& flag, const std::string& text,
             const std::vector<std::pair<std::string, Value>>& choices) {
  std::vector<std::string> names;
  for (const auto& [name, value] : choices) {
    if (name == text) return value;
    names.push_back(name);
  }
  throw UsageError(fmt::format("{} = '{}' (command line) is not known{}; allowed: {}", flag,
                               shown(text), did_you_mean(text, names), fmt::join(names, ", ")));
}

ProgressStyle progress_style(const Flags& flags) {
  return one_of<ProgressStyle>("--progress", flags.progress,
                               {{"auto", ProgressStyle::kAuto},
                                {"bar", ProgressStyle::kBar},
                                {"plain", ProgressStyle::kPlain},
                                {"none", ProgressStyle::kNone}});
}

TrainCommand train_command(Flags flags, bool out_given, bool init_from_given) {
  TrainCommand command;
  command.config = take_config(flags.words);
  command.words = std::move(flags.words);
  if (out_given && flags.out.empty())
    throw UsageError("--out needs the name of a folder, but is empty");
  if (out_given) command.out = flags.out;
  if (init_from_given) command.init_from = flags.init_from;
  command.resume =
      one_of<Resume>("--resume", flags.resume,
                     {{"auto", Resume::kAuto}, {"never", Resume::kNever}, {"must", Resume::kMust}});
  if (command.resume != Resume::kNever && !command.out)
    throw UsageError(fmt::format("--resume {} needs --out, the run's folder", flags.resume));
  command.progress = progress_style(flags);
  return command;
}

TrainCommand resume_command(Flags flags) {
  if (flags.words.empty() || flags.words.front().find('=') != std::string::npos ||
      flags.words.front().empty())
    throw UsageError("which run? `elbow resume RUN` goes on with the run in the folder RUN");
  TrainCommand command;
  command.resume = Resume::kMust;
  command.out = flags.words.front();
  command.config = trainer::RunDirectory(*command.out).config();
  flags.words.erase(flags.words.begin());
  command.words = std::move(flags.words);
  command.progress = progress_style(flags);
  return command;
}

ConfigCommand config_command(Flags flags) {
  ConfigCommand command;
  command.keys = flags.keys;
  command.config = take_config(flags.words);
  command.words = std::move(flags.words);
  return command;
}

BenchCommand bench_command(Flags flags) {
  BenchCommand command;
  if (flags.words.empty())
    throw UsageError("what to measure? `elbow bench step` or `elbow bench comm`");
  command.kind = one_of<BenchKind>("bench", flags.words.front(),
                                   {{"step", BenchKind::kStep}, {"comm", BenchKind::kComm}});
  flags.words.erase(flags.words.begin());
  command.json = flags.json;
  command.config = take_config(flags.words);
  command.words = std::move(flags.words);
  return command;
}

}  // namespace

Command parse_command_line(const std::vector<std::string>& arguments) {
  Grammar grammar;
  check_first_word(grammar, arguments);
  std::vector<std::string> reversed(arguments.rbegin(), arguments.rend());  // as CLI11 wants them
  try {
    grammar.app.parse(std::move(reversed));
  } catch (const CLI::CallForHelp&) {
    return ShowText{chosen(grammar).help(chosen(grammar).get_parent() == nullptr ? "" : "elbow")};
  } catch (const CLI::CallForVersion&) {
    return ShowText{trainer::version_text() + "\n"};
  } catch (const CLI::ParseError& error) {
    throw UsageError(
        fmt::format("{}; see `elbow {} --help`", shown(error.what()), arguments.front()));
  }
  refuse_extras(grammar.app);
  refuse_extras(chosen(grammar));
  if (grammar.train->parsed())
    return train_command(std::move(grammar.flags), grammar.train->count("--out") > 0,
                         grammar.train->count("--init-from") > 0);
  if (grammar.resume->parsed()) return resume_command(std::move(grammar.flags));
  if (grammar.bench->parsed()) return bench_command(std::move(grammar.flags));
  return config_command(std::move(grammar.flags));
}

}  // namespace elbow::launch
