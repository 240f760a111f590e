// Server-side apply by tables: field sets, comparison, merging, pruning, conflicts.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "api/apply/managed_fields.h"
#include "api/apply/typed.h"
#include "api/apply/updater.h"
#include "api/base/json.h"
#include "api/machinery/json_text.h"
#include "api/schema/dynamic.h"

namespace moth::apply {
namespace {

Json json(const std::string& text) {
  Json value = Json::parse(text, nullptr, false);
  EXPECT_FALSE(value.is_discarded()) << text;
  return value;
}

std::vector<std::string> paths(const Json& set) {
  std::vector<std::string> all;
  for_each_path(set, [&](const std::string& path) { all.push_back(path); });
  return all;
}

TEST(FieldSet, Algebra) {
  struct Case {
    const char *a, *b, *both, *common, *only_a;
  };
  const Case cases[] = {
      {R"({"f:a":{}})", R"({"f:b":{}})", R"({"f:a":{},"f:b":{}})", R"({})", R"({"f:a":{}})"},
      {R"({"f:a":{}})", R"({"f:a":{}})", R"({"f:a":{}})", R"({"f:a":{}})", R"({})"},
      // A leaf that meets members stays one itself.
      {R"({"f:a":{}})", R"({"f:a":{"f:b":{}}})", R"({"f:a":{".":{},"f:b":{}}})", R"({})",
       R"({"f:a":{}})"},
      {R"({"f:a":{".":{},"f:b":{}}})", R"({"f:a":{}})", R"({"f:a":{".":{},"f:b":{}}})",
       R"({"f:a":{}})", R"({"f:a":{"f:b":{}}})"},
      {R"({"f:a":{".":{},"f:b":{},"f:c":{}}})", R"({"f:a":{"f:b":{}}})",
       R"({"f:a":{".":{},"f:b":{},"f:c":{}}})", R"({"f:a":{"f:b":{}}})",
       R"({"f:a":{".":{},"f:c":{}}})"},
      {R"({"f:a":{"f:b":{}}})", R"({"f:a":{"f:b":{}}})", R"({"f:a":{"f:b":{}}})",
       R"({"f:a":{"f:b":{}}})", R"({})"},
      {R"({"f:l":{"k:{\"name\":\"x\"}":{".":{},"f:name":{}}}})",
       R"({"f:l":{"k:{\"name\":\"x\"}":{"f:name":{}}}})",
       R"({"f:l":{"k:{\"name\":\"x\"}":{".":{},"f:name":{}}}})",
       R"({"f:l":{"k:{\"name\":\"x\"}":{"f:name":{}}}})", R"({"f:l":{"k:{\"name\":\"x\"}":{}}})"},
  };
  for (const Case& c : cases) {
    Json both = json(c.a);
    unite(both, json(c.b));
    EXPECT_EQ(both, json(c.both)) << c.a << c.b;
    EXPECT_EQ(intersect(json(c.a), json(c.b)), json(c.common)) << c.a << c.b;
    Json only = json(c.a);
    subtract(only, json(c.b));
    EXPECT_EQ(only, json(c.only_a)) << c.a << c.b;
    EXPECT_TRUE(is_subset(json(c.a), both));
    EXPECT_EQ(is_subset(json(c.a), json(c.b)), only.empty());
  }
}

TEST(FieldSet, WholeTreesGo) {
  Json set = json(R"({"f:spec":{".":{},"f:a":{}},"f:metadata":{"f:labels":{"f:x":{}},"f:y":{}}})");
  subtract_trees(set, json(R"({"f:spec":{},"f:metadata":{"f:labels":{}}})"));
  EXPECT_EQ(set, json(R"({"f:metadata":{"f:y":{}}})"));
}

