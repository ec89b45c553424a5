#include "launch/config.h"

#include <gmock/gmock.h>

#include "launch/effective_config.h"
#include "launch/setting_table.h"
#include "tests/support/setting_error.h"
#include "tests/support/temporary_directory.h"
#include "trainer/error.h"

namespace elbow::launch {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using tests::setting_error_of;

std::string error_of_words(const std::vector<std::string>& words) {
  return setting_error_of([&] { parse_config(std::nullopt, words, {}); });
}

std::string error_of_text(const std::string& text) {
  return setting_error_of([&] { parse_config_text(text, "a.cfg"); });
}

TEST(Config, UsesTheBuiltInFileWhereNoneIsGiven) {
  const auto config = parse_config(std::nullopt, {}, {});
  EXPECT_EQ(config.settings.optimizer.kind, "rmsprop");
  EXPECT_EQ(config.settings.objective.kl_wt, 1e-3);
  EXPECT_EQ(config.settings.objective.beta, std::nullopt);
  EXPECT_FALSE(config.settings.train.shuffle);
  EXPECT_THAT(config.origin("objective.kl_wt"), HasSubstr("built-in kl_vae.cfg:"));
  EXPECT_EQ(config.origin("train.seed"), "default");
  EXPECT_EQ(config.name, "kl_vae");
}

TEST(Config, AllShippedFilesLoadAndGiveTheirRecipes) {
  const std::filesystem::path folder = ELBOW_SOURCE_DIR "/configs";
  for (const auto& entry : std::filesystem::directory_iterator(folder))
    if (entry.path().extension() == ".cfg" && !entry.path().stem().string().starts_with("sweep_")) {
      EXPECT_NO_THROW(parse_config(entry.path(), {}, {})) << entry.path();
    }
  const auto kl_vae = parse_config(folder / "kl_vae.cfg", {}, {});
  EXPECT_EQ(effective_config(kl_vae, 784),
            effective_config(parse_config(std::nullopt, {}, {}), 784));
  const auto examples = parse_config(folder / "pytorch_examples.cfg", {}, {}).settings;
  EXPECT_EQ(examples.model.encoder, std::vector<int64_t>{400});
  EXPECT_EQ(examples.model.latent, 20);
  EXPECT_EQ(trainer::effective_beta(examples.objective, 784), 1.0);
}

TEST(Config, CommandLineReplacesEnvironmentReplacesFileReplacesDefault) {
  tests::TemporaryDirectory folder;
  const auto file = folder.write("a.cfg", "[train]\nepochs = 3\nbatch_size = 30\nseed = 4\n");
  const Environment environment = {{"ELBOW_CFG_TRAIN__BATCH_SIZE", "40"},
                                   {"ELBOW_CFG_TRAIN__SEED", "5"}};
  const auto config = parse_config(file, {"train.seed=6"}, environment);
  EXPECT_EQ(config.settings.train.epochs, 3);
  EXPECT_EQ(config.settings.train.batch_size, 40);
  EXPECT_EQ(config.settings.train.seed, 6);
  EXPECT_EQ(config.settings.optimizer.kind, "adam") << "a given file replaces the built-in one";
  EXPECT_EQ(config.origin("train.epochs"), file.string() + ":2");
  EXPECT_EQ(config.origin("train.batch_size"), "environment variable ELBOW_CFG_TRAIN__BATCH_SIZE");
  EXPECT_EQ(config.origin("train.seed"), "command line");
  EXPECT_EQ(config.origin("optimizer.kind"), "default");
}

TEST(Config, BetaAndKlWeightExcludeEachOtherWithinALevel) {
  EXPECT_THAT(error_of_words({"objective.beta=1", "objective.kl_wt=0.1"}),
              AllOf(HasSubstr("beta = 1 (command line)"), HasSubstr("kl_wt = 0.1"),
                    HasSubstr("exclude each other")));
  EXPECT_THAT(error_of_text("[objective]\nbeta = 1\nkl_wt = 1e-3\n"), HasSubstr("a.cfg:3"));
}

TEST(Config, AHigherLevelsBetaReplacesALowerLevelsKlWeight) {
  const auto words = parse_config(std::nullopt, {"objective.beta=2"}, {});
  EXPECT_EQ(words.settings.objective.beta, 2.0);
  EXPECT_EQ(words.settings.objective.kl_wt, std::nullopt);
  const auto both =
      parse_config(std::nullopt, {"objective.kl_wt=1/784"}, {{"ELBOW_CFG_OBJECTIVE__BETA", "3"}});
  EXPECT_EQ(both.settings.objective.beta, std::nullopt);
  EXPECT_EQ(both.settings.objective.kl_wt, 1.0 / 784);
}

TEST(Config, NeitherWeightMeansTheTrueElbo) {
  const auto objective = parse_config_text("[train]\nepochs = 1\n", "a.cfg").settings.objective;
  EXPECT_EQ(objective.beta, 1.0);
  EXPECT_EQ(objective.kl_wt, std::nullopt);
}

TEST(Config, ReadsListsSwitchesAndAuto) {
  const auto s =
      parse_config(std::nullopt,
                   {"model.encoder= 1000, 500,250 ", "train.shuffle=yes", "train.leaves=auto",
                    "train.threads=3", "optimizer.epsilon=auto", "train.batch_size=1e3"},
                   {})
          .settings;
  EXPECT_EQ(s.model.encoder, (std::vector<int64_t>{1000, 500, 250}));
  EXPECT_TRUE(s.train.shuffle);
  EXPECT_EQ(s.train.leaves, 0);
  EXPECT_EQ(s.train.threads, 3);
  EXPECT_EQ(s.optimizer.epsilon, std::nullopt);
  EXPECT_EQ(s.train.batch_size, 1000);
}

TEST(Config, ErrorsNameKeyValueOriginAndWhatIsAllowed) {
  EXPECT_EQ(error_of_words({"data.threshold=256"}),
            "data.threshold = 256 (command line) is out of range; allowed: 0 to 255");
  EXPECT_EQ(error_of_text("\n[optimizer]\nlr = fast  # too fast\n"),
            "optimizer.lr = fast (a.cfg:3) is not a finite number; allowed: above 0 to 1000");
  EXPECT_EQ(setting_error_of([] {
              parse_config(std::nullopt, {}, {{"ELBOW_CFG_MODEL__LATENT", "2.5"}});
            }),
            "model.latent = 2.5 (environment variable ELBOW_CFG_MODEL__LATENT) is not an integer; "
            "allowed: 1 to 1000000");
  EXPECT_THAT(error_of_words({"train.leaves=12"}), HasSubstr("is not a power of two"));
  EXPECT_THAT(error_of_words({"model.encoder=500,,3"}), HasSubstr("'' that is not an integer"));
  EXPECT_THAT(error_of_words({"model.activation=tnah"}), HasSubstr("did you mean tanh?)"));
  EXPECT_THAT(error_of_words({"train.epochs="}), HasSubstr("is not an integer"));
  EXPECT_THAT(error_of_words({"objective.beta="}), HasSubstr("is not a finite number"));
}

TEST(Config, UnknownNamesGetTheNearestKnownOne) {
  EXPECT_THAT(error_of_words({"objective.klwt=1"}),
              AllOf(HasSubstr("unknown key objective.klwt (command line)"),
                    HasSubstr("did you mean objective.kl_wt?")));
  EXPECT_THAT(error_of_words({"kl_wt=1"}), HasSubstr("did you mean objective.kl_wt?"));
  EXPECT_THAT(error_of_words({"optim.lr=1"}), HasSubstr("did you mean optimizer.lr?"));
  EXPECT_THAT(error_of_words({"zzzzz=1"}), testing::Not(HasSubstr("did you mean")));
  EXPECT_THAT(error_of_text("[optimiser]\nlr = 1\n"),
              AllOf(HasSubstr("unknown section [optimiser] (a.cfg:1)"),
                    HasSubstr("did you mean optimizer?")));
  EXPECT_THAT(setting_error_of([] {
                parse_config(std::nullopt, {}, {{"ELBOW_CFG_TRAIN_EPOCHS", "1"}});
              }),
              AllOf(HasSubstr("ELBOW_CFG_TRAIN_EPOCHS"), HasSubstr("train.epochs")));
}

TEST(Config, AFileThatIsNoConfigurationIsRefusedWithItsLine) {
  EXPECT_THAT(error_of_text("[train]\nepochs 3\n"),
              AllOf(HasSubstr("'epochs 3' (a.cfg:2)"), HasSubstr("key = value")));
  EXPECT_THAT(
      error_of_text("[train]\nepochs = 3\n[data]\n[train]\nepochs = 4\n"),
      AllOf(HasSubstr("train.epochs is given twice"), HasSubstr("a.cfg:2"), HasSubstr("a.cfg:5")));
  tests::TemporaryDirectory folder;
  const auto binary = folder.write("b.cfg", std::string("[train]\0x", 9));
  EXPECT_THAT(setting_error_of([&] { parse_config(binary, {}, {}); }),
              HasSubstr("not a text file"));
  EXPECT_THAT(setting_error_of([&] { parse_config(folder.path(), {}, {}); }),
              HasSubstr("is a folder"));
  EXPECT_THAT(setting_error_of([&] { parse_config(folder.path() / "no.cfg", {}, {}); }),
              HasSubstr("there is no configuration file"));
}

TEST(Config, WindowsLineEndsAndCommentsAreFine) {
  const auto config = parse_config_text("# a\r\n[train]\r\nepochs = 7 # b\r\n", "a.cfg");
  EXPECT_EQ(config.settings.train.epochs, 7);
}

TEST(Config, RefusesSettingsThatCannotHoldTogether) {
  EXPECT_THAT(error_of_words({"data.source=idx"}), HasSubstr("needs data.dir"));
  EXPECT_THAT(error_of_words({"data.dir=/x"}), HasSubstr("data.source=idx"));
  EXPECT_THAT(error_of_words({"train.leaves=64", "train.batch_size=32"}),
              AllOf(HasSubstr("train.leaves = 64"), HasSubstr("train.batch_size = 32")));
  EXPECT_THAT(error_of_words({"objective.anneal_steps=10"}), HasSubstr("objective.anneal=linear"));
}

TEST(EffectiveConfig, LoadsAgainToTheSameSettings) {
  const std::vector<std::vector<std::string>> cases = {
      {},
      {"objective.beta=0.1", "optimizer.lr=1/3", "model.encoder=1000,500,250", "train.leaves=8"},
      {"data.source=idx", "data.dir=some where/else", "optimizer.epsilon=auto",
       "train.shuffle=on"}};
  for (const auto& words : cases) {
    const auto config = parse_config(std::nullopt, words, {});
    for (const Origins origins : {Origins::kLeaveOut, Origins::kAsComments}) {
      for (const std::optional<int64_t> observed : {std::optional<int64_t>(784), {}}) {
        const auto again =
            parse_config_text(effective_config(config, observed, origins), "again.cfg");
        for (const Setting& setting : setting_table())
          EXPECT_EQ(setting.print(again.settings), setting.print(config.settings)) << setting.key;
      }
    }
  }
}

TEST(EffectiveConfig, WritesOneWeightAndTheOtherAsAComment) {
  const auto by_weight = parse_config(std::nullopt, {}, {});
  EXPECT_THAT(effective_config(by_weight, 784),
              AllOf(HasSubstr("\n# beta = 0.784 (= kl_wt * 784)\nkl_wt = 0.001\n")));
  EXPECT_THAT(effective_config(by_weight, std::nullopt), HasSubstr("# beta = kl_wt * D"));
  const auto by_beta = parse_config(std::nullopt, {"objective.beta=1"}, {});
  EXPECT_THAT(effective_config(by_beta, 784),
              HasSubstr("\nbeta = 1\n# kl_wt = 0.0012755102 (= beta / 784)\n"));
}

TEST(EffectiveConfig, ShowsEveryKeyWithItsOrigin) {
  const auto text =
      effective_config(parse_config(std::nullopt, {"train.seed=9"}, {}), 784, Origins::kAsComments);
  EXPECT_THAT(text, testing::ContainsRegex("seed = 9 +# command line"));
  EXPECT_THAT(text, testing::ContainsRegex("rho = 0.9 +# built-in kl_vae.cfg:[0-9]+"));
  EXPECT_THAT(text, testing::ContainsRegex("leaves = auto +# default"));
}

TEST(SettingTable, ReadsBackWhatItPrints) {
  const trainer::Settings defaults;
  for (const Setting& setting : setting_table()) {
    const std::string text = setting.print(defaults);
    if (text.empty() && setting.type == "number") continue;  // unset: has no text of its own
    trainer::Settings settings;
    setting.set(settings, text);
    EXPECT_EQ(setting.print(settings), text) << setting.key;
    EXPECT_FALSE(setting.help.empty()) << setting.key;
    EXPECT_FALSE(setting.allowed.empty()) << setting.key;
  }
}

}  // namespace
}  // namespace elbow::launch
