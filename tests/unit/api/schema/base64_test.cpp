#include "api/schema/base64.h"

#include <gtest/gtest.h>

namespace moth::schema {
namespace {

TEST(Base64, BothWays) {
  const char* const cases[][2] = {{"", ""},
                                  {"f", "Zg=="},
                                  {"fo", "Zm8="},
                                  {"foo", "Zm9v"},
                                  {"foob", "Zm9vYg=="},
                                  {"fooba", "Zm9vYmE="},
                                  {"foobar", "Zm9vYmFy"}};
  for (auto& [plain, encoded] : cases) {
    EXPECT_EQ(encode_base64(plain), encoded);
    EXPECT_EQ(decode_base64(encoded), plain);
  }
  std::string all;
  for (int i = 0; i < 256; ++i) all += static_cast<char>(i);
  EXPECT_EQ(decode_base64(encode_base64(all)), all);
}

TEST(Base64, LineBreaksAreSkipped) {
  EXPECT_EQ(decode_base64("Zm9v\r\nYmFy\n"), "foobar");
  EXPECT_EQ(decode_base64("Zg=\n="), "f");
}

TEST(Base64, ErrorsHaveTheirPlace) {
  EXPECT_EQ(find_base64_error("Zm9v"), std::string_view::npos);
  EXPECT_EQ(find_base64_error("Zm9v*"), 4u);
  EXPECT_EQ(find_base64_error("Z"), 1u);
  EXPECT_EQ(find_base64_error("Zm9"), 3u);
  EXPECT_EQ(find_base64_error("Z==="), 1u);
  EXPECT_EQ(find_base64_error("===="), 0u);
  EXPECT_EQ(find_base64_error("Zg==Zg=="), 4u);
  EXPECT_EQ(find_base64_error("Zg=a"), 3u);
  EXPECT_EQ(find_base64_error("Zg==="), 4u);
  EXPECT_EQ(find_base64_error("Zm 9v"), 2u);
  EXPECT_EQ(find_base64_error("Zm-_"), 2u);
}

}  // namespace
}  // namespace moth::schema