TEST(FieldSet, PathsAreUpstreams) {
  Json set = json(R"({"f:spec":{"f:containers":{"k:{\"name\":\"c\"}":{".":{},
      "f:ports":{"k:{\"containerPort\":80,\"protocol\":\"TCP\"}":{".":{}}}}}},
      "f:metadata":{"f:finalizers":{"v:\"x\"":{}}},"f:list":{"i:3":{}}})");
  EXPECT_EQ(paths(*canonical_set(set)),
            (std::vector<std::string>{
                ".list[3]", ".metadata.finalizers[=\"x\"]", ".spec.containers[name=\"c\"]",
                ".spec.containers[name=\"c\"].ports[containerPort=80,protocol=\"TCP\"]"}));
  Json added = Json::object();
  add_path(added, {"f:a", "f:b"});
  add_path(added, {"f:a"});
  EXPECT_EQ(added, json(R"({"f:a":{".":{},"f:b":{}}})"));
  EXPECT_TRUE(has_path(added, {"f:a", "f:b"}));
  EXPECT_FALSE(has_path(added, {"f:a", "f:c"}));
}

TEST(FieldSet, WhatClientsSendIsBroughtIntoForm) {
  EXPECT_EQ(*canonical_set(json(R"({"f:a":{".":{}},"k:{ \"b\":1, \"a\":2 }":{}})")),
            json(R"({"f:a":{},"k:{\"a\":2,\"b\":1}":{}})"));
  for (const char* wrong : {R"({"a":{}})", R"({"x:a":{}})", R"({"k:nothing":{}})", R"({"i:-1":{}})",
                            R"({"f:a":1})", R"([])"}) {
    EXPECT_FALSE(canonical_set(json(wrong))) << wrong;
  }
}

schema::Type pod() {
  return schema::find_type("core.v1.Pod");
}
schema::Type deployment() {
  return schema::find_type("apps.v1.Deployment");
}
schema::Type service() {
  return schema::find_type("core.v1.Service");
}

TEST(Typed, FieldSetOfAnObject) {
  Json set = field_set(pod(), json(R"({
    "apiVersion":"v1","kind":"Pod",
    "metadata":{"name":"p","labels":{"a":"b"},"finalizers":["x/y"]},
    "spec":{"containers":[{"name":"c","image":"i","command":["sh"],
                           "ports":[{"containerPort":80}],
                           "env":[{"name":"E","valueFrom":{"fieldRef":{"fieldPath":"x"}}}]}],
            "nodeSelector":{"k":"v"},"securityContext":{},"tolerations":[{"key":"t"}]}})"));
  EXPECT_EQ(set, json(R"({
    "f:apiVersion":{},"f:kind":{},
    "f:metadata":{"f:name":{},"f:labels":{"f:a":{}},"f:finalizers":{"v:\"x/y\"":{}}},
    "f:spec":{"f:containers":{"k:{\"name\":\"c\"}":{".":{},"f:name":{},"f:image":{},"f:command":{},
        "f:ports":{"k:{\"containerPort\":80,\"protocol\":\"TCP\"}":{".":{},"f:containerPort":{}}},
        "f:env":{"k:{\"name\":\"E\"}":{".":{},"f:name":{},"f:valueFrom":{"f:fieldRef":{}}}}}},
      "f:nodeSelector":{},"f:securityContext":{},"f:tolerations":{}}})"))
      << set.dump(1);
}

TEST(Typed, Faults) {
  struct Case {
    const char* spec;
    std::vector<std::string> faults;
  };
  const Case cases[] = {
      {R"({"nope":1,"containers":[{"name":"c","imag":"x"}]})",
       {".spec.containers[name=\"c\"].imag: field not declared in schema",
        ".spec.nope: field not declared in schema"}},
      {R"({"containers":[{"image":"x"}]})",
       {".spec.containers: element 0: associative list with keys has an element that omits key "
        "field \"name\" (and doesn't have default value)"}},
      {R"({"containers":[{"name":"c","env":[{"name":"A"},{"name":"A"}]}]})",
       {".spec.containers[name=\"c\"].env: duplicate entries for key [name=\"A\"]"}},
      {R"({"containers":[{"name":"c","ports":[{"containerPort":1},
                                              {"containerPort":1,"protocol":"TCP"}]}]})",
       {".spec.containers[name=\"c\"].ports: duplicate entries for key "
        "[containerPort=1,protocol=\"TCP\"]"}},
      {R"({"containers":[{"name":"c"}],"nodeSelector":{"any":"thing"}})", {}},
  };
  for (const Case& c : cases) {
    EXPECT_EQ(find_faults(pod(), Json{{"spec", json(c.spec)}}), c.faults) << c.spec;
  }
}

