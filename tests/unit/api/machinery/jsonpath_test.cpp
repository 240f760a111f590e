#include "api/machinery/jsonpath.h"

#include <gtest/gtest.h>

#include "api/base/json.h"

namespace moth {
namespace {

const Json& sample() {
  static const Json kSample = Json::parse(R"({
    "kind": "List",
    "items": [
      {"kind":"Pod","metadata":{"name":"a","labels":{"app":"web","example.com/x":"1"}},
       "status":{"ready":true,"restarts":3,"load":0.5,"addresses":[{"type":"IP","address":"10.0.0.1"}]}},
      {"kind":"Pod","metadata":{"name":"b"},
       "status":{"ready":false,"restarts":0,"addresses":[{"type":"IP","address":"10.0.0.2"},
                                                          {"type":"Name","address":"b"}]}}
    ],
    "users": [{"name":"me","user":{}},{"name":"e2e","user":{"password":"secret"}}],
    "empty": [], "none": null
  })");
  return kSample;
}

TEST(JsonPath, Renders) {
  struct Row {
    std::string_view text;
    std::string_view output;
  };
  constexpr Row kRows[] = {
      {"{.kind}", "List"},
      {"kind is {.kind}", "kind is List"},
      {"{.items[*].metadata.name}", "a b"},
      {"{.items[0].metadata.name}", "a"},
      {"{.items[-1].metadata.name}", "b"},
      {"{.items[-1:].metadata.name}", "b"},
      {"{.items[0:2].metadata.name}", "a b"},
      {"{.items[:1].metadata.name}", "a"},
      {"{.items[0:2:2].metadata.name}", "a"},
      {"{.items[0,1].metadata.name}", "a b"},
      {"{.items[*]['metadata.name', 'status.ready']}", ""},
      {"{.items[*]['kind','status']['restarts']}", "3 0"},
      {"{.items[0]['metadata']['name']}", "a"},
      {"{['kind']}", "List"},
      {"{.items[*].status.restarts}", "3 0"},
      {"{.items[0].status.load}", "0.5"},
      {"{.items[0].status.ready}", "true"},
      {"{.none}", "null"},
      {"{.users[?(@.name==\"e2e\")].user.password}", "secret"},
      {"{.users[?(@.name=='e2e')].user.password}", "secret"},
      {"{.users[?(@.user.password)].name}", "e2e"},
      {"{.items[?(@.status.restarts>1)].metadata.name}", "a"},
      {"{.items[?(@.status.restarts<=0)].metadata.name}", "b"},
      {"{.items[?(@.status.ready==true)].metadata.name}", "a"},
      {"{.items[?(@.metadata.name!='a')].metadata.name}", "b"},
      {"{.items[*].status.addresses[?(@.type==\"IP\")].address}", "10.0.0.1 10.0.0.2"},
      {"{range .items[*]}{.metadata.name}:{.status.restarts}{\"\\n\"}{end}", "a:3\nb:0\n"},
      {"{range .items[*]}{.metadata.name}{range .status.addresses[*]} {.address}{end};{end}",
       "a 10.0.0.1;b 10.0.0.2 b;"},
      {"{range .empty[*]}x{end}done", "done"},
      {"{..name}", "a b me e2e"},
      {"{.items..address}", "10.0.0.1 10.0.0.2 b"},
      {"{.items[0].metadata.labels.example\\.com/x}", "1"},
      {"{.items[0].metadata.labels['example\\.com/x']}", "1"},
      {"{.items[0].metadata.labels}", "{\"app\":\"web\",\"example.com/x\":\"1\"}"},
      {"{.items[0].metadata.labels.*}", "web 1"},
      {"{.items[1].status.addresses[0]}", "{\"address\":\"10.0.0.2\",\"type\":\"IP\"}"},
      {"{.missing}", ""},
      {"{.missing.deeper[0]}", ""},
      {"{'single'}{\"\\t\"}", "single\t"},
      {"{@.kind}{$.kind}", "ListList"},
      {"plain", "plain"},
      {"{.empty}", "[]"},
      {"{.empty[*]}", ""},
  };
  for (const Row& row : kRows) {
    auto path = JsonPath::parse(row.text);
    ASSERT_TRUE(path) << row.text << ": " << path.error().message;
    auto output = path->render(sample());
    ASSERT_TRUE(output) << row.text << ": " << output.error().message;
    EXPECT_EQ(*output, row.output) << row.text;
  }
}

TEST(JsonPath, RefusesBadTemplates) {
  for (std::string_view text :
       {"{.a", "{.a[", "{.a[?(@.x}", "{.a[?(@.x==1]}", "{end}", "{foo}", "{.a[x]}", "{.a[1:2:3:4]}",
        "{\"x}", "{.a[?(@.x=1)]}", "{&}", "{....a}", "{.a[]}"}) {
    EXPECT_FALSE(JsonPath::parse(text)) << text;
  }
  EXPECT_EQ(JsonPath::parse("{.a").error().message, "unclosed action");
  EXPECT_EQ(JsonPath::parse("{foo}").error().message, "unrecognized identifier foo");
}

TEST(JsonPath, ReportsWhatDoesNotFit) {
  auto path = JsonPath::parse("{.missing}");
  path->allow_missing_keys(false);
  EXPECT_EQ(path->render(sample()).error().message, "missing is not found");
  EXPECT_EQ(JsonPath::parse("{.items[5]}")->render(sample()).error().message,
            "array index out of bounds: index 5, length 2");
  EXPECT_FALSE(JsonPath::parse("{.kind[0]}")->render(sample()));
  EXPECT_FALSE(JsonPath::parse("{.items[1:0]}")->render(sample()));
}

TEST(JsonPath, FindsValues) {
  auto path = JsonPath::parse_relaxed(".items[*].status.restarts");
  ASSERT_TRUE(path);
  auto found = path->find(sample());
  ASSERT_TRUE(found);
  ASSERT_EQ(found->size(), 1u);
  EXPECT_EQ((*found)[0], (std::vector<Json>{3, 0}));
  JsonPath copy = *path;
  EXPECT_EQ(*copy.render(sample()), "3 0");
}

TEST(JsonPath, RelaxedForms) {
  for (std::string_view text : {".a.b", "a.b", "{.a.b}", "{a.b}"}) {
    EXPECT_EQ(*relaxed_jsonpath_expression(text), "{.a.b}") << text;
  }
  EXPECT_FALSE(relaxed_jsonpath_expression("{a"));
  EXPECT_FALSE(relaxed_jsonpath_expression("{a}{b}"));
}

TEST(JsonPath, EvaluationIsBounded) {
  Json wide = Json::object();
  Json* at = &wide;
  for (int i = 0; i < 200; ++i) at = &((*at)["a"] = Json::object());
  auto path = JsonPath::parse("{..a..a..a..a..a..a..a}");
  ASSERT_TRUE(path);
  EXPECT_FALSE(path->render(wide));
}

}  // namespace
}  // namespace moth
