#include "launch/tensorboard_observer.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <string_view>

#include "launch/number_text.h"
#include "launch/run_figures.h"
#include "launch/setting_table.h"
#include "trainer/metrics_json.h"
#include "trainer/tensorboard.h"
#include "trainer/text_file.h"

namespace elbow::launch {
namespace {

constexpr int64_t kHistogramExamples = 1000;  // encoded anew after each epoch

// One chart's name. Those of the objective stand first, in a section of their own.
std::string tag_of(const std::string& number) {
  constexpr std::array<std::string_view, 4> kHeadline = {"loss", "recon_nats", "kl_nats",
                                                         "elbo_nats"};
  const bool headline = std::find(kHeadline.begin(), kHeadline.end(), number) != kHeadline.end();
  const bool speed = number == "seconds" || number == "examples_per_s";
  return (headline ? "epoch/" : speed ? "speed/" : "posterior/") + number;
}

// Every number of the metrics, whichever there are.
trainer::NamedScalars scalars_of(const trainer::SplitMetrics& metrics) {
  trainer::NamedScalars scalars;
  const auto object = trainer::metrics_json(metrics);
  for (const auto& [name, value] : object.items()) {
    if (name == "epoch" || name == "step" || name == "examples") continue;
    if (value.is_number()) scalars.emplace_back(tag_of(name), value.get<double>());
    if (value.is_null()) scalars.emplace_back(tag_of(name), std::nan(""));
  }
  return scalars;
}

// All keys, with both weights of the KL, whichever was given.
trainer::HyperParameters hyper_parameters(const trainer::Settings& settings, int64_t observed) {
  trainer::HyperParameters all;
  for (const auto& setting : setting_table()) {
    const auto text = setting.print(settings);
    const auto number = number_from_text(text);
    if (setting.key == "objective.beta" || setting.key == "objective.kl_wt") continue;
    if (setting.type == "switch") {
      all.emplace_back(setting.key, text == "true");
    } else if (number && (setting.type == "number" || setting.type == "integer")) {
      all.emplace_back(setting.key, *number);
    } else {
      all.emplace_back(setting.key, text);
    }
  }
  const double beta = trainer::effective_beta(settings.objective, observed);
  all.emplace_back("objective.beta", beta);
  all.emplace_back("objective.kl_wt", beta / static_cast<double>(observed));
  return all;
}

class TensorboardObserver : public trainer::Observer {
 public:
  explicit TensorboardObserver(const WatchedRun& run) : run_(run) {
    if (settings().log.tensorboard) guarded([this] { begin(); });
  }

  void on_step(const trainer::StepProgress& progress) override {
    if (!settings().log.tensorboard) return;
    require_lock();
    guarded([&] {
      log_of("train").scalars(progress.step, {{"step/loss", progress.recent_loss},
                                              {"step/recon_nats", progress.recent_recon_nats},
                                              {"step/kl_nats", progress.recent_kl_nats},
                                              {"step/examples_per_s", progress.examples_per_s}});
    });
  }

  void on_epoch(const trainer::SplitMetrics& train,
                const trainer::SplitMetrics& held_out) override {
    require_lock();
    guarded([&] {
      if (settings().log.tensorboard) {
        for (const auto* metrics : {&train, &held_out})
          log_of(metrics->split).scalars(metrics->step, scalars_of(*metrics));
        histograms(train.step);
      }
      const int64_t every = settings().log.pictures_every;
      if (every > 0 && (train.epoch % every == 0 || train.epoch == run_.trainer.epochs()))
        pictures(train.epoch, train.step);
    });
  }

  void on_note(const std::string&) override {}

 private:
  const trainer::Settings& settings() const { return run_.config.settings; }

  void require_lock() const {
    if (run_.lock != nullptr) run_.lock->require();
  }

  void begin() {
    std::filesystem::create_directory(run_.directory.tensorboard());
    trainer::truncate_events(run_.directory.tensorboard(), run_.steps_done);
    const auto held_out = run_.data.selection().name;
    log_of("train");
    log_of(held_out);
    log_of("").hparams(
        hyper_parameters(settings(), run_.trainer.model().observed()),
        {{held_out, "epoch/elbo_nats"}, {held_out, "epoch/loss"}, {held_out, "epoch/kl_nats"}},
        std::filesystem::absolute(run_.directory.path()).lexically_normal().string());
  }

