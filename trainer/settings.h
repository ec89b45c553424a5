// The settings of one trial, typed and already validated. `launch/config` fills it from files,
// environment and command line; nothing below `launch` knows where a value came from.
//
// Keys are SECTION.MEMBER, so that `objective.kl_wt` is Settings::objective.kl_wt. Defaults here
// are elbow's defaults.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace elbow::trainer {

struct DataSettings {
  std::string source = "mnist";  // mnist (embedded) | idx | npy | synthetic (drawn shapes)
  std::string dir;               // folder with MNIST's four file names, for idx
  std::string train_images;      // npy: files
  std::string test_images;
  std::string train_labels;  // npy: may be empty
  std::string test_labels;
  std::string train_attributes;    // files beside the data, for model.condition = attributes; drawn
  std::string test_attributes;     // shapes have their own
  int64_t validation = 0;          // the last N training examples become the validation split
  std::string binarise = "none";   // none | threshold | stochastic | static
  int64_t threshold = 128;         // threshold: a pixel is 1 where its byte (0..255) is >= this
  std::string in_memory = "auto";  // idx: auto | true | false (plain images are read in place)
  int64_t seed = 1;                // synthetic, and so are the rest
  int64_t examples = 60000;        // of training, with the validation split
  int64_t test_examples = 10000;
  int64_t height = 28;
  int64_t width = 28;
  std::string mask = "none";  // the part of a picture that is given, for model.condition = mask:
                              // column:N | row:N | half:SIDE | quadrants:N | box:TOP:LEFT:H:W
  std::string condition_binarise = "as_data";  // as_data | none | threshold | stochastic: that part
};

struct ModelSettings {
  std::string kind = "vae";              // vae | regressor (of the condition, without latents) |
                                         // bottleneck (encoder: the condition alone; decoder: z)
  std::vector<int64_t> encoder = {500};  // widths of the hidden layers, first to last
  std::vector<int64_t> decoder = {500};  // widths of the hidden layers, from the latent side
  int64_t latent = 2;
  std::string network = "mlp";               // mlp | conv: convolutions around the dense layers
  std::vector<int64_t> channels = {32, 64};  // conv: of each convolution, from the image inwards
  int64_t kernel = 3;                        // conv: side of the kernels
  std::string activation = "tanh";           // tanh | relu | sigmoid | softplus | identity
  std::string initialisation = "glorot";     // glorot | pytorch | truncated_normal
  double initial_std = 0.01;                 // for truncated_normal
  std::string posterior = "log_variance";    // log_variance | softplus | softplus_squared
  std::string likelihood = "bernoulli";      // bernoulli | continuous_bernoulli | gaussian |
                                             // gaussian_learned | gaussian_optimal
  std::string output_bias = "zero";  // zero | data_mean: the decoder's last bias gives the mean of
                                     // the train split
  double sigma = 1;                  // gaussian: its sigma; gaussian_learned: the first one
  std::string condition = "none";    // none | label | attributes | mask
  std::string condition_into = "both";  // both | decoder: who sees it (encoder is refused)
  double condition_dropout = 0;         // how often training hides it
  std::vector<int64_t> path;            // widths of the condition's own hidden layers
  std::string join = "concat";          // concat | add: pre-activations
  int64_t join_layer = 1;               // add: of path and encoder, from 1
  std::string prior = "standard";       // standard | learned: a Gaussian of the condition
  std::vector<int64_t> prior_hidden;    // learned: widths of hidden layers behind the path
};

struct ObjectiveSettings {
  std::optional<double> beta;   // weight of the KL against the reconstruction summed over pixels
  std::optional<double> kl_wt;  // weight of the KL against the reconstruction averaged over D
                                // pixels; beta = kl_wt * D
  std::string reduction =
      "sum";  // sum | pixel_mean: the scale on which the loss is optimised and shown
  std::string kind = "elbo";      // elbo | iwae | dreg (IWAE with the encoder's other gradient)
  int64_t samples = 1;            // of the posterior, for each example
  std::string anneal = "none";    // none | linear | sigmoid | cosine | cyclical
  double anneal_steps = 0;        // optimizer steps until the weight of the KL is full
  int64_t anneal_cycles = 4;      // cyclical: how many, over anneal_steps
  double anneal_rise = 0.5;       // cyclical: share of a cycle in which the weight grows
  std::string capacity = "none";  // none | batch: |mean KL - C| | example: mean |KL - C|
  double capacity_nats = 0;       // C at the end, ...
  double capacity_from = 0;       // ... at the start, ...
  double capacity_steps = 0;      // ... and the optimizer steps between; 0: the end at once
  double free_bits = 0;           // lambda in max(lambda, mean KL) of each group, nats; 0: none
  int64_t free_bits_groups = 0;   // equal runs of latents; 0: each latent alone
  double sigma_wt = 0;            // weight of sum_j (1 - sigma_j)^4, as the reconstruction's
  double l2 = 0;  // l2 * sum of squares of the weight matrices, on the optimised scale
};

