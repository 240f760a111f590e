#include "api/schema/dynamic.h"

#include <gtest/gtest.h>

#include "api/base/json.h"
#include "api/schema/decode.h"
#include "api/schema/openapi_v3.h"

namespace moth::schema {
namespace {

const Json kSchema = Json::parse(R"({
  "type": "object", "description": "A thing.", "required": ["spec"],
  "properties": {
    "apiVersion": {"type": "string"}, "kind": {"type": "string"}, "metadata": {"type": "object"},
    "spec": {"type": "object", "required": ["size"], "properties": {
      "size": {"type": "integer", "format": "int32", "default": 1, "description": "How large."},
      "port": {"x-kubernetes-int-or-string": true},
      "labels": {"type": "object", "additionalProperties": {"type": "string"}},
      "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": true,
               "properties": {"known": {"type": "object", "properties": {}}}},
      "any": {"x-kubernetes-preserve-unknown-fields": true},
      "note": {"type": "string", "nullable": true},
      "template": {"type": "object", "x-kubernetes-embedded-resource": true,
                   "x-kubernetes-preserve-unknown-fields": true},
      "parts": {"type": "array", "x-kubernetes-list-type": "map",
                "x-kubernetes-list-map-keys": ["name", "side"],
                "items": {"type": "object", "properties": {
                  "name": {"type": "string"}, "side": {"type": "string"}}}}}}}})");

std::unique_ptr<const DynamicTypes> widgets() {
  auto types = DynamicTypes::build("stable.example.com", "v1", "Widget", "WidgetList", kSchema);
  EXPECT_TRUE(types) << types.error().message;
  return types ? std::move(*types) : nullptr;
}

TEST(Dynamic, IsWalkedLikeABuiltinType) {
  auto types = widgets();
  Type root = types->root();
  EXPECT_EQ(root.name(), "com.example.stable.v1.Widget");
  EXPECT_EQ(root.short_name(), "Widget");
  EXPECT_EQ(root.group(), "stable.example.com");
  EXPECT_EQ(root.version(), "v1");
  EXPECT_TRUE(root.is_root());
  EXPECT_FALSE(is_builtin(root));
  EXPECT_EQ(root.field("metadata").value().type(), find_type("meta.v1.ObjectMeta"));
  EXPECT_TRUE(root.field("spec").required());
  Type spec = root.field("spec").value().type();
  EXPECT_EQ(spec.field("size").value().kind(), Kind::kInt32);
  EXPECT_EQ(spec.field("size").default_json(), "1");
  EXPECT_EQ(spec.field("port").value().kind(), Kind::kIntOrString);
  EXPECT_EQ(spec.field("labels").value().element().kind(), Kind::kString);
  EXPECT_EQ(spec.field("any").value().kind(), Kind::kAny);
  EXPECT_TRUE(spec.field("note").value().nullable());
  Value parts = spec.field("parts").value();
  EXPECT_EQ(parts.list_type(), ListType::kMap);
  EXPECT_EQ(parts.list_map_keys().size(), 2u);
  EXPECT_EQ(parts.list_map_keys()[1], "side");
  EXPECT_EQ(types->list().field("items").value().element().type(), root);
}

TEST(Dynamic, PrunesAsTheSchemaSays) {
  auto types = widgets();
  Json object = Json::parse(R"({"apiVersion": "stable.example.com/v1", "kind": "Widget",
    "metadata": {"name": "w", "bogus": 1},
    "spec": {"size": "large", "typo": 1, "note": null, "labels": {"a": "b"}, "any": [{"x": null}],
      "free": {"extra": {"y": 1}, "known": {"z": 1}}, "parts": [{"name": "n", "x": 1}],
      "template": {"kind": "K", "metadata": {"name": "t"}, "spec": {"deep": 1}}}})");
  auto report = decode(types->root(), object, {.check_types = false});
  ASSERT_TRUE(report) << report.error().message;
  EXPECT_EQ(report->unknown_fields, (std::vector<std::string>{"metadata.bogus", "spec.free.known.z",
                                                              "spec.parts[0].x", "spec.typo"}));
  EXPECT_EQ(object, Json::parse(R"({"apiVersion": "stable.example.com/v1", "kind": "Widget",
    "metadata": {"name": "w"},
    "spec": {"size": "large", "note": null, "labels": {"a": "b"}, "any": [{"x": null}],
      "free": {"extra": {"y": 1}, "known": {}}, "parts": [{"name": "n"}],
      "template": {"kind": "K", "metadata": {"name": "t"}, "spec": {"deep": 1}}}})"));
}

TEST(Dynamic, OpenApiHasNestedStructuresInPlace) {
  auto types = widgets();
  ResourceInfo info{"stable.example.com",
                    "v1",
                    "widgets",
                    "Widget",
                    true,
                    {"get", "list", "create", "patch"},
                    types->root(),
                    types->list(),
                    {}};
  Json document = Json::parse(openapi_v3_document("stable.example.com", "v1", std::span(&info, 1)));
  const Json& schemas = document["components"]["schemas"];
  const Json& widget = schemas["com.example.stable.v1.Widget"];
  EXPECT_EQ(widget["x-kubernetes-group-version-kind"][0]["kind"], "Widget");
  EXPECT_EQ(widget["properties"]["spec"]["properties"]["size"]["description"], "How large.");
  EXPECT_EQ(widget["properties"]["spec"]["properties"]["parts"]["items"]["type"], "object");
  EXPECT_EQ(widget["properties"]["metadata"]["allOf"][0]["$ref"],
            "#/components/schemas/io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta");
  EXPECT_TRUE(schemas.contains("io.k8s.apimachinery.pkg.apis.meta.v1.OwnerReference"));
  for (auto& [name, schema] : schemas.items()) EXPECT_FALSE(name.ends_with(".spec")) << name;
}

TEST(Dynamic, RefusesWhatIsNotStructural) {
  auto error_of = [](std::string_view properties) {
    Json schema = Json::parse(R"({"type":"object","properties":)" + std::string(properties) + "}");
    auto types = DynamicTypes::build("example.com", "v1", "W", "WList", schema);
    EXPECT_FALSE(types) << properties;
    return types ? std::string() : types.error().causes.at(0).field;
  };
  EXPECT_EQ(error_of(R"({"a":{}})"), "openAPIV3Schema.properties[a].type");
  EXPECT_EQ(error_of(R"({"a":{"type":"blob"}})"), "openAPIV3Schema.properties[a].type");
  EXPECT_EQ(error_of(R"({"a":{"type":"array"}})"), "openAPIV3Schema.properties[a].items");
  EXPECT_EQ(error_of(R"({"a":5})"), "openAPIV3Schema.properties[a]");
  Json deep = {{"type", "string"}};
  for (int i = 0; i < 100; ++i) deep = {{"type", "array"}, {"items", std::move(deep)}};
  auto types = DynamicTypes::build("example.com", "v1", "W", "WList",
                                   Json{{"type", "object"}, {"properties", {{"a", deep}}}});
  EXPECT_FALSE(types);
  EXPECT_FALSE(DynamicTypes::build("example.com", "v1", "W", "WList", Json::object()));
}

}  // namespace
}  // namespace moth::schema