  // Curves and pictures are not worth a run: a disk that refuses them, or damaged files, are told.
  template <class Work>
  void guarded(const Work& work) {
    try {
      work();
      told_.clear();
    } catch (const std::runtime_error& error) {
      if (told_ == error.what()) return;
      told_ = error.what();
      run_.tell(
          fmt::format("{}; TensorBoard's curves and pictures lack it, the run goes on", told_));
    }
  }

  // The events below tensorboard/NAME.
  trainer::EventLog& log_of(const std::string& name) {
    const auto found = logs_.find(name);
    if (found != logs_.end()) return found->second;
    const int64_t done = run_.steps_done;
    return logs_.try_emplace(name, run_.directory.tensorboard() / name, done > 0 ? done + 1 : 0)
        .first->second;
  }

  Codec codec() const {
    return {run_.trainer.model(), run_.trainer.pack().parameters.narrow(0, run_.row, 1),
            trainer::request_of(settings().data), run_.trainer.condition()};
  }

  void histogram(const std::string& split, int64_t step, const at::Tensor& mu,
                 const at::Tensor& sigma) {
    for (const auto& [tag, values] : {std::pair{"posterior/mu", mu.contiguous()},
                                      std::pair{"posterior/sigma", sigma.contiguous()}}) {
      log_of(split).histogram(
          step, tag, trainer::histogram_of(values.const_data_ptr<float>(), values.numel()));
    }
  }

  // Training's from the examples of the trace, as trained; held-out ones encoded now.
  void histograms(int64_t step) {
    if (run_.trainer.model().latent() == 0) return;
    const auto trace = run_.trainer.posterior_trace(run_.row);
    histogram("train", step, trace.select(1, 0), trace.select(1, 1));
    const auto& split = run_.data.selection();
    const auto look = codec();
    const auto posteriors =
        look.encode(look.examples(split, 0, std::min(split.examples(), kHistogramExamples)));
    histogram(split.name, step, posteriors.mu, posteriors.sigma);
  }

  void pictures(int64_t epoch, int64_t step) {
    const figures::ImageShape shape{run_.data.height, run_.data.width, run_.data.channels};
    const auto seed = static_cast<uint64_t>(settings().train.seed);
    const auto look = codec();
    for (const auto* split : {&run_.data.train, &run_.data.selection()}) {
      const auto view = view_of(look, *split, shape, seed, kHistogramExamples);
      for (const auto& drawn : training_pictures(view)) {
        const auto png = figures::png_of(drawn.figure);
        if (settings().log.tensorboard)
          log_of(split->name).image(step, drawn.name, image_of(drawn.figure, png));
        if (split != &run_.data.train)
          save_picture(fmt::format("epoch_{:04}_{}.png", epoch, drawn.name), png);
      }
    }
  }

  static trainer::EventImage image_of(const figures::Figure& figure, const std::string& png) {
    return {.height = std::lround(figure.height * figures::kPixelsPerPoint),
            .width = std::lround(figure.width * figures::kPixelsPerPoint),
            .png = png};
  }

  void save_picture(const std::string& name, const std::string& png) const {
    std::filesystem::create_directory(run_.directory.figures());
    trainer::replace_text_file(run_.directory.figures() / name, png);
  }

  WatchedRun run_;
  std::map<std::string, trainer::EventLog> logs_;
  std::string told_;  // the failure of the last attempt
};

class Together : public trainer::Observer {
 public:
  explicit Together(std::vector<std::unique_ptr<trainer::Observer>> observers)
      : observers_(std::move(observers)) {}
  void on_step(const trainer::StepProgress& progress) override {
    for (const auto& observer : observers_) observer->on_step(progress);
  }
  void on_epoch(const trainer::SplitMetrics& train,
                const trainer::SplitMetrics& held_out) override {
    for (const auto& observer : observers_) observer->on_epoch(train, held_out);
  }
  void on_note(const std::string& sentence) override {
    for (const auto& observer : observers_) observer->on_note(sentence);
  }

 private:
  std::vector<std::unique_ptr<trainer::Observer>> observers_;
};

}  // namespace

std::unique_ptr<trainer::Observer> make_tensorboard_observer(const WatchedRun& run) {
  return std::make_unique<TensorboardObserver>(run);
}

std::unique_ptr<trainer::Observer> observers_together(
    std::vector<std::unique_ptr<trainer::Observer>> observers) {
  return std::make_unique<Together>(std::move(observers));
}

}  // namespace elbow::launch
