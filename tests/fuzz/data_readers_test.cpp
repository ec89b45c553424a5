// Feeds the readers of IDX, IDX.gz, .npy, safetensors, of a checkpoint's state and manifest, and of
// metrics, and of a sweep's ledger, with good files damaged at random. Each input must be read or
// refused with a DataError, DamagedCheckpoint or DamagedLedger; under the asan preset also without
// a wrong access or undefined behaviour. Input N of a seed is always the same bytes, and N is
// printed when it fails.
//
//   ELBOW_FUZZ_SECONDS=600   how long, over all readers; 8 where it is not set
//   ELBOW_FUZZ_SEED=7        which inputs
//   ELBOW_FUZZ_INPUT=123     only this one
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <random>
#include <string>
#include <vector>

#include "launch/sweep/ledger_lines.h"
#include "launch/sweep/ledger_reader.h"
#include "tests/support/idx_bytes.h"
#include "tests/support/small_checkpoint.h"
#include "tests/support/temporary_directory.h"
#include "trainer/checkpoint_manifest.h"
#include "trainer/checkpoint_state.h"
#include "trainer/error.h"
#include "trainer/file_bytes.h"
#include "trainer/idx.h"
#include "trainer/image_file.h"
#include "trainer/metrics_log.h"
#include "trainer/npy_file.h"
#include "trainer/weights_file.h"

