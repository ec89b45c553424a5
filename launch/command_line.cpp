#include "launch/command_line.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <CLI/CLI.hpp>
#include <algorithm>

#include "launch/cluster/sweep_directory.h"
#include "launch/config_level.h"
#include "launch/flag_value.h"
#include "launch/nearest_name.h"
#include "launch/number_text.h"
#include "launch/slurm_flags.h"
#include "trainer/build_info.h"
#include "trainer/run_directory.h"

namespace elbow::launch {
namespace {

constexpr const char* kMainFooter = R"(Examples:
  elbow train                                          train the built-in kl_vae.cfg on MNIST
  elbow train configs/pytorch_examples.cfg --out runs/first
  elbow train configs/kl_vae.cfg objective.kl_wt=1e-2 train.epochs=100
  launch/elbow -n 4 train train.reproducible=exact     four ranks under MPI
  elbow resume runs/first                              go on with a run, or a sweep, that was interrupted
  elbow sweep configs/sweep_kl.cfg                     many trials, such as one for each kl_wt
  elbow report runs/first                              figures and report.html of a run
  elbow evaluate runs/first --importance-samples 5000  measure what was trained
  elbow sample runs/first --kind traversal --out a.png draw from it
  elbow slurm configs/kl_vae.cfg --nodes 2             a batch script for a cluster with Slurm, explained
  elbow config configs/kl_vae.cfg train.epochs=3       what would hold, and where each value comes from
  elbow config --keys                                  every key with its range and default
  launch/elbow -n 4 doctor                             what this launch sees, and what would go wrong

Settings: command line (key=value) > environment (ELBOW_CFG_SECTION__KEY) > CONFIG file > default.

Exit codes: 0 done, 2 usage or configuration, 3 data, 4 damaged checkpoint, 75 not finished but resumable,
86 not finished and not resumable, 1 anything else.)";

constexpr const char* kTrainFooter = R"(Examples:
  elbow train train.epochs=1
  elbow train configs/kl_vae.cfg objective.kl_wt=1/784 --out runs/true-elbo
  elbow train my.cfg data.source=idx data.dir=/data/fashion --progress plain
  launch/elbow -n 4 train my.cfg --dry-run             what it would take, and leave behind

`elbow config --keys` lists the keys.)";

constexpr const char* kSweepFooter = R"(Examples:
  elbow sweep configs/sweep_kl.cfg                     every kl_wt of the file, here, one trial after another
  launch/elbow -n 8 sweep configs/sweep_kl.cfg --out runs/kl          eight ranks, each training trials of its own
  launch/elbow -n 8 sweep configs/sweep_kl.cfg sweep.ranks_per_group=4 sweep.pruning=asha
  elbow sweep my.cfg sweep.objective.kl_wt='logspace(1e-4, 1e-1, 12)' sweep.repeats=2
  elbow sweep my.cfg --out runs/kl --resume auto --shard $SLURM_ARRAY_TASK_ID/8       in a job array of eight
  elbow resume runs/kl                                 what is left of it, on however many ranks
  launch/elbow -n 8 sweep my.cfg --dry-run             its trials, packs, time and files

A file for sweeps is one for training with a section [sweep]. Its axes are lines named by the key of a setting:
  objective.kl_wt = 1e-3, 1e-2, 1e-1                   or linspace(a, b, n), logspace(a, b, n), and for search = random or
                                                       sobol uniform(a, b), loguniform(a, b), choice(a, b, c)
  model.encoder = 500; 500, 300                        values that are lists are parted by ;
and its settings say what becomes of them:
  search           grid, list, random or sobol; trials and seed say how many are drawn, and which
  repeats          of each configuration, with train.seed, train.seed + 1, ...
  metric           what decides (elbo_nats), pruning whether the worse trials are stopped early: none, asha or median
  ranks_per_group  ranks that train one pack of trials together, rows_per_pack how many trials that is (auto: what is fastest)
  retries          of a trial that something around it has ended

