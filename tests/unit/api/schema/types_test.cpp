#include "api/schema/types.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace moth::schema {
namespace {

std::vector<std::string> keys_of(Value value) {
  std::vector<std::string> keys;
  for (std::string_view key : value.list_map_keys()) keys.emplace_back(key);
  return keys;
}

TEST(Types, FindsByNameAndByGroupVersionKind) {
  Type spec = find_type("core.v1.PodSpec");
  ASSERT_TRUE(spec);
  EXPECT_EQ(spec.name(), "core.v1.PodSpec");
  EXPECT_EQ(spec.short_name(), "PodSpec");
  EXPECT_FALSE(spec.is_root());
  EXPECT_FALSE(find_type("core.v1.NoSuchType"));
  EXPECT_FALSE(find_type(""));

  Type deployment = find_type("apps", "v1", "Deployment");
  ASSERT_TRUE(deployment);
  EXPECT_EQ(deployment.name(), "apps.v1.Deployment");
  EXPECT_EQ(deployment.group(), "apps");
  EXPECT_EQ(deployment.version(), "v1");
  EXPECT_TRUE(deployment.is_root());
  EXPECT_EQ(find_type("", "v1", "Pod").name(), "core.v1.Pod");
  EXPECT_EQ(find_type("rbac.authorization.k8s.io", "v1", "Role").name(), "rbac.v1.Role");
  // A structure that cannot stand alone is no kind.
  EXPECT_FALSE(find_type("", "v1", "PodSpec"));
  EXPECT_FALSE(find_type("apps", "v1beta1", "Deployment"));
}

TEST(Types, OptionKindsAreInEveryGroup) {
  EXPECT_EQ(find_type("", "v1", "DeleteOptions").name(), "meta.v1.DeleteOptions");
  EXPECT_EQ(find_type("apps", "v1", "DeleteOptions").name(), "meta.v1.DeleteOptions");
  EXPECT_EQ(find_type("apis.meta.v1.ObjectMeta"), find_type("meta.v1.ObjectMeta"));
}

TEST(Types, RootsHaveApiVersionAndKind) {
  for (std::size_t i = 0; i < type_count(); ++i) {
    Type type = type_at(i);
    if (!type.is_root()) continue;
    EXPECT_TRUE(type.field("apiVersion")) << type.name();
    EXPECT_TRUE(type.field("kind")) << type.name();
  }
}

// Binary search and every reference rest on this.
TEST(Types, TheTableIsSortedAndClosed) {
  std::string previous_type;
  std::size_t fields = 0;
  for (std::size_t i = 0; i < type_count(); ++i) {
    Type type = type_at(i);
    EXPECT_LT(previous_type, type.name());
    previous_type = type.name();
    EXPECT_EQ(find_type(type.name()), type);
    std::string previous_field;
    for (Field field : type.fields()) {
      ++fields;
      EXPECT_LT(previous_field, field.name()) << type.name();
      previous_field = field.name();
      EXPECT_EQ(type.field(field.name()), field);
      Value value = field.value();
      while (value.element()) value = value.element();
      if (value.kind() == Kind::kObject) {
        EXPECT_TRUE(value.type()) << type.name() << "." << field.name();
      }
    }
  }
  EXPECT_GT(type_count(), 600u);
  EXPECT_GT(fields, 2300u);
}

TEST(Types, MergeFactsOfPods) {
  Type container = find_type("core.v1.Container");
  Field ports = container.field("ports");
  ASSERT_TRUE(ports);
  EXPECT_TRUE(ports.patch_merge());
  EXPECT_EQ(ports.patch_merge_key(), "containerPort");
  EXPECT_EQ(ports.value().kind(), Kind::kArray);
  EXPECT_EQ(ports.value().list_type(), ListType::kMap);
  EXPECT_EQ(keys_of(ports.value()), (std::vector<std::string>{"containerPort", "protocol"}));
  EXPECT_EQ(ports.value().element().type().name(), "core.v1.ContainerPort");
  EXPECT_EQ(ports.value().element().type().field("protocol").default_json(), "\"TCP\"");

  Field volumes = find_type("core.v1.PodSpec").field("volumes");
  EXPECT_TRUE(volumes.patch_merge());
  EXPECT_TRUE(volumes.patch_retain_keys());
  EXPECT_EQ(volumes.patch_merge_key(), "name");

  Field args = container.field("args");
  EXPECT_FALSE(args.patch_merge());
  EXPECT_EQ(args.value().list_type(), ListType::kAtomic);
  EXPECT_TRUE(find_type("policy.v1.PodDisruptionBudgetSpec").field("selector").patch_replace());
  EXPECT_TRUE(find_type("apps.v1.DeploymentSpec").field("strategy").patch_retain_keys());
}

TEST(Types, MapTypes) {
  EXPECT_EQ(find_type("core.v1.PodSpec").field("nodeSelector").value().map_type(),
            MapType::kAtomic);
  EXPECT_EQ(find_type("meta.v1.ObjectMeta").field("labels").value().map_type(), MapType::kGranular);
  // By the type, and overruled by the place.
  EXPECT_EQ(find_type("apps.v1.DeploymentSpec").field("selector").value().map_type(),
            MapType::kAtomic);
  EXPECT_EQ(find_type("core.v1.PersistentVolumeSpec").field("claimRef").value().map_type(),
            MapType::kGranular);
  Value finalizers = find_type("meta.v1.ObjectMeta").field("finalizers").value();
  EXPECT_EQ(finalizers.list_type(), ListType::kSet);
}

TEST(Types, InlinedFieldsAreTheParents) {
  EXPECT_EQ(find_type("core.v1.Volume").field("configMap").value().type().name(),
            "core.v1.ConfigMapVolumeSource");
  EXPECT_FALSE(find_type("core.v1.Volume").field("volumeSource"));
  EXPECT_TRUE(find_type("core.v1.EphemeralContainer").field("image"));
  EXPECT_TRUE(find_type("core.v1.ConfigMapKeySelector").field("name"));
  EXPECT_TRUE(find_type("admissionregistration.v1.NamedRuleWithOperations").field("apiGroups"));
}

TEST(Types, ScalarsHaveTheirKind) {
  Value capacity = find_type("core.v1.NodeStatus").field("capacity").value();
  EXPECT_EQ(capacity.kind(), Kind::kMap);
  EXPECT_EQ(capacity.element().kind(), Kind::kQuantity);
  EXPECT_EQ(capacity.element().type().name(), "api.resource.Quantity");
  EXPECT_TRUE(capacity.element().is_scalar());
  EXPECT_EQ(find_type("core.v1.Secret").field("data").value().element().kind(), Kind::kBytes);
  EXPECT_EQ(find_type("core.v1.ServicePort").field("targetPort").value().kind(),
            Kind::kIntOrString);
  EXPECT_EQ(find_type("coordination.v1.LeaseSpec").field("renewTime").value().kind(),
            Kind::kMicroTime);
  EXPECT_EQ(find_type("meta.v1.ManagedFieldsEntry").field("fieldsV1").value().kind(),
            Kind::kRawObject);
}

}  // namespace
}  // namespace moth::schema
