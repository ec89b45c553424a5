#include "trainer/checkpoint.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <signal.h>
#include <sys/resource.h>

#include <fstream>

#include "tests/support/small_checkpoint.h"
#include "tests/support/temporary_directory.h"
#include "trainer/checkpoint_manifest.h"
#include "trainer/error.h"
#include "trainer/file_bytes.h"

namespace elbow::trainer {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using tests::same;
using tests::small_checkpoint;
using tests::small_names;
using Bytes = std::vector<uint8_t>;

const std::vector<std::string> kFiles = {"model.safetensors", "optimizer.safetensors", "state.json",
                                         "manifest.json"};

class Checkpoints : public testing::Test {
 protected:
  void write(const Checkpoint& checkpoint) { write_checkpoint(run_, checkpoint, small_names()); }
  Checkpoint read(int64_t step) {
    return with_tensors(read_checkpoint(run_.checkpoint(step)), small_names());
  }
  // The sentence with which reading is refused; "" where it is not.
  std::string complaint(int64_t step) {
    try {
      read(step);
    } catch (const DamagedCheckpoint& error) {
      return error.what();
    }
    return "";
  }
  std::vector<std::string> entries() const {
    std::vector<std::string> names;
    for (const auto& entry : fs::directory_iterator(run_.checkpoints()))
      names.push_back(entry.path().filename().string());
    return names;
  }

