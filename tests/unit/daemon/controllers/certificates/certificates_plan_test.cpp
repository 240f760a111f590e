#include "daemon/controllers/certificates/certificates_plan.h"

#include <gtest/gtest.h>

#include "api/base/json.h"

namespace moth::controllers {
namespace {

using std::chrono::hours;
using std::chrono::seconds;

const WallTime kNow{seconds(1'750'000'000)};

Json csr(const std::string& signer, Json usages, const std::string& user = "jo") {
  return {{"spec", {{"signerName", signer}, {"usages", std::move(usages)}, {"username", user}}}};
}
RequestedCertificate node(bool serving = false) {
  RequestedCertificate request{"system:node:box", {"system:nodes"}, {}, {}};
  if (serving) request.dns_names = {"box"};
  return request;
}

TEST(Signers, AcceptWhatTheyAreFor) {
  const Json client = {"client auth", "digital signature", "key encipherment"};
  const Json serving = {"server auth", "digital signature"};
  struct Case {
    const char* signer;
    Json usages;
    RequestedCertificate request;
    std::string problem;
  };
  RequestedCertificate jo{"jo", {"dev"}, {}, {}};
  RequestedCertificate bare = node(true), mail = node(true), named = node();
  bare.dns_names.clear();
  mail.has_other_names = true;
  named.dns_names = {"box"};
  for (const Case& c : std::vector<Case>{
           {kClientSigner, client, jo, ""},
           {kClientSigner,
            {"digital signature"},
            jo,
            "missing required usage for client certificate: client auth"},
           {kClientSigner,
            {"client auth", "server auth"},
            jo,
            "invalid usage for client certificate: server auth"},
           {kKubeletClientSigner, client, node(), ""},
           {kKubeletClientSigner, client, jo, "subject organization is not system:nodes"},
           {kKubeletClientSigner, client, named, "DNS subjectAltNames are not allowed"},
           {kKubeletServingSigner, serving, node(true), ""},
           {kKubeletServingSigner, serving, bare, "DNS or IP subjectAltName is required"},
           {kKubeletServingSigner, serving, mail, "URI and Email subjectAltNames are not allowed"},
           {kKubeletServingSigner, client, node(true),
            "invalid usage for serving certificate: client auth"},
       })
    EXPECT_EQ(refusal(csr(c.signer, c.usages), c.request), c.problem) << c.signer;
  EXPECT_FALSE(is_signed_here(csr("example.com/mine", client)));
}

TEST(Approval, OnlyOfNodesClientCertificates) {
  const Json usages = {"client auth", "digital signature"};
  EXPECT_EQ(auto_approval(csr(kKubeletClientSigner, usages, "system:node:box"), node()),
            AutoApproval::kSelf);
  EXPECT_EQ(auto_approval(csr(kKubeletClientSigner, usages, "bootstrap"), node()),
            AutoApproval::kOther);
  EXPECT_EQ(auto_approval(csr(kClientSigner, usages, "system:node:box"), node()),
            AutoApproval::kNone);
  EXPECT_EQ(
      auto_approval(csr(kKubeletServingSigner, {"server auth"}, "system:node:box"), node(true)),
      AutoApproval::kNone);
}

TEST(Life, IsBounded) {
  Json request = csr(kClientSigner, {"client auth"});
  EXPECT_EQ(certificate_life(request), hours(365 * 24));
  request["spec"]["expirationSeconds"] = 3600;
  EXPECT_EQ(certificate_life(request), hours(1));
  request["spec"]["expirationSeconds"] = 5;
  EXPECT_EQ(certificate_life(request), seconds(600));
  request["spec"]["expirationSeconds"] = 1'000'000'000;
  EXPECT_EQ(certificate_life(request), hours(365 * 24));
}

TEST(Cleaning, ByWhatHappened) {
  Json request = csr(kClientSigner, {"client auth"});
  EXPECT_EQ(cleaned_at(request, kNow, std::nullopt), kNow + hours(24));
  Json approved = request;
  approved["status"]["conditions"].push_back(condition("Approved", "x", "y", kNow + hours(2)));
  EXPECT_TRUE(has_condition(approved, "Approved"));
  EXPECT_EQ(cleaned_at(approved, kNow, std::nullopt), WallTime::max());
  EXPECT_EQ(cleaned_at(approved, kNow, kNow + hours(100)), kNow + hours(3));
  EXPECT_EQ(cleaned_at(approved, kNow, kNow + hours(1)), kNow + hours(1));
  Json denied = request;
  denied["status"]["conditions"].push_back(condition("Denied", "x", "y", kNow));
  EXPECT_EQ(cleaned_at(denied, kNow, std::nullopt), kNow + hours(1));
}

}  // namespace
}  // namespace moth::controllers
