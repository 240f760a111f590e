#include <gtest/gtest.h>

#include "api/base/json.h"
#include "api/machinery/json_text.h"
#include "api/machinery/patch_json.h"
#include "api/machinery/patch_merge.h"

namespace moth {
namespace {

TEST(MergePatch, FollowsTheRfcsExamples) {
  const std::string_view rows[][3] = {
      {R"({"a":"b"})", R"({"a":"c"})", R"({"a":"c"})"},
      {R"({"a":"b"})", R"({"b":"c"})", R"({"a":"b","b":"c"})"},
      {R"({"a":"b"})", R"({"a":null})", R"({})"},
      {R"({"a":"b","b":"c"})", R"({"a":null})", R"({"b":"c"})"},
      {R"({"a":["b"]})", R"({"a":"c"})", R"({"a":"c"})"},
      {R"({"a":"c"})", R"({"a":["b"]})", R"({"a":["b"]})"},
      {R"({"a":{"b":"c"}})", R"({"a":{"b":"d","c":null}})", R"({"a":{"b":"d"}})"},
      {R"({"a":[{"b":"c"}]})", R"({"a":[1]})", R"({"a":[1]})"},
      {R"(["a","b"])", R"(["c","d"])", R"(["c","d"])"},
      {R"({"a":"b"})", R"(["c"])", R"(["c"])"},
      {R"({"a":"foo"})", "null", "null"},
      {R"({"e":null})", R"({"a":1})", R"({"a":1,"e":null})"},
      {"[1,2]", R"({"a":"b","c":null})", R"({"a":"b"})"},
      {"{}", R"({"a":{"bb":{"ccc":null}}})", R"({"a":{"bb":{}}})"},
  };
  for (const auto& [document, patch, expected] : rows) {
    EXPECT_EQ(dump_json(apply_merge_patch(Json::parse(document), Json::parse(patch))), expected);
  }
}

TEST(MergePatch, CreatedOnesLeadToTheTarget) {
  const std::string_view rows[][3] = {
      {R"({"a":1,"b":{"c":2,"d":3}})", R"({"a":1,"b":{"c":4}})", R"({"b":{"c":4,"d":null}})"},
      {R"({"a":[1]})", R"({"a":[1,2],"n":{}})", R"({"a":[1,2],"n":{}})"},
      {R"({"a":1})", R"({"a":1})", "{}"},
      {R"({"a":{"b":1}})", R"({"a":"x"})", R"({"a":"x"})"},
  };
  for (const auto& [original, modified, expected] : rows) {
    Json patch = create_merge_patch(Json::parse(original), Json::parse(modified));
    EXPECT_EQ(dump_json(patch), expected);
    EXPECT_EQ(apply_merge_patch(Json::parse(original), patch), Json::parse(modified));
  }
}

TEST(JsonPatch, AppliesOperations) {
  const std::string_view rows[][3] = {
      {R"({"a":1})", R"([{"op":"add","path":"/b","value":{"c":2}}])", R"({"a":1,"b":{"c":2}})"},
      {R"({"a":[1,3]})", R"([{"op":"add","path":"/a/1","value":2}])", R"({"a":[1,2,3]})"},
      {R"({"a":[1]})", R"([{"op":"add","path":"/a/-","value":2}])", R"({"a":[1,2]})"},
      {R"({"a":[1]})", R"([{"op":"add","path":"/a/1","value":2}])", R"({"a":[1,2]})"},
      {R"({"a":1,"b":2})", R"([{"op":"remove","path":"/a"}])", R"({"b":2})"},
      {R"({"a":[1,2,3]})", R"([{"op":"remove","path":"/a/1"}])", R"({"a":[1,3]})"},
      {R"({"a":1})", R"([{"op":"replace","path":"/a","value":null}])", R"({"a":null})"},
      {R"({"a":{"b":1}})", R"([{"op":"move","from":"/a/b","path":"/c"}])", R"({"a":{},"c":1})"},
      {R"({"a":[1,2]})", R"([{"op":"move","from":"/a/0","path":"/a/1"}])", R"({"a":[2,1]})"},
      {R"({"a":{"b":1}})", R"([{"op":"copy","from":"/a","path":"/c"}])",
       R"({"a":{"b":1},"c":{"b":1}})"},
      {R"({"a/b":1,"m~n":2})",
       R"([{"op":"test","path":"/a~1b","value":1},{"op":"replace","path":"/m~0n","value":3}])",
       R"({"a/b":1,"m~n":3})"},
      {R"({"a":1})", R"([{"op":"test","path":"/b","value":null}])", R"({"a":1})"},
      {R"({"a":1})", R"([{"op":"replace","path":"","value":{"z":1}}])", R"({"z":1})"},
      {R"({"":{"":1}})", R"([{"op":"remove","path":"//"}])", R"({"":{}})"},
      {R"({"a":1})", "[]", R"({"a":1})"},
  };
  for (const auto& [document, patch, expected] : rows) {
    auto patched = apply_json_patch(Json::parse(document), Json::parse(patch));
    ASSERT_TRUE(patched) << patch << patched.error().message;
    EXPECT_EQ(dump_json(*patched), expected) << patch;
  }
}

TEST(JsonPatch, WhatDoesNotFitIsInvalid) {
  for (std::string_view patch :
       {R"([{"op":"test","path":"/a","value":2}])", R"([{"op":"remove","path":"/x"}])",
        R"([{"op":"replace","path":"/x","value":1}])", R"([{"op":"add","path":"/x/y","value":1}])",
        R"([{"op":"add","path":"/list/5","value":1}])", R"([{"op":"remove","path":"/list/-"}])",
        R"([{"op":"add","path":"/list/01","value":1}])",
        R"([{"op":"move","from":"/o","path":"/o/p/q"}])",
        R"([{"op":"copy","from":"/x","path":"/y"}])",
        R"([{"op":"add","path":"/a/b","value":1}])"}) {
    auto patched =
        apply_json_patch(Json::parse(R"({"a":1,"list":[1],"o":{"p":{}}})"), Json::parse(patch));
    ASSERT_FALSE(patched) << patch;
    EXPECT_EQ(patched.error().code(), 422) << patch;
    ASSERT_EQ(patched.error().causes.size(), 1u);
  }
  auto error =
      apply_json_patch(Json::object(), Json::parse(R"([{"op":"remove","path":"/x"}])")).error();
  EXPECT_EQ(error.message, "the server rejected our request due to an error in our request");
  EXPECT_EQ(error.causes[0].message, "remove operation for path '/x': missing member 'x'");
}

TEST(JsonPatch, MalformedOnesAreBadRequests) {
  for (std::string_view patch :
       {"{}", "[1]", R"([{"op":"add","path":"/a"}])", R"([{"op":"add","value":1}])",
        R"([{"op":"jump","path":"/a"}])", R"([{"op":"add","path":"a","value":1}])",
        R"([{"op":"add","path":"/a~2","value":1}])", R"([{"op":"move","path":"/a"}])"}) {
    auto patched = apply_json_patch(Json::object(), Json::parse(patch));
    ASSERT_FALSE(patched) << patch;
    EXPECT_EQ(patched.error().code(), 400) << patch;
  }
}

TEST(JsonPatch, IsBounded) {
  Json many = Json::array();
  for (std::size_t i = 0; i <= kMaxJsonPatchOperations; ++i) {
    many.push_back({{"op", "test"}, {"path", "/a"}, {"value", 1}});
  }
  EXPECT_EQ(apply_json_patch(Json{{"a", 1}}, many).error().code(), 413);
  Json doubling = Json::array();
  for (int i = 0; i < 60; ++i) {
    doubling.push_back({{"op", "copy"}, {"from", "/a"}, {"path", "/a/-"}});
  }
  EXPECT_EQ(apply_json_patch(Json::parse(R"({"a":["xxxxxxxxxxxxxxxx"]})"), doubling).error().code(),
            413);
}

}  // namespace
}  // namespace moth
