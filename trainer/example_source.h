// Where a split's examples come from when they do not lie in memory as one tensor: drawn anew each
// time (synthetic.h) or read from a file (idx_file.h). The same index gives the same bytes for
// ever, on every rank and thread. Any number of threads may call any method at once.
#pragma once

#include <cstdint>
#include <span>

namespace elbow::trainer {

class ExampleSource {
 public:
  virtual ~ExampleSource() = default;

  virtual int64_t examples() const = 0;
  virtual int64_t observed() const = 0;  // bytes of an example

  // Writes example indices[i] to out[i * observed() ...]; each index in [0, examples()), checked by
  // the caller. DataError where the bytes cannot be had.
  virtual void read(std::span<const int64_t> indices, uint8_t* out) const = 0;

  // What is known of each example besides its numbers: its class, below classes(), and attributes()
  // numbers of it. 0 where there is nothing.
  virtual int64_t classes() const { return 0; }
  virtual int64_t attributes() const { return 0; }
  virtual int64_t label(int64_t /*index*/) const { return 0; }
  virtual void read_attributes(int64_t /*index*/, float* /*out*/) const {}

  // Says that read() will soon ask for just these indices, so that waiting for them can begin in
  // the background. Returns at once; a promise that is not kept costs no more than its memory.
  virtual void prefetch(std::span<const int64_t> indices) const {}
};

}  // namespace elbow::trainer
