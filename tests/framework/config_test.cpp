// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <functional>

#include "framework/base/error.h"
#include "framework/config/nearest.h"
#include "framework/config/toml.h"
#include "tests/support/refusal.h"

namespace retain::framework {
namespace {

std::string refusal(const std::function<void()>& action) { return tests::refusal(ErrorKind::config_invalid, action); }

TEST(Config, ReadsTypedValuesAndDefaults) {
  const ConfigFile file = ConfigFile::parse("[train]\nlearning_rate = 1e-3\nepochs = 2\n[[task]]\nname = 'a'\n", "e.toml");
  const ConfigTable train = file.root().table("train");
  EXPECT_DOUBLE_EQ(train.number("learning_rate", 0.0, 0, 1), 1e-3);
  EXPECT_EQ(train.integer("epochs", 1, 1, 100), 2);
  EXPECT_TRUE(train.flag("shuffle", true));
  EXPECT_EQ(file.root().tables("task").at(0).text("name"), "a");
}

TEST(Config, UnknownKeyNamesFileLineAndNearest) {
  const ConfigFile file = ConfigFile::parse("[train]\nlearning_rat = 1e-3\n", "e.toml");
  const ConfigTable root = file.root();
  root.table("train").number("learning_rate", 0.0, 0, 1);
  const std::string message = refusal([&] { root.reject_unknown(); });
  EXPECT_NE(message.find("e.toml:2"), std::string::npos) << message;
  EXPECT_NE(message.find("did you mean \"learning_rate\""), std::string::npos) << message;
}

TEST(Config, WrongTypeAndRangeAreRefused) {
  const ConfigFile file = ConfigFile::parse("a = 'text'\nb = 11\nc = nan\n", "e.toml");
  const ConfigTable root = file.root();
  EXPECT_NE(refusal([&] { root.integer("a", 0, 0, 10); }).find("e.toml:1"), std::string::npos);
  EXPECT_NE(refusal([&] { root.integer("b", 0, 0, 10); }).find("11"), std::string::npos);
  EXPECT_NE(refusal([&] { root.number("c", 0.0, 0, 10); }).find("e.toml:3"), std::string::npos);
  EXPECT_NE(refusal([&] { root.text("missing"); }).find("required"), std::string::npos);
}

TEST(Config, OverridesReachTablesAndArrayElements) {
  const ConfigFile file = ConfigFile::parse("[[task]]\nname = 'a'\n", "e.toml", {"task.0.name=b", "train.epochs=3", "model.path=/x/y"});
  EXPECT_EQ(file.root().tables("task").at(0).text("name"), "b");
  EXPECT_EQ(file.root().table("train").integer("epochs", 1, 1, 9), 3);
  EXPECT_EQ(file.root().table("model").text("path"), "/x/y");
  EXPECT_THROW(ConfigFile::parse("", "e.toml", {"novalue"}), Error);
  EXPECT_THROW(ConfigFile::parse("[[task]]\n", "e.toml", {"task.7.name=b"}), Error);
}

TEST(Config, SyntaxErrorsNameThePlace) {
  EXPECT_NE(refusal([] { ConfigFile::parse("a = 1\nb = [1,\n", "e.toml"); }).find("e.toml:"), std::string::npos);
}

TEST(Config, CharactersBeyondAsciiStandInQuotesOnly) {
  const auto text_of = [](const std::string& text) { return ConfigFile::parse(text, "x.toml", {}).root().text("a"); };
  EXPECT_EQ(text_of("a = \"\u00e9\\\"\u00e9\" # \u00e9\n"), "\u00e9\"\u00e9");
  EXPECT_EQ(text_of("\uFEFFa = '\u00e9'\n"), "\u00e9");
  EXPECT_EQ(text_of("a = \"\"\"\u00e9\n\"\u00e9\"\"\"\"\"\n"), "\u00e9\n\"\u00e9\"\"");
  EXPECT_EQ(text_of("a = '''\u00e9\n\\'''\n"), "\u00e9\n\\");
  for (const char* bad : {"a = \u00e9\n", "\u00e9 = 1\n", "a = 'b' \u00a0\n", "a = 'b\n\u00e9 = 1'\n"})
    EXPECT_THROW(text_of(bad), Error) << bad;
  EXPECT_EQ(ConfigFile::parse("a = 'b'", "x.toml", {"a=\u00e9/f.json"}).root().text("a"), "\u00e9/f.json");
}

TEST(Nearest, FindsTyposAndNothingFar) {
  EXPECT_EQ(nearest("sa_porj", {"sa_proj", "mlp"}), "sa_proj");
  EXPECT_EQ(nearest("zzzzzz", {"sa_proj", "mlp"}), "");
}

}  // namespace
}  // namespace retain::framework
