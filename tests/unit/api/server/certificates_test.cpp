// Certificate signing requests through the server: who asked, and what each subresource may write.
#include "tests/unit/api/server/server_lab.h"

namespace moth::server {
namespace {

constexpr const char* kRequests = "/apis/certificates.k8s.io/v1/certificatesigningrequests";
// A request of CN=jo, O=dev.
constexpr const char* kPem =
    "LS0tLS1CRUdJTiBDRVJUSUZJQ0FURSBSRVFVRVNULS0tLS0KTUlIVk1IMENBUUF3R3pFTE1Ba0dBMVVFQXd3"
    "Q2FtOHhEREFLQmdOVkJBb01BMlJsZGpCWk1CTUdCeXFHU000OQpBZ0VHQ0NxR1NNNDlBd0VIQTBJQUJFRXZJ"
    "ay9QS0RzNzE0YmNkY0JBbDlKWjhZQW9LNVd2OFlYWkdvRG10d2NWClRaSjNyQS9FTDFHSVZXZHplNnRDN3gx"
    "Mjk3dDlma3AxSWhmUGlEWE9UdWVnQURBS0JnZ3Foa2pPUFFRREFnTkkKQURCRkFpRUFwcERYTjZWMmJSTnpG"
    "TnRMUlFmeTRoc1psM1kzZUQ0STRqZDNQd25xQlVRQ0lHVUdzWC9obUVxUQpVV3dHR3VyaC93djhjLzlZSDNw"
    "eEZsb3Arc0JGOFlyZwotLS0tLUVORCBDRVJUSUZJQ0FURSBSRVFVRVNULS0tLS0K";

class CertificatesTest : public ServerTest {
 protected:
  CertificatesTest() {
    Answer made = lab_.post(
        kRequests, {{"apiVersion", "certificates.k8s.io/v1"},
                    {"kind", "CertificateSigningRequest"},
                    {"metadata", {{"name", "jo"}}},
                    {"spec",
                     {{"signerName", "example.com/signer"},
                      {"request", kPem},
                      {"usages", {"client auth"}},
                      {"username", "liar"},
                      {"groups", {"system:masters", "more"}}}},
                    {"status", {{"conditions", {{{"type", "Approved"}, {"status", "True"}}}}}}});
    EXPECT_EQ(made.status, 201) << made.text;
    request_ = made.json;
  }
  Json with_condition(const char* type) {
    Json request = lab_.get(at(kRequests, "jo")).json;
    request["status"]["conditions"].push_back({{"type", type}, {"status", "True"}});
    return request;
  }
  ServerLab lab_;
  Json request_;
};

TEST_F(CertificatesTest, SaysWhoAsked) {
  EXPECT_EQ(request_["spec"]["username"], "admin");
  EXPECT_EQ(request_["spec"]["uid"], "1");
  for (const Json& group : request_["spec"]["groups"]) EXPECT_NE(group, "more");
  EXPECT_FALSE(request_["status"].contains("conditions"));
}

TEST_F(CertificatesTest, IsApprovedThroughItsOwnSubresource) {
  std::string item = at(kRequests, "jo");
  // Not as the object itself, nor as its status.
  EXPECT_EQ(lab_.put(item, with_condition("Approved")).at("/status/conditions"), nullptr);
  EXPECT_EQ(lab_.put(item + "/status", with_condition("Approved")).status, 422);
  Answer approved = lab_.put(item + "/approval", with_condition("Approved"));
  ASSERT_EQ(approved.status, 200) << approved.text;
  EXPECT_EQ(approved.at("/status/conditions/0/type"), "Approved");
  EXPECT_EQ(approved.at("/status/conditions/0/lastUpdateTime"), "2025-06-15T15:06:40Z");
  Answer denied = lab_.put(item + "/approval", with_condition("Denied"));
  EXPECT_EQ(denied.status, 422) << denied.text;
}

TEST_F(CertificatesTest, KeepsWhatWasAskedFor) {
  Json changed = lab_.get(at(kRequests, "jo")).json;
  changed["spec"]["signerName"] = "other.com/signer";
  Answer answer = lab_.put(at(kRequests, "jo"), changed);
  EXPECT_EQ(answer.status, 200) << answer.text;
  EXPECT_EQ(answer.at("/spec/signerName"), "example.com/signer");
}

}  // namespace
}  // namespace moth::server
