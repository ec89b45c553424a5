#include "launch/setting_table.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "launch/number_text.h"

namespace elbow::launch {
namespace {

using kinds::at;
using kinds::changeable;
using kinds::choice;
using kinds::duration;
using kinds::integer;
using kinds::integer_in;
using kinds::integer_list;
using kinds::integer_list_or_none;
using kinds::integer_or_auto;
using kinds::number;
using kinds::optional_number;
using kinds::path;
using kinds::Range;
using kinds::seed;
using kinds::yes_or_no;
using trainer::Settings;

trainer::RateStage stage_from_text(const std::string& text) {
  const auto colon = text.find(':');
  const auto epochs = integer_from_text(text.substr(0, colon));
  const auto rate =
      colon == std::string::npos ? std::nullopt : number_from_text(text.substr(colon + 1));
  const bool good = epochs && rate && *epochs >= 1 && *rate > 0 && *rate <= 1000;
  if (!good)
    throw BadValue(fmt::format("has a value '{}' that is not EPOCHS:RATE, both above 0", text));
  return {*epochs, *rate};
}

Setting stages() {
  constexpr size_t kLongest = 256;
  const auto place = at(&Settings::optimizer, &trainer::OptimizerSettings::stages);
  return {.key = "optimizer.stages",
          .type = "list of EPOCHS:RATE",
          .allowed = fmt::format("1 to {} values such as 3:1e-3, or none", kLongest),
          .help = "stages: learning rates for so many epochs each; the last one stays",
          .set =
              [=](Settings& s, const std::string& text) {
                std::vector<trainer::RateStage> values;
                if (text != "none") {
                  for (const auto& part : parts_between_commas(text))
                    values.push_back(stage_from_text(part));
                }
                if (values.size() > kLongest) throw BadValue("has too many values");
                place(s) = std::move(values);
              },
          .print =
              [=](const Settings& s) {
                std::vector<std::string> parts;
                for (const auto& [epochs, rate] : place(s))
                  parts.push_back(fmt::format("{}:{}", epochs, text_from_number(rate)));
                return parts.empty() ? std::string("none")
                                     : fmt::format("{}", fmt::join(parts, ", "));
              }};
}

int64_t leaves_from_text(const std::string& text) {
  const int64_t leaves = integer_in({1, 64}, text);
  if ((leaves & (leaves - 1)) != 0) throw BadValue("is not a power of two");
  return leaves;
}

Setting leaves() {
  Setting setting =
      integer_or_auto("train.leaves", at(&Settings::train, &trainer::TrainSettings::leaves),
                      {1, 64}, "exact: slices of the global batch that are summed in a fixed tree");
  setting.allowed = "1, 2, 4, 8, 16, 32, 64, or auto (at least 32 rows a leaf)";
  setting.set = [](Settings& s, const std::string& text) {
    s.train.leaves = text == "auto" ? 0 : leaves_from_text(text);
  };
  return setting;
}

void add_data(std::vector<Setting>& table) {
  using D = trainer::DataSettings;
  const auto in = [](auto member) { return at(&Settings::data, member); };
  table.push_back(choice("data.source", in(&D::source), {"mnist", "idx", "npy", "synthetic"},
                         "mnist: the copy inside the program; idx: files in data.dir; npy: files "
                         "of NumPy; synthetic: drawn shapes"));
  // Where files lie may change: they are compared by their hashes.
  const auto add = [&](Setting setting) { table.push_back(changeable(std::move(setting))); };
  add(path("data.dir", in(&D::dir), "a folder's path",
           "idx: folder with MNIST's four file names, also as .gz"));
  const char* file = "a file's path";
  add(path("data.train_images", in(&D::train_images), file,
           "npy: bytes, or float32 in [0, 1]; [N, H, W], [N, H, W, 3] or [N, 3, H, W]"));
  add(path("data.test_images", in(&D::test_images), file, "npy: the same for test"));
  add(path("data.train_labels", in(&D::train_labels), file,
           "npy: bytes or int64 [N], 0 to 255; may be left out"));
  add(path("data.test_labels", in(&D::test_labels), file, "npy: the same for test"));
  add(path("data.train_attributes", in(&D::train_attributes), file,
           "numbers of each training example, .npy or IDX, for model.condition = attributes"));
  add(path("data.test_attributes", in(&D::test_attributes), file, "the same for test"));
  table.push_back(integer("data.validation", in(&D::validation), {0, 4294967295},
                          "the last N training examples become the validation split; 0: none"));
  table.push_back(choice("data.binarise", in(&D::binarise),
                         {"none", "threshold", "stochastic", "static"},
                         "pixels as grey values, thresholded, or drawn anew or once"));
  table.push_back(integer("data.threshold", in(&D::threshold), {0, 255},
                          "threshold: a pixel is 1 where its byte is at least this"));
  table.push_back(changeable(choice("data.in_memory", in(&D::in_memory), {"auto", "true", "false"},
                                    "idx: false reads plain images in place, batch by batch; "
                                    "auto: those above 1 GiB")));
  table.push_back(seed("data.seed", in(&D::seed), "synthetic: what the shapes follow from"));
  table.push_back(integer("data.examples", in(&D::examples), {1, 1e9},
                          "synthetic: training examples, the validation split included"));
  table.push_back(
      integer("data.test_examples", in(&D::test_examples), {1, 1e9}, "synthetic: test examples"));
  table.push_back(integer("data.height", in(&D::height), {8, 4096}, "synthetic: rows of pixels"));
  table.push_back(integer("data.width", in(&D::width), {8, 4096}, "synthetic: columns of pixels"));
  table.push_back(path("data.mask", in(&D::mask),
                       "none, column:N, row:N, half:left|right|top|bottom, quadrants:1|2|3 or "
                       "box:TOP:LEFT:HEIGHT:WIDTH",
                       "model.condition = mask: the part of a picture that is given"));
  table.push_back(choice("data.condition_binarise", in(&D::condition_binarise),
                         {"as_data", "none", "threshold", "stochastic"},
                         "how that part's pixels are binarised; stochastic: drawn anew each time"));
}

void add_model(std::vector<Setting>& table) {
  using M = trainer::ModelSettings;
  const auto in = [](auto member) { return at(&Settings::model, member); };
  const Range width{1, 1e6};
  table.push_back(choice("model.kind", in(&M::kind), {"vae", "regressor", "bottleneck"},
                         "regressor: of the condition, without latents; bottleneck: the encoder "
                         "sees the condition alone, the decoder z alone"));
  table.push_back(integer_list_or_none("model.encoder", in(&M::encoder), width, /*longest=*/64,
                                       "widths of the encoder's hidden layers, first to last"));
  table.push_back(
      integer_list_or_none("model.decoder", in(&M::decoder), width, /*longest=*/64,
                           "widths of the decoder's hidden layers, from the latent side"));
  table.push_back(integer("model.latent", in(&M::latent), width, "number of latent units"));
  table.push_back(choice("model.network", in(&M::network), {"mlp", "conv"},
                         "conv: convolutions of stride 2 before the encoder's dense layers, and "
                         "their mirror image after the decoder's"));
  table.push_back(integer_list("model.channels", in(&M::channels), {1, 65536}, /*longest=*/16,
                               "conv: channels of the convolutions, from the image inwards"));
  table.push_back(
      integer("model.kernel", in(&M::kernel), {1, 31}, "conv: side of the convolutions' kernels"));
  table.push_back(choice("model.activation", in(&M::activation),
                         {"tanh", "relu", "sigmoid", "softplus", "identity"},
                         "activation of the hidden layers"));
  table.push_back(choice("model.initialisation", in(&M::initialisation),
                         {"glorot", "pytorch", "truncated_normal"}, "how weights start"));
  table.push_back(number("model.initial_std", in(&M::initial_std), {0, 100, /*low_excluded=*/true},
                         "truncated_normal: standard deviation of the first weights"));
  table.push_back(choice("model.posterior", in(&M::posterior),
                         {"log_variance", "softplus", "softplus_squared"},
                         "what the encoder gives of sigma; softplus_squared: its KL takes the log "
                         "of sigma^2, which underflows"));
  table.push_back(choice(
      "model.likelihood", in(&M::likelihood),
      {"bernoulli", "continuous_bernoulli", "gaussian", "gaussian_learned", "gaussian_optimal"},
      "of the pixels, given the decoder's output"));
  table.push_back(number("model.sigma", in(&M::sigma), {0, 1e6, /*low_excluded=*/true},
                         "gaussian: its standard deviation; gaussian_learned: where it starts"));
  table.push_back(choice("model.output_bias", in(&M::output_bias), {"zero", "data_mean"},
                         "data_mean: the decoder's last bias starts at the train split's mean"));
  table.push_back(choice("model.condition", in(&M::condition),
                         {"none", "label", "attributes", "mask"},
                         "what is given: the class, attributes, or a part of the picture"));
  table.push_back(choice("model.condition_into", in(&M::condition_into),
                         {"both", "decoder", "encoder"},
                         "who sees the condition; a decoder that does not is refused"));
  table.push_back(
      number("model.condition_dropout", in(&M::condition_dropout),
             {0, 1, /*low_excluded=*/false, /*high_excluded=*/true},
             "how often training hides the condition, so that the model can go without"));
  table.push_back(integer_list_or_none("model.path", in(&M::path), width, /*longest=*/64,
                                       "widths of the condition's own hidden layers"));
  table.push_back(choice("model.join", in(&M::join), {"concat", "add"},
                         "concat: the path's last layer stands beside the first inputs of encoder "
                         "and decoder; add: pre-activations are added"));
  table.push_back(integer("model.join_layer", in(&M::join_layer), {1, 64},
                          "add: the layer of path and encoder that meet; the path's last one meets "
                          "the decoder's first"));
  table.push_back(choice("model.prior", in(&M::prior), {"standard", "learned"},
                         "of z; learned: a Gaussian whose mean and variance follow from the "
                         "condition"));
  table.push_back(integer_list_or_none("model.prior_hidden", in(&M::prior_hidden), width,
                                       /*longest=*/64,
                                       "learned: widths of hidden layers behind the path"));
}

void add_objective(std::vector<Setting>& table) {
  using O = trainer::ObjectiveSettings;
  const auto in = [](auto member) { return at(&Settings::objective, member); };
  table.push_back(optional_number(
      "objective.beta", in(&O::beta), {0, 1e9}, /*unset=*/"",
      "weight of the KL against the reconstruction summed over D pixels; 1 is the true ELBO"));
  table.push_back(optional_number(
      "objective.kl_wt", in(&O::kl_wt), {0, 1e9}, /*unset=*/"",
      "weight of the KL against the mean over D pixels: beta = kl_wt * D; excludes beta"));
  table.push_back(choice("objective.reduction", in(&O::reduction), {"sum", "pixel_mean"},
                         "scale on which the loss is optimised and shown"));
  table.push_back(choice("objective.kind", in(&O::kind), {"elbo", "iwae", "dreg"},
                         "iwae: the importance-weighted bound; dreg: the same with the encoder's "
                         "doubly reparameterized gradient"));
  table.push_back(integer("objective.samples", in(&O::samples), {1, 1e5},
                          "draws of the posterior for each example"));
  table.push_back(choice("objective.anneal", in(&O::anneal),
                         {"none", "linear", "sigmoid", "cosine", "cyclical"},
                         "how the weight of the KL grows at the start"));
  table.push_back(number("objective.anneal_steps", in(&O::anneal_steps), {0, 1e12},
                         "the weight is full after this many optimizer steps"));
  table.push_back(integer("objective.anneal_cycles", in(&O::anneal_cycles), {1, 1e6},
                          "cyclical: how often the weight starts anew within anneal_steps"));
  table.push_back(number("objective.anneal_rise", in(&O::anneal_rise),
                         {0, 1, /*low_excluded=*/true},
                         "cyclical: share of a cycle in which the weight grows"));
  table.push_back(choice("objective.capacity", in(&O::capacity), {"none", "batch", "example"},
                         "KL as its distance from C nats: batch: |mean KL - C|; example: mean "
                         "|KL - C|"));
  table.push_back(
      number("objective.capacity_nats", in(&O::capacity_nats), {0, 1e9}, "capacity: C at the end"));
  table.push_back(number("objective.capacity_from", in(&O::capacity_from), {0, 1e9},
                         "capacity: C at the start"));
  table.push_back(number("objective.capacity_steps", in(&O::capacity_steps), {0, 1e12},
                         "capacity: optimizer steps from the first C to the last"));
  table.push_back(number("objective.free_bits", in(&O::free_bits), {0, 1e9},
                         "nats of KL that each group of latents has free; 0: none"));
  table.push_back(integer("objective.free_bits_groups", in(&O::free_bits_groups), {0, 1e6},
                          "free_bits: equal groups of neighbouring latents; 0: each latent alone"));
  table.push_back(number("objective.sigma_wt", in(&O::sigma_wt), {0, 1e9},
                         "weight of sum (1 - sigma)^4 over latents, beside the summed "
                         "reconstruction"));
  table.push_back(number("objective.l2", in(&O::l2), {0, 1e9},
                         "weight of the sum of squares of all weight matrices"));
}

void add_optimizer(std::vector<Setting>& table) {
  using O = trainer::OptimizerSettings;
  const auto in = [](auto member) { return at(&Settings::optimizer, member); };
  const Range decay{0, 1, /*low_excluded=*/false, /*high_excluded=*/true};
  table.push_back(choice("optimizer.kind", in(&O::kind), {"adam", "rmsprop"},
                         "adam as in PyTorch; rmsprop as in Keras 2 (epsilon outside the root)"));
  table.push_back(
      number("optimizer.lr", in(&O::lr), {0, 1000, /*low_excluded=*/true}, "learning rate"));
  table.push_back(number("optimizer.beta1", in(&O::beta1), decay, "adam: decay of the mean"));
  table.push_back(number("optimizer.beta2", in(&O::beta2), decay, "adam: decay of the square"));
  table.push_back(number("optimizer.rho", in(&O::rho), decay, "rmsprop: decay of the square"));
  table.push_back(optional_number("optimizer.epsilon", in(&O::epsilon),
                                  {0, 1, /*low_excluded=*/true}, "auto",
                                  "added to the root; auto: 1e-8 for adam, 1e-7 for rmsprop"));
  table.push_back(number("optimizer.second_moment_start", in(&O::second_moment_start), {0, 1e9},
                         "adam: first value of the square's average"));
  table.push_back(number("optimizer.clip_norm", in(&O::clip_norm), {0, 1e12},
                         "largest norm of the gradient, which is scaled down to it; 0: any"));
  table.push_back(choice("optimizer.schedule", in(&O::schedule),
                         {"constant", "stages", "milestones", "cosine"},
                         "how the learning rate changes"));
  table.push_back(stages());
  table.push_back(integer_list_or_none("optimizer.milestones", in(&O::milestones), {1, 1e6},
                                       /*longest=*/256,
                                       "milestones: epochs after which the rate is multiplied"));
  table.push_back(number("optimizer.factor", in(&O::factor), {0, 1000, /*low_excluded=*/true},
                         "milestones: by what"));
  table.push_back(number("optimizer.lr_end", in(&O::lr_end), {0, 1000},
                         "cosine: the rate at the end of the run"));
  table.push_back(integer("optimizer.warmup_steps", in(&O::warmup_steps), {0, 1e12},
                          "optimizer steps over which the rate grows to its value"));
}

void add_train(std::vector<Setting>& table) {
  using T = trainer::TrainSettings;
  const auto in = [](auto member) { return at(&Settings::train, member); };
  table.push_back(
      changeable(integer("train.epochs", in(&T::epochs), {1, 1e6}, "passes over the train split")));
  table.push_back(integer("train.steps", in(&T::steps), {0, 1e12},
                          "the run ends after so many optimizer steps; 0: after train.epochs"));
  table.push_back(
      changeable(integer("train.patience", in(&T::patience), {0, 1e6},
                         "epochs without a better held-out elbo after which to stop; 0: never")));
  table.push_back(integer("train.batch_size", in(&T::batch_size), {1, 1e9},
                          "examples a step, over all ranks together"));
  table.push_back(
      yes_or_no("train.shuffle", in(&T::shuffle), "a new order of the examples in every epoch"));
  table.push_back(
      seed("train.seed", in(&T::seed), "what every random number of the run follows from"));
  table.push_back(choice("train.reproducible", in(&T::reproducible), {"fast", "exact"},
                         "exact: the same bits on any number of ranks"));
  table.push_back(leaves());
  table.push_back(
      changeable(integer_or_auto("train.threads", in(&T::threads), {1, 1024},
                                 "threads a rank; auto: its share of the host's cores")));
  table.push_back(changeable(choice("train.device", in(&T::device), {"auto", "cpu", "cuda"},
                                    "where tensors live; auto: a GPU where every rank has one")));
  table.push_back(choice("train.precision", in(&T::precision), {"fp32", "bf16"},
                         "bf16: products of bfloat16, with weights and sums in float32 (not with "
                         "train.reproducible=exact)"));
  table.push_back(changeable(duration("train.max_time", in(&T::max_time), {0, 1e9}, "none",
                                      "the run stops after this time, and can be resumed")));
  table.push_back(
      changeable(duration("train.time_margin", in(&T::time_margin), {0, 1e6}, "",
                          "likewise this long before the end of the Slurm job it runs in")));
  table.push_back(changeable(
      duration("train.hang_timeout", in(&T::hang_timeout), {0, 1e9}, "none",
               "a rank that makes no progress for so long is ended, and the others go on")));
  table.push_back(changeable(yes_or_no("train.hang_debugger", in(&T::hang_debugger),
                                       "a rank that a debugger holds is waited for")));
  table.push_back(
      changeable(choice("train.on_nonfinite", in(&T::on_nonfinite), {"stop", "rollback"},
                        "after a step that is not finite; rollback: to the last "
                        "checkpoint, with a smaller rate")));
  table.push_back(changeable(number("train.rollback_factor", in(&T::rollback_factor),
                                    {0, 1, /*low_excluded=*/true},
                                    "rollback: what the learning rate is multiplied with")));
  table.push_back(changeable(integer("train.rollback_limit", in(&T::rollback_limit), {1, 1e6},
                                     "rollback: how often at most")));
}

void add_checkpoint(std::vector<Setting>& table) {
  using C = trainer::CheckpointSettings;
  const auto in = [](auto member) { return at(&Settings::checkpoint, member); };
  const Range count{0, 1e9};
  const auto add = [&](Setting setting) { table.push_back(changeable(std::move(setting))); };
  add(integer("checkpoint.every_epochs", in(&C::every_epochs), count,
              "epochs between two checkpoints; 0: only a last one"));
  add(integer("checkpoint.every_steps", in(&C::every_steps), count,
              "steps between two checkpoints; 0: not by steps"));
  add(number("checkpoint.every_minutes", in(&C::every_minutes), {0, 1e6},
             "minutes between two checkpoints; 0: not by time"));
  add(integer("checkpoint.keep_last", in(&C::keep_last), {1, 1e9},
              "how many of the newest checkpoints stay"));
  add(integer("checkpoint.keep_every", in(&C::keep_every), count,
              "those at the end of every so many epochs stay too; 0: none"));
  add(yes_or_no("checkpoint.keep_best", in(&C::keep_best),
                "the best epoch's stays too, and every new best epoch is saved"));
}

std::vector<Setting> make_table() {
  std::vector<Setting> table;
  add_data(table);
  add_model(table);
  add_objective(table);
  add_optimizer(table);
  add_train(table);
  add_checkpoint(table);
  const auto in = [](auto member) { return at(&Settings::log, member); };
  using L = trainer::LogSettings;
  table.push_back(changeable(integer("log.every_steps", in(&L::every_steps), {1, 1e9},
                                     "steps between two refreshes of the progress line, and two "
                                     "points of TensorBoard's curves of steps")));
  table.push_back(changeable(integer("log.pictures_every", in(&L::pictures_every), {0, 1e6},
                                     "epochs between two pictures drawn while training; 0: none")));
  table.push_back(changeable(
      yes_or_no("log.tensorboard", in(&L::tensorboard), "write event files for TensorBoard")));
  table.push_back(changeable(number("log.straggler", in(&L::straggler), {0, 1000},
                                    "a rank is named whose examples take more than so many times "
                                    "as long as the other ranks'; 0: none")));
  return table;
}

}  // namespace

const std::vector<Setting>& setting_table() {
  static const std::vector<Setting> table = make_table();
  return table;
}

const Setting* find_setting(const std::string& key) {
  for (const Setting& setting : setting_table())
    if (setting.key == key) return &setting;
  return nullptr;
}

const std::vector<std::string>& setting_keys() {
  static const std::vector<std::string> keys = [] {
    std::vector<std::string> all;
    for (const Setting& setting : setting_table()) all.push_back(setting.key);
    return all;
  }();
  return keys;
}

const std::vector<std::string>& setting_sections() {
  static const std::vector<std::string> sections = [] {
    std::vector<std::string> all;
    for (const Setting& setting : setting_table())
      if (all.empty() || all.back() != setting.section()) all.push_back(setting.section());
    return all;
  }();
  return sections;
}

}  // namespace elbow::launch
