#include "runtime/images/credentials.h"

#include <gtest/gtest.h>

namespace moth::images {
namespace {

std::vector<std::string> users(std::string_view config, std::string_view image) {
  std::vector<std::string> names;
  auto keyring = parse_docker_config_json(config);
  if (!keyring) return {"error: " + keyring.error().message};
  for (const Credential& one : keyring->lookup(*parse_reference(image)))
    names.push_back(one.username);
  return names;
}

using Names = std::vector<std::string>;

TEST(Credentials, ReadsAuthAndPlainFields) {
  auto keyring = parse_docker_config_json(
      R"({"auths":{"r.io":{"auth":"dTpwOng="},"s.io":{"username":"n","password":"q"}}})");
  ASSERT_TRUE(keyring);
  auto found = keyring->lookup(*parse_reference("r.io/a"));
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found[0].username, "u");
  EXPECT_EQ(found[0].password, "p:x");
  EXPECT_EQ(keyring->lookup(*parse_reference("s.io/a"))[0].password, "q");
  EXPECT_TRUE(keyring->lookup(*parse_reference("t.io/a")).empty());
}

TEST(Credentials, MatchesAsTheKubeletDoes) {
  const char* config = R"({"auths":{
    "https://index.docker.io/v1/":{"username":"hub"},
    "r.io":{"username":"host"},
    "r.io/team":{"username":"team"},
    "*.ecr.aws":{"username":"glob"},
    "p.io:5000":{"username":"port"}}})";
  EXPECT_EQ(users(config, "nginx"), Names{"hub"});
  EXPECT_EQ(users(config, "r.io/other/a"), Names{"host"});
  EXPECT_EQ(users(config, "r.io/team/a"), (Names{"team", "host"}));
  EXPECT_EQ(users(config, "x.ecr.aws/a"), Names{"glob"});
  EXPECT_EQ(users(config, "x.y.ecr.aws/a"), Names{});
  EXPECT_EQ(users(config, "p.io:5000/a"), Names{"port"});
  EXPECT_EQ(users(config, "p.io/a"), Names{});
}

TEST(Credentials, RefusesWhatIsNoConfig) {
  EXPECT_FALSE(parse_docker_config_json("x"));
  EXPECT_FALSE(parse_docker_config_json(R"({"auths":[]})"));
  EXPECT_TRUE(parse_docker_config_json("{}")->entries.empty());
  EXPECT_EQ(parse_docker_cfg(R"({"r.io":{"auth":"dTpw"}})")->entries.size(), 1U);
}

TEST(Credentials, FingerprintTellsFieldsApart) {
  Credential a{"ab", "c", "", ""};
  Credential b{"a", "bc", "", ""};
  EXPECT_NE(a.fingerprint(), b.fingerprint());
  EXPECT_EQ(a.fingerprint(), Credential(a).fingerprint());
}

}  // namespace
}  // namespace moth::images