namespace elbow::trainer {
namespace {

using tests::Bytes;
using Random = std::mt19937_64;

const char* current_reader = "none";
uint64_t current_input = 0;

uint64_t from_environment(const char* name, uint64_t otherwise) {
  const char* text = std::getenv(name);
  return text != nullptr ? std::strtoull(text, nullptr, 10) : otherwise;
}

uint64_t seed() { return from_environment("ELBOW_FUZZ_SEED", 1); }

// --- Damage --------------------------------------------------------------------------------------

size_t below(Random& random, size_t end) { return end == 0 ? 0 : random() % end; }

constexpr uint64_t kTelling[] = {0,          1,          2,         3,          4,
                                 7,          8,          9,         127,        128,
                                 255,        256,        65535,     65536,      0x7FFFFFFF,
                                 0x80000000, 0xFFFFFFFF, 100000000, 1ull << 40, 0x7FFFFFFFFFFFFFFF,
                                 1ull << 62, 1ull << 63, ~0ull,     ~0ull - 7};

void overwrite_number(Bytes& bytes, Random& random) {
  const size_t size = size_t{1} << below(random, 4);
  if (bytes.size() < size) return;
  const size_t at = below(random, bytes.size() - size + 1);
  const uint64_t value = kTelling[below(random, std::size(kTelling))];
  const bool big_endian = random() % 2 == 0;
  for (size_t i = 0; i < size; ++i)
    bytes[at + i] = static_cast<uint8_t>(value >> (8 * (big_endian ? size - 1 - i : i)));
}

void insert(Bytes& bytes, Random& random, const Bytes& piece) {
  bytes.insert(bytes.begin() + static_cast<int64_t>(below(random, bytes.size() + 1)), piece.begin(),
               piece.end());
}

Bytes some_of(const Bytes& bytes, Random& random) {
  const size_t begin = below(random, bytes.size() + 1);
  const size_t end = begin + below(random, std::min<size_t>(bytes.size() - begin, 64) + 1);
  return {bytes.begin() + static_cast<int64_t>(begin), bytes.begin() + static_cast<int64_t>(end)};
}

// What a damaged or hostile safetensors header may be made of.
Bytes word(Random& random) {
  static const std::vector<std::string> words = {"{",
                                                 "}",
                                                 "[",
                                                 "]",
                                                 ",",
                                                 ":",
                                                 "\"",
                                                 "\\u0000",
                                                 "null",
                                                 "-1",
                                                 "1e400",
                                                 "1.5",
                                                 "[[[[[[[[",
                                                 "\"F32\"",
                                                 "\"U8\"",
                                                 "\"shape\":[",
                                                 "[0,0]",
                                                 "\"a\":",
                                                 "\\ud800",
                                                 "\xff\xfe",
                                                 "\"dtype\"",
                                                 "true",
                                                 "[1,2,3,4]",
                                                 "        ",
                                                 "18446744073709551615",
                                                 "9223372036854775808",
                                                 "\"__metadata__\":{",
                                                 "\"data_offsets\":[0,4]"};
  const std::string& text = words[below(random, words.size())];
  return {text.begin(), text.end()};
}

void damage_once(Bytes& bytes, const std::vector<Bytes>& good, Random& random) {
  const auto place = [&] {
    return bytes.begin() + static_cast<int64_t>(below(random, bytes.size()));
  };
  switch (random() % 9) {
    case 0:
      if (!bytes.empty()) *place() ^= static_cast<uint8_t>(1u << (random() % 8));
      break;
    case 1:
      if (!bytes.empty()) *place() = static_cast<uint8_t>(random());
      break;
    case 2:
    case 3:
      overwrite_number(bytes, random);
      break;
    case 4:
      bytes.resize(below(random, bytes.size() + 1));
      break;
    case 5:
      insert(bytes, random, some_of(bytes, random));
      break;
    case 6:
      insert(bytes, random, some_of(good[below(random, good.size())], random));
      break;
    case 7:
      insert(bytes, random, word(random));
      break;
    case 8: {
      const size_t begin = below(random, bytes.size() + 1);
      const size_t count = below(random, std::min<size_t>(bytes.size() - begin, 64) + 1);
      const auto first = bytes.begin() + static_cast<int64_t>(begin);
      bytes.erase(first, first + static_cast<int64_t>(count));
      break;
    }
  }
}

Bytes damaged(const std::vector<Bytes>& good, Random& random) {
  Bytes bytes = good[below(random, good.size())];
  for (uint64_t times = random() % 5; times > 0; --times) damage_once(bytes, good, random);
  return bytes;
}

// --- The loop ------------------------------------------------------------------------------------

struct Reader {
  const char* name;
  std::function<Bytes(Random&)> input;
  std::function<void(const Bytes&)> read;  // also checks what it has read
};

// True where the input was read, false where it was refused as data.
bool accepts(const Reader& reader, uint64_t number) {
  current_input = number;
  Random random(seed() * 1'000'003 + number);
  const Bytes input = reader.input(random);
  try {
    reader.read(input);
    return true;
  } catch (const DataError& error) {
    EXPECT_NE(std::string(error.what()).find("at byte"), std::string::npos) << error.what();
    return false;
  } catch (const DamagedCheckpoint& error) {
    EXPECT_NE(std::string(error.what()), "");
    return false;
  } catch (const launch::sweep::DamagedLedger& error) {
    EXPECT_NE(std::string(error.what()).find("input"), std::string::npos) << error.what();
    return false;
  } catch (const std::exception& error) {
    ADD_FAILURE() << reader.name << ", input " << number << " of seed " << seed() << ": "
                  << error.what();
    return false;
  }
}

void run(const Reader& reader) {
  current_reader = reader.name;
  if (std::getenv("ELBOW_FUZZ_INPUT") != nullptr) {
    accepts(reader, from_environment("ELBOW_FUZZ_INPUT", 0));
    return;
  }
  constexpr uint64_t kReaders = 8;
  const auto limit =
      std::chrono::milliseconds(1000 * from_environment("ELBOW_FUZZ_SECONDS", kReaders) / kReaders);
  const auto start = std::chrono::steady_clock::now();
  uint64_t inputs = 0, accepted = 0;
  while (std::chrono::steady_clock::now() - start < limit && !testing::Test::HasFailure()) {
    for (int i = 0; i < 100; ++i) accepted += accepts(reader, inputs++) ? 1 : 0;
  }
  std::printf("%s: %lu inputs, %lu of them read, seed %lu\n", reader.name, inputs, accepted,
              seed());
  EXPECT_GT(accepted, inputs / 100) << "nearly all is refused: the damage is too coarse";
  EXPECT_LT(accepted, inputs / 2) << "hardly anything is refused: there is too little damage";
}

// --- The readers ---------------------------------------------------------------------------------

std::vector<Bytes> good_idx() {
  return {tests::idx_file({3, 4, 5}), tests::idx_file({40, 2}), tests::idx_file({300}),
          tests::idx_file({1, 1, 1}), tests::idx_file({2, 28, 28})};
}

void check(const IdxArray& array) {
  int64_t count = 1;
  for (const int64_t size : array.shape) count *= size;
  ASSERT_EQ(array.bytes.numel(), count);
  ASSERT_GT(count, 0);
  ASSERT_EQ(array.sha256.size(), 64u);
}

// The reader in place sees the beginning alone, and must come to the same verdict.
bool header_is_fine(const Bytes& bytes) {
  try {
    parse_idx_header(std::span(bytes).first(std::min<size_t>(bytes.size(), kLongestIdxHeader)),
                     bytes.size(), "input");
    return true;
  } catch (const DataError&) {
    return false;
  }
}

TEST(Fuzz, IdxIsReadOrRefused) {
  const auto good = good_idx();
  run({"IDX", [&](Random& random) { return damaged(good, random); },
       [](const Bytes& bytes) {
         const bool fine = header_is_fine(bytes);
         EXPECT_TRUE(!fine || !is_packed_idx(bytes));
         try {
           check(parse_idx(bytes, "input"));
         } catch (const DataError&) {
           EXPECT_FALSE(fine);
           throw;
         }
         EXPECT_TRUE(fine || is_packed_idx(bytes));
       }});
}

TEST(Fuzz, PackedIdxIsReadOrRefused) {
  const auto good = good_idx();
  std::vector<Bytes> packed;
  for (const auto& bytes : good) packed.push_back(tests::gzip(bytes));
  // Half are damaged before they are packed, so that their check sums are right.
  run({"IDX.gz",
       [&](Random& random) {
         return random() % 2 == 0 ? damaged(packed, random) : tests::gzip(damaged(good, random));
       },
       [](const Bytes& bytes) { check(parse_idx(bytes, "input")); }});
}

Bytes stored(const std::vector<NamedTensor>& tensors, const WeightsMetadata& metadata) {
  const tests::TemporaryDirectory folder;
  write_safetensors(folder.path() / "file", tensors, metadata);
  return read_file(folder.path() / "file");
}

Bytes npy_bytes(const at::Tensor& values) {
  const tests::TemporaryDirectory folder;
  write_npy(folder.path() / "file", values);
  return read_file(folder.path() / "file");
}

TEST(Fuzz, ImagesOfNumPyAreReadOrRefused) {
  const auto numbers = at::arange(60, at::kFloat) / 60;
  const std::vector<Bytes> good = {
      npy_bytes(numbers.view({3, 20})), npy_bytes((numbers * 255).to(at::kByte).view({3, 4, 5})),
      npy_bytes(numbers.view({1, 3, 4, 5})), npy_bytes(numbers.view({2, 5, 2, 3})),
      tests::idx_file({3, 4, 5})};
  run({"npy", [&](Random& random) { return damaged(good, random); },
       [](const Bytes& bytes) {
         const auto file = parse_image_file(bytes, "input");
         ASSERT_EQ(file.images.size(1), file.channels * file.height * file.width);
         ASSERT_GT(file.images.numel(), 0);
         const auto values = file.images.to(at::kFloat);
         ASSERT_GE(values.min().item<float>(), 0);
         ASSERT_LE(values.max().item<float>(), file.images.scalar_type() == at::kFloat ? 1 : 255);
       }});
}

TEST(Fuzz, SafetensorsAreReadOrRefused) {
  const auto numbers = at::arange(12, at::kDouble);
  const std::vector<Bytes> good = {
      stored({}, {}), stored({{"a", numbers.to(at::kFloat).view({3, 4})}}, {{"format", "pt"}}),
      stored({{"encoder.layers.0.weight", numbers},
              {"bytes", numbers.to(at::kByte)},
              {"none", at::empty({0, 4})},
              {"one", at::full({}, 3, at::kLong)},
              {"half", numbers.to(at::kBFloat16)}},
             {})};
  run({"safetensors", [&](Random& random) { return damaged(good, random); },
       [](const Bytes& bytes) {
         size_t data = 0;
         const auto file = parse_safetensors(bytes, "input");
         for (const auto& [name, values] : file.tensors) data += values.nbytes();
         uint64_t header = 0;
         std::memcpy(&header, bytes.data(), sizeof header);
         EXPECT_EQ(sizeof header + header + data, bytes.size());
       }});
}

// --- Checkpoints and metrics ---------------------------------------------------------------------

Bytes bytes_of(const std::string& text) { return {text.begin(), text.end()}; }
std::string text_of(const Bytes& bytes) { return {bytes.begin(), bytes.end()}; }

// Without the manifest's hash, which would refuse nearly all of it.
TEST(Fuzz, StatesOfCheckpointsAreReadOrRefused) {
  const std::vector<Bytes> good = {bytes_of(state_text(tests::small_checkpoint(469))),
                                   bytes_of(state_text(tests::small_checkpoint(7, /*rows=*/2)))};
  run({"state.json", [&](Random& random) { return damaged(good, random); },
       [](const Bytes& bytes) {
         const auto text = state_text(parse_state(text_of(bytes)));
         EXPECT_EQ(state_text(parse_state(text)), text);
       }});
}

TEST(Fuzz, ManifestsOfCheckpointsAreReadOrRefused) {
  const CheckpointManifest manifest{.step = 469,
                                    .files = {{"model.safetensors", seal_of(bytes_of("a"))},
                                              {"state.json", {1ull << 62, ~0ull}}}};
  const std::vector<Bytes> good = {bytes_of(manifest_text(manifest)), bytes_of(manifest_text({}))};
  run({"manifest.json", [&](Random& random) { return damaged(good, random); },
       [](const Bytes& bytes) {
         EXPECT_EQ(bytes_of(manifest_text(parse_manifest(text_of(bytes)))), bytes);
       }});
}

TEST(Fuzz, MetricsAreReadOrRefused) {
  const auto metrics = tests::small_checkpoint(1).progress[0].final_metrics;
  const auto line = metrics_line(metrics[0]);
  const std::vector<Bytes> good = {bytes_of(line), bytes_of(line + "\n" + line + "\n"),
                                   bytes_of(metrics_line(metrics[1]) + "\n")};
  run({"metrics.jsonl", [&](Random& random) { return damaged(good, random); },
       [](const Bytes& bytes) {
         const auto text = text_of(bytes);
         for (const int64_t epoch : {0, 3, 100}) {
           const auto lines = lines_of_epoch(text, epoch);
           EXPECT_LE(lines.begin, lines.end);
           EXPECT_LE(lines.end, end_of_lines(text, text.size()));
         }
         if (!metrics_of_line(text)) throw DataError("no line of metrics, at byte 0");
       }});
}

// --- Ledgers -------------------------------------------------------------------------------------

std::string good_ledger() {
  namespace sweep = launch::sweep;
  const sweep::StudyHead head{
      .name = "a",
      .metric = "elbo_nats",
      .fingerprint = "0123456789abcdef",
      .axes = {{.key = "objective.kl_wt",
                .scale = sweep::AxisScale::kLogarithmic,
                .low = 0.1,
                .high = 1},
               {.key = "model.activation", .high = 1, .categories = {"tanh", "relu"}}}};
  const std::vector<sweep::Event> events = {
      sweep::TrialStarted{.trial = 0, .values = {"0.1", "relu"}, .seed = 1, .time = {}},
      sweep::TrialStarted{.trial = 3,
                          .values = {"1", "tanh"},
                          .seed = 1,
                          .time = {},
                          .attributes = {{"beta", 784.0}}},
      sweep::EpochReported{.trial = 3, .epoch = 1, .value = -150.25},
      sweep::AttributeSet{.trial = 3, .name = "host", .value = "n1"},
      sweep::TrialFinished{
          .trial = 3, .state = sweep::TrialState::kComplete, .value = -150.25, .time = {}},
      sweep::EpochReported{.trial = 0, .epoch = 1, .value = -160}};
  std::string text = sweep::head_lines(head);
  sweep::LedgerContents contents;
  contents.head = head;
  for (const auto& event : events) {
    contents.apply(event);
    const auto trial = std::visit([](const auto& one) { return one.trial; }, event);
    text += sweep::event_line(event, head, contents.find(trial)->journal_id);
  }
  return text;
}

// What is read must be the same when its whole lines are read again.
TEST(Fuzz, LedgersAreReadOrRefused) {
  const std::vector<Bytes> good = {bytes_of(good_ledger())};
  run({"ledger.jsonl", [&](Random& random) { return damaged(good, random); },
       [](const Bytes& bytes) {
         const auto text = text_of(bytes);
         const auto read = launch::sweep::ledger_from_text(text, "input");
         ASSERT_LE(read.bytes, text.size());
         const auto again = launch::sweep::ledger_from_text(text.substr(0, read.bytes), "input");
         EXPECT_EQ(again.bytes, read.bytes);
         EXPECT_EQ(again.contents.trials.size(), read.contents.trials.size());
         EXPECT_EQ(again.contents.tells.size(), read.contents.tells.size());
       }});
}

}  // namespace
}  // namespace elbow::trainer

// Called by the sanitizers' run-time, where there is one.
extern "C" void __asan_on_error() {
  std::fprintf(stderr, "%s: ELBOW_FUZZ_SEED=%lu ELBOW_FUZZ_INPUT=%lu repeats it\n",
               elbow::trainer::current_reader, elbow::trainer::seed(),
               elbow::trainer::current_input);
}
extern "C" const char* __ubsan_default_options() { return "halt_on_error=1:print_stacktrace=1"; }
