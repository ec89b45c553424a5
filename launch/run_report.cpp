#include "launch/run_report.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "launch/duration_text.h"
#include "launch/evaluation_report.h"
#include "launch/warnings.h"

namespace elbow::launch {
namespace {

using trainer::Settings;

std::string line(const char* subject, const std::string& text) {
  return fmt::format("{:<11}{}\n", subject, text);
}

std::string counted(int64_t count, const char* noun) {
  return fmt::format("{} {}{}", count, noun, count == 1 ? "" : "s");
}

std::string data_text(const Settings& s, const RunDescription& run) {
  std::vector<std::string> splits;
  for (const auto& [name, examples] : run.splits)
    splits.push_back(fmt::format("{} {}", name, examples));
  const std::string pixels = s.data.binarise == "threshold"
                                 ? fmt::format("1 where byte >= {}", s.data.threshold)
                             : s.data.binarise == "none" ? std::string("grey")
                                                         : "binarised " + s.data.binarise;
  return fmt::format("{}: {} examples of {} values, {}",
                     s.data.source == "idx" ? s.data.dir : s.data.source, fmt::join(splits, ", "),
                     run.observed, pixels);
}

std::string model_text(const Settings& s, const RunDescription& run) {
  const bool regressor = s.model.kind == "regressor";
  std::vector<std::string> widths;
  if (regressor) {
    for (const int64_t width : s.model.path) widths.push_back(std::to_string(width));
  } else {
    widths.push_back(std::to_string(run.observed));
  }
  const bool convolutional = s.model.network == "conv";
  const auto& channels = s.model.channels;
  if (!regressor) {
    if (convolutional) widths.push_back(fmt::format("conv {}", fmt::join(channels, "-conv ")));
    for (const int64_t width : s.model.encoder) widths.push_back(std::to_string(width));
    widths.push_back(fmt::format("({})", s.model.latent));
  }
  for (const int64_t width : s.model.decoder) widths.push_back(std::to_string(width));
  if (convolutional)
    widths.push_back(
        fmt::format("conv {}", fmt::join(channels.rbegin(), channels.rend(), "-conv ")));
  widths.push_back(std::to_string(run.observed));
  std::string text = fmt::format("{} {}, {}, {} parameters, {} initialisation", s.model.kind,
                                 fmt::join(widths, "-"), s.model.activation, run.parameters,
                                 s.model.initialisation);
  if (s.model.posterior != "log_variance") text += ", posterior " + s.model.posterior;
  return text;
}

std::string condition_text(const Settings& s) {
  const auto& m = s.model;
  std::string text = m.condition;
  if (m.condition == "mask") text += " " + s.data.mask;
  if (s.data.condition_binarise != "as_data") text += ", binarised " + s.data.condition_binarise;
  if (m.kind == "bottleneck") return text + ", seen by the encoder alone";
  if (!m.path.empty()) text += fmt::format(", path {}", fmt::join(m.path, "-"));
  text += m.join == "add" ? ", added before the activation" : ", concatenated";
  if (m.condition_into == "decoder") text += ", to the decoder alone";
  if (m.prior == "learned") text += ", learned prior";
  if (m.condition_dropout > 0) text += fmt::format(", hidden at {:g}", m.condition_dropout);
  return text;
}

// What the likelihood is, and what its loss cannot go below.
std::string likelihood_text(const Settings& s, const RunDescription& run) {
  std::string text = s.model.likelihood;
  if (text == "gaussian" || text == "gaussian_learned")
    text += fmt::format(", sigma {:g}{}", s.model.sigma, text == "gaussian" ? "" : " at first");
  const char* joint = " on grey values, whose entropy is the floor of the reconstruction: ";
  for (const auto& [split, floor] : run.recon_floor_nats) {
    text += fmt::format("{}{} {:.2f}", joint, split, floor);
    joint = ", ";
  }
  return run.recon_floor_nats.empty() ? text : text + " nats";
}

std::string optimizer_text(const Settings& s) {
  std::string text = fmt::format("{}, lr {:g}", s.optimizer.kind, s.optimizer.lr);
  if (s.optimizer.schedule != "constant") text += ", " + s.optimizer.schedule;
  if (s.optimizer.warmup_steps > 0)
    text += fmt::format(", warm-up over {}", counted(s.optimizer.warmup_steps, "step"));
  if (s.optimizer.clip_norm > 0) text += fmt::format(", clipped at {:g}", s.optimizer.clip_norm);
  return text;
}

// Both weights, whichever was given.
std::string objective_text(const Settings& s, const RunDescription& run) {
  const double beta = trainer::effective_beta(s.objective, run.observed);
  std::string text =
      fmt::format("{}, beta {:.6g} = kl_wt {:.6g} * {}, loss as {}", s.objective.kind, beta,
                  beta / static_cast<double>(run.observed), run.observed, s.objective.reduction);
  if (s.objective.samples > 1) text += ", " + counted(s.objective.samples, "sample");
  if (s.objective.anneal != "none")
    text +=
        fmt::format(", {} annealing over {:g} steps", s.objective.anneal, s.objective.anneal_steps);
  if (s.objective.capacity != "none")
    text += fmt::format(", {} capacity {:g} nats", s.objective.capacity, s.objective.capacity_nats);
  if (s.objective.free_bits > 0)
    text += fmt::format(", free bits {:g} nats", s.objective.free_bits);
  if (s.objective.sigma_wt > 0) text += fmt::format(", sigma_wt {:g}", s.objective.sigma_wt);
  if (s.objective.l2 > 0) text += fmt::format(", l2 {:g}", s.objective.l2);
  return text;
}

std::string training_text(const Settings& s, const RunDescription& run) {
  const auto length =
      s.train.steps > 0 ? counted(s.train.steps, "step") : counted(s.train.epochs, "epoch");
  std::string text = fmt::format("{}, batch {}, {}, seed {}, {}", length, s.train.batch_size,
                                 s.train.shuffle ? "shuffled" : "not shuffled", s.train.seed,
                                 s.train.reproducible);
  if (s.train.precision != "fp32") text += ", " + s.train.precision;
  if (s.train.reproducible == "exact") text += fmt::format(" with {} leaves", run.leaves);
  return text;
}

// "2 (mpi) on node-a: cpu, node-b: cpu, 4 threads each"; a long world is cut.
std::string ranks_text(const RunDescription& run) {
  constexpr size_t kMostShown = 8;
  std::vector<std::string> places;
  for (const trainer::RankPlace& rank : run.ranks) {
    if (places.size() == kMostShown) {
      places.push_back(fmt::format("and {} more", run.ranks.size() - kMostShown));
      break;
    }
    places.push_back(rank.host + ": " + rank.device);
  }
  return fmt::format("{} ({}) on {}, {} thread{} each", run.ranks.size(), run.backend,
                     fmt::join(places, ", "), run.threads_per_rank,
                     run.threads_per_rank == 1 ? "" : "s");
}

std::string metrics_text(const trainer::SplitMetrics& m) {
  return fmt::format("loss {:.4f}, elbo {:.2f} nats (recon {:.2f}, kl {:.2f})", m.loss, m.elbo_nats,
                     m.recon_nats, m.kl_nats);
}

std::string end_text(const trainer::RunResult& result) {
  const std::string reached =
      fmt::format("{}, {}, {}", counted(result.epochs_done, "epoch"),
                  counted(result.steps_done, "step"), clock_text(result.seconds));
  switch (result.status) {
    case trainer::RunStatus::kComplete:
      return "complete: " + reached;
    case trainer::RunStatus::kInterrupted:
      return (result.interrupted_by.empty() ? "interrupted"
                                            : "interrupted by " + result.interrupted_by) +
             " after " + reached;
    case trainer::RunStatus::kPruned:
      return "pruned after " + reached;
    case trainer::RunStatus::kFailed:
      break;
  }
  return "failed after " + reached;
}

}  // namespace

std::string settings_report(const Settings& s, const RunDescription& run) {
  std::string text = line("run", run.folder.string()) + line("data", data_text(s, run)) +
                     line("model", model_text(s, run)) +
                     (s.model.condition == "none" ? "" : line("condition", condition_text(s))) +
                     line("likelihood", likelihood_text(s, run)) +
                     line("objective", objective_text(s, run)) +
                     line("optimizer", optimizer_text(s)) +
                     line("training", training_text(s, run)) + line("ranks", ranks_text(run)) +
                     (run.device_choice.empty() ? "" : line("devices", run.device_choice)) +
                     (run.if_lost.empty() ? "" : line("if lost", run.if_lost));
  for (const auto& warning : warnings_of(s, run.observed, run.steps))
    text += line("warning", warning);
  return text;
}

std::string summary_report(const trainer::RunResult& result, const std::filesystem::path& folder) {
  std::string text = line("end", end_text(result));
  for (const trainer::SplitMetrics& metrics : result.final_metrics)
    text += line(metrics.split.c_str(), metrics_text(metrics)) +
            (metrics.posterior ? line("posterior", posterior_text(metrics)) : "");
  if (result.best)
    text += line("best", fmt::format("{} elbo {:.2f} nats in epoch {}", result.best->split,
                                     result.best->elbo_nats, result.best->epoch));
  if (result.examples_per_s > 0)
    text += line("speed", fmt::format("{:.0f} examples/s", result.examples_per_s));
  text += line("files",
               fmt::format("{}: config.cfg, manifest.json, metrics.jsonl, result.json{}",
                           folder.string(), result.weights.empty() ? "" : ", " + result.weights));
  for (const std::string& warning : result.warnings) text += line("warning", warning);
  if (result.status == trainer::RunStatus::kComplete)
    text += line(
        "next", "launch/elbow train " + (folder / "config.cfg").string() + " objective.kl_wt=1e-2");
  if (result.status == trainer::RunStatus::kInterrupted)
    text += line("next", "launch/elbow resume " + folder.string());
  return text;
}

}  // namespace elbow::launch
