#include "api/schema/openapi_v3.h"

#include <gtest/gtest.h>

#include "api/base/json.h"

namespace moth::schema {
namespace {

const std::vector<std::string> kAllVerbs = {"create", "delete", "deletecollection", "get",
                                            "list",   "patch",  "update",           "watch"};

std::vector<ResourceInfo> resources() {
  ResourceInfo deployments{"apps",
                           "v1",
                           "deployments",
                           "Deployment",
                           true,
                           kAllVerbs,
                           find_type("apps.v1.Deployment"),
                           find_type("apps.v1.DeploymentList"),
                           {}};
  deployments.subresources = {{"status",
                               "apps",
                               "v1",
                               "Deployment",
                               {"get", "patch", "update"},
                               find_type("apps.v1.Deployment")},
                              {"scale",
                               "autoscaling",
                               "v1",
                               "Scale",
                               {"get", "patch", "update"},
                               find_type("autoscaling.v1.Scale")}};
  ResourceInfo nodes{"",
                     "v1",
                     "nodes",
                     "Node",
                     false,
                     kAllVerbs,
                     find_type("core.v1.Node"),
                     find_type("core.v1.NodeList"),
                     {}};
  return {deployments, nodes};
}

Json apps_document() {
  return Json::parse(openapi_v3_document("apps", "v1", resources()));
}

// kubectl's test for server-side validation.
TEST(OpenApi, PatchOperationsHaveFieldValidation) {
  Json document = apps_document();
  EXPECT_EQ(document["openapi"], "3.0.0");
  const Json& patch =
      document["paths"]["/apis/apps/v1/namespaces/{namespace}/deployments/{name}"]["patch"];
  EXPECT_EQ(patch["x-kubernetes-action"], "patch");
  EXPECT_EQ(patch["x-kubernetes-group-version-kind"],
            Json::parse(R"({"group":"apps","version":"v1","kind":"Deployment"})"));
  bool found = false;
  for (const Json& parameter : patch["parameters"])
    found |= parameter["name"] == "fieldValidation" && parameter["in"] == "query";
  EXPECT_TRUE(found);
  const Json& scale =
      document["paths"]["/apis/apps/v1/namespaces/{namespace}/deployments/{name}/scale"]["get"];
  EXPECT_EQ(scale["x-kubernetes-group-version-kind"]["kind"], "Scale");
  EXPECT_TRUE(document["paths"].contains("/apis/apps/v1/deployments"));
  EXPECT_FALSE(document["paths"].contains("/apis/apps/v1/nodes"));
}

TEST(OpenApi, ClusterResourcesHaveNoNamespace) {
  Json document = Json::parse(openapi_v3_document("", "v1", resources()));
  EXPECT_TRUE(document["paths"].contains("/api/v1/nodes/{name}"));
  EXPECT_TRUE(document["paths"]["/api/v1/nodes"].contains("post"));
  EXPECT_EQ(document["paths"].size(), 2u);
}

TEST(OpenApi, SchemasDescribeTheTypes) {
  Json schemas = apps_document()["components"]["schemas"];
  const Json& deployment = schemas["io.k8s.api.apps.v1.Deployment"];
  EXPECT_EQ(deployment["x-kubernetes-group-version-kind"],
            Json::parse(R"([{"group":"apps","version":"v1","kind":"Deployment"}])"));
  EXPECT_EQ(deployment["properties"]["spec"]["allOf"][0]["$ref"],
            "#/components/schemas/io.k8s.api.apps.v1.DeploymentSpec");
  const Json& spec = schemas["io.k8s.api.apps.v1.DeploymentSpec"];
  EXPECT_EQ(spec["required"], Json::parse(R"(["selector","template"])"));
  EXPECT_EQ(spec["properties"]["replicas"]["type"], "integer");
  EXPECT_EQ(spec["properties"]["replicas"]["format"], "int32");
  EXPECT_FALSE(spec["properties"]["replicas"]["description"].get<std::string>().empty());
  EXPECT_EQ(spec["properties"]["strategy"]["x-kubernetes-patch-strategy"], "retainKeys");
  const Json& ports = schemas["io.k8s.api.core.v1.Container"]["properties"]["ports"];
  EXPECT_EQ(ports["type"], "array");
  EXPECT_EQ(ports["items"]["$ref"], "#/components/schemas/io.k8s.api.core.v1.ContainerPort");
  EXPECT_EQ(ports["x-kubernetes-list-type"], "map");
  EXPECT_EQ(ports["x-kubernetes-list-map-keys"], Json::parse(R"(["containerPort","protocol"])"));
  EXPECT_EQ(ports["x-kubernetes-patch-merge-key"], "containerPort");
  EXPECT_EQ(ports["x-kubernetes-patch-strategy"], "merge");
  EXPECT_EQ(schemas["io.k8s.api.core.v1.ContainerPort"]["properties"]["protocol"]["default"],
            "TCP");
  EXPECT_EQ(schemas["io.k8s.apimachinery.pkg.api.resource.Quantity"]["oneOf"].size(), 2u);
  EXPECT_EQ(schemas["io.k8s.apimachinery.pkg.apis.meta.v1.LabelSelector"]["x-kubernetes-map-type"],
            "atomic");
  EXPECT_TRUE(schemas.contains("io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions"));
}

void find_refs(const Json& json, std::vector<std::string>& refs) {
  if (json.is_array())
    for (const Json& item : json) find_refs(item, refs);
  if (!json.is_object()) return;
  for (auto& [key, value] : json.items())
    if (key == "$ref" && value.is_string())
      refs.push_back(value.get<std::string>());
    else
      find_refs(value, refs);
}

TEST(OpenApi, EveryReferenceResolves) {
  for (const char* group : {"apps", ""}) {
    Json document = Json::parse(openapi_v3_document(group, "v1", resources()));
    std::vector<std::string> refs;
    find_refs(document, refs);
    EXPECT_GT(refs.size(), 40u);
    for (const std::string& ref : refs) {
      std::string name = ref.substr(ref.rfind('/') + 1);
      EXPECT_TRUE(document["components"]["schemas"].contains(name)) << ref;
    }
  }
}

TEST(OpenApi, IndexAndHash) {
  std::string one = openapi_v3_document("apps", "v1", resources());
  std::vector<ResourceInfo> reversed = resources();
  std::swap(reversed[0], reversed[1]);
  EXPECT_EQ(openapi_hash(one), openapi_hash(openapi_v3_document("apps", "v1", reversed)));
  EXPECT_NE(openapi_hash(one), openapi_hash(openapi_v3_document("", "v1", resources())));
  EXPECT_EQ(openapi_hash(one).size(), 32u);
  std::vector<OpenApiIndexEntry> entries = {{"", "v1", "4F1A"}, {"apps", "v1", "99C0"}};
  EXPECT_EQ(openapi_v3_index(entries),
            R"({"paths":{"api/v1":{"serverRelativeURL":"/openapi/v3/api/v1?hash=4F1A"},)"
            R"("apis/apps/v1":{"serverRelativeURL":"/openapi/v3/apis/apps/v1?hash=99C0"}}})");
}

}  // namespace
}  // namespace moth::schema