TEST(Typed, Compare) {
  Json before = json(R"({"apiVersion":"v1","metadata":{"name":"p","resourceVersion":"1",
      "labels":{"a":"1","gone":"x"}},
    "spec":{"containers":[{"name":"c","image":"i"},{"name":"d","image":"i"}],"priority":1}})");
  Json after = json(R"({"apiVersion":"v1","metadata":{"name":"p","resourceVersion":"2",
      "labels":{"a":"2"},"annotations":{"n":"w"}},
    "spec":{"containers":[{"name":"d","image":"j"},{"name":"e"}],"priority":1,
            "affinity":{"nodeAffinity":{}}}})");
  Comparison found = compare(pod(), before, after);
  EXPECT_EQ(*found.added, json(R"({"f:metadata":{"f:annotations":{".":{},"f:n":{}}},
    "f:spec":{"f:containers":{"k:{\"name\":\"e\"}":{".":{},"f:name":{}}},
              "f:affinity":{".":{},"f:nodeAffinity":{}}}})"));
  EXPECT_EQ(*found.modified, json(R"({"f:metadata":{"f:labels":{"f:a":{}}},
    "f:spec":{"f:containers":{"k:{\"name\":\"d\"}":{"f:image":{}}}}})"));
  EXPECT_EQ(*found.removed, json(R"({"f:metadata":{"f:labels":{"f:gone":{}}},
    "f:spec":{"f:containers":{"k:{\"name\":\"c\"}":{".":{},"f:name":{},"f:image":{}}}}})"));
  EXPECT_TRUE(compare(pod(), before, before).same());
  Json without = json(R"({"f:spec":{}})");
  EXPECT_FALSE(compare(pod(), before, after, &without).added->contains("f:spec"));
}

// Structures that are no pointers in Go are there already in what upstream compares with.
TEST(Typed, CreatesOwnAsUpstreamDoes) {
  Json made = json(R"({"metadata":{"labels":{"app":"n"}},"spec":{"replicas":1,
    "selector":{"matchLabels":{"app":"n"}},
    "strategy":{"type":"RollingUpdate","rollingUpdate":{"maxSurge":"25%"}},
    "template":{"metadata":{"labels":{"app":"n"}},"spec":{"securityContext":{},
      "containers":[{"name":"n","image":"i","resources":{},
                     "ports":[{"containerPort":80,"protocol":"TCP"}]}]}}}})");
  EXPECT_EQ(compare(deployment(), Json::object(), made).changed(), json(R"({
    "f:metadata":{"f:labels":{".":{},"f:app":{}}},
    "f:spec":{"f:replicas":{},"f:selector":{},
      "f:strategy":{"f:rollingUpdate":{".":{},"f:maxSurge":{}},"f:type":{}},
      "f:template":{"f:metadata":{"f:labels":{".":{},"f:app":{}}},"f:spec":{"f:securityContext":{},
        "f:containers":{"k:{\"name\":\"n\"}":{".":{},"f:name":{},"f:image":{},"f:resources":{},
          "f:ports":{".":{},"k:{\"containerPort\":80,\"protocol\":\"TCP\"}":
            {".":{},"f:containerPort":{},"f:protocol":{}}}}}}}}})"));
}

TEST(Typed, Duplicates) {
  // Items that stand twice in a live list are one unit.
  auto ports = [](const char* items) { return Json{{"spec", {{"ports", json(items)}}}}; };
  Json twice = ports(R"([{"port":1,"name":"a"},{"port":1,"name":"b"}])");
  Json once = ports(R"([{"port":1,"name":"a"}])");
  EXPECT_EQ(field_set(service(), twice),
            json(R"({"f:spec":{"f:ports":{"k:{\"port\":1,\"protocol\":\"TCP\"}":{}}}})"));
  EXPECT_TRUE(compare(service(), twice, twice).same());
  EXPECT_EQ(*compare(service(), once, twice).added,
            json(R"({"f:spec":{"f:ports":{"k:{\"port\":1,\"protocol\":\"TCP\"}":{}}}})"));
}

