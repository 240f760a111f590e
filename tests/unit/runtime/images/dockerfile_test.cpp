#include <gtest/gtest.h>

#include "runtime/images/build.h"

namespace moth::images {
namespace {

using Names = std::vector<std::string>;
using Args = std::vector<std::pair<std::string, std::string>>;

Names bases(std::string_view text, const Args& args = {}, const std::string& target = "") {
  auto found = base_images(text, args, target);
  return found ? *found : Names{"error: " + found.error().message};
}

TEST(Dockerfile, FillsInArguments) {
  const char* text = "# c\nARG BASE=debian:12-slim\nARG TAG\nFROM ${BASE}\nARG BASE=ignored\n";
  EXPECT_EQ(bases(text), Names{"debian:12-slim"});
  EXPECT_EQ(bases(text, {{"BASE", "moth-base:12"}}), Names{"moth-base:12"});
  EXPECT_EQ(bases("ARG V=12\nARG I=debian:${V}-slim\nFROM $I"), Names{"debian:12-slim"});
  EXPECT_EQ(bases("FROM a:${V:-3}"), Names{"a:3"});
  EXPECT_EQ(bases("FROM a:1${V:+x}"), Names{"a:1"});
  EXPECT_EQ(
      bases("\n\nFROM ${BASE}"),
      Names{"error: Dockerfile line 3: the build argument BASE has no value: give it one with "
            "--build-arg BASE=IMAGE"});
}

TEST(Dockerfile, StagesAndScratchAreNoImages) {
  EXPECT_EQ(
      bases("FROM --platform=linux/amd64 golang:1 AS Build\nRUN x\nFROM scratch\n"
            "COPY --from=build /a /b\nCOPY --from=0 /a /b\nCOPY --chown=1:1 --from=tools:2 a b\n"
            "RUN --mount=type=bind,from=cache:3,target=/x ls\nfrom build as final"),
      (Names{"golang:1", "tools:2", "cache:3"}));
  EXPECT_EQ(bases("FROM a AS one\nFROM b AS two\nFROM c", {}, "two"), (Names{"a", "b"}));
}

TEST(Dockerfile, ContinuationsHeredocsAndEscapes) {
  EXPECT_EQ(bases("FROM \\\n  a:1 \\\n# comment\n AS x\nRUN echo \\\n FROM b\n"), Names{"a:1"});
  EXPECT_EQ(bases("FROM a\nRUN <<EOF\nFROM b\nEOF\nCOPY <<-\"X\" /f\nFROM c\nX\nFROM d"),
            (Names{"a", "d"}));
  EXPECT_EQ(bases("# escape=`\nFROM `\n a\n"), Names{"a"});
  EXPECT_EQ(bases("FROM a\r\nRUN x\r\n"), Names{"a"});
}

TEST(Dockerfile, Refuses) {
  EXPECT_EQ(bases("RUN x"), Names{"error: Dockerfile: there is no FROM"});
  EXPECT_EQ(bases("FROM"), Names{"error: Dockerfile line 1: FROM needs an image"});
  EXPECT_EQ(bases("FROM A:b:c")[0].substr(0, 24), "error: Dockerfile line 1");
}

}  // namespace
}  // namespace moth::images
