#include <gtest/gtest.h>

#include "runtime/images/image.h"
#include "runtime/images/registry.h"

namespace moth::images {
namespace {

const std::string kA = "sha256:" + std::string(64, 'a');
const std::string kB = "sha256:" + std::string(64, 'b');
const std::string kC = "sha256:" + std::string(64, 'c');

std::string entry(const std::string& digest, const std::string& platform) {
  return R"({"digest":")" + digest + R"(","size":1,"platform":)" + platform + "}";
}

TEST(Manifest, ChoosesThePlatform) {
  std::string index = R"({"manifests":[)" +
                      entry(kA, R"({"os":"linux","architecture":"arm64","variant":"v8"})") + "," +
                      entry(kB, R"({"os":"linux","architecture":"amd64"})") + "," +
                      entry(kC, R"({"os":"unknown","architecture":"unknown"})") + "]}";
  EXPECT_TRUE(is_index(index));
  EXPECT_EQ(choose_platform(index, {"linux", "amd64", ""})->digest, kB);
  EXPECT_EQ(choose_platform(index, {"linux", "arm64", ""})->digest, kA);
  auto none = choose_platform(index, {"linux", "s390x", ""});
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().message, "no match for platform in manifest: not found (linux/s390x)");
}

TEST(Manifest, RefusesWhatItCannotRead) {
  EXPECT_FALSE(parse_manifest("x"));
  EXPECT_FALSE(parse_manifest(R"({"schemaVersion":1})"));
  EXPECT_FALSE(parse_manifest(R"({"config":{"digest":"sha512:x","size":1},"layers":[]})"));
  EXPECT_FALSE(parse_manifest(R"({"config":{"digest":")" + kA + R"("},"layers":[]})"));
  auto manifest = parse_manifest(R"({"config":{"digest":")" + kA +
                                 R"(","size":2},"layers":[{"digest":")" + kB + R"(","size":3}]})");
  ASSERT_TRUE(manifest);
  EXPECT_EQ(manifest->layers[0].size, 3U);
}

TEST(Manifest, Challenges) {
  auto list = parse_challenges(
      R"(Bearer realm="https://auth.r.io/token?x=1,2",service="r.io", scope="repository:a/b:pull", Basic realm="x\"y")");
  ASSERT_EQ(list.size(), 2U);
  EXPECT_EQ(list[0].scheme, "bearer");
  EXPECT_EQ(list[0].get("realm"), "https://auth.r.io/token?x=1,2");
  EXPECT_EQ(list[0].get("service"), "r.io");
  EXPECT_EQ(list[0].get("scope"), "repository:a/b:pull");
  EXPECT_EQ(list[1].scheme, "basic");
  EXPECT_EQ(list[1].get("realm"), "x\"y");
  EXPECT_TRUE(parse_challenges("").empty());
  EXPECT_EQ(parse_challenges("Negotiate").size(), 1U);
}

TEST(Manifest, ChainIdsFollowTheImageSpec) {
  auto chain = chain_ids({kA, kB});
  EXPECT_EQ(chain[0], kA);
  // printf 'sha256:a{64} sha256:b{64}' | sha256sum
  EXPECT_NE(chain[1], kB);
  EXPECT_EQ(chain_ids({}).size(), 0U);
}

TEST(ImageConfig, ReadsWhatContainersNeed) {
  auto config = parse_image_config(
      R"({"architecture":"amd64","os":"linux","config":{"Env":["A=b"],"Cmd":null,"Entrypoint":["/x","y"],
      "User":"u","WorkingDir":"/w","StopSignal":"SIGINT","ExposedPorts":{"80/tcp":{}},"Volumes":{"/v":{}},
      "Labels":{"k":"v"}},"rootfs":{"type":"layers","diff_ids":[]}})");
  ASSERT_TRUE(config);
  EXPECT_EQ(config->env, std::vector<std::string>{"A=b"});
  EXPECT_TRUE(config->cmd.empty());
  EXPECT_EQ(config->entrypoint, (std::vector<std::string>{"/x", "y"}));
  EXPECT_EQ(config->exposed_ports, std::vector<std::string>{"80/tcp"});
  EXPECT_EQ(config->volumes, std::vector<std::string>{"/v"});
  EXPECT_EQ(config->labels.at("k"), "v");
  EXPECT_FALSE(parse_image_config(R"({"config":{}})"));
  EXPECT_FALSE(parse_image_config(R"({"rootfs":{"diff_ids":["x"]}})"));
  EXPECT_FALSE(parse_image_config(R"({"rootfs":{"diff_ids":[]},"config":{"Env":[1]}})"));
}

}  // namespace
}  // namespace moth::images