TEST(Typed, Merge) {
  struct Case {
    const char *live, *config, *merged;
  };
  const Case cases[] = {
      {R"({"replicas":1,"paused":true})", R"({"replicas":3})", R"({"replicas":3,"paused":true})"},
      {R"({"replicas":1})", R"({"replicas":null})", R"({"replicas":null})"},
      // Atomic: replaced as a whole.
      {R"({"selector":{"matchLabels":{"a":"1"}}})", R"({"selector":{"matchLabels":{"b":"2"}}})",
       R"({"selector":{"matchLabels":{"b":"2"}}})"},
      {R"({"template":{"spec":{"tolerations":[{"key":"a"}]}}})",
       R"({"template":{"spec":{"tolerations":[{"key":"b"}]}}})",
       R"({"template":{"spec":{"tolerations":[{"key":"b"}]}}})"},
      // Keyed: merged, the configuration's order among its own, others keep their neighbours.
      {R"({"template":{"spec":{"containers":[{"name":"a","image":"1"},{"name":"x"},{"name":"b"}]}}})",
       R"({"template":{"spec":{"containers":[{"name":"b"},{"name":"a","command":["c"]},{"name":"n"}]}}})",
       R"({"template":{"spec":{"containers":[{"name":"x"},{"name":"b"},{"name":"a","image":"1","command":["c"]},{"name":"n"}]}}})"},
      {R"({"template":{"spec":{"containers":[{"name":"a"},{"name":"side"}]}}})",
       R"({"template":{"spec":{"containers":[{"name":"a","image":"2"}]}}})",
       R"({"template":{"spec":{"containers":[{"name":"a","image":"2"},{"name":"side"}]}}})"},
      // The default of a key identifies as the key does.
      {R"({"template":{"spec":{"containers":[{"name":"a","ports":[{"containerPort":80,"protocol":"TCP","name":"w"}]}]}}})",
       R"({"template":{"spec":{"containers":[{"name":"a","ports":[{"containerPort":80,"hostPort":8}]}]}}})",
       R"({"template":{"spec":{"containers":[{"name":"a","ports":[{"containerPort":80,"protocol":"TCP","name":"w","hostPort":8}]}]}}})"},
      {R"({"strategy":{"type":"Recreate"}})", R"({"strategy":{}})",
       R"({"strategy":{"type":"Recreate"}})"},
  };
  for (const Case& c : cases) {
    Json merged = merge(deployment(), {{"spec", json(c.live)}}, {{"spec", json(c.config)}});
    EXPECT_EQ(merged["spec"], json(c.merged)) << c.live << "\n" << c.config << "\n" << merged;
  }
  // Sets of scalars.
  auto finalizers = [](const char* list) {
    return Json{{"metadata", {{"finalizers", json(list)}}}};
  };
  EXPECT_EQ(merge(pod(), finalizers(R"(["a","b"])"), finalizers(R"(["c","a"])")),
            finalizers(R"(["c","a","b"])"));
}

TEST(Typed, RemoveItems) {
  Json object = json(R"({"metadata":{"labels":{"a":"1","b":"2"},"finalizers":["x","y"]},
      "spec":{"containers":[{"name":"c","image":"i"},{"name":"d"}]}})");
  EXPECT_EQ(remove_items(pod(), object, json(R"({
      "f:metadata":{"f:labels":{"f:a":{},"f:b":{}},"f:finalizers":{"v:\"x\"":{}}},
      "f:spec":{"f:containers":{"k:{\"name\":\"c\"}":{"f:image":{}},"k:{\"name\":\"d\"}":{}}}})")),
            json(R"({"metadata":{"finalizers":["y"]},"spec":{"containers":[{"name":"c"}]}})"));
}

// Applies and updates one after the other, as a server would.
class Lab {
 public:
  explicit Lab(schema::Type type, std::string version)
      : type_(type), version_(std::move(version)) {}

