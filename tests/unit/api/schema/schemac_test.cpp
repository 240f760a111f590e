// schemac is a program; its mistakes must name the file and the line.
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

namespace {

struct Outcome {
  int status = -1;
  std::string errors, output;
};

std::string read(const std::filesystem::path& path) {
  std::ifstream stream(path);
  std::stringstream text;
  text << stream.rdbuf();
  return text.str();
}

class Schemac : public ::testing::Test {
 protected:
  Schemac() {
    folder_ = std::filesystem::temp_directory_path() / ("schemac_test_" + std::to_string(getpid()));
    std::filesystem::create_directories(folder_);
  }
  ~Schemac() override { std::filesystem::remove_all(folder_); }

  Outcome run(const std::string& source) {
    std::ofstream(folder_ / "x.schema") << "package x.v1\ngroup x\nversion v1\n" << source;
    std::string command = std::string(SCHEMAC) + " " + (folder_ / "out.cpp").string() + " " +
                          (folder_ / "x.schema").string() + " 2> " + (folder_ / "err").string();
    int status = std::system(command.c_str());
    return {WEXITSTATUS(status), read(folder_ / "err"), read(folder_ / "out.cpp")};
  }

  void expect_error(const std::string& source, const std::string& where_and_what) {
    Outcome outcome = run(source);
    EXPECT_EQ(outcome.status, 1) << source;
    EXPECT_NE(outcome.errors.find(where_and_what), std::string::npos) << outcome.errors;
  }

  std::filesystem::path folder_;
};

TEST_F(Schemac, CompilesATable) {
  Outcome outcome =
      run("scalar Time time\n"
          "type Inner atomic\n  | About it,\n  | in two lines with a \"quote\".\n"
          "  a  string  #1 required default=\"x\"\n"
          "kind Outer\n  inline  Inner  #2\n  t  Time  #3\n  l  []Inner  #4 list=map(a) "
          "patch=merge(a)\n");
  EXPECT_EQ(outcome.status, 0) << outcome.errors;
  EXPECT_NE(outcome.output.find("kBuiltinTable"), std::string::npos);
  EXPECT_NE(outcome.output.find("x.v1.Outer"), std::string::npos);
  EXPECT_NE(outcome.output.find("About it, in two lines with a \\\"quote\\\"."), std::string::npos);
}

TEST_F(Schemac, MistakesHaveTheirLine) {
  expect_error("tpye A\n", "x.schema:4: unknown keyword tpye");
  expect_error("type A\n  a  Nope  #1\n", "x.schema:5: unknown type Nope");
  expect_error("type A\n  a  string  #1\n  a  string  #2\n", "occurs twice in x.v1.A");
  expect_error("type A\n  a  string  #1\n  b  string  #1\n", "x.schema:6: #1 is used twice");
  expect_error("type A\n  a  string  #0\n", "x.schema:5: field numbers start at 1");
  expect_error("type A\n  a  string  #x\n", "x.schema:5: a field number is written");
  expect_error("type A\n  a  string  requierd\n", "x.schema:5: unknown attribute requierd");
  expect_error("type A\n  a  []string  list=bag\n", "x.schema:5: unknown list type bag");
  expect_error("type A\n  a  []string  list=map\n", "x.schema:5: list=map(KEY,...) has keys");
  expect_error("type A\n  a  string  list=set\n", "x.schema:5: list= is for lists alone");
  expect_error("type A\n  a  string  map=atomic\n", "x.schema:5: map= is for maps");
  expect_error("type A\n  a  []string  patch=glue\n", "x.schema:5: unknown patch strategy glue");
  expect_error("type A\n  a\n", "x.schema:5: write: NAME VALUE");
  expect_error("type A\ntype A\n", "x.schema:5: x.v1.A is declared twice");
  expect_error("type A\n  inline  A  #1\n", "inlined types form a ring");
  expect_error("type A\n\ta  string\n", "x.schema:5: a tab");
  expect_error("| lost\n", "x.schema:4: a description must follow");
  expect_error("scalar S colour\n", "x.schema:4: unknown scalar kind colour");
}

}  // namespace
