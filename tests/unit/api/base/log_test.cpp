#include "api/base/log.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <array>
#include <functional>
#include <regex>

namespace moth {
namespace {

// What `action` writes to stderr.
std::string captured(const std::function<void()>& action) {
  int ends[2];
  EXPECT_EQ(::pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
  int saved = ::fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
  ::dup2(ends[1], STDERR_FILENO);
  action();
  ::dup2(saved, STDERR_FILENO);
  ::close(saved);
  ::close(ends[1]);
  std::array<char, 4096> buffer;
  ssize_t length = ::read(ends[0], buffer.data(), buffer.size());
  ::close(ends[0]);
  return {buffer.data(), length > 0 ? static_cast<std::size_t>(length) : 0};
}

class LogTest : public testing::Test {
 protected:
  ~LogTest() override { log::set_level(before_); }
  log::Level before_ = log::level();
};

TEST_F(LogTest, OneLineWithTimeLevelMessageAndFields) {
  log::set_level(log::Level::kInfo);
  std::string line = captured([] {
    log::info("pod started", log::field("pod", "default/a"), log::field("ms", 12),
              log::field("why", "it \"had\" to\nbe"), log::field("none", ""));
  });
  std::regex expected(
      R"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z info "pod started" pod=default/a ms=12 why="it \\"had\\" to\\nbe" none=""\n)");
  EXPECT_TRUE(std::regex_match(line, expected)) << line;
}

TEST_F(LogTest, ControlBytesCannotForgeLines) {
  log::set_level(log::Level::kInfo);
  std::string line = captured([] { log::error("a\rb\x1b[0m", log::field("k", "x\ny z")); });
  EXPECT_EQ(std::count(line.begin(), line.end(), '\n'), 1);
  EXPECT_EQ(line.find('\r'), std::string::npos);
  EXPECT_EQ(line.find('\x1b'), std::string::npos);
}

TEST_F(LogTest, LevelsFilter) {
  EXPECT_TRUE(log::set_level("warning"));
  EXPECT_EQ(captured([] { log::info("x"); }), "");
  EXPECT_NE(captured([] { log::warning("x"); }), "");
  EXPECT_TRUE(log::set_level("off"));
  EXPECT_EQ(captured([] { log::error("x"); }), "");
  EXPECT_FALSE(log::set_level("loud"));
  EXPECT_EQ(log::level(), log::Level::kOff);
}

}  // namespace
}  // namespace moth