  // The error's message, or "".
  std::string apply(const std::string& manager, const std::string& config, bool force = false) {
    Job job{type_, writer(manager, Operation::kApply), nullptr, nullptr};
    if (auto fits = check_config(job, json(config)); !fits) return fits.error().message;
    auto merged = apply_config(job, live, json(config), force, managed);
    if (!merged) {
      causes = merged.error().causes;
      return merged.error().message;
    }
    live = drop_nulls(*merged);
    return "";
  }
  bool update(const std::string& manager, const std::string& wanted,
              const std::string& subresource = "") {
    Writer who = writer(manager, Operation::kUpdate);
    who.subresource = subresource;
    Json after = json(wanted);
    bool changed = track_update({type_, who, nullptr, nullptr}, live, after, managed);
    live = after;
    return changed;
  }
  Json owned(const std::string& manager, Operation operation) {
    Json* entry = find_entry(managed, writer(manager, operation));
    return entry ? (*entry)["fieldsV1"] : Json(nullptr);
  }

  Json live = Json::object();
  Json managed = Json::array();
  std::vector<Cause> causes;
  int second = 0;

 private:
  Writer writer(const std::string& manager, Operation operation) {
    std::string digits = std::to_string(10 + second++ % 50);
    return {manager, operation, version_, "", "2026-01-01T00:00:" + digits + "Z"};
  }
  static Json drop_nulls(Json value) {
    if (!value.is_structured()) return value;
    if (value.is_object()) {
      for (auto it = value.begin(); it != value.end();)
        it = it->is_null() ? value.erase(it) : std::next(it);
    }
    for (Json& part : value) part = drop_nulls(std::move(part));
    return value;
  }
  schema::Type type_;
  std::string version_;
};

TEST(Apply, CreatesAndOwnsWhatItSays) {
  Lab lab(schema::find_type("core.v1.ConfigMap"), "v1");
  ASSERT_EQ(lab.apply("one", R"({"apiVersion":"v1","kind":"ConfigMap",
      "metadata":{"name":"m","namespace":"n","labels":{"l":"1"}},"data":{"a":"1","b":"2"}})"),
            "");
  EXPECT_EQ(lab.owned("one", Operation::kApply),
            json(R"({"f:data":{"f:a":{},"f:b":{}},"f:metadata":{"f:labels":{"f:l":{}}}})"));
  // What it no longer says goes, and with it what became empty.
  ASSERT_EQ(lab.apply("one", R"({"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"m"},
      "data":{"a":"1"}})"),
            "");
  EXPECT_EQ(lab.live["data"], json(R"({"a":"1"})"));
  EXPECT_FALSE(lab.live["metadata"].contains("labels"));
  EXPECT_EQ(lab.owned("one", Operation::kApply), json(R"({"f:data":{"f:a":{}}})"));
}

TEST(Apply, SharedFieldsStayUntilTheLastOwnerGoes) {
  Lab lab(schema::find_type("core.v1.ConfigMap"), "v1");
  ASSERT_EQ(lab.apply("one", R"({"data":{"a":"1","b":"2"}})"), "");
  ASSERT_EQ(lab.apply("two", R"({"data":{"a":"1"}})"), "");
  ASSERT_EQ(lab.apply("one", R"({"data":{"b":"2"}})"), "");
  EXPECT_EQ(lab.live["data"], json(R"({"a":"1","b":"2"})"));
  ASSERT_EQ(lab.apply("two", R"({"data":{}})"), "");
  EXPECT_EQ(lab.live["data"], json(R"({"b":"2"})"));
  // `data: {}` with nothing in it is owned as the bare field.
  EXPECT_EQ(lab.owned("two", Operation::kApply), json(R"({"f:data":{}})"));
}

