#include "runtime/images/reference.h"

#include <gtest/gtest.h>

namespace moth::images {
namespace {

const std::string kDigest = "sha256:" + std::string(64, 'a');

std::string canonical(std::string_view text) {
  auto reference = parse_reference(text);
  return reference ? reference->canonical() : "error: " + reference.error().message;
}

TEST(Reference, FillsInDefaults) {
  EXPECT_EQ(canonical("nginx"), "docker.io/library/nginx:latest");
  EXPECT_EQ(canonical("nginx:1.25"), "docker.io/library/nginx:1.25");
  EXPECT_EQ(canonical("team/app"), "docker.io/team/app:latest");
  EXPECT_EQ(canonical("docker.io/nginx"), "docker.io/library/nginx:latest");
  EXPECT_EQ(canonical("index.docker.io/library/nginx"), "docker.io/library/nginx:latest");
  EXPECT_EQ(canonical("registry.k8s.io/pause:3.9"), "registry.k8s.io/pause:3.9");
  EXPECT_EQ(canonical("localhost/app"), "localhost/app:latest");
  EXPECT_EQ(canonical("localhost:5000/a/b/c:v1"), "localhost:5000/a/b/c:v1");
  EXPECT_EQ(canonical("[::1]:5000/app:v1"), "[::1]:5000/app:v1");
  EXPECT_EQ(canonical("HOST/app"), "HOST/app:latest");
}

TEST(Reference, DigestWinsOverTag) {
  EXPECT_EQ(canonical("nginx@" + kDigest), "docker.io/library/nginx@" + kDigest);
  EXPECT_EQ(canonical("nginx:1.25@" + kDigest), "docker.io/library/nginx@" + kDigest);
  EXPECT_EQ(parse_reference("nginx:1.25@" + kDigest)->tag, "1.25");
}

TEST(Reference, RefusesWithUpstreamsWords) {
  EXPECT_EQ(canonical("Nginx"),
            "error: couldn't parse image name \"Nginx\": invalid reference format: repository name "
            "(library/Nginx) must be lowercase");
  for (std::string_view text :
       {"", " nginx", "nginx:", "nginx:tag with space", "a//b", "-a", "a/-b", "a..b", "a___b",
        "localhost:port/app", "nginx@sha256", "nginx@md5:abc", "http://a/b", "a:b:c", "a/b/",
        "host:99999999/a"}) {
    EXPECT_EQ(canonical(text), "error: couldn't parse image name \"" + std::string(text) +
                                   "\": invalid reference format");
  }
  EXPECT_FALSE(parse_reference(std::string(64, 'a')));
  EXPECT_FALSE(parse_reference("a:" + std::string(129, 'x')));
  EXPECT_FALSE(parse_reference(std::string(300, 'a')));
  EXPECT_FALSE(parse_reference("a@sha256:abc"));
}

TEST(Reference, Familiar) {
  EXPECT_EQ(parse_reference("docker.io/library/nginx")->familiar(), "nginx:latest");
  EXPECT_EQ(parse_reference("a/b:c")->familiar(), "a/b:c");
  EXPECT_EQ(parse_reference("ghcr.io/a/b:c")->familiar(), "ghcr.io/a/b:c");
}

TEST(Reference, NamesWithoutRegistryAreLookedForAtLocalhostToo) {
  EXPECT_EQ(local_candidates(*parse_reference("app:v1")),
            (std::vector<std::string>{"docker.io/library/app:v1", "localhost/app:v1"}));
  EXPECT_EQ(local_candidates(*parse_reference("docker.io/app:v1")),
            (std::vector<std::string>{"docker.io/library/app:v1"}));
}

}  // namespace
}  // namespace moth::images
