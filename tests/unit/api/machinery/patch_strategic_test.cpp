#include "api/machinery/patch_strategic.h"

#include <gtest/gtest.h>

#include <map>
#include <memory>

#include "api/base/json.h"
#include "api/machinery/json_text.h"
#include "api/machinery/patch_merge.h"
#include "api/machinery/patch_three_way.h"

namespace moth {
namespace {

// A schema written down as a table.
class TableSchema final : public PatchSchema {
 public:
  struct Row {
    PatchField field;
    const TableSchema* child = nullptr;
  };
  TableSchema() = default;
  TableSchema(std::initializer_list<std::pair<const std::string, PatchField>> rows) : rows_(rows) {}
  PatchField field(std::string_view name) const override {
    auto row = rows_.find(name);
    return row == rows_.end() ? PatchField{} : row->second;
  }

 private:
  std::map<std::string, PatchField, std::less<>> rows_;
};

constexpr auto kMerge = PatchField::List::kMerge;

PatchField keyed(std::string_view key, const PatchSchema* child = nullptr, bool retain = false) {
  PatchField field;
  field.list = kMerge;
  field.merge_key = key;
  field.child = child;
  field.retain_keys = retain;
  return field;
}

PatchField inner(const PatchSchema& child, bool retain = false) {
  PatchField field;
  field.child = &child;
  field.retain_keys = retain;
  return field;
}

const PatchSchema& deployment() {
  static const TableSchema kNone;
  static const TableSchema kContainer = {{"ports", keyed("containerPort", &kNone)},
                                         {"env", keyed("name", &kNone)},
                                         {"resources", inner(kNone)}};
  static const TableSchema kPodSpec = {{"containers", keyed("name", &kContainer)},
                                       {"volumes", keyed("name", &kNone, true)}};
  static const TableSchema kMeta = {{"finalizers", keyed("")}, {"labels", inner(kNone)}};
  static const TableSchema kTemplate = {{"metadata", inner(kMeta)}, {"spec", inner(kPodSpec)}};
  static const PatchField kReplaced = [] {
    PatchField field;
    field.replace = true;
    return field;
  }();
  static const TableSchema kSpec = {{"template", inner(kTemplate)},
                                    {"strategy", inner(kNone, true)},
                                    {"selector", kReplaced},
                                    {"containers", keyed("name", &kContainer)},
                                    {"volumes", keyed("name", &kNone, true)}};
  static const TableSchema kRoot = {{"metadata", inner(kMeta)}, {"spec", inner(kSpec)}};
  return kRoot;
}

std::string applied(std::string_view document, std::string_view patch) {
  auto result = apply_strategic_patch(Json::parse(document), Json::parse(patch), deployment());
  return result ? dump_json(*result) : "error: " + result.error().message;
}

TEST(StrategicPatch, MergesAndDeletes) {
  EXPECT_EQ(
      applied(R"({"spec":{"a":1,"b":{"c":1}}})", R"({"spec":{"a":null,"b":{"d":2},"x":null}})"),
      R"({"spec":{"b":{"c":1,"d":2}}})");
  EXPECT_EQ(applied(R"({"spec":{"args":["a","b"]}})", R"({"spec":{"args":["c"]}})"),
            R"({"spec":{"args":["c"]}})");
  EXPECT_EQ(applied(R"({"metadata":{}})", R"({"metadata":{"labels":{"a":"b","gone":null}}})"),
            R"({"metadata":{"labels":{"a":"b"}}})");
}

TEST(StrategicPatch, MergesListsByKey) {
  EXPECT_EQ(
      applied(R"({"spec":{"containers":[{"name":"a","image":"1"},{"name":"b","image":"2"}]}})",
              R"({"spec":{"containers":[{"name":"b","image":"3"}]}})"),
      R"({"spec":{"containers":[{"image":"1","name":"a"},{"image":"3","name":"b"}]}})");
  EXPECT_EQ(applied(R"({"spec":{"containers":[{"name":"a"},{"name":"b"}]}})",
                    R"({"spec":{"containers":[{"$patch":"delete","name":"a"},{"name":"c"}]}})"),
            R"({"spec":{"containers":[{"name":"c"},{"name":"b"}]}})");
  EXPECT_EQ(applied(R"({"spec":{"containers":[{"name":"a"},{"name":"b"}]}})",
                    R"({"spec":{"containers":[{"$patch":"replace"},{"name":"c"}]}})"),
            R"({"spec":{"containers":[{"name":"c"}]}})");
  EXPECT_EQ(
      applied(
          R"({"spec":{"containers":[{"name":"a","ports":[{"containerPort":80,"name":"x"}]}]}})",
          R"({"spec":{"containers":[{"name":"a","ports":[{"containerPort":80,"protocol":"TCP"}]}]}})"),
      R"({"spec":{"containers":[{"name":"a","ports":[{"containerPort":80,"name":"x","protocol":"TCP"}]}]}})");
}

TEST(StrategicPatch, ANewListKeepsElementsOfOneKeyApart) {
  EXPECT_EQ(applied("{}", R"({"spec":{"containers":[{"name":"a","x":1},{"name":"a","y":2},
                                                    {"$patch":"delete","name":"b"}]}})"),
            R"({"spec":{"containers":[{"name":"a","x":1},{"name":"a","y":2}]}})");
}

