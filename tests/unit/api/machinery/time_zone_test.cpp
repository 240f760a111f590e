// Time zones: files of the machine, rules beyond their last change, clocks that jump.
#include "api/machinery/time_zone.h"

#include <gtest/gtest.h>

#include "api/machinery/time.h"

namespace moth {
namespace {

WallTime at(const char* text) {
  return parse_rfc3339(text).value();
}

// A version 2 file without transitions: only the rule at its end counts.
std::string file_of(const std::string& rule) {
  std::string header = std::string("TZif2") + std::string(15, '\0');
  auto number = [](unsigned value) { return std::string{0, 0, 0, static_cast<char>(value)}; };
  // One type, one character.
  std::string counts = number(0) + number(0) + number(0) + number(0) + number(1) + number(1);
  std::string body = std::string(6, '\0') + std::string(1, '\0');
  return header + counts + body + header + counts + body + "\n" + rule + "\n";
}

std::int64_t offset(const std::string& rule, const char* time) {
  auto zone = TimeZone::parse(file_of(rule));
  EXPECT_TRUE(zone) << rule;
  return zone ? zone->offset_at(at(time)) : -1;
}

TEST(TimeZoneTest, RulesSayWhenClocksChange) {
  const std::string berlin = "CET-1CEST,M3.5.0,M10.5.0/3";
  EXPECT_EQ(offset(berlin, "2025-03-30T00:59:59Z"), 3600);
  EXPECT_EQ(offset(berlin, "2025-03-30T01:00:00Z"), 7200);
  EXPECT_EQ(offset(berlin, "2025-10-26T00:59:59Z"), 7200);
  EXPECT_EQ(offset(berlin, "2025-10-26T01:00:00Z"), 3600);
  // South of the equator summer crosses the year.
  const std::string sydney = "AEST-10AEDT,M10.1.0,M4.1.0/3";
  EXPECT_EQ(offset(sydney, "2025-01-01T00:00:00Z"), 39600);
  EXPECT_EQ(offset(sydney, "2025-07-01T00:00:00Z"), 36000);
  EXPECT_EQ(offset("<+0530>-5:30", "2025-07-01T00:00:00Z"), 19800);
  EXPECT_EQ(offset("EST5", "2025-07-01T00:00:00Z"), -18000);
  // J60 is the 1st of March, leap year or not.
  EXPECT_EQ(offset("AAA-1BBB,J60/0,J300", "2024-02-29T22:59:59Z"), 3600);
  EXPECT_EQ(offset("AAA-1BBB,J60/0,J300", "2024-02-29T23:00:00Z"), 7200);
}

TEST(TimeZoneTest, RefusesWhatDoesNotHold) {
  EXPECT_FALSE(TimeZone::parse(""));
  EXPECT_FALSE(TimeZone::parse("TZif2 and nothing else"));
  std::string cut = file_of("EST5");
  EXPECT_FALSE(TimeZone::parse(cut.substr(0, 60)));
  for (const char* name : {"../../etc/passwd", "/etc/localtime", "No/Such"}) {
    auto zone = TimeZone::load(name);
    ASSERT_FALSE(zone) << name;
    EXPECT_EQ(zone.error().message, std::string("unknown time zone ") + name);
  }
  EXPECT_TRUE(TimeZone::load("UTC"));
}

TEST(TimeZoneTest, ShowsAndReadsTheClockOnTheWall) {
  auto zone = TimeZone::parse(file_of("CET-1CEST,M3.5.0,M10.5.0/3"));
  ASSERT_TRUE(zone);
  CivilTime noon = zone->to_civil(at("2025-06-15T10:00:05Z"));
  EXPECT_EQ(noon, (CivilTime{2025, 6, 15, 12, 0, 5, 0}));
  EXPECT_EQ(zone->from_civil(noon), at("2025-06-15T10:00:05Z"));
  // Skipped: the instant of the change. Shown twice: the first of both.
  EXPECT_EQ(zone->from_civil({2025, 3, 30, 2, 30, 0, 0}), at("2025-03-30T01:00:00Z"));
  EXPECT_EQ(zone->from_civil({2025, 10, 26, 2, 30, 0, 0}), at("2025-10-26T00:30:00Z"));
  EXPECT_EQ(TimeZone().to_civil(at("1970-01-01T00:00:00Z")), CivilTime{});
}

}  // namespace
}  // namespace moth
