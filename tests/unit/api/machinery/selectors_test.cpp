#include "api/machinery/selectors.h"

#include <gtest/gtest.h>

#include "api/base/json.h"

namespace moth {
namespace {

TEST(LabelSelector, Matches) {
  const Labels labels = {{"app", "web"}, {"tier", ""}, {"n", "5"}, {"in", "x"}};
  struct Row {
    std::string_view text;
    bool matches;
  };
  constexpr Row kRows[] = {
      {"", true},
      {"  ", true},
      {"app=web", true},
      {"app == web", true},
      {"app=db", false},
      {"app!=db", true},
      {"app!=web", false},
      {"none!=x", true},
      {"app", true},
      {"none", false},
      {"!none", true},
      {"! app", false},
      {"app in (db, web)", true},
      {"app in (db)", false},
      {"none in (db)", false},
      {"app notin (db)", true},
      {"none notin (db)", true},
      {"app notin (web,db)", false},
      {"tier=", true},
      {"tier", true},
      {"tier in ()", true},
      {"app=web,tier,!none", true},
      {"app=web,none", false},
      {"n>4", true},
      {"n>5", false},
      {"n<6", true},
      {"app>1", false},
      {"none<1", false},
      {"in=x", true},
      {"in in (in,x)", true},
  };
  for (const auto& [text, matches] : kRows) {
    auto selector = LabelSelector::parse(text);
    ASSERT_TRUE(selector) << text << ": " << selector.error().message;
    EXPECT_EQ(selector->matches(labels), matches) << text;
    auto again = LabelSelector::parse(selector->to_string());
    ASSERT_TRUE(again) << selector->to_string();
    EXPECT_EQ(*again, *selector) << text;
    EXPECT_EQ(selector->matches_json(Json(labels)), matches) << text;
  }
}

TEST(LabelSelector, RefusesBadTexts) {
  for (std::string_view text :
       {"a b", "a=b c", "=a", ",a", "a,", "a,,b", "a in b", "a in (b", "a in (b c)", "!a=b", "a!b",
        "a=b=c", "*=x", "a=*", "a>x", "a>", "x/y/z=1", "(a)"}) {
    EXPECT_FALSE(LabelSelector::parse(text)) << text;
  }
  EXPECT_EQ(LabelSelector::parse("a b").error().message,
            "unable to parse requirement: found 'b', expected: in, notin, =, ==, !=, gt, lt");
  EXPECT_EQ(LabelSelector::parse("=a").error().message,
            "unable to parse requirement: found '=', expected: !, identifier, or 'end of string'");
  EXPECT_EQ(LabelSelector::parse("a,").error().message,
            "unable to parse requirement: found '', expected: identifier after ','");
  EXPECT_EQ(LabelSelector::parse("x").value().to_string(), "x");
}

TEST(LabelSelector, PrintsSortedByKey) {
  EXPECT_EQ(LabelSelector::parse("z=1,b in (y,x,x),!c,d!=2")->to_string(),
            "b in (x,y),!c,d!=2,z=1");
  EXPECT_EQ(LabelSelector::from_map({{"b", "2"}, {"a", "1"}}).to_string(), "a=1,b=2");
}

TEST(LabelSelector, FromJson) {
  EXPECT_TRUE(LabelSelector::from_json(Json())->matches_nothing());
  EXPECT_FALSE(LabelSelector::from_json(Json())->matches({{"a", "b"}}));
  EXPECT_TRUE(LabelSelector::from_json(Json::object())->matches({}));
  Json json = Json::parse(R"({"matchLabels":{"app":"web"},
      "matchExpressions":[{"key":"tier","operator":"In","values":["a","b"]},
                          {"key":"x","operator":"DoesNotExist"}]})");
  auto selector = LabelSelector::from_json(json);
  ASSERT_TRUE(selector);
  EXPECT_TRUE(selector->matches({{"app", "web"}, {"tier", "b"}}));
  EXPECT_FALSE(selector->matches({{"app", "web"}, {"tier", "b"}, {"x", ""}}));
  EXPECT_EQ(selector->required_value("app"), "web");
  EXPECT_EQ(selector->required_value("tier"), std::nullopt);
  EXPECT_EQ(format_label_selector(json), "app=web,tier in (a,b),!x");
  EXPECT_EQ(format_label_selector(Json::object()), "<none>");
}

TEST(LabelSelector, ValidationNamesTheField) {
  Json json = Json::parse(R"({"matchLabels":{"a b":"ok"},
      "matchExpressions":[{"key":"k","operator":"In"},{"key":"k","operator":"Exists","values":["x"]},
                          {"key":"k","operator":"Near"},{"key":"","operator":"In","values":["-"]}]})");
  FieldErrors errors = validate_label_selector(json, FieldPath("spec.selector"));
  ASSERT_GE(errors.size(), 6u);
  EXPECT_EQ(errors[0].field, "spec.selector.matchLabels");
  EXPECT_EQ(errors[1].to_string(),
            "spec.selector.matchExpressions[0].values: Required value: must be specified when "
            "`operator` is 'In' or 'NotIn'");
  EXPECT_EQ(
      errors[2].to_string(),
      "spec.selector.matchExpressions[1].values: Forbidden: may not be specified when `operator` "
      "is 'Exists' or 'DoesNotExist'");
  EXPECT_EQ(
      errors[3].to_string(),
      "spec.selector.matchExpressions[2].operator: Invalid value: \"Near\": not a valid selector "
      "operator");
  EXPECT_EQ(errors.back().field, "spec.selector.matchExpressions[3].values[0]");
  EXPECT_TRUE(validate_label_selector(Json(), FieldPath("x")).empty());
}

TEST(FieldSelector, ParsesAndMatches) {
  auto lookup = [](std::string_view field) -> std::string {
    if (field == "status.phase") return "Running";
    if (field == "metadata.name") return "a,b=c\\";
    return "";
  };
  struct Row {
    std::string_view text;
    bool matches;
  };
  constexpr Row kRows[] = {
      {"", true},
      {"status.phase=Running", true},
      {"status.phase==Running", true},
      {"status.phase!=Running", false},
      {"status.phase!=Succeeded,status.phase!=Failed", true},
      {"involvedObject.namespace=", true},
      {"status.phase=", false},
      {"metadata.name=a\\,b\\=c\\\\", true},
      {"spec.nodeName!=", false},
  };
  for (const auto& [text, matches] : kRows) {
    auto selector = FieldSelector::parse(text);
    ASSERT_TRUE(selector) << text << ": " << selector.error().message;
    EXPECT_EQ(selector->matches(lookup), matches) << text;
    EXPECT_EQ(*FieldSelector::parse(selector->to_string()), *selector) << text;
  }
  EXPECT_EQ(FieldSelector::parse("metadata.name=x")->required_value("metadata.name"), "x");
  EXPECT_EQ(FieldSelector::parse("metadata.name!=x")->required_value("metadata.name"),
            std::nullopt);
  for (std::string_view text : {"abc", "a=b=c", "a=\\x", "a=b\\"}) {
    EXPECT_FALSE(FieldSelector::parse(text)) << text;
  }
  EXPECT_EQ(FieldSelector::parse("abc").error().message,
            "invalid selector: 'abc'; can't understand 'abc'");
}

}  // namespace
}  // namespace moth
