#include "api/schema/patch_schema.h"

#include <gtest/gtest.h>

namespace moth::schema {
namespace {

TEST(PatchSchemas, WalksFromTheRoot) {
  PatchSchemas schemas;
  const PatchSchema* pod = schemas.of(find_type("core.v1.Pod"));
  ASSERT_NE(pod, nullptr);
  PatchField spec = pod->field("spec");
  ASSERT_NE(spec.child, nullptr);
  PatchField containers = spec.child->field("containers");
  EXPECT_EQ(containers.list, PatchField::List::kMerge);
  EXPECT_EQ(containers.merge_key, "name");
  ASSERT_NE(containers.child, nullptr);
  EXPECT_EQ(containers.child->field("ports").merge_key, "containerPort");
  EXPECT_EQ(containers.child->field("args").list, PatchField::List::kReplace);
  EXPECT_TRUE(spec.child->field("volumes").retain_keys);
  EXPECT_EQ(spec.child->field("nodeSelector").child, nullptr);
  PatchField finalizers = pod->field("metadata").child->field("finalizers");
  EXPECT_EQ(finalizers.list, PatchField::List::kMerge);
  EXPECT_TRUE(finalizers.merge_key.empty());
  EXPECT_EQ(pod->field("bogus").child, nullptr);
  EXPECT_EQ(schemas.of(Type()), nullptr);
}

}  // namespace
}  // namespace moth::schema
