#include "runtime/volumes/payload.h"

#include <gtest/gtest.h>

namespace moth::volumes {
namespace {

const std::map<std::string, std::string> kValues{{"a", "1"}, {"b", "2"}};

TEST(Payload, TakesEveryKeyWithoutItems) {
  Payload payload;
  ASSERT_TRUE(add_keys(payload, kValues, {.default_mode = 0400}));
  EXPECT_EQ(payload, (Payload{{"a", {"1", 0400}}, {"b", {"2", 0400}}}));
}

TEST(Payload, TakesItemsUnderTheirPathsAndModes) {
  Payload payload;
  Selection selection;
  selection.items = {{"b", "deep/file", 0600}, {"a", "plain", std::nullopt}};
  ASSERT_TRUE(add_keys(payload, kValues, selection));
  EXPECT_EQ(payload, (Payload{{"deep/file", {"2", 0600}}, {"plain", {"1", 0644}}}));
}

TEST(Payload, AMissingKeyIsAnErrorUnlessOptional) {
  Payload payload;
  Selection selection;
  selection.items = {{"c", "c", std::nullopt}, {"a", "a", std::nullopt}};
  selection.missing_key_text = "configmap references non-existent config key";
  auto added = add_keys(payload, kValues, selection);
  ASSERT_FALSE(added);
  EXPECT_EQ(added.error().message, "configmap references non-existent config key: c");
  selection.optional = true;
  payload.clear();
  ASSERT_TRUE(add_keys(payload, kValues, selection));
  EXPECT_EQ(payload, (Payload{{"a", {"1", 0644}}}));
}

TEST(Payload, RefusesPathsThatLeaveTheVolume) {
  for (const char* good : {"a", "a/b", "a..b", ".hidden", "a/..b"}) {
    EXPECT_TRUE(check_payload_path(good)) << good;
  }
  for (const char* bad : {"", "/a", "..", "../a", "a/../b", "a/..", "..data", "..2025"}) {
    EXPECT_FALSE(check_payload_path(bad)) << bad;
  }
}

}  // namespace
}  // namespace moth::volumes
