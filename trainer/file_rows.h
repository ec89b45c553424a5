// Rows of equal size in a file that is too large for memory: read by their numbers, and those asked
// for ahead read by a thread of the object's own. Holds no more than the rows asked for ahead; maps
// nothing, so it works under any limit of address space, and a file that shrinks is an error and no
// signal.
//
// Any number of threads may call read() and prefetch() at once.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>

#include "trainer/example_source.h"

namespace elbow::trainer {

class FileRows {
 public:
  // The file is opened here and stays open. rows[i] lies at byte `begin + i * row_bytes`.
  // DataError where it cannot be opened or is no regular file.
  FileRows(std::filesystem::path path, int64_t begin, int64_t row_bytes);
  ~FileRows();

  int64_t row_bytes() const;

  // Writes row rows[i] to out[i * row_bytes() ...]. DataError with the file and the byte where it
  // ends too early or cannot be read.
  void read(std::span<const int64_t> rows, uint8_t* out) const;

  // Begins to read these rows in the background, for the one read() that asks for the same ones.
  // Of promises that nobody keeps, the oldest are forgotten.
  void prefetch(std::span<const int64_t> rows) const;

 private:
  class File;
  class Ahead;  // the thread and what it has read

  std::unique_ptr<const File> file_;
  std::unique_ptr<Ahead> ahead_;
};

// Rows [begin, begin + examples) as a split's examples; splits of one file share its rows.
std::shared_ptr<const ExampleSource> make_file_examples(std::shared_ptr<const FileRows> rows,
                                                        int64_t begin, int64_t examples);

}  // namespace elbow::trainer