TEST(StrategicPatch, OrdersAsAsked) {
  EXPECT_EQ(applied(R"({"spec":{"containers":[{"name":"a"},{"name":"b"},{"name":"s"}]}})",
                    R"({"spec":{"$setElementOrder/containers":[{"name":"b"},{"name":"a"}],
                        "containers":[{"name":"a","image":"x"}]}})"),
            R"({"spec":{"containers":[{"name":"b"},{"image":"x","name":"a"},{"name":"s"}]}})");
  EXPECT_EQ(applied(R"({"metadata":{"finalizers":["a","b","c"]}})",
                    R"({"metadata":{"$setElementOrder/finalizers":["c","a"],
                        "$deleteFromPrimitiveList/finalizers":["b"]}})"),
            R"({"metadata":{"finalizers":["c","a"]}})");
  EXPECT_EQ(
      applied(R"({"metadata":{"finalizers":["a"]}})", R"({"metadata":{"finalizers":["b","a"]}})"),
      R"({"metadata":{"finalizers":["b","a"]}})");
}

TEST(StrategicPatch, RetainsAndReplaces) {
  EXPECT_EQ(
      applied(R"({"spec":{"strategy":{"type":"RollingUpdate","rollingUpdate":{"maxSurge":1}}}})",
              R"({"spec":{"strategy":{"$retainKeys":["type"],"type":"Recreate"}}})"),
      R"({"spec":{"strategy":{"type":"Recreate"}}})");
  EXPECT_EQ(applied(R"({"spec":{"strategy":{"a":1}}})",
                    R"({"spec":{"strategy":{"$patch":"replace","b":2}}})"),
            R"({"spec":{"strategy":{"b":2}}})");
  EXPECT_EQ(
      applied(R"({"spec":{"strategy":{"a":1}}})", R"({"spec":{"strategy":{"$patch":"delete"}}})"),
      R"({"spec":{"strategy":{}}})");
  EXPECT_EQ(applied(R"({"spec":{"selector":{"matchLabels":{"a":"1"}}}})",
                    R"({"spec":{"selector":{"matchExpressions":[]}}})"),
            R"({"spec":{"selector":{"matchExpressions":[]}}})");
}

TEST(StrategicPatch, RefusesWhatIsMalformed) {
  EXPECT_EQ(applied(R"({"spec":{"containers":[{"name":"a"}]}})",
                    R"({"spec":{"containers":[{"image":"x"}]}})"),
            "error: map: {\"image\":\"x\"} does not contain declared merge key: name");
  EXPECT_EQ(applied("{}", R"({"spec":{"$patch":"explode"}})"),
            "error: unknown patch type \"explode\" found in map");
  EXPECT_EQ(applied("{}", R"({"spec":{"strategy":{"$retainKeys":["a"],"b":1}}})"),
            "error: the patch sets \"b\", which its $retainKeys does not name");
  EXPECT_EQ(applied("{}", R"({"spec":{"$retainKeys":"a"}})"), "error: $retainKeys must be a list");
  EXPECT_NE(applied(R"({"metadata":{"finalizers":["a"]}})",
                    R"({"metadata":{"$setElementOrder/finalizers":["a"],"finalizers":["b"]}})")
                .find("doesn't match"),
            std::string::npos);
}

