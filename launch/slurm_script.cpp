#include "launch/slurm_script.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>

namespace elbow::launch {
namespace {

constexpr int kMostRestarts = 100;

int64_t ranks_of(const SlurmJob& job) { return job.nodes * job.ranks_per_node; }

std::string counted(int64_t count, const std::string& thing) {
  return fmt::format("{} {}{}", count, thing, count == 1 ? "" : "s");
}

std::string head(const SlurmJob& job, const std::vector<std::string>& arguments) {
  std::string command = "elbow";
  for (const auto& word : arguments) command += fmt::format(" {}", shell_word(word));
  const std::string what = job.config ? job.config->string() : "the built-in kl_vae.cfg";
  const std::string where =
      fmt::format("{} of {}", counted(job.nodes, "node"), counted(job.ranks_per_node, "rank"));
  std::string text = fmt::format("#!/bin/bash\n# {}\n#\n", command);
  text += fmt::format(
      "# {} {} on {}{}, into {}. Submit it with sbatch, from the folder in which these paths "
      "hold.\n",
      job.sweep ? "Sweeps" : "Trains", what, where,
      job.shards > 0 ? fmt::format(" for each of {} shards", job.shards) : "", job.out);
  text += job.requeue ? "# It comes back from the queue until it is complete.\n\n"
                      : "# Submitted once more it goes on from its newest checkpoint.\n\n";
  return text;
}

std::string option(const std::string& reason, const std::string& options) {
  return fmt::format("# {}\n{}", reason, options);
}

std::string resources(const SlurmJob& job) {
  std::string text;
  text += option(
      "Its name in the queue, and its log; a job that comes back from the queue writes on at the "
      "log's end.",
      fmt::format("#SBATCH --job-name={}\n#SBATCH --output=%x-{}.log\n#SBATCH --open-mode=append\n",
                  job.name, job.shards > 0 ? "%A_%a" : "%j"));
  if (job.shards > 0) {
    text += option(
        "Jobs of their own, one for each shard; `1-N%M` would run at most M of them at a time.",
        fmt::format("#SBATCH --array=1-{}\n", job.shards));
  }
  text += option(
      "Nodes, ranks on each, and cores for each rank's threads.",
      fmt::format("#SBATCH --nodes={}\n#SBATCH --ntasks-per-node={}\n#SBATCH --cpus-per-task={}\n",
                  job.nodes, job.ranks_per_node, job.cores_per_rank));
  if (job.gpus_per_node > 0) {
    text += option("GPUs of each node: one rank computes on one GPU.",
                   fmt::format("#SBATCH --gpus-per-node={}\n", job.gpus_per_node));
  }
  if (!job.partition.empty())
    text += option("Where it queues.", fmt::format("#SBATCH --partition={}\n", job.partition));
  for (const auto& words : job.sbatch)
    text += option("As asked for.", fmt::format("#SBATCH {}\n", words));
  text += option(
      "The time limit. 120 s before it, or when the job is preempted, this script (B:) gets "
      "SIGUSR2.",
      fmt::format("#SBATCH --time={}\n#SBATCH --signal=B:USR2@120\n", job.time));
  text +=
      option("When a node fails Slurm puts the job back into the queue.", "#SBATCH --requeue\n");
  return text;
}

std::string environment(const SlurmJob& job) {
  std::string text;
  if (!job.modules.empty()) {
    text += "# What elbow was built with.\n";
    for (const auto& line : job.modules) text += line + "\n";
    text += "\n";
  }
  if (!job.srun && ranks_of(job) > 1) {
    text +=
        "# mpirun starts its daemons with srun, which would give them one core for all ranks of a "
        "node.\n"
        "export SLURM_WHOLE=1\n\n";
  }
  return text;
}

// What starts the ranks, up to the verb.
std::string starter(const SlurmJob& job) {
  std::string text;
  if (job.srun)
    text += "srun --mpi=pmix --cpus-per-task=\"$SLURM_CPUS_PER_TASK\" --kill-on-bad-exit=1 ";
  if (!job.container.empty()) {
    text += fmt::format("apptainer exec {}{} ", job.gpus_per_node > 0 ? "--nv " : "",
                        shell_word(job.container));
  }
  text += shell_word(job.elbow);
  if (!job.srun && ranks_of(job) > 1) text += " -n \"$SLURM_NTASKS\"";
  return text;
}

std::string program_words(const SlurmJob& job) {
  std::string text = job.sweep ? "sweep" : "train";
  if (job.config) text += fmt::format(" {}", shell_word(job.config->string()));
  for (const auto& word : job.words) text += fmt::format(" {}", shell_word(word));
  const auto is_about_saving = [](const std::string& word) {
    return word.starts_with("checkpoint.every_");
  };
  if (job.requeue && !job.sweep && std::ranges::none_of(job.words, is_about_saving))
    text += " checkpoint.every_minutes=5";
  text += " --out \"$out\" --resume auto --progress plain";
  if (job.shards > 0) text += fmt::format(" --shard \"$SLURM_ARRAY_TASK_ID/{}\"", job.shards);
  return text;
}

std::string running(const SlurmJob& job) {
  std::string text = fmt::format("out={}\n", shell_word(job.out));
  text +=
      fmt::format("result=$out/result{}.json\n\n",
                  job.shards > 0 ? fmt::format("_${{SLURM_ARRAY_TASK_ID}}_of_{}", job.shards) : "");
  if (job.srun) {
    text +=
        "# --mpi=pmix makes Slurm's tasks one world of ranks (without, each would be alone); srun "
        "does not hand the cores of\n"
        "# a task on by itself; and when one rank is lost the others end too.\n";
  }
  if (!job.container.empty() && job.gpus_per_node > 0)
    text += "# --nv brings the host's GPU driver into the container.\n";
  text +=
      "# --resume auto begins, or goes on from the newest good checkpoint. In the background, "
      "because a shell looks after\n"
      "# signals only between commands and in `wait`.\n";
  text += fmt::format("{} \\\n  {} &\nelbow=$!\n\n", starter(job), program_words(job));
  text +=
      "# SIGUSR2 ends elbow after its step, with a checkpoint; so does scancel (TERM), which also "
      "means not to come back.\n"
      "cancelled=no\n"
      "trap 'kill -USR2 \"$elbow\" 2>/dev/null' USR2\n"
      "trap 'cancelled=yes; kill -USR2 \"$elbow\" 2>/dev/null' TERM\n"
      "while true; do\n"
      "  wait \"$elbow\"\n"
      "  code=$?\n"
      "  kill -0 \"$elbow\" 2>/dev/null || break  # otherwise a signal ended the waiting, not "
      "elbow\n"
      "done\n\n";
  return text;
}

std::string ending(const SlurmJob& job) {
  std::string text =
      "# result.json tells how it ended, not the code: mpirun may return 0 for a run that lost a "
      "node.\n"
      "case $(sed -n 's/^  \"status\": \"\\([a-z]*\\)\".*/\\1/p' \"$result\" 2>/dev/null) in\n"
      "  complete) exit 0 ;;\n"
      "  failed) exit $((code > 0 ? code : 1)) ;;\n"
      "esac\n"
      "case $code in\n"
      "  2 | 3 | 4 | 86) exit \"$code\" ;;  # usage, data, damage: another try would end alike\n"
      "esac\n\n";
  if (!job.requeue) {
    return text +
           "echo \"$out is not finished: submit this script again to go on\"\n"
           "exit 75\n";
  }
  return text +
         fmt::format(
             "# Not finished, and nothing is lost: back into the queue, but not for ever.\n"
             "if [ $cancelled = yes ] || [ \"${{SLURM_RESTART_COUNT:-0}}\" -ge {} ]; then\n"
             "  echo \"$out is not finished: submit this script again to go on\"\n"
             "  exit 75\n"
             "fi\n"
             "echo \"$out is not finished: job $SLURM_JOB_ID goes back into the queue, restart "
             "$((${{SLURM_RESTART_COUNT:-0}} + 1))\"\n"
             "scontrol requeue \"$SLURM_JOB_ID\" && sleep 60  # Slurm ends this script meanwhile\n"
             "exit 75\n",
             kMostRestarts);
}

}  // namespace

std::string shell_word(const std::string& word) {
  const auto is_plain = [](unsigned char c) {
    return std::isalnum(c) != 0 ||
           std::string_view("_-./:=,+@%^").find(static_cast<char>(c)) != std::string_view::npos;
  };
  if (!word.empty() && std::ranges::all_of(word, is_plain)) return word;
  std::string text = "'";
  for (const char c : word) text += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return text + "'";
}

std::string slurm_script(const SlurmJob& job, const std::vector<std::string>& arguments) {
  return head(job, arguments) + resources(job) + "\n" + environment(job) + running(job) +
         ending(job);
}

}  // namespace elbow::launch
