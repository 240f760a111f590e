#include "api/machinery/time.h"

#include <gtest/gtest.h>

namespace moth {
namespace {

using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;

TEST(Time, FarPastAndFutureArePrintable) {
  for (const char* text :
       {"0001-01-01T00:00:00Z", "1012-01-01T00:00:00Z", "1677-09-21T00:12:43Z"}) {
    auto time = parse_rfc3339(text);
    ASSERT_TRUE(time) << text;
    EXPECT_EQ(format_rfc3339(*time).substr(0, 5), "1677-") << text;
  }
  EXPECT_EQ(format_rfc3339(*parse_rfc3339("9999-01-01T00:00:00Z")).substr(0, 5), "2262-");
}

TEST(Time, ReadsAndPrintsRfc3339) {
  auto time = parse_rfc3339("2025-06-15T15:06:40Z");
  ASSERT_TRUE(time);
  EXPECT_EQ(time->time_since_epoch(), seconds(1'750'000'000));
  EXPECT_EQ(format_rfc3339(*time), "2025-06-15T15:06:40Z");
  EXPECT_EQ(*parse_rfc3339("2025-06-15T17:06:40+02:00"), *time);
  EXPECT_EQ(*parse_rfc3339("2025-06-15t09:36:40-05:30"), *time);
  auto fraction = parse_rfc3339("2025-06-15T15:06:40.123456789Z");
  ASSERT_TRUE(fraction);
  EXPECT_EQ(format_rfc3339_nano(*fraction), "2025-06-15T15:06:40.123456789Z");
  EXPECT_EQ(format_rfc3339_micro(*fraction), "2025-06-15T15:06:40.123456Z");
  EXPECT_EQ(format_rfc3339(*fraction), "2025-06-15T15:06:40Z");
  EXPECT_EQ(format_rfc3339_micro(*time), "2025-06-15T15:06:40.000000Z");
  EXPECT_EQ(format_rfc3339(*parse_rfc3339("1969-12-31T23:59:59.5Z")), "1969-12-31T23:59:59Z");
  EXPECT_TRUE(parse_rfc3339("0001-01-01T00:00:00Z"));
  EXPECT_TRUE(parse_rfc3339("9999-12-31T23:59:59Z"));
}

TEST(Time, RefusesOtherTexts) {
  for (std::string_view text :
       {"", "2025-06-15", "2025-06-15 15:06:40Z", "2025-06-15T15:06:40", "2025-02-30T00:00:00Z",
        "2025-06-15T24:00:00Z", "2025-06-15T15:06:40.Z", "2025-06-15T15:06:40Zx",
        "2025-6-15T15:06:40Z", "2025-06-15T15:06:40+2:00", "2025-13-01T00:00:00Z"}) {
    EXPECT_FALSE(parse_rfc3339(text)) << text;
  }
}

TEST(Duration, ReadsGoTexts) {
  EXPECT_EQ(*parse_duration("1h15m30.5s"),
            hours(1) + minutes(15) + std::chrono::milliseconds(30500));
  EXPECT_EQ(*parse_duration("300ms"), std::chrono::milliseconds(300));
  EXPECT_EQ(*parse_duration("-1.5h"), -minutes(90));
  EXPECT_EQ(*parse_duration("0"), Nanoseconds(0));
  EXPECT_EQ(*parse_duration("1\u00B5s"), std::chrono::microseconds(1));
  EXPECT_EQ(*parse_duration(".5s"), std::chrono::milliseconds(500));
  EXPECT_EQ(parse_duration("5").error().message, "time: missing unit in duration \"5\"");
  EXPECT_EQ(parse_duration("5d").error().message, "time: unknown unit \"d\" in duration \"5d\"");
  for (std::string_view text :
       {"", "s", "-", ".s", "1h 2m", "9999999999999h", "99999999999999999999s"}) {
    EXPECT_FALSE(parse_duration(text)) << text;
  }
}

TEST(Duration, PrintsAsGo) {
  EXPECT_EQ(format_duration(seconds(80)), "1m20s");
  EXPECT_EQ(format_duration(hours(1)), "1h0m0s");
  EXPECT_EQ(format_duration(std::chrono::milliseconds(1500)), "1.5s");
  EXPECT_EQ(format_duration(std::chrono::milliseconds(100)), "100ms");
  EXPECT_EQ(format_duration(std::chrono::microseconds(1500)), "1.5ms");
  EXPECT_EQ(format_duration(Nanoseconds(1500)), "1.5\u00B5s");
  EXPECT_EQ(format_duration(Nanoseconds(15)), "15ns");
  EXPECT_EQ(format_duration(Nanoseconds(0)), "0s");
  EXPECT_EQ(format_duration(-seconds(61)), "-1m1s");
}

TEST(Age, IsPrintedAsKubectlDoes) {
  struct Row {
    std::int64_t seconds;
    std::string_view text;
  };
  constexpr std::int64_t kHour = 3600;
  constexpr std::int64_t kDay = 24 * kHour;
  constexpr Row kRows[] = {
      {-2, "<invalid>"},
      {-1, "0s"},
      {0, "0s"},
      {119, "119s"},
      {120, "2m"},
      {125, "2m5s"},
      {599, "9m59s"},
      {600, "10m"},
      {179 * 60 + 59, "179m"},
      {3 * kHour, "3h"},
      {3 * kHour + 60, "3h1m"},
      {8 * kHour - 1, "7h59m"},
      {8 * kHour, "8h"},
      {48 * kHour - 1, "47h"},
      {2 * kDay, "2d"},
      {2 * kDay + kHour, "2d1h"},
      {8 * kDay - 1, "7d23h"},
      {8 * kDay, "8d"},
      {730 * kDay - 1, "729d"},
      {730 * kDay, "2y"},
      {731 * kDay, "2y1d"},
      {8 * 365 * kDay, "8y"},
  };
  for (const Row& row : kRows) EXPECT_EQ(human_age(seconds(row.seconds)), row.text) << row.seconds;
  WallTime now = *parse_rfc3339("2025-06-15T15:06:40Z");
  EXPECT_EQ(human_age_since("2025-06-15T15:06:35Z", now), "5s");
  EXPECT_EQ(human_age_since("", now), "<unknown>");
  EXPECT_EQ(human_age_since("x", now), "<unknown>");
}

}  // namespace
}  // namespace moth
