// Reading command lines as kubectl reads them.
#include <gtest/gtest.h>

#include "ctl/cli/command.h"
#include "ctl/cli/context.h"

namespace moth::ctl {
namespace {

const std::vector<FlagSpec> kFlags = {{"namespace", 'n', FlagKind::kText},
                                      {"stdin", 'i', FlagKind::kBool},
                                      {"tty", 't', FlagKind::kBool},
                                      {"replicas", 'r', FlagKind::kInteger, "1"},
                                      {"timeout", 0, FlagKind::kDuration, "30s"},
                                      {"label-columns", 'L', FlagKind::kList},
                                      {"env", 0, FlagKind::kTexts},
                                      {"dry-run", 0, FlagKind::kText, "none", "", "unchanged"}};

Result<Arguments> parse(const std::vector<std::string>& words) {
  return parse_arguments(words, {&kFlags});
}

TEST(Arguments, FlagsStandAnywhereAndInEveryForm) {
  for (const auto& line : std::vector<std::vector<std::string>>{{"-n", "x", "pods"},
                                                                {"pods", "-nx"},
                                                                {"-n=x", "pods"},
                                                                {"pods", "--namespace", "x"},
                                                                {"--namespace=x", "pods"}}) {
    auto arguments = parse(line);
    ASSERT_TRUE(arguments) << line[0];
    EXPECT_EQ(arguments->text("namespace"), "x");
    EXPECT_EQ(arguments->words, std::vector<std::string>{"pods"});
  }
}

TEST(Arguments, LettersOfBooleansMayBeJoined) {
  auto arguments = parse({"-itn", "x"});
  ASSERT_TRUE(arguments);
  EXPECT_TRUE(arguments->flag("stdin"));
  EXPECT_TRUE(arguments->flag("tty"));
  EXPECT_EQ(arguments->text("namespace"), "x");
  EXPECT_FALSE(parse({"--stdin=false"})->flag("stdin"));
}

TEST(Arguments, DashesEndTheFlags) {
  auto arguments = parse({"web", "--", "sh", "-c", "--x"});
  ASSERT_TRUE(arguments);
  EXPECT_EQ(arguments->words_before_dashes, 1u);
  EXPECT_EQ(arguments->words, (std::vector<std::string>{"web", "sh", "-c", "--x"}));
}

TEST(Arguments, ListsSplitAndTextsDoNot) {
  auto arguments = parse({"-L", "a,b", "-L", "c", "--env", "X=1,2", "--env=Y=3"});
  ASSERT_TRUE(arguments);
  EXPECT_EQ(arguments->texts("label-columns"), (std::vector<std::string>{"a", "b", "c"}));
  EXPECT_EQ(arguments->texts("env"), (std::vector<std::string>{"X=1,2", "Y=3"}));
}

TEST(Arguments, InitialValuesAndBareOnes) {
  auto arguments = parse({"--dry-run"});
  ASSERT_TRUE(arguments);
  EXPECT_EQ(arguments->text("dry-run"), "unchanged");
  EXPECT_EQ(arguments->integer("replicas"), 1);
  EXPECT_EQ(arguments->duration("timeout"), std::chrono::seconds(30));
  EXPECT_FALSE(arguments->given("replicas"));
  EXPECT_EQ(parse({})->text("dry-run"), "none");
  EXPECT_EQ(parse({"--timeout", "1m30s"})->duration("timeout"), std::chrono::seconds(90));
}

TEST(Arguments, RefusalsAreWordedAsKubectls) {
  EXPECT_EQ(parse({"--bogus"}).error().message, "unknown flag: --bogus");
  EXPECT_EQ(parse({"-x"}).error().message, "unknown shorthand flag: 'x' in -x");
  EXPECT_EQ(parse({"-n"}).error().message, "flag needs an argument: 'n' in -n");
  EXPECT_EQ(parse({"--namespace"}).error().message, "flag needs an argument: --namespace");
  EXPECT_TRUE(parse({"--replicas", "x"})
                  .error()
                  .message.starts_with("invalid argument \"x\" for \"-r, --replicas\" flag"));
}

TEST(FindCommand, GlobalFlagsMayComeFirst) {
  Command root{
      .name = "moth",
      .children = {{.name = "get"}, {.name = "rollout", .children = {{.name = "status"}}}}};
  Found found = find_command(root, {"-n", "x", "rollout", "status", "deploy/web"}, kFlags);
  ASSERT_EQ(found.path.size(), 3u);
  EXPECT_EQ(found.path[2]->name, "status");
  EXPECT_EQ(found.rest, (std::vector<std::string>{"-n", "x", "deploy/web"}));
  EXPECT_EQ(find_command(root, {"gett"}, kFlags).unknown, "gett");
}

}  // namespace
}  // namespace moth::ctl
