#include "api/schema/openapi_v2.h"

#include <gtest/gtest.h>

#include <vector>

#include "api/base/json.h"
#include "api/schema/openapi_v2_parts.h"

namespace moth::schema {
namespace {

std::vector<ResourceInfo> resources() {
  ResourceInfo deployments{
      "apps",
      "v1",
      "deployments",
      "Deployment",
      true,
      {"create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"},
      find_type("apps.v1.Deployment"),
      find_type("apps.v1.DeploymentList"),
      {}};
  deployments.subresources = {{"scale",
                               "autoscaling",
                               "v1",
                               "Scale",
                               {"get", "patch", "update"},
                               find_type("autoscaling.v1.Scale")}};
  return {deployments};
}

std::string document(OpenApiV2Form form, const CustomSchemas& custom = {}) {
  std::string out;
  write_openapi_v2(form, resources(), custom, {}, [&](std::string_view bytes) { out += bytes; });
  return out;
}

// Every reference leads somewhere: readers refuse the whole document otherwise.
void expect_resolved(const Json& part, const Json& definitions) {
  if (part.is_object()) {
    for (const auto& [key, value] : part.items()) {
      if (key == "$ref") {
        std::string name = value.get<std::string>();
        ASSERT_TRUE(name.starts_with("#/definitions/")) << name;
        EXPECT_TRUE(definitions.contains(name.substr(14))) << name;
      }
      expect_resolved(value, definitions);
    }
  } else if (part.is_array()) {
    for (const Json& item : part) expect_resolved(item, definitions);
  }
}

TEST(OpenApiV2, JsonDocument) {
  Json json = Json::parse(document(OpenApiV2Form::kJson));
  EXPECT_EQ(json["swagger"], "2.0");
  const Json& item = json["paths"]["/apis/apps/v1/namespaces/{namespace}/deployments/{name}"];
  EXPECT_EQ(item["get"]["operationId"], "readAppsV1NamespacedDeployment");
  EXPECT_EQ(item["delete"]["x-kubernetes-action"], "delete");
  EXPECT_EQ(item["parameters"].size(), 2U);
  bool validates = false;
  for (const Json& parameter : item["patch"]["parameters"]) {
    validates = validates || parameter["name"] == "fieldValidation";
  }
  EXPECT_TRUE(validates);
  const Json& deployment = json["definitions"]["io.k8s.api.apps.v1.Deployment"];
  EXPECT_EQ(deployment["x-kubernetes-group-version-kind"],
            Json::parse(R"([{"group":"apps","version":"v1","kind":"Deployment"}])"));
  EXPECT_EQ(deployment["properties"]["spec"]["$ref"],
            "#/definitions/io.k8s.api.apps.v1.DeploymentSpec");
  const Json& containers =
      json["definitions"]["io.k8s.api.core.v1.PodSpec"]["properties"]["containers"];
  EXPECT_EQ(containers["x-kubernetes-patch-merge-key"], "name");
  EXPECT_EQ(containers["x-kubernetes-list-map-keys"], Json::array({"name"}));
  expect_resolved(json, json["definitions"]);
  EXPECT_TRUE(
      json["paths"].contains("/apis/apps/v1/namespaces/{namespace}/deployments/{name}/scale"));
}

TEST(OpenApiV2, CustomSchemasLoseWhatV2HasNot) {
  Json schema = Json::parse(R"({
    "type": "object", "nullable": true, "oneOf": [{}],
    "properties": {
      "spec": {"allOf": [{"$ref": "#/components/schemas/x.Y"}], "description": "d"},
      "port": {"type": "integer", "x-kubernetes-int-or-string": true},
      "oneOf": {"type": "string"},
      "list": {"type": "array", "items": {"type": "string", "nullable": true}}},
    "x-kubernetes-preserve-unknown-fields": true})");
  EXPECT_EQ(v2_from_v3(schema), Json::parse(R"({
    "type": "object",
    "properties": {
      "spec": {"$ref": "#/definitions/x.Y", "description": "d"},
      "port": {"x-kubernetes-int-or-string": true},
      "oneOf": {"type": "string"},
      "list": {"type": "array", "items": {"type": "string"}}},
    "x-kubernetes-preserve-unknown-fields": true})"));
}

// One level of a protobuf message: (number, payload) of its length-delimited fields.
std::vector<std::pair<unsigned, std::string>> fields(std::string_view bytes) {
  std::vector<std::pair<unsigned, std::string>> out;
  std::size_t at = 0;
  auto varint = [&] {
    std::uint64_t value = 0;
    for (int shift = 0; at < bytes.size(); shift += 7) {
      auto byte = static_cast<unsigned char>(bytes[at++]);
      value |= std::uint64_t{byte & 0x7fU} << shift;
      if (byte < 0x80) break;
    }
    return value;
  };
  while (at < bytes.size()) {
    std::uint64_t tag = varint();
    if ((tag & 7) == 2) {
      std::uint64_t size = varint();
      out.emplace_back(tag >> 3, bytes.substr(at, size));
      at += size;
    } else if ((tag & 7) == 0) {
      out.emplace_back(tag >> 3, std::to_string(varint()));
    } else {
      ADD_FAILURE() << "wire type " << (tag & 7);
      return out;
    }
  }
  return out;
}

std::string field(std::string_view bytes, unsigned number) {
  for (auto& [found, payload] : fields(bytes)) {
    if (found == number) return payload;
  }
  return "";
}

TEST(OpenApiV2, ProtobufDocument) {
  std::string bytes = document(OpenApiV2Form::kProtobuf);
  EXPECT_EQ(field(bytes, 1), "2.0");
  EXPECT_EQ(field(field(bytes, 2), 1), "Kubernetes");
  std::size_t paths = 0;
  std::string deployment;
  for (const auto& [number, payload] : fields(bytes)) {
    if (number == 8) ++paths;
    std::string entry = field(payload, 1);
    if (number == 9 && field(entry, 1) == "io.k8s.api.apps.v1.Deployment") {
      deployment = field(entry, 2);
    }
  }
  EXPECT_EQ(paths, 4U);
  ASSERT_FALSE(deployment.empty());
  EXPECT_EQ(field(field(deployment, 22), 1), "object");
  std::string extension = field(deployment, 31);
  EXPECT_EQ(field(extension, 1), "x-kubernetes-group-version-kind");
  EXPECT_EQ(Json::parse(field(field(extension, 2), 2)),
            Json::parse(R"([{"group":"apps","version":"v1","kind":"Deployment"}])"));
}

}  // namespace
}  // namespace moth::schema