TEST(Apply, ConflictsAreUpstreams) {
  Lab lab(deployment(), "apps/v1");
  ASSERT_EQ(lab.apply("helm", R"({"spec":{"replicas":1,"minReadySeconds":2}})"), "");
  EXPECT_EQ(lab.apply("kubectl", R"({"spec":{"replicas":2}})"),
            "Apply failed with 1 conflict: conflict with \"helm\": .spec.replicas");
  ASSERT_EQ(lab.causes.size(), 1u);
  EXPECT_EQ(lab.causes[0].reason, "FieldManagerConflict");
  EXPECT_EQ(lab.causes[0].message, "conflict with \"helm\"");
  EXPECT_EQ(lab.causes[0].field, ".spec.replicas");
  EXPECT_EQ(lab.live["spec"]["replicas"], 1);

  lab.update("scaler", R"({"spec":{"replicas":5,"minReadySeconds":2}})");
  EXPECT_EQ(lab.owned("helm", Operation::kApply), json(R"({"f:spec":{"f:minReadySeconds":{}}})"));
  EXPECT_EQ(lab.apply("kubectl", R"({"spec":{"replicas":2,"minReadySeconds":3}})"),
            "Apply failed with 2 conflicts: conflicts with \"helm\":\n- .spec.minReadySeconds\n"
            "conflicts with \"scaler\" using apps/v1:\n- .spec.replicas");
  // The same value is no conflict, but shared.
  EXPECT_EQ(lab.apply("kubectl", R"({"spec":{"replicas":5}})"), "");
  EXPECT_EQ(lab.owned("scaler", Operation::kUpdate), json(R"({"f:spec":{"f:replicas":{}}})"));
  EXPECT_EQ(lab.apply("other", R"({"spec":{"replicas":null}})"),
            "Apply failed with 2 conflicts: conflicts with \"kubectl\":\n- .spec.replicas\n"
            "conflicts with \"scaler\" using apps/v1:\n- .spec.replicas");
}

TEST(Apply, ForceTakes) {
  Lab lab(deployment(), "apps/v1");
  ASSERT_EQ(lab.apply("helm", R"({"spec":{"replicas":1}})"), "");
  ASSERT_EQ(lab.apply("kubectl", R"({"spec":{"replicas":2}})", true), "");
  EXPECT_EQ(lab.live["spec"]["replicas"], 2);
  EXPECT_TRUE(lab.owned("helm", Operation::kApply).is_null());
}

TEST(Apply, ListItemsGoWithTheirOwner) {
  Lab lab(deployment(), "apps/v1");
  auto containers = [](const std::string& items) {
    return R"({"spec":{"template":{"spec":{"containers":[)" + items + "]}}}}";
  };
  ASSERT_EQ(lab.apply("app", containers(R"({"name":"a","image":"1","ports":[{"containerPort":80},
      {"containerPort":80,"protocol":"UDP"}]})")),
            "");
  ASSERT_EQ(lab.apply("mesh", containers(R"({"name":"side","image":"s"})")), "");
  // Defaults arrive, owned by nobody.
  lab.live["spec"]["template"]["spec"]["containers"][0]["ports"][0]["protocol"] = "TCP";
  ASSERT_EQ(
      lab.apply("app", containers(R"({"name":"a","image":"2","ports":[{"containerPort":80}]})")),
      "");
  EXPECT_EQ(lab.live["spec"]["template"]["spec"]["containers"],
            json(R"([{"name":"a","image":"2","ports":[{"containerPort":80,"protocol":"TCP"}]},
                     {"name":"side","image":"s"}])"))
      << lab.live;
  ASSERT_EQ(lab.apply("mesh", containers("")), "");
  EXPECT_EQ(lab.live["spec"]["template"]["spec"]["containers"].size(), 1u) << lab.live;
}

TEST(Apply, WhatWasThereBeforeIsOwnedByNobodyInParticular) {
  Lab lab(schema::find_type("core.v1.ConfigMap"), "v1");
  lab.live = json(R"({"metadata":{"name":"m"},"data":{"a":"1"}})");
  EXPECT_EQ(lab.apply("one", R"({"data":{"a":"2"}})"),
            "Apply failed with 1 conflict: conflict with \"before-first-apply\" using v1: .data.a");
  EXPECT_EQ(lab.apply("one", R"({"data":{"a":"2"}})", true), "");
  EXPECT_EQ(lab.owned("before-first-apply", Operation::kUpdate), json(R"({"f:data":{}})"));
}

