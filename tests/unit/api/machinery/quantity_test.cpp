#include "api/machinery/quantity.h"

#include <gtest/gtest.h>

#include <limits>

#include "api/base/json.h"
#include "api/machinery/int_or_string.h"

namespace moth {
namespace {

struct CanonicalCase {
  std::string_view text;
  std::string_view canonical;
};

TEST(Quantity, PrintsTheCanonicalForm) {
  constexpr CanonicalCase kCases[] = {
      {"0", "0"},
      {"0Ki", "0"},
      {"1", "1"},
      {"1000m", "1"},
      {"0.5", "500m"},
      {"500m", "500m"},
      {"1024Mi", "1Gi"},
      {"1Gi", "1Gi"},
      {"1024Ki", "1Mi"},
      {"1023Ki", "1023Ki"},
      {"1500Ki", "1500Ki"},
      {"1.5Gi", "1536Mi"},
      {"0.5Gi", "512Mi"},
      {"1000", "1k"},
      {"1000k", "1M"},
      {"1500", "1500"},
      {"12e6", "12e6"},
      {"1e3", "1e3"},
      {"1E3", "1e3"},
      {"1e-3", "1e-3"},
      {"1E", "1E"},
      {"100n", "100n"},
      {"100u", "100u"},
      {"0.0001", "100u"},
      {"-1", "-1"},
      {"-500m", "-500m"},
      {"+2", "2"},
      {"00012", "12"},
      {".5", "500m"},
      {"5.", "5"},
      {"100Ei", "9223372036854775807"},
      {"1000E", "9223372036854775807"},
      {"0.5Ki", "512"},
      {"512", "512"},
      {"1Ki", "1Ki"},
      {"0.0005Ki", "512m"},
      {"1.0n", "1n"},
      {"0.1n", "1n"},
      {"0.0000000001", "1n"},
      {"123456789", "123456789"},
      {"1.2345Gi", "1325534281728m"},
      {"10e1", "100"},
      {"1e2", "100"},
      {"12345e-2", "123450e-3"},
  };
  for (const auto& [text, canonical] : kCases) {
    auto quantity = Quantity::parse(text);
    ASSERT_TRUE(quantity) << text << ": " << quantity.error().message;
    EXPECT_EQ(quantity->to_string(), canonical) << text;
    auto again = Quantity::parse(quantity->to_string());
    ASSERT_TRUE(again) << text;
    EXPECT_EQ(*again, *quantity) << text;
  }
}

TEST(Quantity, RefusesWhatIsNone) {
  for (std::string_view text :
       {"",        "1.1.M", "1+1.0M", "0.1mi",        "0.1am", "aoeu", ".5i", "1i", "-3.01i",
        "-3.01e-", " 1",    "1 ",     "Mi",           "-",     "1K",   "1KI", "1e", "1ee3",
        "0x10",    "1_000", "e3",     "1e99999999999"}) {
    EXPECT_FALSE(Quantity::parse(text)) << text;
  }
  EXPECT_EQ(Quantity::parse("").error().message,
            "quantities must match the regular expression "
            "'^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'");
  EXPECT_EQ(Quantity::parse("1K").error().message, "unable to parse quantity's suffix");
  EXPECT_EQ(Quantity::parse("1e").error().message, "unable to parse quantity's suffix");
}

TEST(Quantity, RoundsAwayFromZero) {
  EXPECT_EQ(Quantity::parse("1m")->value(), 1);
  EXPECT_EQ(Quantity::parse("1001m")->value(), 2);
  EXPECT_EQ(Quantity::parse("-1001m")->value(), -2);
  EXPECT_EQ(Quantity::parse("1u")->milli_value(), 1);
  EXPECT_EQ(Quantity::parse("250m")->milli_value(), 250);
  EXPECT_EQ(Quantity::parse("2")->milli_value(), 2000);
  EXPECT_EQ(Quantity::parse("1Gi")->value(), 1073741824);
  EXPECT_EQ(Quantity::parse("8E")->milli_value(), std::numeric_limits<std::int64_t>::max());
}

TEST(Quantity, AddsAndSubtractsExactlyAndKeepsTheFamily) {
  EXPECT_EQ((*Quantity::parse("1Gi") + *Quantity::parse("512Mi")).to_string(), "1536Mi");
  EXPECT_EQ((*Quantity::parse("0.1") + *Quantity::parse("0.2")).to_string(), "300m");
  EXPECT_EQ((Quantity() + *Quantity::parse("1Gi")).to_string(), "1Gi");
  EXPECT_EQ((*Quantity::parse("1Gi") - *Quantity::parse("1")).to_string(), "1073741823");
  EXPECT_EQ((*Quantity::parse("1") - *Quantity::parse("2Ki")).to_string(), "-2047");
  EXPECT_TRUE((*Quantity::parse("1Gi") - *Quantity::parse("1024Mi")).is_zero());
  Quantity sum = *Quantity::parse("8E");
  for (int i = 0; i < 200; ++i) sum += sum;
  EXPECT_EQ(sum.value(), std::numeric_limits<std::int64_t>::max());
  EXPECT_GT(sum, *Quantity::parse("8E"));
}

TEST(Quantity, ComparesByAmount) {
  EXPECT_EQ(*Quantity::parse("1Ki"), *Quantity::parse("1024"));
  EXPECT_LT(*Quantity::parse("999m"), *Quantity::parse("1"));
  EXPECT_LT(*Quantity::parse("1G"), *Quantity::parse("1Gi"));
  EXPECT_EQ(Quantity::parse("-5")->sign(), -1);
}

TEST(Quantity, ReadsJson) {
  EXPECT_EQ(Quantity::from_json(Json(2))->milli_value(), 2000);
  EXPECT_EQ(Quantity::from_json(Json(0.5))->milli_value(), 500);
  EXPECT_EQ(Quantity::from_json(Json("100Mi"))->value(), 104857600);
  EXPECT_TRUE(Quantity::from_json(Json())->is_zero());
  EXPECT_FALSE(Quantity::from_json(Json::array()));
  EXPECT_EQ(Quantity::from_milli(1500).to_string(), "1500m");
  EXPECT_EQ(Quantity::from_value(1 << 20, Quantity::Format::kBinarySI).to_string(), "1Mi");
}

TEST(IntOrString, ScalesPercentages) {
  auto text = [](std::string value) { return IntOrString::of(std::move(value)); };
  EXPECT_EQ(*text("25%").scaled(10, true), 3);
  EXPECT_EQ(*text("25%").scaled(10, false), 2);
  EXPECT_EQ(*text("0%").scaled(10, true), 0);
  EXPECT_EQ(*text("100%").scaled(7, false), 7);
  EXPECT_EQ(*IntOrString::of(4).scaled(100, true), 4);
  EXPECT_FALSE(text("x").scaled(10, true));
  EXPECT_FALSE(text("x%").scaled(10, true));
  EXPECT_FALSE(text("%").scaled(10, true));
  EXPECT_TRUE(text("25%").is_percent());
  EXPECT_FALSE(text("2.5%").is_percent());
  EXPECT_EQ(*text("2147483647%").scaled(2147483647, true), 2147483647);
}

TEST(IntOrString, ReadsAndWritesJson) {
  EXPECT_EQ(IntOrString::from_json(Json(80))->number, 80);
  EXPECT_EQ(IntOrString::from_json(Json("http"))->text, "http");
  EXPECT_FALSE(IntOrString::from_json(Json(1.5)));
  EXPECT_FALSE(IntOrString::from_json(Json(4294967296)));
  EXPECT_FALSE(IntOrString::from_json(Json(18446744073709551615u)));
  EXPECT_EQ(IntOrString::of("a").to_json(), Json("a"));
  EXPECT_EQ(IntOrString::of(1).to_json(), Json(1));
}

}  // namespace
}  // namespace moth
