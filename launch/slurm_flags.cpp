#include "launch/slurm_flags.h"

#include <algorithm>
#include <cctype>
#include <regex>

#include "launch/flag_value.h"

namespace elbow::launch {
namespace {

enum class Kind { kTrain, kPreemptible, kSweep, kArray };

// A line of the script must stay one.
void check_one_line(const std::string& flag, const std::string& text) {
  const auto is_control = [](unsigned char c) { return std::iscntrl(c) != 0; };
  if (text.empty()) throw UsageError(flag + " needs a value, but is empty");
  if (std::ranges::any_of(text, is_control))
    throw UsageError(
        fmt::format("{} = '{}' (command line) has a control character, such as the end of a line",
                    flag, shown(text)));
}

std::string name_in_slurm(const std::string& flag, const std::string& text, const char* extra) {
  const auto is_allowed = [&](unsigned char c) {
    return std::isalnum(c) != 0 ||
           std::string_view(extra).find(static_cast<char>(c)) != std::string_view::npos;
  };
  if (text.empty() || !std::ranges::all_of(text, is_allowed))
    throw UsageError(
        fmt::format("{} = '{}' (command line) is no name in Slurm: use letters, digits and {}",
                    flag, shown(text), extra));
  return text;
}

std::string time_limit(const std::string& text) {
  static const std::regex notation(R"(\d{1,9}(:\d\d){0,2}|\d{1,6}-\d{1,2}(:\d\d){0,2})");
  static const std::regex zero(R"([0:-]*)");
  if (!std::regex_match(text, notation) || std::regex_match(text, zero)) {
    throw UsageError(fmt::format(
        "--time = '{}' (command line) is no time limit of Slurm's: MINUTES, HH:MM:SS or D-HH:MM:SS",
        shown(text)));
  }
  return text;
}

void check_together(const SlurmFlags& flags, const SlurmJob& job, bool shards_given) {
  if (shards_given && job.shards == 0)
    throw UsageError("--shards is for --kind array: add it, or leave --shards out");
  if (job.gpus_per_node > 0 && job.ranks_per_node > job.gpus_per_node) {
    throw UsageError(fmt::format(
        "--ranks-per-node = {} (command line) is more than --gpus-per-node = {}: a rank computes "
        "on a GPU of its own",
        job.ranks_per_node, job.gpus_per_node));
  }
  if (!job.container.empty() && !job.srun && job.nodes > 1) {
    throw UsageError(fmt::format(
        "--container (command line) on {} nodes needs --launcher srun: an mpirun inside of a "
        "container reaches one node",
        job.nodes));
  }
  for (const auto& words : flags.sbatch) {
    if (!words.starts_with("-"))
      throw UsageError(fmt::format(
          "--sbatch = '{}' (command line) is no option of sbatch's, such as --account=NAME",
          shown(words)));
  }
}

}  // namespace

void SlurmFlags::add_to(CLI::App& verb) {
  verb.add_option("--kind", kind,
                  "train: one run; preemptible: one that comes back from the queue until it is "
                  "complete; sweep: over all "
                  "ranks; array: a sweep in shards, one a job")
      ->type_name("train|preemptible|sweep|array");
  verb.add_option("--nodes", nodes, "Nodes (default 1)")->type_name("N");
  verb.add_option("--gpus-per-node", gpus_per_node, "GPUs of each (default 0)")->type_name("G");
  verb.add_option("--ranks-per-node", ranks_per_node, "Ranks on each (default: one a GPU, else 1)")
      ->type_name("R");
  verb.add_option("--cores-per-rank", cores_per_rank, "Cores of a rank (default 4)")
      ->type_name("C");
  verb.add_option("--time", time, "Limit, as Slurm writes it (default 1:00:00)")->type_name("T");
  verb.add_option("--partition", partition, "Where to queue (default the cluster's)")
      ->type_name("P");
  verb.add_option("--shards", shards, "Jobs of an array (default 8)")->type_name("S");
  verb.add_option("--launcher", launcher, "What starts the ranks (default mpirun)")
      ->type_name("mpirun|srun");
  verb.add_option("--container", container, "Apptainer image with elbow in it")->type_name("IMAGE");
  verb.add_option("--module", modules,
                  "Line for the shell, such as 'module load openmpi'; may be repeated")
      ->type_name("LINE")
      ->allow_extra_args(false);
  verb.add_option("--sbatch", sbatch,
                  "Further option of sbatch, such as --account=NAME; may be repeated")
      ->type_name("OPTION")
      ->allow_extra_args(false);
  verb.add_option("--name", name, "Name of the job (default the file's)")->type_name("NAME");
  verb.add_option("--out", out, "Folder of the run or the sweep (default runs/NAME)")
      ->type_name("FOLDER");
  verb.add_option("--elbow", elbow,
                  "elbow's launcher on the nodes (default launch/elbow; in a container elbow)")
      ->type_name("PATH");
}

SlurmJob slurm_job(const SlurmFlags& flags, std::optional<std::filesystem::path> config,
                   std::vector<std::string> words, bool shards_given) {
  const auto kind = one_of<Kind>("--kind", flags.kind,
                                 {{"train", Kind::kTrain},
                                  {"preemptible", Kind::kPreemptible},
                                  {"sweep", Kind::kSweep},
                                  {"array", Kind::kArray}});
  SlurmJob job{.config = std::move(config), .words = std::move(words)};
  job.sweep = kind == Kind::kSweep || kind == Kind::kArray;
  job.requeue = kind != Kind::kTrain;
  if (job.sweep && !job.config)
    throw UsageError("which sweep? `elbow slurm FILE --kind " + flags.kind +
                     "` needs a .cfg file with a section [sweep], such as configs/sweep_kl.cfg");
  job.srun = one_of<bool>("--launcher", flags.launcher, {{"mpirun", false}, {"srun", true}});
  if (kind == Kind::kArray) job.shards = whole_number("--shards", flags.shards, 1, 100000);
  job.nodes = whole_number("--nodes", flags.nodes, 1, 100000);
  job.gpus_per_node = whole_number("--gpus-per-node", flags.gpus_per_node, 0, 64);
  job.ranks_per_node = std::max<int64_t>(1, job.gpus_per_node);
  if (!flags.ranks_per_node.empty())
    job.ranks_per_node = whole_number("--ranks-per-node", flags.ranks_per_node, 1, 1024);
  job.cores_per_rank = whole_number("--cores-per-rank", flags.cores_per_rank, 1, 1024);
  job.time = time_limit(flags.time);
  if (!flags.partition.empty())
    job.partition = name_in_slurm("--partition", flags.partition, "_-.,");
  job.name = name_in_slurm("--name",
                           !flags.name.empty() ? flags.name
                           : job.config        ? job.config->stem().string()
                                               : "kl_vae",
                           "_-.");
  job.out = flags.out.empty() ? "runs/" + job.name : flags.out;
  job.container = flags.container;
  job.elbow = !flags.elbow.empty() ? flags.elbow : job.container.empty() ? "launch/elbow" : "elbow";
  job.modules = flags.modules;
  job.sbatch = flags.sbatch;
  check_one_line("--out", job.out);
  check_one_line("--elbow", job.elbow);
  if (!job.container.empty()) check_one_line("--container", job.container);
  if (job.config) check_one_line("CONFIG", job.config->string());
  for (const auto& line : job.modules) check_one_line("--module", line);
  for (const auto& option : job.sbatch) check_one_line("--sbatch", option);
  for (const auto& word : job.words) check_one_line("key=value", word);
  check_together(flags, job, shards_given);
  return job;
}

}  // namespace elbow::launch