// The body that kubectl 1.35 was recorded to send for this change.
TEST(ThreeWayPatch, IsWhatKubectlSends) {
  Json original = Json::parse(R"({"metadata":{"finalizers":["a/b","c/d"],"labels":{"x":"y"}},
    "spec":{"strategy":{"type":"RollingUpdate","rollingUpdate":{"maxSurge":1}},"template":{"spec":{
      "containers":[{"name":"c","args":["a","b"],"resources":{"limits":{"cpu":"1"}},
                     "env":[{"name":"A","value":"1"},{"name":"B","value":"2"}],
                     "ports":[{"containerPort":80},{"containerPort":81}]},{"name":"side"}],
      "tolerations":[{"key":"a","operator":"Exists"}],
      "volumes":[{"name":"v","emptyDir":{}},{"name":"w","emptyDir":{}}]}}}})");
  Json modified = Json::parse(R"({"metadata":{"finalizers":["a/b"]},
    "spec":{"strategy":{"type":"Recreate"},"template":{"spec":{
      "containers":[{"name":"c","args":["a"],
                     "env":[{"name":"B","value":"3"},{"name":"C","value":"2"}],
                     "ports":[{"containerPort":80,"name":"web"}]}],
      "tolerations":[{"key":"b","operator":"Exists"}],
      "volumes":[{"name":"v","hostPath":{"path":"/x"}}]}}}})");
  Json current = original;
  current["spec"]["replicas"] = 1;
  current["spec"]["template"]["spec"]["containers"][0]["imagePullPolicy"] = "Always";
  auto patch = three_way_strategic_patch(original, modified, current, deployment());
  ASSERT_TRUE(patch) << patch.error().message;
  Json expected = Json::parse(R"({
    "metadata":{"$deleteFromPrimitiveList/finalizers":["c/d"],"$setElementOrder/finalizers":["a/b"],
      "labels":null},
    "spec":{"strategy":{"$retainKeys":["type"],"rollingUpdate":null,"type":"Recreate"},
     "template":{"spec":{"$setElementOrder/containers":[{"name":"c"}],"$setElementOrder/volumes":[{"name":"v"}],
      "containers":[{"name":"c","args":["a"],"resources":null,
        "$setElementOrder/env":[{"name":"B"},{"name":"C"}],
        "env":[{"name":"B","value":"3"},{"name":"C","value":"2"},{"$patch":"delete","name":"A"}],
        "$setElementOrder/ports":[{"containerPort":80}],
        "ports":[{"containerPort":80,"name":"web"},{"$patch":"delete","containerPort":81}]},
       {"$patch":"delete","name":"side"}],
      "tolerations":[{"key":"b","operator":"Exists"}],
      "volumes":[{"name":"v","$retainKeys":["hostPath","name"],"emptyDir":null,"hostPath":{"path":"/x"}},
                 {"$patch":"delete","name":"w"}]}}}})");
  EXPECT_EQ(dump_json_indented(*patch), dump_json_indented(expected));
  auto patched = apply_strategic_patch(current, *patch, deployment());
  ASSERT_TRUE(patched) << patched.error().message;
  modified["spec"]["replicas"] = 1;
  modified["spec"]["template"]["spec"]["containers"][0]["imagePullPolicy"] = "Always";
  EXPECT_EQ(dump_json_indented(*patched), dump_json_indented(modified));
  auto again = three_way_strategic_patch(modified, modified, *patched, deployment());
  EXPECT_EQ(dump_json(*again), "{}");
}

TEST(ThreeWayPatch, KeepsWhatOthersSet) {
  Json original = Json::parse(R"({"kind":"D","metadata":{"name":"x"},"spec":{"a":1,"gone":1}})");
  Json modified = Json::parse(R"({"kind":"D","metadata":{"name":"x"},"spec":{"a":2}})");
  Json current =
      Json::parse(R"({"kind":"D","metadata":{"name":"x"},"spec":{"a":1,"gone":1,"other":5}})");
  for (bool strategic : {true, false}) {
    auto patch = strategic ? three_way_strategic_patch(original, modified, current, deployment())
                           : three_way_merge_patch(original, modified, current);
    ASSERT_TRUE(patch);
    EXPECT_EQ(dump_json(*patch), R"({"spec":{"a":2,"gone":null}})");
  }
  EXPECT_EQ(dump_json(*three_way_merge_patch(Json(), modified, current)), R"({"spec":{"a":2}})");
  EXPECT_EQ(dump_json(*three_way_merge_patch(modified, modified, modified)), "{}");
}