Each trial has a folder like a run's, SWEEP/trials/000017, for elbow report, evaluate, sample and resume. SWEEP/ledger.jsonl says
what has happened, for optuna.load_study and optuna-dashboard too. A trial that becomes NaN fails alone. Whatever is killed,
finished trials stay finished, and the others go on from their checkpoints.)";

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
  launch/elbow -n 4 bench comm                         time and bandwidth of sums and gathers
  elbow bench sweep configs/sweep_kl.cfg               speed and memory of packs of 1, 4, 16, ... rows
  elbow bench scaling                                  a simulated cluster of 1 to 1,000 groups sweeps
  elbow bench scaling FILE sweep.pruning=asha          ... the sweep of FILE)";

constexpr const char* kDoctorFooter = R"(Examples:
  launch/elbow -n 4 doctor                             four ranks here: what each sees, and what would go wrong
  mpirun -n 8 --hostfile hosts elbow doctor my.cfg data.dir=/data --out /shared/runs    before a long run on two hosts
  elbow doctor --json > doctor.json                    for other programs, or to send to somebody who can help

Start it exactly as the training is to be started. It compares all ranks (cores and binding, GPUs, versions, MPI, network, limits,
clocks), reads the data, tries the folder that runs go into, measures sums, and makes a few steps of the configuration to tell
what they take. A finding says what is wrong, where, why it matters and what to do. Exit code 1: there is a fault.
--pretend FILE: a JSON object of facts by rank, or all, that replace those found.)";

constexpr const char* kReportFooter = R"(Examples:
  elbow report runs/first                              figures/ and report.html in the run's folder
  elbow report runs/first runs/second --out compared   side by side: compared/report.html
  elbow report runs/kl                                 a sweep: tables, rate against distortion, all its shards

A run may still be training. Figures are PNG, and SVG where they are line art; figures/numbers.json has what they
show in numbers. The page needs no network.)";

constexpr const char* kEvaluateFooter = R"(Examples:
  elbow evaluate runs/first                            the run's last line of metrics again, and more
  elbow evaluate runs/first --split train --json
  launch/elbow -n 4 evaluate runs/first --importance-samples 5000 --examples 1000 --out a.npy

Prints the ELBO in nats per example, statistics of the posterior, mutual information I(x;z) with its bound log N, total
correlation, and with --importance-samples K the estimate of -log p(x) (Burda et al. 2016): an upper bound in expectation,
tighter with K. --out writes one line an example (log p(x), effective samples), to compare two models pair by pair.
The noise is that of training's evaluations, so the last checkpoint gives the logged numbers to the last digit, on any
number of ranks.)";

constexpr const char* kEncodeFooter = R"(Examples:
  elbow encode runs/first --data images.npy --out codes.npy      float32 [examples, 2, latent]: means, then scales
  elbow encode runs/first --split test --out codes.csv           one line an example: mu_0, ..., sigma_0, ...

A data file is .npy (bytes, or float32 in [0, 1]) or IDX, plain or .gz; its images have the size that the run was trained on
and are binarised as in its evaluations.)";

constexpr const char* kSampleFooter = R"(Kinds:
  prior            z drawn from the prior                             [count, ...]
  reconstruction   examples beside what the model makes of them       [count / 2, 2, ...]
  interpolation    in 8 steps between the codes of two examples       [count / 8, 8, ...]
  traversal        one unit from -3 to 3 in 8 steps, others at 0, the most active first   [count / 8, 8, ...]

  completion       what is given of examples, 8 samples each, a regressor's picture, the truth   [count / 8, 10 or 11, ...]
  classes          a row for each z, a column for each class          [count / classes, classes, ...]

A conditional model takes --condition label=3, attributes=0.5,-1,... or example=17 (that of an example of the split) for all
pictures, or none where it was trained with model.condition_dropout; without it those of the split's first examples, one
after another. --complete FILE completes the images of a file, of which the model sees the part that data.mask gives:
--count pictures of each, [images, count, ...].

