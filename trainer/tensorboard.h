// RUN/tensorboard: event files below train/ and test/ with equal tags, so that one chart shows both
// curves, and the hyper-parameters beside them. A file a launch and folder; TensorBoard reads them
// in order. Rank 0 only, on one thread.
#pragma once

#include <filesystem>
#include <string>

#include "trainer/record_file.h"
#include "trainer/tensorboard_event.h"

namespace elbow::trainer {

// The events of one folder. Every call appends one record. Throws std::runtime_error where the disk
// refuses.
class EventLog {
 public:
  // Makes the folder where it is missing, and a new file in it. first_step: from which step on this
  // launch logs; 0 for a new run.
  EventLog(const std::filesystem::path& folder, int64_t first_step);

  void scalars(int64_t step, const NamedScalars& scalars);
  void image(int64_t step, const std::string& tag, const EventImage& image);
  void histogram(int64_t step, const std::string& tag, const Histogram& histogram);
  void hparams(const HyperParameters& parameters, const std::vector<MetricName>& metrics,
               const std::string& name);

 private:
  RecordFile file_;
};

// For a run that is resumed after `step` optimizer steps: cuts every event file below `folder` (of
// all its subfolders) before the first event of a later step, and removes files that hold no event
// any more. A folder that is not there has none. DataError, std::system_error.
void truncate_events(const std::filesystem::path& folder, int64_t step);

}  // namespace elbow::trainer
