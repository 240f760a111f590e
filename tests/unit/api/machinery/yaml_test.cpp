#include "api/machinery/yaml.h"

#include <gtest/gtest.h>

#include <chrono>
#include <fstream>
#include <sstream>

#include "api/machinery/json_text.h"

namespace moth {
namespace {

std::string read_testdata(const std::string& name) {
  std::ifstream file(std::string(MOTH_SOURCE_DIR) + "/tests/unit/api/machinery/testdata/" + name);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

std::string as_json(std::string_view yaml) {
  auto value = parse_yaml(yaml);
  return value ? dump_json(*value) : value.error().message;
}

TEST(Yaml, ReadsScalarsAsKubernetesDoes) {
  struct Row {
    std::string_view yaml;
    std::string_view json;
  };
  constexpr Row kRows[] = {
      {"y", "true"},
      {"Yes", "true"},
      {"on", "true"},
      {"TRUE", "true"},
      {"n", "false"},
      {"off", "false"},
      {"yEs", "\"yEs\""},
      {"0755", "493"},
      {"0o17", "15"},
      {"0x1F", "31"},
      {"0b11", "3"},
      {"1_000", "1000"},
      {"1e3", "1000"},
      {"1.0", "1"},
      {".5", "0.5"},
      {"08", "8"},
      {"+12", "12"},
      {"-7", "-7"},
      {"~", "null"},
      {"null", "null"},
      {"Null", "null"},
      {"\"null\"", "\"null\""},
      {"'yes'", "\"yes\""},
      {"\"1\"", "\"1\""},
      {"2020-01-01", "\"2020-01-01\""},
      {"12:30:45", "\"12:30:45\""},
      {"!!binary aGVsbG8=", "\"hello\""},
      {"!!str 12", "\"12\""},
      {"!!int \"12\"", "12"},
      {"99999999999999999999", "100000000000000000000"},
      {"18446744073709551615", "18446744073709551615"},
      {"1.2.3", "\"1.2.3\""},
      {"1Gi", "\"1Gi\""},
      {"-", "[null]"},
      {"v1", "\"v1\""},
      {"a:b", "\"a:b\""},
      {"0.1.0", "\"0.1.0\""},
      {"1e", "\"1e\""},
      {"-9223372036854775808", "-9223372036854775808"},
      {".", "\".\""},
      {"+", "\"+\""},
      {"'it''s'", "\"it's\""},
      {"\"a\\u00fc\\n\"", "\"aü\\n\""},
      {"\"null\": 1", "{\"null\":1}"},
  };
  for (const Row& row : kRows) EXPECT_EQ(as_json(row.yaml), row.json) << row.yaml;
}

TEST(Yaml, ReadsStructures) {
  EXPECT_EQ(as_json("a:\n- b\n- c: d\n  e: [1, {f: g}]\n"),
            R"({"a":["b",{"c":"d","e":[1,{"f":"g"}]}]})");
  EXPECT_EQ(as_json("a: |\n  x\n   y\n\nb: >-\n  p\n  q\n"), R"({"a":"x\n y\n","b":"p q"})");
  EXPECT_EQ(as_json("a: |+\n  x\n\nb: |-\n  y\n"), R"({"a":"x\n\n","b":"y"})");
  EXPECT_EQ(as_json("a:\nb: {}\nc: []\n"), R"({"a":null,"b":{},"c":[]})");
  EXPECT_EQ(as_json("a: {b, c: }\nd  :\n"), R"({"a":{"b":null,"c":null},"d":null})");
  EXPECT_EQ(as_json("ü: ö\nä:\n  é:\nz: 'ß'\n"), R"({"z":"ß","ä":{"é":null},"ü":"ö"})");
  EXPECT_EQ(as_json("? a\n? b\n: c\n"), R"({"a":null,"b":"c"})");
  EXPECT_EQ(as_json("on: 1\n3: x\n1.5: z\n"), R"({"1.5":"z","3":"x","true":1})");
  EXPECT_EQ(as_json("a: # note\n  b # note\nc: d#e\n"), R"({"a":"b","c":"d#e"})");
  EXPECT_EQ(as_json("a: 'x\n  y'\nb: p\n  q\n"), R"({"a":"x y","b":"p q"})");
  EXPECT_EQ(as_json("# only a note\n"), "null");
  EXPECT_EQ(as_json("\xEF\xBB\xBF"
                    "a: 1\r\nb: 2\r\n"),
            R"({"a":1,"b":2})");
}

TEST(Yaml, MergesMaps) {
  EXPECT_EQ(as_json("base: &b {x: 1, z: 2}\nuse:\n  <<: *b\n  z: 3\n"),
            R"({"base":{"x":1,"z":2},"use":{"x":1,"z":3}})");
  // In the order of the text, as Kubernetes' reader does.
  EXPECT_EQ(as_json("base: &b {x: 1}\nuse:\n  x: 0\n  <<: *b\n"),
            R"({"base":{"x":1},"use":{"x":1}})");
  EXPECT_EQ(as_json("a: &a {x: 1}\nb: &b {x: 2, z: 2}\nuse:\n  <<: [*a, *b]\n"),
            R"({"a":{"x":1},"b":{"x":2,"z":2},"use":{"x":1,"z":2}})");
  EXPECT_EQ(as_json("a: &x [1, 2]\nb: *x\nc: &k key\n*k : v\n"),
            R"({"a":[1,2],"b":[1,2],"c":"key","key":"v"})");
}

TEST(Yaml, ReadsSeveralDocuments) {
  auto documents =
      parse_yaml_documents("# head\n---\na: 1\n---\n# nothing\n---\nb: 2\n...\n---\n- c\n");
  ASSERT_TRUE(documents) << documents.error().message;
  ASSERT_EQ(documents->size(), 3u);
  EXPECT_EQ(dump_json((*documents)[0].value), R"({"a":1})");
  EXPECT_EQ((*documents)[0].line, 3);
  EXPECT_EQ((*documents)[1].line, 7);
  EXPECT_EQ(dump_json((*documents)[2].value), R"(["c"])");
  EXPECT_FALSE(parse_yaml("a: 1\n---\nb: 2\n"));
  EXPECT_TRUE(parse_yaml_documents("")->empty());
  EXPECT_EQ(parse_yaml_documents("a: 1\r\n---\r\nb: 2\r\n")->size(), 2u);
  EXPECT_EQ(parse_yaml_documents("a\n...\nb\n...\n")->size(), 2u);
}

TEST(Yaml, ReadsJsonStreams) {
  auto documents = parse_yaml_documents("{\"a\":\"}\\\"\",\t\"b\":[1]}\n\n{\"c\":1}\n");
  ASSERT_TRUE(documents) << documents.error().message;
  ASSERT_EQ(documents->size(), 2u);
  EXPECT_EQ((*documents)[1].line, 3);
  EXPECT_EQ(as_json("{a: 1, b: [x]}"), R"({"a":1,"b":["x"]})");
}

TEST(Yaml, ReportsDuplicates) {
  auto documents = parse_yaml_documents("a: 1\nb:\n  c: 1\n  c: 2\na: 3\n");
  ASSERT_TRUE(documents);
  ASSERT_EQ(documents->front().duplicates.size(), 2u);
  EXPECT_EQ(documents->front().duplicates[0].line, 4);
  EXPECT_EQ(documents->front().duplicates[0].key, "c");
  EXPECT_EQ(dump_json(documents->front().value), R"({"a":3,"b":{"c":2}})");
  EXPECT_EQ(parse_yaml("a: 1\na: 2\n", true).error().message,
            "error converting YAML to JSON: yaml: unmarshal errors:\n  line 2: key \"a\" already "
            "set in map");
  EXPECT_TRUE(parse_yaml("b: &b {x: 1}\nc:\n  <<: *b\n  x: 2\n", true));
}

TEST(Yaml, ErrorsSayWhere) {
  struct Row {
    std::string_view yaml;
    std::string_view start;
  };
  constexpr Row kRows[] = {
      {"a: 1\nb: c: d\n", "yaml: line 2: mapping values are not allowed in this context"},
      {"a: 1\nb:\n\t- x\n", "yaml: line 3: found character that cannot start any token"},
      {"a: [1\nb: 2\n", "yaml: line "},
      {"a: \"x\n", "yaml: line "},
      {"a: \"x\n", "yaml: line 1: found unexpected end of stream"},
      {"a: 'it''s\n", "yaml: line 1: found unexpected end of stream"},
      {"a: 1\nb", "yaml: line 2: could not find expected ':'"},
      {"a:\n  b: 1\n  c\n", "yaml: line 3: could not find expected ':'"},
      {"\"a\" \"b\"\n", "yaml: line 1: did not find expected <document start>"},
      {"&-:--\":\"move\",\"fro\",\"pat\":\"/b\"},{\"op\":\"aas:# czt \"x\"", "yaml: line 1: "},
      {"a: *x\n", "yaml: line 1: unknown anchor referenced"},
      {"a: @x\n", "yaml: line 1: "},
      {"a: &x [*x]\n", "yaml: line 1: an anchor's value contains itself"},
      {"~: 1\n", "yaml: line 1: null cannot be a key"},
      {"{a: 1}: 2\n", "yaml: line 1: invalid map key"},
      {"a: .inf\n", "yaml: line 1: the number .inf cannot be written in JSON"},
      {"a: 1\n- b\n", "yaml: line 2: did not find expected key"},
      {"a: \x01\n", "yaml: line 1: control characters are not allowed"},
      {"a: 1\nb: \xFF\n", "yaml: line 2: invalid UTF-8"},
      {"a: {<<: 1}\n", "yaml: line 1: map merge requires map or sequence of maps as the value"},
  };
  for (const Row& row : kRows) {
    auto value = parse_yaml(row.yaml);
    ASSERT_FALSE(value) << row.yaml << " gave " << dump_json(*value);
    std::string expected = "error converting YAML to JSON: " + std::string(row.start);
    EXPECT_EQ(value.error().message.substr(0, expected.size()), expected)
        << row.yaml << value.error().message;
    EXPECT_EQ(value.error().code(), 400);
  }
}

TEST(Yaml, WhatNoDocumentCanStartWithDoesNotHang) {
  for (const char* text : {"a\n... \n ,+: b\n", "a\n...\n}", "a\n...\n]\n---\nb", "a\n...\n: b"}) {
    auto documents = parse_yaml_documents(text);
    EXPECT_FALSE(documents) << text;
  }
  EXPECT_EQ(parse_yaml_documents("---\n---\na: 1\n...\n---\nb: 1\n...\n")->size(), 2u);
}

TEST(Yaml, RefusesToGrow) {
  std::string bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n";
  for (int i = 1; i < 30; ++i) {
    std::string before = "*a" + std::to_string(i - 1);
    bomb += "a" + std::to_string(i) + ": &a" + std::to_string(i) + " [";
    for (int j = 0; j < 10; ++j) bomb += (j ? ", " : "") + before;
    bomb += "]\n";
  }
  auto start = std::chrono::steady_clock::now();
  EXPECT_FALSE(parse_yaml(bomb));
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(10));
  EXPECT_FALSE(parse_yaml(std::string(100'000, '[')));
  std::string nested;
  for (int i = 0; i < 100'000; ++i) nested += "- ";
  EXPECT_FALSE(parse_yaml(nested));
  EXPECT_FALSE(parse_yaml("a: b", false, {.max_bytes = 3}));
}

TEST(Yaml, PrintsAsKubectl) {
  Json value = Json::parse(read_testdata("kubectl_printed.json"));
  EXPECT_EQ(to_yaml(value), read_testdata("kubectl_printed.yaml"));
}

TEST(Yaml, ReadsWhatItPrints) {
  Json value = Json::parse(read_testdata("kubectl_printed.json"));
  auto again = parse_yaml(to_yaml(value));
  ASSERT_TRUE(again) << again.error().message;
  EXPECT_EQ(dump_json_indented(*again), dump_json_indented(value));
  const Json scalars[] = {Json("a"),      Json(1),       Json(true),  Json(),
                          Json::object(), Json::array(), Json("a\nb")};
  for (const Json& scalar : scalars) {
    EXPECT_EQ(*parse_yaml(to_yaml(scalar)), scalar) << to_yaml(scalar);
  }
}

}  // namespace
}  // namespace moth
