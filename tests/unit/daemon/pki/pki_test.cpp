#include "daemon/pki/pki.h"

#include <gtest/gtest.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "api/client/kubeconfig/kubeconfig.h"

namespace moth::pki {
namespace {

using std::chrono::hours;

bool contains(const std::vector<std::string>& list, const std::string& entry) {
  return std::find(list.begin(), list.end(), entry) != list.end();
}

class PkiTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = testing::TempDir() + "moth-pki-XXXXXX";
    ASSERT_TRUE(::mkdtemp(pattern.data()));
    options.data_dir = pattern;
  }
  void TearDown() override { std::filesystem::remove_all(options.data_dir); }

  Pki ensure(WallTime when) {
    auto pki = ensure_pki(options, when);
    EXPECT_TRUE(pki) << pki.error().message;
    return std::move(*pki);
  }
  std::string path(const std::string& name) const { return options.data_dir + "/pki/" + name; }
  static std::string read(const std::string& file) {
    std::ifstream stream(file, std::ios::binary);
    std::ostringstream text;
    text << stream.rdbuf();
    return text.str();
  }
  static void write(const std::string& file, const std::string& text) {
    std::ofstream(file, std::ios::binary) << text;
  }
  static unsigned mode(const std::string& file) {
    struct stat status {};
    EXPECT_EQ(::stat(file.c_str(), &status), 0) << file;
    return status.st_mode & 0777;
  }