TEST(Apply, KubectlTakesOverFromItsClientSide) {
  Lab lab(schema::find_type("core.v1.ConfigMap"), "v1");
  auto annotated = [](const std::string& data, const std::string& applied) {
    Json object = {{"apiVersion", "v1"}, {"kind", "ConfigMap"}, {"data", json(data)}};
    object["metadata"]["annotations"]["kubectl.kubernetes.io/last-applied-configuration"] = applied;
    return object.dump();
  };
  lab.update(
      "kubectl-client-side-apply",
      annotated(R"({"a":"1"})", R"({"apiVersion":"v1","kind":"ConfigMap","data":{"a":"1"}})"));
  const char* wanted = R"({"apiVersion":"v1","kind":"ConfigMap","data":{"a":"2"}})";
  EXPECT_NE(lab.apply("other", wanted), "");
  EXPECT_EQ(lab.apply("kubectl", wanted), "");
  Json last =
      json(lab.live["metadata"]["annotations"]["kubectl.kubernetes.io/last-applied-configuration"]
               .get<std::string>());
  EXPECT_EQ(last["data"], json(R"({"a":"2"})"));
}

TEST(Apply, FaultsSayWhere) {
  Lab lab(deployment(), "apps/v1");
  EXPECT_EQ(lab.apply("m", R"({"metadata":{"name":"d","namespace":"n"},"spec":{"replica":1}})"),
            "failed to create typed patch object (n/d; apps/v1, Kind=Deployment): .spec.replica: "
            "field not declared in schema");
  EXPECT_EQ(lab.apply("m", R"({"metadata":{"name":"d","namespace":"n"},"a":1,"b":1})"),
            "failed to create typed patch object (n/d; apps/v1, Kind=Deployment): errors:\n"
            "  .a: field not declared in schema\n  .b: field not declared in schema");
}

TEST(Update, EntriesAreMergedAndCapped) {
  Lab lab(schema::find_type("core.v1.ConfigMap"), "v1");
  lab.update("creator", R"({"data":{"a":"1","b":"1"}})");
  EXPECT_EQ(lab.owned("creator", Operation::kUpdate),
            json(R"({"f:data":{".":{},"f:a":{},"f:b":{}}})"));
  lab.update("editor", R"({"data":{"a":"2","b":"1"}})");
  EXPECT_EQ(lab.owned("creator", Operation::kUpdate), json(R"({"f:data":{".":{},"f:b":{}}})"));
  EXPECT_EQ(lab.owned("editor", Operation::kUpdate), json(R"({"f:data":{"f:a":{}}})"));
  Json before = lab.managed;
  EXPECT_FALSE(lab.update("editor", lab.live.dump()));
  EXPECT_EQ(lab.managed, before);
  lab.update("editor", R"({"data":{"b":"1"}})");
  EXPECT_TRUE(lab.owned("editor", Operation::kUpdate).is_null());

  Json data = {{"b", "1"}};
  for (int i = 0; i < 14; ++i) {
    data["k" + std::to_string(i)] = "v";
    lab.update("m" + std::to_string(i), Json{{"data", data}}.dump());
  }
  EXPECT_EQ(lab.managed.size(), kMaxUpdateManagers);
  EXPECT_EQ(lab.managed[0]["manager"], "ancient-changes");
  EXPECT_TRUE(has_path(lab.managed[0]["fieldsV1"], {"f:data", "f:k0"}));
  EXPECT_EQ(lab.managed.back()["manager"], "m13");
}

TEST(Update, WhatClientsDoToManagedFields) {
  Json live =
      json(R"([{"manager":"a","operation":"Update","apiVersion":"v1","fieldsV1":{"f:x":{}}}])");
  EXPECT_EQ(managed_to_start_with(live, nullptr, false), live);
  for (const char* reset : {"[]", "[{}]"}) {
    Json wanted = json(reset);
    EXPECT_TRUE(managed_to_start_with(live, &wanted, false).empty());
    EXPECT_EQ(managed_to_start_with(live, &wanted, true), live);
  }
  Json other =
      json(R"([{"manager":"b","operation":"Apply","apiVersion":"v1","fieldsType":"FieldsV1",
      "fieldsV1":{"f:x":{".":{}}},"junk":1}])");
  EXPECT_EQ(managed_to_start_with(live, &other, false),
            json(R"([{"manager":"b","operation":"Apply","apiVersion":"v1","fieldsType":"FieldsV1",
      "fieldsV1":{"f:x":{}}}])"));
  Json wrong = json(R"([{"manager":"b","operation":"Steal","fieldsV1":{}}])");
  EXPECT_EQ(managed_to_start_with(live, &wrong, false), live);
  EXPECT_EQ(manager_of_user_agent("kubectl/v1.35.2 (linux/amd64)"), "kubectl");
  EXPECT_EQ(manager_of_user_agent(""), "unknown");
  EXPECT_EQ(manager_of_user_agent(std::string(200, 'x')).size(), kMaxManagerName);
}