TEST(ThreeWayPatch, NoticesConflictsWhenAsked) {
  Json original = Json::parse(R"({"spec":{"a":1,"b":1}})");
  Json current = Json::parse(R"({"spec":{"a":5,"b":1}})");
  Json modified = Json::parse(R"({"spec":{"a":2,"b":1}})");
  EXPECT_TRUE(three_way_strategic_patch(original, modified, current, deployment()));
  auto refused = three_way_strategic_patch(original, modified, current, deployment(), false);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), 409);
  current["spec"] = Json{{"a", 1}, {"b", 1}, {"c", 7}};
  EXPECT_TRUE(three_way_strategic_patch(original, modified, current, deployment(), false));
}

TEST(ThreeWayPatch, RefusesAnotherIdentity) {
  Json a = Json::parse(R"({"kind":"A","metadata":{"name":"x"}})");
  Json b = Json::parse(R"({"kind":"A","metadata":{"name":"y"}})");
  EXPECT_FALSE(three_way_strategic_patch(a, b, a, deployment()));
  EXPECT_FALSE(three_way_merge_patch(a, b, a));
}

TEST(TwoWayPatch, IsWhatSetImageSends) {
  Json before = Json::parse(
      R"({"spec":{"template":{"spec":{"containers":[{"name":"web","image":"nginx:8","ports":[{"containerPort":80}]}]}}}})");
  Json after = before;
  after["spec"]["template"]["spec"]["containers"][0]["image"] = "nginx:9";
  auto patch = two_way_strategic_patch(before, after, deployment());
  ASSERT_TRUE(patch);
  EXPECT_EQ(dump_json(*patch),
            R"({"spec":{"template":{"spec":{"$setElementOrder/containers":[{"name":"web"}],)"
            R"("containers":[{"image":"nginx:9","name":"web"}]}}}})");
  EXPECT_EQ(*apply_strategic_patch(before, *patch, deployment()), after);
  EXPECT_EQ(dump_json(*two_way_strategic_patch(before, before, deployment())), "{}");
}

// Small random objects: a two-way patch always leads from one to the other.
class Random {
 public:
  explicit Random(unsigned seed) : state_(seed * 2654435761u + 1) {}
  unsigned below(unsigned limit) {
    state_ = state_ * 1664525u + 1013904223u;
    return (state_ >> 16) % limit;
  }

 private:
  unsigned state_;
};

Json random_containers(Random& random) {
  Json list = Json::array();
  unsigned first = random.below(4);
  for (unsigned i = 0; i < random.below(4); ++i) {
    Json container = {{"name", std::string(1, static_cast<char>('a' + (first + i) % 4))}};
    if (random.below(2)) container["image"] = random.below(3);
    if (random.below(2)) container["args"] = Json{random.below(2)};
    if (random.below(2))
      container["env"] = Json::array({{{"name", "X"}, {"value", random.below(2)}}});
    if (random.below(2)) container["resources"] = Json{{"limits", {{"cpu", random.below(2)}}}};
    list.push_back(container);
  }
  return list;
}

Json random_object(Random& random) {
  Json object = {{"metadata", Json::object()}, {"spec", Json::object()}};
  Json& spec = object["spec"];
  if (random.below(4)) spec["containers"] = random_containers(random);
  if (random.below(2))
    spec["strategy"] = random.below(2) ? Json{{"type", "a"}} : Json{{"x", 1}, {"type", "b"}};
  if (random.below(2))
    spec["volumes"] = Json::array({{{"name", "v"}, {random.below(2) ? "p" : "q", 1}}});
  Json finalizers = Json::array();
  for (const char* name : {"f", "g", "h"}) {
    if (random.below(2)) finalizers.push_back(name);
  }
  if (random.below(3)) object["metadata"]["finalizers"] = finalizers;
  return object;
}

TEST(TwoWayPatch, AlwaysLeadsToTheTarget) {
  for (unsigned seed = 1; seed <= 3000; ++seed) {
    Random random(seed);
    Json before = random_object(random);
    Json after = random_object(random);
    auto patch = two_way_strategic_patch(before, after, deployment());
    ASSERT_TRUE(patch) << seed;
    auto patched = apply_strategic_patch(before, *patch, deployment());
    ASSERT_TRUE(patched) << seed << patched.error().message;
    ASSERT_EQ(dump_json(*patched), dump_json(after))
        << seed << "\nbefore " << dump_json(before) << "\npatch " << dump_json(*patch);
    EXPECT_EQ(apply_merge_patch(before, create_merge_patch(before, after)), after) << seed;
  }
}

}  // namespace
}  // namespace moth