Examples:
  elbow sample runs/first --out prior.npy
  elbow sample runs/labels --condition label=3 --count 64
  elbow sample runs/columns --kind completion --regressor runs/regressor --out completions.png
  elbow sample runs/first --kind traversal --count 80 --out traversal.png

Writes E[x|z] in [0, 1] as float32 [..., height, width] (or [..., height, width, channels]) into a .npy file, or a sheet of the
pictures into a .png file; the same run and count always give the same pictures.)";

constexpr const char* kExportFooter = R"(Example:
  elbow export runs/first --out first

Writes model.safetensors (PyTorch's layout) and model.json, which says what to build from them;
docs/rebuild_in_pytorch.py does that.)";

constexpr const char* kSlurmFooter = R"(Examples:
  elbow slurm configs/kl_vae.cfg --nodes 2 --gpus-per-node 4 --time 8:00:00 > train.sbatch && sbatch train.sbatch
  elbow slurm configs/kl_vae.cfg --kind preemptible --partition spare > spare.sbatch
  elbow slurm configs/sweep_kl.cfg --kind sweep --nodes 4 --gpus-per-node 8 --launcher srun
  elbow slurm configs/sweep_kl.cfg --kind array --shards 6 --gpus-per-node 1
  elbow slurm my.cfg --module 'module load openmpi/5.0' --elbow /opt/elbow/bin/elbow --sbatch --account=me

Prints a script that says what each of its lines is for. The settings are checked as `elbow train` and `elbow sweep` would.
launch/slurm/ has such scripts; docs/cluster.md tells more.)";

// CLI11's help, with words for what our one positional takes.
class Help : public CLI::Formatter {
 public:
  Help() { column_width(24); }

  std::string make_usage(const CLI::App* app, std::string) const override {
    const bool is_verb = app->get_parent() != nullptr;
    return fmt::format("\nUsage: elbow {}{}\n", is_verb ? app->get_name() : "COMMAND ...",
                       app->get_name() == "bench"
                           ? " step|comm|sweep|scaling [CONFIG] [key=value ...] [FLAGS]"
                       : app->get_name() == "report" ? " RUN [RUN ...] [--out FOLDER]"
                       : app->get_name() == "resume" ? " RUN|SWEEP [key=value ...] [FLAGS]"
                       : app->get_name() == "sweep"  ? " FILE [key=value ...] [FLAGS]"
                       : opens_run(app)              ? " RUN [key=value ...] [FLAGS]"
                       : is_verb                     ? " [CONFIG] [key=value ...] [FLAGS]"
                                                     : "");
  }
  std::string make_positionals(const CLI::App* app) const override {
    if (app->get_parent() == nullptr) return "";
    if (app->get_name() == "report")
      return "\nRUN         a run folder, as `elbow train` wrote it\n";
    if (app->get_name() == "resume")
      return "\nRUN         a run's folder, or SWEEP, a sweep's\n"
             "key=value   settings that replace the run's, such as train.epochs=200\n";
    if (app->get_name() == "sweep")
      return "\nFILE        a .cfg file with a section [sweep]\n"
             "key=value   settings that replace the file's, such as train.epochs=3 or "
             "sweep.repeats=2\n";
    if (opens_run(app))
      return "\nRUN         a folder that `elbow train` wrote; the run may still be going on\n"
             "key=value   train.threads, train.device or data.dir, where this machine differs\n";
    return "\nCONFIG      a .cfg file; without it the built-in kl_vae.cfg\n"
           "key=value   settings that replace the file's, such as train.epochs=3\n";
  }

 private:
  static bool opens_run(const CLI::App* app) {
    const auto name = app->get_name();
    return name == "evaluate" || name == "encode" || name == "sample" || name == "export";
  }
};

