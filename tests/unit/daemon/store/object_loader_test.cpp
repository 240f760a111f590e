// Loading from text must give what decoding the whole text gives.
#include "daemon/store/object_loader.h"

#include <gtest/gtest.h>

#include "api/base/json.h"

namespace moth::store {
namespace {

void expect_same(const std::string& text) {
  SCOPED_TRACE(text);
  auto loaded = load_object(text);
  auto whole = Object::from_text(text);
  ASSERT_EQ(loaded.has_value(), whole.has_value());
  if (!loaded) return;
  EXPECT_EQ((*loaded)->text(), text);
  EXPECT_EQ((*loaded)->api_version(), (*whole)->api_version());
  EXPECT_EQ((*loaded)->kind(), (*whole)->kind());
  const Meta& a = (*loaded)->meta();
  const Meta& b = (*whole)->meta();
  EXPECT_EQ(a.name, b.name);
  EXPECT_EQ(a.ns, b.ns);
  EXPECT_EQ(a.uid, b.uid);
  EXPECT_EQ(a.resource_version, b.resource_version);
  EXPECT_EQ(a.generation, b.generation);
  EXPECT_EQ(a.created, b.created);
  EXPECT_EQ(a.deletion_time, b.deletion_time);
  EXPECT_EQ(a.labels, b.labels);
  EXPECT_EQ(a.annotations, b.annotations);
  EXPECT_EQ(a.finalizers, b.finalizers);
  ASSERT_EQ(a.owners.size(), b.owners.size());
  for (std::size_t i = 0; i < a.owners.size(); ++i) EXPECT_EQ(a.owners[i].uid, b.owners[i].uid);
}

Json rich() {
  return {
      {"apiVersion", "apps/v1"},
      {"kind", "ReplicaSet"},
      {"metadata",
       {{"name", "web"},
        {"namespace", "default"},
        {"uid", "u"},
        {"resourceVersion", "17"},
        {"generation", 3},
        {"creationTimestamp", "2025-01-02T03:04:05Z"},
        {"labels", {{"a", "b"}, {"quote", "x\"}]\\"}}},
        {"annotations", {{"json", R"({"metadata":{"name":"\"}"}})"}}},
        {"finalizers", {"x/y"}},
        {"managedFields", {{{"manager", "kubectl"}, {"fieldsV1", {{"f:spec", Json::object()}}}}}},
        {"ownerReferences", {{{"uid", "o"}, {"kind", "Deployment"}, {"controller", true}}}}}},
      {"spec", {{"replicas", 3}, {"list", {1, -2.5, nullptr, true, "x", {{"a", {}}}}}}},
      {"status", Json::object()}};
}

TEST(ObjectLoader, GivesTheSameAsDecodingAll) {
  expect_same(rich().dump());
  expect_same(
      R"({"spec":{"a":[1,2]},"status":3,"metadata":{"name":"x"},"kind":"K","apiVersion":"v1"})");
  expect_same(R"({"data":"}","metadata":{"name":"x","labels":{}},"kind":"K","apiVersion":"v1"})");
}

TEST(ObjectLoader, FallsBackWhereTheShapeIsAnother) {
  expect_same(rich().dump(2));
  expect_same("{}");
  expect_same(R"({"kind":"K"})");
  expect_same(R"({"apiVersion":1,"kind":null,"metadata":[1,{"name":"x"}]})");
  expect_same(R"({"apiVersion":"v1","kind":"K","metadata":{}})");
  expect_same(R"({"apiVersion":"v1","kind":"K","metadata":"\""})");
}

TEST(ObjectLoader, RefusesWhatIsNoObject) {
  for (const char* bad :
       {"", "null", "[]", "{", "}", "{\"a\"", "{\"a\":}", "\"\\", "{\"a\":\"\\"}) {
    EXPECT_FALSE(load_object(bad)) << bad;
  }
}

TEST(ObjectLoader, ReadsNoFurtherThanTheTextInDamagedOnes) {
  std::string text = rich().dump();
  std::size_t metadata_end = text.find(",\"spec\"");
  for (std::size_t length = 0; length < text.size(); ++length) {
    std::string cut = text.substr(0, length);
    cut.shrink_to_fit();
    auto loaded = load_object(cut);
    if (length < metadata_end) {
      EXPECT_FALSE(loaded) << cut;
    } else if (loaded) {
      EXPECT_EQ((*loaded)->meta().uid, "u");
    }
  }
}

}  // namespace
}  // namespace moth::store