  tests::TemporaryDirectory folder_;
  RunDirectory run_{folder_.path()};
};

void put(const fs::path& file, const Bytes& bytes) {
  std::ofstream(file, std::ios::binary)
      .write(reinterpret_cast<const char*>(bytes.data()), static_cast<int64_t>(bytes.size()));
}

TEST_F(Checkpoints, ComeBackToTheBit) {
  for (const int64_t rows : {1, 3}) {
    const auto written = small_checkpoint(469, rows);
    write(written);
    EXPECT_TRUE(same(read(469), written)) << rows << " rows";
  }
}

TEST_F(Checkpoints, OfOneRowHavePlainNamesAndOfMoreTheirRowsNames) {
  write(small_checkpoint(1));
  auto stored = read_checkpoint(run_.checkpoint(1));
  EXPECT_EQ(stored.model.at(0).first, "a.weight");
  EXPECT_THAT(stored.model.at(0).second.sizes(), ElementsAre(3, 2)) << "PyTorch's layout";
  EXPECT_EQ(stored.optimizer.at(1).first, "first_moment.b.bias");
  write(small_checkpoint(2, /*rows=*/2));
  stored = read_checkpoint(run_.checkpoint(2));
  EXPECT_EQ(stored.model.at(2).first, "rows.1.a.weight");
}

TEST_F(Checkpoints, HaveWeightsThatDependOnTheWeightsAlone) {
  auto checkpoint = small_checkpoint(1);
  write(checkpoint);
  checkpoint.snapshot.rows[0].step = 2;
  checkpoint.snapshot.epoch_seconds = 99;
  checkpoint.progress[0].warnings.emplace_back("another");
  write(checkpoint);
  EXPECT_EQ(read_file(run_.checkpoint(1) / "model.safetensors"),
            read_file(run_.checkpoint(2) / "model.safetensors"));
}

TEST_F(Checkpoints, OfTheSameStepReplaceEachOther) {
  write(small_checkpoint(5, 1, /*seed=*/1));
  write(small_checkpoint(5, 1, /*seed=*/2));
  EXPECT_TRUE(same(read(5), small_checkpoint(5, 1, /*seed=*/2)));
  EXPECT_THAT(entries(), ElementsAre("step_000000005"));
}

// --- Damage --------------------------------------------------------------------------------------

TEST_F(Checkpoints, WithAnyByteFlippedAreRefusedAndTheFileIsNamed) {
  write(small_checkpoint(7));
  int64_t damages = 0;
  for (const auto& name : kFiles) {
    const auto file = run_.checkpoint(7) / name;
    const auto good = read_file(file);
    for (size_t i = 0; i < good.size(); ++i) {
      auto bad = good;
      bad[i] ^= static_cast<uint8_t>(1u << (i % 8));
      put(file, bad);
      ASSERT_THAT(complaint(7), AllOf(HasSubstr(run_.checkpoint(7).string()), HasSubstr(name)))
          << "byte " << i << " of " << name;
      ++damages;
    }
    put(file, good);
  }
  EXPECT_EQ(complaint(7), "");
  EXPECT_GT(damages, 2000);
}

TEST_F(Checkpoints, OfAnyShorterLengthAreRefused) {
  write(small_checkpoint(7));
  for (const auto& name : kFiles) {
    const auto file = run_.checkpoint(7) / name;
    const auto good = read_file(file);
    for (size_t length = 0; length < good.size(); ++length) {
      put(file, {good.begin(), good.begin() + static_cast<int64_t>(length)});
      ASSERT_THAT(complaint(7), HasSubstr(name)) << length << " bytes of " << name;
    }
    auto longer = good;
    longer.push_back(0);
    put(file, longer);
    ASSERT_THAT(complaint(7), HasSubstr(name));
    fs::remove(file);
    ASSERT_THAT(complaint(7), HasSubstr(name)) << "without " << name;
    put(file, good);
  }
}

TEST_F(Checkpoints, OfAnotherStepOrVersionAreRefused) {
  write(small_checkpoint(7));
  fs::rename(run_.checkpoint(7), run_.checkpoint(8));
  EXPECT_THAT(complaint(8), HasSubstr("step 7"));
  const auto file = run_.checkpoint(8) / "manifest.json";
  const auto bytes = read_file(file);
  auto text = std::string(bytes.begin(), bytes.end());
  text.replace(text.find("\"version\": 1"), 12, "\"version\": 2");
  put(file, {text.begin(), text.end()});
  EXPECT_THAT(complaint(8), HasSubstr("version 2"));
}

TEST_F(Checkpoints, OfAnotherNetworkAreRefused) {
  write(small_checkpoint(7));
  models::ParameterLayout other;
  other.add({.shape = {2, 3}, .is_weight = true, .fan_in = 2, .parts = {{"c.weight", 0, 3}}});
  const auto stored = read_checkpoint(run_.checkpoint(7));
  EXPECT_THROW(with_tensors(stored, {other, {"first_moment", "second_moment"}}), DamagedCheckpoint);
}

// --- The newest good one -------------------------------------------------------------------------

TEST_F(Checkpoints, AreLoadedNewestFirst) {
  for (const int64_t step : {999'999'999'0L, 20L, 3L}) write(small_checkpoint(step));
  EXPECT_THAT(checkpoint_steps(run_), ElementsAre(3, 20, 9'999'999'990));
  EXPECT_EQ(load_newest(run_).checkpoint->checkpoint.step(), 9'999'999'990);
}

TEST_F(Checkpoints, ThatAreDamagedAreNamedAndTheOneBeforeIsTaken) {
  for (const int64_t step : {10, 20, 30}) write(small_checkpoint(step));
  put(run_.checkpoint(30) / "state.json", {'{'});
  fs::remove(run_.checkpoint(20) / "manifest.json");
  const auto newest = load_newest(run_);
  EXPECT_EQ(newest.checkpoint->checkpoint.step(), 10);
  EXPECT_THAT(newest.damaged, ElementsAre(AllOf(HasSubstr("000030"), HasSubstr("state.json")),
                                          AllOf(HasSubstr("000020"), HasSubstr("manifest.json"))));
}

TEST_F(Checkpoints, AreAnErrorWhereNoneIsGood) {
  write(small_checkpoint(10));
  put(run_.checkpoint(10) / "model.safetensors", {});
  EXPECT_THROW(load_newest(run_), DamagedCheckpoint);
}

TEST_F(Checkpoints, AreNoneInAFolderWithoutAny) {
  EXPECT_FALSE(load_newest(run_).checkpoint);
  fs::create_directories(run_.checkpoints() / "step_x");
  fs::create_directories(run_.checkpoints() / "step_-00000001");
  fs::create_directories(run_.checkpoints() / "step_7");
  EXPECT_FALSE(load_newest(run_).checkpoint);
}

// --- Writers that fail, or are killed ------------------------------------------------------------

TEST_F(Checkpoints, LeaveNothingWhereTheyCannotBeWritten) {
  write(small_checkpoint(1));
  signal(SIGXFSZ, SIG_IGN);
  rlimit before;
  getrlimit(RLIMIT_FSIZE, &before);
  const rlimit small{.rlim_cur = 300, .rlim_max = before.rlim_max};
  setrlimit(RLIMIT_FSIZE, &small);
  EXPECT_THROW(write(small_checkpoint(2)), std::system_error);
  setrlimit(RLIMIT_FSIZE, &before);
  EXPECT_THAT(entries(), ElementsAre("step_000000001"));
  EXPECT_EQ(complaint(1), "");
}

TEST_F(Checkpoints, DoNotBringBackAFolderThatHasVanished) {
  const RunDirectory vanished(folder_.path() / "vanished");
  EXPECT_THROW(write_checkpoint(vanished, small_checkpoint(1), small_names()), std::system_error);
  EXPECT_FALSE(fs::exists(vanished.path()));
}

TEST_F(Checkpoints, OfAKilledWriterAreNotSeenAndAreRemoved) {
  write(small_checkpoint(1));
  fs::copy(run_.checkpoint(1), run_.checkpoints() / ".tmp_step_000000002.4711.1",
           fs::copy_options::recursive);
  folder_.write("result.json.tmp4711", std::string("{"));
  folder_.write("notes.tmp", std::string("somebody's"));
  EXPECT_THAT(checkpoint_steps(run_), ElementsAre(1));
  EXPECT_EQ(remove_leftovers(run_), 2);
  EXPECT_THAT(entries(), ElementsAre("step_000000001"));
  EXPECT_TRUE(fs::exists(folder_.path() / "notes.tmp"));
}

TEST_F(Checkpoints, AreRemovedWhole) {
  write(small_checkpoint(1));
  write(small_checkpoint(2));
  remove_checkpoint(run_, 1);
  EXPECT_THAT(entries(), ElementsAre("step_000000002"));
}

TEST(CheckpointManifest, ComesBack) {
  const CheckpointManifest manifest{.step = 5,
                                    .files = {{"a", {1, 2}}, {"b \"c\"", {~0ull, ~0ull}}}};
  const auto again = parse_manifest(manifest_text(manifest));
  EXPECT_EQ(again.step, 5);
  EXPECT_EQ(again.files, manifest.files);
}

}  // namespace
}  // namespace elbow::trainer