struct Flags {
  std::vector<std::string> words;
  std::string out;
  std::string init_from;
  std::string resume = "never";
  std::string progress = "auto";
  std::string shard = "1/1";
  bool keys = false;
  bool json = false;
  bool verbose = false;
  bool dry_run = false;
  std::string checkpoint = "latest";
  std::string split = "test";
  std::string examples;
  std::string importance_samples = "0";
  std::string data;
  std::string kind = "prior";
  std::string count = "64";
  std::string condition, complete, regressor;
  std::string pretend, seconds = "5";
  SlurmFlags slurm;
};

// Everything that CLI11 knows of one invocation.
struct Grammar {
  CLI::App app{"elbow trains variational autoencoders: one process, or many ranks under MPI.",
               "elbow"};
  Flags flags;
  CLI::App* train = nullptr;
  CLI::App* sweep = nullptr;
  CLI::App* resume = nullptr;
  CLI::App* config = nullptr;
  CLI::App* bench = nullptr;
  CLI::App* report = nullptr;
  CLI::App* evaluate = nullptr;
  CLI::App* encode = nullptr;
  CLI::App* sample = nullptr;
  CLI::App* export_verb = nullptr;
  CLI::App* doctor = nullptr;
  CLI::App* slurm = nullptr;

  Grammar() {
    app.footer(kMainFooter);
    app.formatter(std::make_shared<Help>());  // subcommands inherit it
    app.set_version_flag("--version", trainer::version_text());
    app.allow_extras();
    train = add_verb("train", "Train one model and write a run folder", kTrainFooter);
    train->add_option("--out", flags.out, "Run folder to create (default runs/NAME-DATE-TIME)")
        ->type_name("RUN");
    train
        ->add_option("--init-from", flags.init_from,
                     "Run folder, or safetensors file, whose weights to start from")
        ->type_name("RUN");
    add_resume(train, "run");
    add_progress(train);
    add_sweep();
    resume =
        add_verb("resume", "Go on with a run or a sweep, on however many ranks", kResumeFooter);
    add_shard(resume);
    add_progress(resume);
    config =
        add_verb("config", "Print the settings that hold and where each comes from", kConfigFooter);
    config->add_flag("--keys", flags.keys, "List every key with help, default and range");
    bench = add_verb("bench", "Measure steps, communication, packs of rows, or a simulated cluster",
                     kBenchFooter);
    bench->add_flag("--json", flags.json, "Print one JSON object");
    report =
        add_verb("report", "Draw a run, several side by side, or a sweep, and write report.html",
                 kReportFooter);
    report
        ->add_option("--out", flags.out, "Folder to write into (default the run's, or comparison/)")
        ->type_name("FOLDER");
    add_evaluate();
    add_encode();
    add_sample();
    export_verb = verb_on_run("export", "Write the network for other programs", kExportFooter);
    export_verb->add_option("--out", flags.out, "Folder to write")->type_name("DIR");
    add_doctor();
    slurm =
        add_verb("slurm", "Write a batch script for Slurm, explained line by line", kSlurmFooter);
    flags.slurm.add_to(*slurm);
  }

  void add_doctor() {
    doctor =
        add_verb("doctor", "Show what this launch sees, and what would go wrong", kDoctorFooter);
    doctor->add_option("--out", flags.out, "Folder that runs would go into (default runs)")
        ->type_name("FOLDER");
    doctor->add_option("--seconds", flags.seconds, "How long sums are measured (default 5)")
        ->type_name("S");
    doctor->add_option("--pretend", flags.pretend, "Facts to judge in place of those found")
        ->type_name("FILE");
    doctor->add_flag("--json", flags.json, "Print one JSON object");
  }

  void add_sweep() {
    sweep = add_verb("sweep", "Train many trials, such as one for each kl_wt", kSweepFooter);
    sweep->add_option("--out", flags.out, "Folder to create (default runs/NAME-DATE-TIME)")
        ->type_name("SWEEP");
    add_resume(sweep, "sweep");
    add_shard(sweep);
    add_progress(sweep);
  }

