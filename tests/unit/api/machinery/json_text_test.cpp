#include "api/machinery/json_text.h"

#include <gtest/gtest.h>

#include "api/base/json.h"

namespace moth {
namespace {

TEST(JsonText, ReadsAndWritesBack) {
  for (std::string_view text : {R"({"a":1,"b":[true,false,null,"x"],"c":{"d":-5}})", "[]", "{}",
                                "\"x\"", "18446744073709551615", R"({"s":"\u0001\n\t\"\\ü😀"})"}) {
    auto value = parse_json(text);
    ASSERT_TRUE(value) << text << value.error().message;
    EXPECT_EQ(dump_json(*value), text);
  }
  EXPECT_EQ(dump_json(*parse_json(R"("\u00fc\ud83d\ude00\/")")), "\"ü😀/\"");
}

TEST(JsonText, PrintsNumbersAsGo) {
  EXPECT_EQ(dump_json(Json(1.0)), "1");
  EXPECT_EQ(dump_json(Json(0.5)), "0.5");
  EXPECT_EQ(dump_json(Json(1e20)), "100000000000000000000");
  EXPECT_EQ(dump_json(Json(1e21)), "1e+21");
  EXPECT_EQ(dump_json(Json(1e-7)), "1e-7");
  EXPECT_EQ(dump_json(Json(0.000001)), "0.000001");
  EXPECT_EQ(dump_json(Json(0.1 + 0.2)), "0.30000000000000004");
}

TEST(JsonText, ErrorsSayWhere) {
  auto error = parse_json("{\n  \"a\": x\n}").error();
  EXPECT_EQ(error.code(), 400);
  EXPECT_NE(error.message.find("line 2, column 8 (offset 9)"), std::string::npos) << error.message;
  for (std::string_view text :
       {"", " ", "{", "[1,]", "{\"a\":1,}", "01", "nul", "1 2", "{\"a\" 1}", "'a'", "\"\xFF\"",
        "\"\xED\xA0\x80\"", "\"\\ud800\"", "\"a\nb\"", "NaN", "1e999"}) {
    auto value = parse_json(text);
    EXPECT_FALSE(value) << text;
  }
}

TEST(JsonText, DepthIsBounded) {
  std::string deep(513, '[');
  deep += std::string(513, ']');
  EXPECT_FALSE(parse_json(deep));
  EXPECT_TRUE(parse_json(deep.substr(1, deep.size() - 2)));
  std::string open_only(5'000'000, '[');
  EXPECT_FALSE(parse_json(open_only));
}

TEST(JsonText, ValuesAreCounted) {
  JsonTextOptions options;
  options.max_values = 5;
  EXPECT_TRUE(parse_json(R"([1, {"a": {}}, []])", options));
  auto refused = parse_json(R"([1, {"a": {}}, [], null])", options);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().reason, Reason::kRequestEntityTooLarge);
  EXPECT_EQ(refused.error().message, "the JSON text holds more than 5 values");
}

TEST(JsonText, ReportsDuplicates) {
  std::vector<std::string> duplicates;
  auto value = parse_json(
      R"({"spec":{"x":1,"x":2,"list":[{"a":1},{"b":{"c":1,"c":2}}]},"kind":"A","kind":"B","kind":"C"})",
      duplicates);
  ASSERT_TRUE(value);
  EXPECT_EQ(duplicates, (std::vector<std::string>{"spec.x", "spec.list[1].b.c", "kind"}));
  EXPECT_EQ((*value)["spec"]["x"], 2);
  EXPECT_EQ((*value)["kind"], "C");
  auto merged = parse_json(R"({"a":{"b":1},"a":{"c":2}})");
  EXPECT_EQ(dump_json(*merged), R"({"a":{"c":2}})");
}

TEST(JsonText, DumpsWhatNoParserGave) {
  EXPECT_EQ(dump_json(Json("a\xFFz")), "\"a\xEF\xBF\xBDz\"");
  EXPECT_EQ(dump_json(Json(std::string("\0\x7f", 2))), "\"\\u0000\x7f\"");
  EXPECT_EQ(
      dump_json_indented(Json::parse(R"({"a":[1,{}],"b":{"c":2}})")),
      "{\n    \"a\": [\n        1,\n        {}\n    ],\n    \"b\": {\n        \"c\": 2\n    }\n}");
}

}  // namespace
}  // namespace moth
