// Cron schedules, over clocks that jump.
#include <gtest/gtest.h>

#include "api/machinery/time.h"
#include "api/machinery/time_zone.h"
#include "api/resources/batch_v1/cron_schedule.h"
#include "api/resources/batch_v1/job_rules.h"

namespace moth::resources {
namespace {

std::string next(const char* schedule, const char* after, const char* zone = "UTC") {
  auto parsed = CronSchedule::parse(schedule);
  if (!parsed) return parsed.error().message;
  auto loaded = TimeZone::load(zone);
  if (!loaded) return loaded.error().message;
  auto time = parsed->next(parse_rfc3339(after).value(), *loaded);
  return time ? format_rfc3339(*time) : "never";
}

TEST(CronScheduleTest, FindsTheNextTime) {
  struct Row {
    const char* schedule;
    const char* after;
    const char* expected;
  };
  const Row kRows[] = {
      {"* * * * *", "2025-06-15T12:00:30Z", "2025-06-15T12:01:00Z"},
      {"*/15 * * * *", "2025-06-15T12:45:00Z", "2025-06-15T13:00:00Z"},
      {"5,50 8-10 * * *", "2025-06-15T08:50:00Z", "2025-06-15T09:05:00Z"},
      {"30/10 * * * ?", "2025-06-15T12:00:00Z", "2025-06-15T12:30:00Z"},
      {"0 0 29 2 *", "2025-03-01T00:00:00Z", "2028-02-29T00:00:00Z"},
      {"0 0 31 2 *", "2025-03-01T00:00:00Z", "never"},
      {"0 9 * * MON-FRI", "2025-06-13T09:00:00Z", "2025-06-16T09:00:00Z"},
      {"0 0 1 jan *", "2025-06-13T09:00:00Z", "2026-01-01T00:00:00Z"},
      // Both days restricted: either is enough.
      {"0 0 13 * FRI", "2025-06-14T00:00:00Z", "2025-06-20T00:00:00Z"},
      {"0 0 13 * *", "2025-06-14T00:00:00Z", "2025-07-13T00:00:00Z"},
      {"@hourly", "2025-06-14T00:00:00Z", "2025-06-14T01:00:00Z"},
      {"@daily", "2025-06-14T00:00:00Z", "2025-06-15T00:00:00Z"},
      {"@weekly", "2025-06-14T00:00:00Z", "2025-06-15T00:00:00Z"},
      {"@monthly", "2025-06-14T00:00:00Z", "2025-07-01T00:00:00Z"},
      {"@yearly", "2025-06-14T00:00:00Z", "2026-01-01T00:00:00Z"},
      {"@every 1m30s", "2025-06-14T00:00:10.5Z", "2025-06-14T00:01:40Z"},
  };
  for (const Row& row : kRows)
    EXPECT_EQ(next(row.schedule, row.after), row.expected) << row.schedule;
}

TEST(CronScheduleTest, RefusesWhatDoesNotHold) {
  struct Row {
    const char* schedule;
    const char* message;
  };
  const Row kRows[] = {
      {"", "empty spec string"},
      {"* * * * * *", "expected exactly 5 fields, found 6: [* * * * * *]"},
      {"60 * * * *", "end of range (60) above maximum (59): 60"},
      {"* * 0 * *", "beginning of range (0) below minimum (1): 0"},
      {"* * * * 7", "end of range (7) above maximum (6): 7"},
      {"5-3 * * * *", "beginning of range (5) beyond end of range (3): 5-3"},
      {"1-2-3 * * * *", "too many hyphens: 1-2-3"},
      {"1/2/3 * * * *", "too many slashes: 1/2/3"},
      {"*/0 * * * *", "step of range should be a positive number: */0"},
      {"x * * * *", "failed to parse int from x: strconv.Atoi: parsing \"x\": invalid syntax"},
      {"@often", "unrecognized descriptor: @often"},
  };
  for (const Row& row : kRows) {
    auto parsed = CronSchedule::parse(row.schedule);
    ASSERT_FALSE(parsed) << row.schedule;
    EXPECT_EQ(parsed.error().message, row.message);
  }
}

TEST(CronScheduleTest, FollowsTheClocksOfItsZone) {
  if (!TimeZone::load("Europe/Berlin")) GTEST_SKIP() << "no zoneinfo files on this machine";
  EXPECT_EQ(next("0 12 * * *", "2025-01-15T00:00:00Z", "Europe/Berlin"), "2025-01-15T11:00:00Z");
  EXPECT_EQ(next("0 12 * * *", "2025-07-15T00:00:00Z", "Europe/Berlin"), "2025-07-15T10:00:00Z");
  // 02:30 does not come on the 30th of March.
  EXPECT_EQ(next("30 2 * * *", "2025-03-29T12:00:00Z", "Europe/Berlin"), "2025-03-31T00:30:00Z");
  // And comes twice on the 26th of October.
  EXPECT_EQ(next("30 2 * * *", "2025-10-25T12:00:00Z", "Europe/Berlin"), "2025-10-26T00:30:00Z");
  EXPECT_EQ(next("30 2 * * *", "2025-10-26T00:30:00Z", "Europe/Berlin"), "2025-10-26T01:30:00Z");
  EXPECT_EQ(next("30 2 * * *", "2025-10-26T01:30:00Z", "Europe/Berlin"), "2025-10-27T01:30:00Z");
  // Rules go on after the last change that the file lists.
  EXPECT_EQ(next("0 12 * * *", "2090-07-15T00:00:00Z", "Europe/Berlin"), "2090-07-15T10:00:00Z");
  EXPECT_EQ(next("0 0 * * *", "2025-06-15T00:00:00Z", "Asia/Kolkata"), "2025-06-15T18:30:00Z");
}

TEST(JobIndexesTest, AreReadAndCounted) {
  auto intervals = parse_job_indexes("0,2-4,9", 10);
  ASSERT_TRUE(intervals);
  EXPECT_EQ(count_indexes(*intervals), 5);
  EXPECT_TRUE(parse_job_indexes("", 10)->empty());
  EXPECT_EQ(parse_job_indexes("10", 10).error().message, "too large index: \"10\"");
  EXPECT_EQ(parse_job_indexes("2,1", 10).error().message,
            "non-increasing order, previous: 2, current: 1");
  EXPECT_EQ(parse_job_indexes("a", 10).error().message,
            "cannot convert string to integer for index: \"a\"");
}

}  // namespace
}  // namespace moth::resources