  void add_resume(CLI::App* verb, const char* what) {
    verb->add_option("--resume", flags.resume,
                     fmt::format("never: a folder that holds a {} is refused; auto: it is gone on "
                                 "with",
                                 what))
        ->type_name("auto|never|must");
  }

  void add_shard(CLI::App* verb) {
    verb->add_option("--shard", flags.shard,
                     "Of a sweep every N-th trial, from the I-th, with a ledger of its own")
        ->type_name("I/N");
  }

  CLI::App* add_verb(const char* name, const char* what, const char* footer) {
    CLI::App* verb = app.add_subcommand(name, what);
    verb->footer(footer);
    verb->allow_extras();
    verb->add_option("words", flags.words);
    return verb;
  }

  CLI::App* verb_on_run(const char* name, const char* what, const char* footer) {
    CLI::App* verb = add_verb(name, what, footer);
    verb->add_option("--checkpoint", flags.checkpoint, "Which weights (default latest)")
        ->type_name("best|latest|STEP");
    return verb;
  }

  void add_evaluate() {
    evaluate = verb_on_run("evaluate", "Measure a trained model on a split", kEvaluateFooter);
    add_split(evaluate);
    evaluate->add_option("--examples", flags.examples, "Importance-sample only the split's first N")
        ->type_name("N");
    evaluate
        ->add_option("--importance-samples", flags.importance_samples,
                     "Estimate -log p(x) with K samples an example (default 0: do not)")
        ->type_name("K");
    evaluate->add_option("--out", flags.out, "Write log p(x) and effective samples of each example")
        ->type_name("FILE.npy");
    evaluate->add_flag("--json", flags.json, "Print one JSON object");
  }

  void add_encode() {
    encode = verb_on_run("encode", "Write the latent codes of images", kEncodeFooter);
    encode->add_option("--data", flags.data, "Images to encode")->type_name("FILE");
    add_split(encode);
    encode->add_option("--out", flags.out, "File to write")->type_name("FILE.npy|.csv");
  }

  void add_sample() {
    sample = verb_on_run("sample", "Draw pictures from a trained model", kSampleFooter);
    sample->add_option("--kind", flags.kind, "What to draw (default prior)")
        ->type_name("prior|reconstruction|interpolation|traversal|completion|classes");
    sample->add_option("--count", flags.count, "How many pictures (default 64)")->type_name("N");
    add_split(sample);
    sample->add_option("--condition", flags.condition, "What a conditional model is given")
        ->type_name("label=N|attributes=A,B,...|example=N|none");
    sample->add_option("--complete", flags.complete, "Images to complete")->type_name("FILE");
    sample->add_option("--regressor", flags.regressor, "completion: a regressor to compare with")
        ->type_name("RUN");
    sample->add_option("--out", flags.out, "File to write (default RUN/figures/sample_KIND.png)")
        ->type_name("FILE.npy|.png");
  }

  void add_split(CLI::App* verb) {
    verb->add_option("--split", flags.split, "Which examples (default test)")
        ->type_name("train|validation|test");
  }

  void add_progress(CLI::App* verb) {
    verb->add_option("--progress", flags.progress,
                     "auto: a bar on a terminal, else a line an epoch")
        ->type_name("auto|bar|plain|none");
    verb->add_flag("--verbose", flags.verbose,
                   "Show what each rank does, which else only RUN/logs keeps");
    verb->add_flag("--dry-run", flags.dry_run,
                   "Check everything, tell time, memory and files; train and write nothing");
  }
};

std::vector<std::string> names_of_flags(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::Option* option : app.get_options())
    for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
  return names;
}

