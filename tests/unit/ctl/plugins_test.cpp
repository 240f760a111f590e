#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "ctl/cli/plugins.h"

namespace moth::ctl {
namespace {

class Plugins : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ =
        std::filesystem::temp_directory_path() / ("moth-plugins-" + std::to_string(::getpid()));
    std::filesystem::create_directories(folder_ / "b");
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  void make(const std::string& name, bool runnable = true) {
    std::ofstream(folder_ / name) << "#!/bin/sh\n";
    ::chmod((folder_ / name).c_str(), runnable ? 0755 : 0644);
  }
  std::string path() const { return folder_.string() + ":" + folder_.string() + "/b"; }

  std::filesystem::path folder_;
};

TEST_F(Plugins, TheLongestNameWins) {
  make("kubectl-net");
  make("kubectl-net-dump");
  auto call = find_plugin({"net", "dump", "-x", "y"}, path());
  ASSERT_TRUE(call);
  EXPECT_EQ(call->path, folder_.string() + "/kubectl-net-dump");
  EXPECT_EQ(call->arguments, (std::vector<std::string>{"-x", "y"}));
  call = find_plugin({"net", "other"}, path());
  ASSERT_TRUE(call);
  EXPECT_EQ(call->arguments, std::vector<std::string>{"other"});
}

TEST_F(Plugins, OursComeBeforeKubectls) {
  make("b/moth-x");
  make("kubectl-x");
  EXPECT_EQ(find_plugin({"x"}, path())->path, folder_.string() + "/b/moth-x");
}

TEST_F(Plugins, DashesInWordsAreUnderscoresInNames) {
  make("kubectl-foo_bar");
  EXPECT_TRUE(find_plugin({"foo-bar"}, path()));
  EXPECT_FALSE(find_plugin({"foo"}, path()));
}

TEST_F(Plugins, WhatCannotRunIsNoPluginAndIsWarnedOf) {
  make("kubectl-a", false);
  make("kubectl-get");
  make("b/kubectl-get");
  EXPECT_FALSE(find_plugin({"a"}, path()));
  EXPECT_FALSE(find_plugin({"../a"}, path()));
  auto plugins = list_plugins(path(), {"get"});
  ASSERT_EQ(plugins.size(), 3u);
  EXPECT_NE(plugins[0].warnings.at(0).find("not executable"), std::string::npos);
  EXPECT_NE(plugins[1].warnings.at(0).find("overwrites existing command"), std::string::npos);
  EXPECT_EQ(plugins[2].warnings.size(), 2u);
}

}  // namespace
}  // namespace moth::ctl
