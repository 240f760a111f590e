#include "runtime/agent/log_reader.h"

#include <gtest/gtest.h>

#include <fstream>

#include "api/machinery/time.h"
#include "tests/unit/runtime/agent/pod_lab.h"

namespace moth::agent {
namespace {

using namespace std::chrono_literals;

std::string line(int second, const std::string& text, char tag = 'F') {
  return fmt::format("2025-01-01T00:00:{:02}.000000000Z stdout {} {}\n", second, tag, text);
}

std::string filter(const client::LogOptions& options, const std::string& text) {
  LogFilter all(options);
  std::string whole;
  all.take(text, whole);
  // The same bytes one at a time give the same.
  LogFilter pieces(options);
  std::string one_by_one;
  for (char c : text) pieces.take(std::string_view(&c, 1), one_by_one);
  EXPECT_EQ(whole, one_by_one);
  return whole;
}

TEST(LogFilter, ShowsTheText) {
  EXPECT_EQ(filter({}, line(1, "one") + line(2, "") + line(3, "a b  c")), "one\n\na b  c\n");
  EXPECT_EQ(filter({}, "no log line\n" + line(1, "one")), "one\n");
  EXPECT_EQ(filter({}, line(1, "one") + "2025-01-01T00:00:02.0Z stdout F cut off"), "one\n");
}

TEST(LogFilter, JoinsPartialLines) {
  EXPECT_EQ(filter({}, line(1, "he", 'P') + line(2, "ll", 'P') + line(3, "o") + line(4, "x")),
            "hello\nx\n");
}

TEST(LogFilter, Timestamps) {
  client::LogOptions options;
  options.timestamps = true;
  EXPECT_EQ(filter(options, line(1, "he", 'P') + line(2, "llo") + line(3, "x")),
            "2025-01-01T00:00:01.000000000Z hello\n2025-01-01T00:00:03.000000000Z x\n");
}

TEST(LogFilter, Since) {
  client::LogOptions options;
  options.since = *parse_rfc3339("2025-01-01T00:00:02Z");
  EXPECT_EQ(filter(options, line(1, "old", 'P') + line(3, "er") + line(2, "edge") + line(4, "new")),
            "edge\nnew\n");
}

TEST(LogFilter, ByteLimit) {
  struct Case {
    std::int64_t limit;
    const char* shown;
    bool done;
  };
  for (const Case& one : {Case{1, "o", true}, Case{4, "one\n", true}, Case{6, "one\ntw", true},
                          Case{8, "one\ntwo\n", true}, Case{9, "one\ntwo\n", false}}) {
    client::LogOptions options;
    options.limit_bytes = one.limit;
    LogFilter limited(options);
    std::string out;
    limited.take(line(1, "one") + line(2, "two"), out);
    EXPECT_EQ(out, one.shown) << one.limit;
    EXPECT_EQ(limited.done(), one.done) << one.limit;
  }
}

TEST(LogFilter, OneStreamAlone) {
  const std::string text = line(1, "he", 'P') + "2025-01-01T00:00:02.0Z stderr F oops\n" +
                           line(3, "llo") + "2025-01-01T00:00:04.0Z stderr F again\n";
  client::LogOptions options;
  options.stream = client::LogStream::kStderr;
  EXPECT_EQ(filter(options, text), "oops\nagain\n");
  options.stream = client::LogStream::kStdout;
  EXPECT_EQ(filter(options, text), "hello\n");
}

// Lines across the blocks that are read, pieces of lines, a last line without its end.
TEST(FindTail, ReadsBackwardsInBlocks) {
  std::string text;
  std::vector<std::size_t> starts;  // of whole lines
  for (int i = 0; i < 4000; ++i) {
    starts.push_back(text.size());
    if (i % 7 == 0) text += line(i % 60, std::string(static_cast<std::size_t>(i) * 5, 'p'), 'P');
    text += line(i % 60, std::string(static_cast<std::size_t>(i % 200), 'x'));
  }
  for (bool cut : {false, true}) {
    std::string all = cut ? text.substr(0, text.size() - 1) : text;
    std::size_t largest = 0;
    auto read = [&](std::uint64_t offset, std::size_t size) -> Result<std::string> {
      largest = std::max(largest, size);
      return all.substr(static_cast<std::size_t>(offset), size);
    };
    for (std::size_t lines : {1UL, 2UL, 7UL, 100UL, 1999UL, 3999UL, 4000UL, 5000UL}) {
      auto found = find_tail(read, all.size(), static_cast<std::int64_t>(lines));
      ASSERT_TRUE(found);
      std::size_t wanted = lines >= starts.size() ? 0 : starts[starts.size() - lines];
      EXPECT_EQ(found->offset, wanted) << lines << cut;
      EXPECT_EQ(found->lines, static_cast<std::int64_t>(std::min(lines, starts.size())));
    }
    EXPECT_LE(largest, 64U * 1024);
  }
}

TEST(FindTail, FindsTheBeginningOfTheLastLines) {
  std::string a = line(1, "a"), b = line(2, "b"), c = line(3, "c");
  std::string p = line(4, "p", 'P'), q = line(5, "q");
  struct Case {
    std::string text;
    std::int64_t lines;
    std::size_t offset;
  };
  const Case cases[] = {
      {a + b + c, 0, (a + b + c).size()},
      {a + b + c, 1, (a + b).size()},
      {a + b + c, 2, a.size()},
      {a + b + c, 3, 0},
      {a + b + c, 9, 0},
      {"", 3, 0},
      // The pieces of a line go with it.
      {a + p + q, 1, a.size()},
      {a + p + q, 2, 0},
      {p + q + a, 1, (p + q).size()},
      {p + q + a, 2, 0},
      {a + b + p, 1, a.size()},
  };
  for (const Case& one : cases) {
    auto read = [&](std::uint64_t offset, std::size_t size) -> Result<std::string> {
      return one.text.substr(static_cast<std::size_t>(offset), size);
    };
    auto found = find_tail(read, one.text.size(), one.lines);
    ASSERT_TRUE(found);
    EXPECT_EQ(found->offset, one.offset) << one.text << one.lines;
  }
}

class LogReaderTest : public ::testing::Test {
 protected:
  LogReaderTest() {
    std::string pattern = (std::filesystem::temp_directory_path() / "moth-logs-XXXXXX").string();
    EXPECT_NE(::mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
    path_ = folder_ + "/0.log";
  }
  ~LogReaderTest() override {
    std::error_code ignored;
    std::filesystem::remove_all(folder_, ignored);
  }
  void append(const std::string& text, const std::string& suffix = "") {
    std::ofstream(path_ + suffix, std::ios::app) << text;
  }
  // Reads on the io executor, where log readers live, until `enough` or the end.
  void run(client::LogOptions options, std::function<Task<void>(client::LogReader&)> body) {
    Executors executors(2);
    asio::co_spawn(executors.io(), whole(executors, options, std::move(body)),
                   [&](std::exception_ptr error) {
                     EXPECT_FALSE(error);
                     executors.stop();
                   });
    executors.run();
  }
  Task<void> whole(Executors& executors, client::LogOptions options,
                   std::function<Task<void>(client::LogReader&)> body) {
    auto watcher = os::FileWatcher::create(executors.io());
    EXPECT_TRUE(watcher);
    LogSource source{path_, folder_, [this]() -> Task<bool> { return alive(); }};
    auto reader = make_log_reader(executors, **watcher, source, options);
    co_await body(*reader);
  }
  Task<bool> alive() { co_return alive_; }
  Task<void> later() {
    asio::steady_timer timer(co_await asio::this_coro::executor, 20ms);
    co_await timer.async_wait(asio::use_awaitable);
    append(line(2, "new"));
  }
  static Task<std::string> read_all(client::LogReader& reader) {
    std::string out;
    for (;;) {
      auto piece = co_await reader.read();
      EXPECT_TRUE(piece);
      if (!piece || piece->empty()) co_return out;
      out += *piece;
    }
  }
  std::string read(client::LogOptions options) {
    std::string out;
    run(options,
        [&out](client::LogReader& reader) -> Task<void> { out = co_await read_all(reader); });
    return out;
  }

  std::string folder_, path_;
  std::atomic<bool> alive_ = true;
};

TEST_F(LogReaderTest, ReadsRotatedFilesFromTheOldest) {
  append(line(1, "a"), ".2");
  append(line(2, "b"), ".1");
  append(line(3, "c"));
  EXPECT_EQ(read({}), "a\nb\nc\n");
  client::LogOptions tail;
  tail.tail_lines = 2;
  EXPECT_EQ(read(tail), "b\nc\n");
  tail.tail_lines = 0;
  EXPECT_EQ(read(tail), "");
  tail.tail_lines = 10;
  EXPECT_EQ(read(tail), "a\nb\nc\n");
}

TEST_F(LogReaderTest, NoFileYetIsNoOutput) {
  EXPECT_EQ(read({}), "");
}

TEST_F(LogReaderTest, FollowsAcrossARotationToTheEnd) {
  append(line(1, "a"));
  client::LogOptions options;
  options.follow = true;
  run(options, [this](client::LogReader& reader) -> Task<void> {
    auto piece = co_await reader.read();
    EXPECT_EQ(*piece, "a\n");
    // Written to the old file after it was read, then moved away.
    append(line(2, "b"));
    std::filesystem::rename(path_, path_ + ".1");
    append(line(3, "c"));
    std::string out;
    while (out.size() < 4) {
      piece = co_await reader.read();
      EXPECT_TRUE(piece);
      if (!piece || piece->empty()) break;
      out += *piece;
    }
    EXPECT_EQ(out, "b\nc\n");
    append(line(4, "d"));
    alive_ = false;
    std::ofstream(folder_ + "/exit.json") << "{}";
    EXPECT_EQ(co_await read_all(reader), "d\n");
  });
}

TEST_F(LogReaderTest, FollowWithTailWaitsForMore) {
  append(line(1, "a"));
  client::LogOptions options;
  options.follow = true;
  options.tail_lines = 0;
  run(options, [this](client::LogReader& reader) -> Task<void> {
    auto executor = co_await asio::this_coro::executor;
    asio::co_spawn(executor, later(), [](std::exception_ptr) {});
    auto piece = co_await reader.read();
    EXPECT_EQ(*piece, "new\n");
  });
}

}  // namespace
}  // namespace moth::agent