const std::vector<std::string>& verbs() {
  static const std::vector<std::string> names = {"train",  "sweep",    "resume", "config",
                                                 "bench",  "evaluate", "encode", "sample",
                                                 "export", "report",   "slurm",  "doctor"};
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

// The verb must come first, so that what follows is read by the verb's rules, a folder of another
// verb's name too.
void read_first_word(Grammar& grammar, const std::vector<std::string>& arguments) {
  if (arguments.empty())
    throw UsageError("which command? `elbow train` trains a model, `elbow --help` explains");
  const std::string& first = arguments.front();
  if (first == "--help" || first == "-h" || first == "--version") return;
  if (first.starts_with("-")) refuse_flag(grammar.app, first);
  if (std::find(verbs().begin(), verbs().end(), first) == verbs().end()) refuse_verb(first);
  for (CLI::App* verb : grammar.app.get_subcommands([](const CLI::App*) { return true; }))
    verb->disabled(verb->get_name() != first);
}

const CLI::App& chosen(const Grammar& grammar) {
  for (const CLI::App* verb : {grammar.train, grammar.sweep, grammar.resume, grammar.config,
                               grammar.bench, grammar.evaluate, grammar.encode, grammar.sample,
                               grammar.export_verb, grammar.report, grammar.slurm, grammar.doctor})
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

ProgressStyle progress_style(const Flags& flags) {
  return one_of<ProgressStyle>("--progress", flags.progress,
                               {{"auto", ProgressStyle::kAuto},
                                {"bar", ProgressStyle::kBar},
                                {"plain", ProgressStyle::kPlain},
                                {"none", ProgressStyle::kNone}});
}

Resume resume_choice(const Flags& flags) {
  return one_of<Resume>(
      "--resume", flags.resume,
      {{"auto", Resume::kAuto}, {"never", Resume::kNever}, {"must", Resume::kMust}});
}

TrainCommand train_command(Flags flags, bool out_given, bool init_from_given) {
  TrainCommand command;
  command.config = take_config(flags.words);
  command.words = std::move(flags.words);
  if (out_given && flags.out.empty())
    throw UsageError("--out needs the name of a folder, but is empty");
  if (out_given) command.out = flags.out;
  if (init_from_given) command.init_from = flags.init_from;
  command.resume = resume_choice(flags);
  if (command.resume != Resume::kNever && !command.out)
    throw UsageError(fmt::format("--resume {} needs --out, the run's folder", flags.resume));
  command.progress = progress_style(flags);
  command.verbose = flags.verbose;
  command.dry_run = flags.dry_run;
  return command;
}

SweepCommand sweep_command(Flags flags, bool out_given) {
  const auto config = take_config(flags.words);
  if (!config)
    throw UsageError(
        "which sweep? `elbow sweep FILE` needs a .cfg file with a section [sweep], such as "
        "configs/sweep_kl.cfg");
  SweepCommand command{.config = *config, .words = std::move(flags.words), .shard = flags.shard};
  if (out_given && flags.out.empty())
    throw UsageError("--out needs the name of a folder, but is empty");
  if (out_given) command.out = flags.out;
  command.resume = resume_choice(flags);
  if (command.resume != Resume::kNever && !command.out)
    throw UsageError(fmt::format("--resume {} needs --out, the sweep's folder", flags.resume));
  command.progress = progress_style(flags);
  command.verbose = flags.verbose;
  command.dry_run = flags.dry_run;
  return command;
}

Command resume_command(Flags flags) {
  if (flags.words.empty() || flags.words.front().find('=') != std::string::npos ||
      flags.words.front().empty())
    throw UsageError("which run? `elbow resume RUN` goes on with the run in the folder RUN");
  if (const std::filesystem::path folder = flags.words.front(); cluster::holds_sweep(folder)) {
    flags.words.front() = cluster::SweepDirectory(folder, {}).config();
    flags.resume = "must";
    flags.out = folder;
    return sweep_command(std::move(flags), /*out_given=*/true);
  }
  TrainCommand command;
  command.resume = Resume::kMust;
  command.out = flags.words.front();
  command.config = trainer::RunDirectory(*command.out).config();
  flags.words.erase(flags.words.begin());
  command.words = std::move(flags.words);
  command.progress = progress_style(flags);
  command.verbose = flags.verbose;
  command.dry_run = flags.dry_run;
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
    throw UsageError("what to measure? `elbow bench step`, `comm`, `sweep` or `scaling`");
  command.kind = one_of<BenchKind>("bench", flags.words.front(),
                                   {{"step", BenchKind::kStep},
                                    {"comm", BenchKind::kComm},
                                    {"sweep", BenchKind::kSweep},
                                    {"scaling", BenchKind::kScaling}});
  flags.words.erase(flags.words.begin());
  command.json = flags.json;
  command.config = take_config(flags.words);
  command.words = std::move(flags.words);
  return command;
}

DoctorCommand doctor_command(Flags flags, bool out_given) {
  constexpr double kLongest = 600;
  DoctorCommand command{.json = flags.json};
  command.config = take_config(flags.words);
  command.words = std::move(flags.words);
  if (out_given && flags.out.empty())
    throw UsageError("--out needs the name of a folder, but is empty");
  if (out_given) command.out = flags.out;
  if (!flags.pretend.empty()) command.pretend = flags.pretend;
  const auto seconds = number_from_text(flags.seconds);
  if (!seconds || *seconds < 0 || *seconds > kLongest)
    throw UsageError(fmt::format("--seconds = '{}' (command line) is not a number from 0 to {}",
                                 shown(flags.seconds), kLongest));
  command.seconds = *seconds;
  return command;
}

ReportCommand report_command(Flags flags, bool out_given) {
  ReportCommand command;
  for (const auto& word : flags.words) {
    if (word.empty()) throw UsageError("a RUN to report is an empty word; give run folders");
    command.runs.emplace_back(word);
  }
  if (command.runs.empty())
    throw UsageError("which run? `elbow report RUN` draws a run folder, such as one below runs/");
  if (out_given && flags.out.empty())
    throw UsageError("--out needs the name of a folder, but is empty");
  if (out_given) command.out = flags.out;
  return command;
}

// RUN, which checkpoint, and the words.
RunChoice run_choice(const char* verb, Flags& flags) {
  if (flags.words.empty() || flags.words.front().empty() ||
      flags.words.front().find('=') != std::string::npos) {
    throw UsageError(fmt::format(
        "which run? give the folder that `elbow train` wrote: elbow {} RUN; see `elbow {} --help`",
        verb, verb));
  }
  RunChoice choice{.run = flags.words.front(), .checkpoint = flags.checkpoint};
  choice.words.assign(flags.words.begin() + 1, flags.words.end());
  if (choice.checkpoint != "best" && choice.checkpoint != "latest" &&
      integer_from_text(choice.checkpoint).value_or(-1) < 0) {
    throw UsageError(
        fmt::format("--checkpoint = '{}' (command line) is not known{}; allowed: best, "
                    "latest, or the number of a step",
                    shown(choice.checkpoint), did_you_mean(choice.checkpoint, {"best", "latest"})));
  }
  one_of<bool>("--split", flags.split, {{"train", true}, {"validation", true}, {"test", true}});
  return choice;
}

// The file or folder of --out, with one of these endings.
std::filesystem::path required_out(const char* verb, const std::string& out,
                                   const std::vector<std::string>& endings) {
  if (out.empty())
    throw UsageError(
        fmt::format("--out is missing: say where to write; see `elbow {} --help`", verb));
  const auto ending = std::filesystem::path(out).extension().string();
  if (!endings.empty() && std::find(endings.begin(), endings.end(), ending) == endings.end()) {
    throw UsageError(fmt::format("--out = '{}' (command line) must end in {}", shown(out),
                                 fmt::join(endings, " or ")));
  }
  return out;
}

EvaluateCommand evaluate_command(Flags flags, bool out_given) {
  EvaluateCommand command{.choice = run_choice("evaluate", flags)};
  command.split = flags.split;
  command.json = flags.json;
  if (!flags.examples.empty())
    command.examples = whole_number("--examples", flags.examples, 1, 4294967295);
  command.importance_samples =
      whole_number("--importance-samples", flags.importance_samples, 0, 1000000);
  if (out_given) command.out = required_out("evaluate", flags.out, {".npy"});
  if (command.importance_samples == 0 && (out_given || command.examples)) {
    throw UsageError(
        fmt::format("{} is for the importance-sampled log p(x): add "
                    "--importance-samples K",
                    out_given ? "--out" : "--examples"));
  }
  return command;
}

EncodeCommand encode_command(Flags flags, bool split_given) {
  EncodeCommand command{.choice = run_choice("encode", flags)};
  command.split = flags.split;
  if (!flags.data.empty() && split_given)
    throw UsageError("--data and --split exclude each other: give one of them");
  if (!flags.data.empty()) command.data = flags.data;
  if (flags.data.empty() && !split_given)
    throw UsageError("what to encode? give --data FILE, or --split test");
  command.out = required_out("encode", flags.out, {".npy", ".csv"});
  return command;
}

SampleCommand sample_command(Flags flags) {
  SampleCommand command{.choice = run_choice("sample", flags)};
  command.split = flags.split;
  command.kind = one_of<SampleKind>("--kind", flags.kind,
                                    {{"prior", SampleKind::kPrior},
                                     {"reconstruction", SampleKind::kReconstruction},
                                     {"interpolation", SampleKind::kInterpolation},
                                     {"traversal", SampleKind::kTraversal},
                                     {"completion", SampleKind::kCompletion},
                                     {"classes", SampleKind::kClasses}});
  command.count = whole_number("--count", flags.count, 1, 1000000);
  if (!flags.condition.empty()) command.condition = flags.condition;
  if (!flags.complete.empty()) command.complete = flags.complete;
  if (!flags.regressor.empty()) command.regressor = flags.regressor;
  if (command.condition && command.kind != SampleKind::kPrior)
    throw UsageError("--condition is for --kind prior: leave one of them out");
  if (command.complete && (command.condition || command.kind != SampleKind::kPrior))
    throw UsageError(
        "--complete takes its conditions from the file: leave --condition and --kind out");
  if (command.regressor && command.kind != SampleKind::kCompletion)
    throw UsageError("--regressor is for --kind completion: add it");
  if (!flags.out.empty()) command.out = required_out("sample", flags.out, {".npy", ".png"});
  return command;
}

ExportCommand export_command(Flags flags) {
  ExportCommand command{.choice = run_choice("export", flags)};
  command.out = required_out("export", flags.out, {});
  return command;
}

SlurmCommand slurm_command(Flags flags, bool shards_given) {
  auto config = take_config(flags.words);
  return {slurm_job(flags.slurm, std::move(config), std::move(flags.words), shards_given)};
}

}  // namespace

Command parse_command_line(const std::vector<std::string>& arguments) {
  Grammar grammar;
  read_first_word(grammar, arguments);
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
  if (grammar.sweep->parsed())
    return sweep_command(std::move(grammar.flags), grammar.sweep->count("--out") > 0);
  if (grammar.resume->parsed()) return resume_command(std::move(grammar.flags));
  if (grammar.bench->parsed()) return bench_command(std::move(grammar.flags));
  if (grammar.report->parsed())
    return report_command(std::move(grammar.flags), grammar.report->count("--out") > 0);
  if (grammar.doctor->parsed())
    return doctor_command(std::move(grammar.flags), grammar.doctor->count("--out") > 0);
  if (grammar.evaluate->parsed())
    return evaluate_command(std::move(grammar.flags), grammar.evaluate->count("--out") > 0);
  if (grammar.encode->parsed())
    return encode_command(std::move(grammar.flags), grammar.encode->count("--split") > 0);
  if (grammar.sample->parsed()) return sample_command(std::move(grammar.flags));
  if (grammar.export_verb->parsed()) return export_command(std::move(grammar.flags));
  if (grammar.slurm->parsed())
    return slurm_command(std::move(grammar.flags), grammar.slurm->count("--shards") > 0);
  return config_command(std::move(grammar.flags));
}

}  // namespace elbow::launch