// Entries that a write does not concern stay the text that they are.
TEST(Update, UntouchedEntriesStayText) {
  Lab lab(deployment(), "apps/v1");
  lab.update("maker", R"({"spec":{"replicas":1,"paused":true}})");
  lab.update("ctl", R"({"spec":{"replicas":1,"paused":true},"status":{"replicas":1}})");
  Lab plain = lab;
  lab.managed = lazy_entries(dump_json(lab.managed));
  ASSERT_EQ(lab.managed.size(), 2u);
  const char* after = R"({"spec":{"replicas":1,"paused":true},"status":{"replicas":2}})";
  lab.update("ctl", after);
  plain.update("ctl", after);
  EXPECT_TRUE(lab.managed[0]["fieldsV1"].is_binary());
  EXPECT_EQ(dump_json(lab.managed), dump_json(plain.managed));
  // Taken from its owner it is looked at.
  const char* taken = R"({"spec":{"replicas":3,"paused":true},"status":{"replicas":2}})";
  lab.update("ctl", taken);
  plain.update("ctl", taken);
  EXPECT_EQ(dump_json(lab.managed), dump_json(plain.managed));
  EXPECT_EQ(lab.owned("maker", Operation::kUpdate), json(R"({"f:spec":{"f:paused":{}}})"));
}

// Types made at run time, with content that no schema describes.
TEST(Apply, CustomTypes) {
  Json schema = json(R"({"type":"object","properties":{"spec":{"type":"object","properties":{
      "size":{"type":"integer"},
      "rows":{"type":"array","x-kubernetes-list-type":"map","x-kubernetes-list-map-keys":["id"],
        "items":{"type":"object","properties":{"id":{"type":"integer"},"v":{"type":"string"}}}},
      "free":{"type":"object","x-kubernetes-preserve-unknown-fields":true}}}}})");
  auto types = schema::DynamicTypes::build("example.com", "v1", "Widget", "WidgetList", schema);
  ASSERT_TRUE(types) << types.error().message;
  Lab lab((*types)->root(), "example.com/v1");
  ASSERT_EQ(lab.apply("one", R"({"metadata":{"labels":{"l":"1"}},
      "spec":{"size":1,"rows":[{"id":1,"v":"a"}],"free":{"x":{"y":1},"list":[1]}}})"),
            "");
  EXPECT_EQ(lab.owned("one", Operation::kApply), json(R"({"f:metadata":{"f:labels":{"f:l":{}}},
      "f:spec":{"f:size":{},"f:rows":{"k:{\"id\":1}":{".":{},"f:id":{},"f:v":{}}},
        "f:free":{"f:x":{".":{},"f:y":{}},"f:list":{}}}})"));
  ASSERT_EQ(lab.apply("two", R"({"spec":{"rows":[{"id":2}],"free":{"x":{"z":2}}}})"), "");
  EXPECT_EQ(lab.live["spec"]["rows"].size(), 2u);
  ASSERT_EQ(lab.apply("one", R"({"spec":{"size":1}})"), "");
  EXPECT_EQ(lab.live["spec"], json(R"({"size":1,"rows":[{"id":2}],"free":{"x":{"z":2}}})"));
  EXPECT_EQ(lab.apply("one", R"({"spec":{"sise":1}})"),
            "failed to create typed patch object (/; example.com/v1, Kind=Widget): .spec.sise: "
            "field not declared in schema");
}

}  // namespace
}  // namespace moth::apply