  PkiOptions options;
  WallTime now = WallTime(std::chrono::seconds(1'750'000'000));
};

TEST_F(PkiTest, FirstStartMakesEverything) {
  options.dns_names = {"box.example"};
  options.ip_addresses = {"10.96.0.1", "fd00:0:0::1"};
  mode_t old = ::umask(0);
  Pki pki = ensure(now);
  ::umask(old);
  EXPECT_EQ(pki.replaced, (std::vector<std::string>{"ca.key", "ca.crt", "apiserver.key",
                                                    "apiserver.crt", "admin.key", "admin.crt",
                                                    "sa.key", "sa.pub", "admin.kubeconfig"}));
  for (const char* name : {"ca.key", "apiserver.key", "admin.key", "sa.key"}) {
    EXPECT_EQ(mode(path(name)), 0600U) << name;
  }
  for (const char* name : {"ca.crt", "apiserver.crt", "admin.crt", "sa.pub"}) {
    EXPECT_EQ(mode(path(name)), 0644U) << name;
  }
  EXPECT_EQ(mode(pki.admin_kubeconfig_path), 0600U);

  auto ca = *inspect(pki.ca.certificate_pem);
  EXPECT_EQ(ca.common_name, "moth-ca");
  EXPECT_TRUE(ca.is_ca);
  EXPECT_EQ(ca.not_after, now + hours(10 * 365 * 24));
  auto server = *inspect(pki.server.certificate_pem);
  EXPECT_FALSE(server.is_ca);
  for (const char* name :
       {"localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc",
        "kubernetes.default.svc.cluster.local", "box.example"}) {
    EXPECT_TRUE(contains(server.dns_names, name)) << name;
  }
  EXPECT_EQ(server.ip_addresses,
            (std::vector<std::string>{"127.0.0.1", "::1", "10.96.0.1", "fd00::1"}));
  auto admin = *inspect(pki.admin.certificate_pem);
  EXPECT_EQ(admin.common_name, "admin");
  EXPECT_EQ(admin.organizations, std::vector<std::string>{"system:masters"});
  EXPECT_EQ(*public_key_of(pki.service_account_key_pem), pki.service_account_public_pem);
  EXPECT_LT(pki.renew_at, server.not_after);
  EXPECT_GT(pki.renew_at, now + hours(200 * 24));
}

TEST_F(PkiTest, KubeconfigLeadsToTheServer) {
  options.server_url = "https://127.0.0.1:7443";
  Pki pki = ensure(now);
  auto config = load_kubeconfig({pki.admin_kubeconfig_path}, true);
  ASSERT_TRUE(config) << config.error().message;
  auto endpoint = resolve_endpoint(*config);
  ASSERT_TRUE(endpoint) << endpoint.error().message;
  EXPECT_EQ(endpoint->server, "https://127.0.0.1:7443");
  EXPECT_EQ(endpoint->ca_pem, pki.ca.certificate_pem);
  EXPECT_EQ(endpoint->certificate_pem, pki.admin.certificate_pem);
  EXPECT_EQ(endpoint->key_pem, pki.admin.key_pem);
  EXPECT_EQ(endpoint->namespace_, "default");
}

TEST_F(PkiTest, RestartReusesEverything) {
  Pki first = ensure(now);
  Pki second = ensure(now + hours(24));
  EXPECT_TRUE(second.replaced.empty());
  EXPECT_EQ(first.server.certificate_pem, second.server.certificate_pem);
  EXPECT_EQ(first.service_account_key_pem, second.service_account_key_pem);
}

TEST_F(PkiTest, LeavesAreRenewedInTheirLastThird) {
  Pki first = ensure(now);
  EXPECT_TRUE(ensure(first.renew_at - hours(1)).replaced.empty());
  Pki second = ensure(first.renew_at + hours(1));
  EXPECT_EQ(second.replaced,
            (std::vector<std::string>{"apiserver.key", "apiserver.crt", "admin.key", "admin.crt",
                                      "admin.kubeconfig"}));
  EXPECT_EQ(first.ca.certificate_pem, second.ca.certificate_pem);
  EXPECT_GT(second.renew_at, first.renew_at);
}

TEST_F(PkiTest, MissingNameMakesANewServerCertificate) {
  ensure(now);
  options.ip_addresses = {"192.168.1.7"};
  Pki second = ensure(now);
  EXPECT_EQ(second.replaced, (std::vector<std::string>{"apiserver.key", "apiserver.crt"}));
  EXPECT_TRUE(contains(inspect(second.server.certificate_pem)->ip_addresses, "192.168.1.7"));
  options.ip_addresses.clear();  // one name too many is no reason
  EXPECT_TRUE(ensure(now).replaced.empty());
}

TEST_F(PkiTest, BrokenLeavesAreReplaced) {
  Pki first = ensure(now);
  write(path("apiserver.crt"), "garbage");
  EXPECT_EQ(ensure(now).replaced, (std::vector<std::string>{"apiserver.key", "apiserver.crt"}));
  write(path("apiserver.key"), first.admin.key_pem);  // a crash between the two files
  EXPECT_EQ(ensure(now).replaced, (std::vector<std::string>{"apiserver.key", "apiserver.crt"}));
  std::filesystem::remove(path("admin.crt"));
  EXPECT_EQ(ensure(now).replaced,
            (std::vector<std::string>{"admin.key", "admin.crt", "admin.kubeconfig"}));
}

TEST_F(PkiTest, BrokenCaIsNeverOverwritten) {
  Pki first = ensure(now);
  for (const auto& [name, text] : {std::pair<std::string, std::string>{"ca.crt", "garbage"},
                                   {"ca.key", first.admin.key_pem},
                                   {"ca.crt", first.admin.certificate_pem}}) {
    std::string good = read(path(name));
    write(path(name), text);
    auto pki = ensure_pki(options, now);
    ASSERT_FALSE(pki);
    EXPECT_NE(pki.error().message.find(options.data_dir), std::string::npos);
    EXPECT_EQ(read(path(name)), text);
    write(path(name), good);
  }
  std::filesystem::remove(path("ca.key"));
  EXPECT_FALSE(ensure_pki(options, now));
}

TEST_F(PkiTest, NewCaReplacesWhatTheOldOneSigned) {
  Pki first = ensure(now);
  std::filesystem::remove(path("ca.crt"));
  std::filesystem::remove(path("ca.key"));
  Pki second = ensure(now);
  EXPECT_TRUE(contains(second.replaced, "apiserver.crt"));
  EXPECT_TRUE(contains(second.replaced, "admin.kubeconfig"));
  EXPECT_FALSE(contains(second.replaced, "sa.key"));
  EXPECT_TRUE(belongs_together(second.server.certificate_pem, second.server.key_pem,
                               second.ca.certificate_pem));
}

TEST_F(PkiTest, NoCertificateOutlivesItsCa) {
  options.ca_lifetime = hours(100);
  Pki pki = ensure(now);
  EXPECT_LE(inspect(pki.server.certificate_pem)->not_after,
            inspect(pki.ca.certificate_pem)->not_after);
}

TEST(CertificatesTest, ClientCertificatesCarryUserAndGroups) {
  WallTime now = std::chrono::system_clock::now();
  auto ca = *make_ca("ca", hours(24), now);
  auto pair = make_client_certificate(ca, "system:node:box", {"system:nodes", "b"}, hours(2), now);
  ASSERT_TRUE(pair) << pair.error().message;
  auto info = *inspect(pair->certificate_pem);
  EXPECT_EQ(info.common_name, "system:node:box");
  EXPECT_EQ(info.organizations, (std::vector<std::string>{"system:nodes", "b"}));
  EXPECT_EQ(info.fingerprint.size(), 64U);
  EXPECT_FALSE(make_client_certificate(ca, std::string(65, 'x'), {}, hours(1), now));
  EXPECT_FALSE(make_client_certificate(KeyPair{"x", "y"}, "u", {}, hours(1), now));
}

TEST(CertificatesTest, BadAddressIsNamed) {
  WallTime now = std::chrono::system_clock::now();
  auto ca = *make_ca("ca", hours(24), now);
  CertificateRequest request;
  request.common_name = "x";
  request.ip_addresses = {"300.1.1.1"};
  EXPECT_NE(sign(ca, request, now).error().message.find("300.1.1.1"), std::string::npos);
}

std::string make_csr(EVP_PKEY* key) {
  X509_REQ* request = X509_REQ_new();
  X509_NAME* name = X509_REQ_get_subject_name(request);
  auto add = [&](const char* field, const char* text) {
    X509_NAME_add_entry_by_txt(name, field, MBSTRING_UTF8,
                               reinterpret_cast<const unsigned char*>(text), -1, -1, 0);
  };
  add("O", "system:nodes");
  add("CN", "system:node:a");
  X509_REQ_set_pubkey(request, key);
  STACK_OF(X509_EXTENSION)* extensions = sk_X509_EXTENSION_new_null();
  sk_X509_EXTENSION_push(extensions, X509V3_EXT_conf_nid(nullptr, nullptr, NID_subject_alt_name,
                                                         "DNS:a.example,IP:10.0.0.9"));
  X509_REQ_add_extensions(request, extensions);
  sk_X509_EXTENSION_pop_free(extensions, X509_EXTENSION_free);
  X509_REQ_sign(request, key, EVP_sha256());
  BIO* bio = BIO_new(BIO_s_mem());
  PEM_write_bio_X509_REQ(bio, request);
  char* data = nullptr;
  long size = BIO_get_mem_data(bio, &data);
  std::string pem(data, static_cast<std::size_t>(size));
  BIO_free(bio);
  X509_REQ_free(request);
  return pem;
}

TEST(CertificatesTest, SigningRequestsKeepSubjectNamesAndKey) {
  WallTime now = std::chrono::system_clock::now();
  auto ca = *make_ca("ca", hours(24), now);
  EVP_PKEY* key = EVP_EC_gen("P-256");
  std::string csr = make_csr(key);
  EVP_PKEY_free(key);
  auto asked = inspect_csr(csr);
  ASSERT_TRUE(asked) << asked.error().message;
  EXPECT_EQ(asked->common_name, "system:node:a");
  EXPECT_EQ(asked->ip_addresses, std::vector<std::string>{"10.0.0.9"});
  CertificateRequest request;
  request.client = true;
  request.lifetime = hours(1);
  auto certificate = sign_csr(ca, csr, request, now);
  ASSERT_TRUE(certificate) << certificate.error().message;
  auto info = *inspect(*certificate);
  EXPECT_EQ(info.organizations, std::vector<std::string>{"system:nodes"});
  EXPECT_EQ(info.dns_names, std::vector<std::string>{"a.example"});
  std::string forged = csr;
  auto middle = forged.find('\n') + 120;
  forged[middle] = forged[middle] == 'A' ? 'B' : 'A';
  EXPECT_FALSE(inspect_csr(forged));
  EXPECT_FALSE(inspect_csr("x"));
}

TEST(CertificatesTest, TokensAreRandomHex) {
  EXPECT_EQ(random_token().size(), 64U);
  EXPECT_NE(random_token(), random_token());
  EXPECT_EQ(random_token(4).find_first_not_of("0123456789abcdef"), std::string::npos);
}

}  // namespace
}  // namespace moth::pki
