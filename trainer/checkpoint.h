// Checkpoints on disk: RUN/checkpoints/step_000000469/ with model.safetensors (the weights alone,
// so that equal weights are equal files), optimizer.safetensors, state.json and manifest.json.
//
// A checkpoint is complete and verified, or it is not seen: it is written into a temporary folder
// beside, every file synced and sealed by the manifest, the folder synced, renamed, its parent
// synced. One writer at a time (run_lock.h); readers need no lock. Blocking; any thread.
//
// In a pack of one row tensors have plain names ("encoder.layers.0.weight", and in
// optimizer.safetensors "first_moment.encoder.layers.0.weight"); of more, "rows.2." before them.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "models/parameter_layout.h"
#include "trainer/checkpoint_state.h"
#include "trainer/run_directory.h"
#include "trainer/weights_file.h"

namespace elbow::trainer {

// How flat rows become named tensors.
struct TensorNames {
  const models::ParameterLayout& layout;
  std::vector<std::string> states;  // the optimizer's, in the order of a row's state
};

// A verified checkpoint whose tensors still have their names.
struct StoredCheckpoint {
  std::filesystem::path folder;
  Checkpoint checkpoint;  // tensors undefined
  std::vector<NamedTensor> model;
  std::vector<NamedTensor> optimizer;
};

// Writes it as `directory`'s checkpoint of its step, in place of one that is there. Makes the
// folder checkpoints/, but not the run's. std::system_error where the disk refuses; nothing is left
// then.
void write_checkpoint(const RunDirectory& directory, const Checkpoint& checkpoint,
                      const TensorNames& names);

// Throws DamagedCheckpoint: one sentence that names the bad file.
StoredCheckpoint read_checkpoint(const std::filesystem::path& folder);

struct Newest {
  std::optional<StoredCheckpoint>
      checkpoint;                    // the newest good one; none where there is none at all
  std::vector<std::string> damaged;  // one sentence for each newer one that is not good
};
// Of those before step `before`. Throws DamagedCheckpoint where there are some and none is good.
Newest load_newest(const RunDirectory& directory, int64_t before = INT64_MAX);

// The tensors of one row, into and out of the lists of a checkpoint's two files. Fills rows of
// zeros. Throws DamagedCheckpoint where a tensor is missing or has another shape.
void put_row(const RowSnapshot& row, const TensorNames& names, const std::string& prefix,
             std::vector<NamedTensor>& model, std::vector<NamedTensor>& optimizer);
void take_row(const StoredCheckpoint& stored, const TensorNames& names, const std::string& prefix,
              RowSnapshot& row);

// All rows.
Checkpoint with_tensors(const StoredCheckpoint& stored, const TensorNames& names);

// Steps of the checkpoints that are there, ascending, good or not.
std::vector<int64_t> checkpoint_steps(const RunDirectory& directory);

// Removes one; a crash in the middle leaves nothing that could be taken for a checkpoint.
void remove_checkpoint(const RunDirectory& directory, int64_t step);

// Removes what a killed writer left. Returns how many things that were.
int64_t remove_leftovers(const RunDirectory& directory);

}  // namespace elbow::trainer
