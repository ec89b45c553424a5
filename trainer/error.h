// Errors of this layer. `launch` turns them into exit codes.
#pragma once

#include <stdexcept>

namespace elbow::trainer {

// A setting that cannot be: the sentence names the key, its value, the allowed range and what to
// do. Exit code 2.
class SettingError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// Data that cannot be used: the sentence names the file and the byte offset. Exit code 3.
class DataError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// A checkpoint that cannot be used, and no good one to fall back to: the sentence names the file.
// Exit code 4.
class DamagedCheckpoint : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// A run that cannot go on here, but can be resumed. Exit code 75.
class Unfinished : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

}  // namespace elbow::trainer