struct RateStage {
  int64_t epochs;
  double rate;
};

struct OptimizerSettings {
  std::string kind =
      "adam";  // adam (PyTorch's meaning) | rmsprop (Keras 2's: epsilon outside the root)
  double lr = 1e-3;
  double beta1 = 0.9;                 // adam
  double beta2 = 0.999;               // adam
  double rho = 0.9;                   // rmsprop
  std::optional<double> epsilon;      // default 1e-8 for adam, 1e-7 for rmsprop
  double second_moment_start = 0;     // adam
  double clip_norm = 0;               // largest norm of the gradient; 0: any
  std::string schedule = "constant";  // constant | stages | milestones | cosine
  std::vector<RateStage> stages;      // stages: (epochs, rate) one after another
  std::vector<int64_t> milestones;    // milestones: epochs after which ...
  double factor = 0.1;                // ... the rate is multiplied by this
  double lr_end = 0;                  // cosine: the rate at the end of the run
  int64_t warmup_steps = 0;           // optimizer steps over which the rate grows
};

struct TrainSettings {
  int64_t epochs = 10;
  int64_t steps = 0;         // 0: epochs decides; else the run ends after so many optimizer steps
  int64_t patience = 0;      // epochs without a better elbo_nats after which to stop; 0: never
  int64_t batch_size = 128;  // global: over all ranks
  bool shuffle = true;
  int64_t seed = 1;
  std::string reproducible = "fast";  // fast | exact
  int64_t leaves = 0;                 // 0 is auto
  int64_t threads = 0;                // per rank; 0 is auto: the rank's share of its host's cores
  std::string device = "auto";        // auto | cpu | cuda
  std::string precision = "fp32";     // fp32 | bf16: of the matrix products' operands
  double max_time = 0;                // seconds after which the run stops, resumable; 0: no limit
  double time_margin = 60;    // seconds before the end of a Slurm job at which it stops likewise
  double hang_timeout = 600;  // seconds without progress after which a rank is ended; 0: never
  bool hang_debugger = true;  // a rank that a debugger holds is waited for
  std::string on_nonfinite =
      "stop";                    // stop | rollback: to the last checkpoint, with a smaller rate
  double rollback_factor = 0.5;  // of the learning rate at each rollback
  int64_t rollback_limit = 3;    // rollbacks of one run
};

// When a run is saved, and which of its checkpoints stay. 0 is never, or none.
struct CheckpointSettings {
  int64_t every_epochs = 1;
  int64_t every_steps = 0;
  double every_minutes = 0;
  int64_t keep_last = 2;   // the newest ones
  int64_t keep_every = 0;  // those at the end of every so many epochs
  bool keep_best = true;   // the one of the best epoch, which is saved whenever there is a new one
};

struct LogSettings {
  int64_t every_steps = 50;    // how often the progress line and the curves of steps are written
  int64_t pictures_every = 0;  // epochs between pictures drawn while training; 0: none
  bool tensorboard = true;
  double straggler = 1.5;  // a rank whose examples take so many times as long is named; 0: none
};

struct Settings {
  DataSettings data;
  ModelSettings model;
  ObjectiveSettings objective;
  OptimizerSettings optimizer;
  TrainSettings train;
  CheckpointSettings checkpoint;
  LogSettings log;
};

// Weight of the KL on the summed scale, whichever of the two keys was given; 1 (the true ELBO)
// where none was.
double effective_beta(const ObjectiveSettings& objective, int64_t observed);

}  // namespace elbow::trainer
