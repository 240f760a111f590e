// GET /openapi/v2 as clients see it.
#include "api/schema/openapi_v2.h"
#include "api/http/gzip.h"
#include "tests/unit/api/server/server_lab.h"

namespace moth::server {
namespace {

class OpenApiV2Test : public ServerTest {
 protected:
  Answer ask(const std::string& accept, const std::string& encoding = "") {
    std::vector<http::Header> headers = {{"Accept", accept}};
    if (!encoding.empty()) headers.push_back({"Accept-Encoding", encoding});
    return lab_.get("/openapi/v2", std::move(headers));
  }
  ServerLab lab_;
};

TEST_F(OpenApiV2Test, HasEveryKindThatIsServed) {
  Answer plain = ask("application/json");
  ASSERT_EQ(plain.status, 200) << plain.text;
  EXPECT_EQ(plain.headers.get("Content-Type"), "application/json");
  EXPECT_EQ(plain.at("/info/version"), "v1.36.0+test");
  for (const resources::ResourceDef* def : lab_.registry->all()) {
    if (!def->type()) continue;
    EXPECT_TRUE(plain.json["definitions"].contains(schema::openapi_name(def->type())))
        << def->type_name;
  }
}

TEST_F(OpenApiV2Test, FormsAndEncodings) {
  std::string protobuf(schema::kOpenApiV2Protobuf);
  for (const std::string& accept : {protobuf, std::string(schema::kOpenApiV2OldProtobuf)}) {
    Answer answer = ask(accept, "gzip");
    ASSERT_EQ(answer.status, 200);
    EXPECT_EQ(answer.headers.get("Content-Type"), protobuf);
  }
  EXPECT_EQ(ask("text/html").status, 406);
  Answer first = ask("*/*");
  ASSERT_EQ(first.status, 200);
  std::string etag(first.headers.get("ETag"));
  ASSERT_FALSE(etag.empty());
  Answer again = lab_.get("/openapi/v2", {{"If-None-Match", etag}});
  EXPECT_EQ(again.status, 304);
  EXPECT_NE(ask(protobuf).headers.get("ETag"), etag);
}

}  // namespace
}  // namespace moth::server
