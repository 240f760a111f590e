#include "api/client/kubeconfig/kubeconfig.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "api/base/json.h"

namespace moth {
namespace {

constexpr const char* kFile = R"(apiVersion: v1
kind: Config
current-context: dev
clusters:
- name: one
  cluster:
    server: https://10.0.0.1:6443/
    certificate-authority-data: Q0EK
- name: two
  cluster:
    server: https://10.0.0.2:6443
    certificate-authority: ca.pem
    tls-server-name: kubernetes
- name: lax
  cluster:
    server: https://10.0.0.3
    insecure-skip-tls-verify: true
    certificate-authority-data: Q0EK
users:
- name: cert
  user:
    client-certificate-data: Q0VSVA==
    client-key-data: S0VZ
- name: token
  user:
    token: inline
    tokenFile: token.txt
- name: basic
  user: {username: u, password: p}
- name: plugin
  user:
    exec: {apiVersion: client.authentication.k8s.io/v1, command: aws}
- name: half
  user: {client-certificate-data: Q0VSVA==}
contexts:
- name: dev
  context: {cluster: one, user: cert, namespace: team}
- name: prod
  context: {cluster: two, user: token}
- name: lax
  context: {cluster: lax, user: basic}
- name: cloud
  context: {cluster: one, user: plugin}
- name: broken
  context: {cluster: one, user: half}
- name: dangling
  context: {cluster: gone, user: cert}
)";

class KubeconfigTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = testing::TempDir() + "moth-kubeconfig-XXXXXX";
    ASSERT_TRUE(::mkdtemp(pattern.data()));
    folder = pattern;
    write("config", kFile);
    write("ca.pem", "FILE CA");
    write("token.txt", "from-file\n");
  }
  void TearDown() override {
    std::filesystem::remove_all(folder);
    ::unsetenv("KUBECONFIG");
  }
  void write(const std::string& name, const std::string& text) const {
    std::ofstream(folder + "/" + name, std::ios::binary) << text;
  }
  Kubeconfig load(const std::string& name = "config") const {
    auto config = load_kubeconfig({folder + "/" + name}, true);
    EXPECT_TRUE(config) << config.error().message;
    return config.value_or(Kubeconfig());
  }
  static std::string refusal(const Kubeconfig& config, const std::string& context) {
    KubeOverrides overrides;
    overrides.context = context;
    auto endpoint = resolve_endpoint(config, overrides);
    return endpoint ? "accepted" : endpoint.error().message;
  }
  std::string folder;
};

TEST_F(KubeconfigTest, CurrentContextIsResolved) {
  auto endpoint = resolve_endpoint(load());
  ASSERT_TRUE(endpoint) << endpoint.error().message;
  EXPECT_EQ(endpoint->server, "https://10.0.0.1:6443");
  EXPECT_EQ(endpoint->ca_pem, "CA\n");
  EXPECT_EQ(endpoint->certificate_pem, "CERT");
  EXPECT_EQ(endpoint->key_pem, "KEY");
  EXPECT_EQ(endpoint->namespace_, "team");
  EXPECT_EQ(endpoint->user, "cert");
}

TEST_F(KubeconfigTest, FilesAreRelativeToTheConfigAndTokenFilesWin) {
  KubeOverrides overrides;
  overrides.context = "prod";
  auto endpoint = resolve_endpoint(load(), overrides);
  ASSERT_TRUE(endpoint) << endpoint.error().message;
  EXPECT_EQ(endpoint->ca_pem, "FILE CA");
  EXPECT_EQ(endpoint->token, "from-file");
  EXPECT_EQ(endpoint->token_file, folder + "/token.txt");
  EXPECT_EQ(endpoint->tls_server_name, "kubernetes");
  EXPECT_EQ(endpoint->namespace_, "default");
}

TEST_F(KubeconfigTest, OverridesWin) {
  KubeOverrides overrides;
  overrides.user = "basic";
  overrides.server = "localhost:8080";
  overrides.namespace_ = "other";
  overrides.token = "t";
  auto endpoint = resolve_endpoint(load(), overrides);
  ASSERT_TRUE(endpoint);
  EXPECT_EQ(endpoint->server, "http://localhost:8080");
  EXPECT_EQ(endpoint->username, "u");
  EXPECT_EQ(endpoint->token, "t");
  EXPECT_EQ(endpoint->namespace_, "other");
}

TEST_F(KubeconfigTest, InsecureMeansNoCa) {
  KubeOverrides overrides;
  overrides.context = "lax";
  auto endpoint = resolve_endpoint(load(), overrides);
  EXPECT_TRUE(endpoint->insecure_skip_tls_verify);
  EXPECT_EQ(endpoint->ca_pem, "");
}

TEST_F(KubeconfigTest, RefusalsSayWhy) {
  Kubeconfig config = load();
  EXPECT_EQ(refusal(config, "nope"), "context \"nope\" does not exist");
  EXPECT_EQ(refusal(config, "dangling"), "cluster \"gone\" does not exist");
  EXPECT_NE(refusal(config, "cloud")
                .find("exec credential plugins (command \"aws\") are not "
                      "supported yet"),
            std::string::npos);
  EXPECT_NE(refusal(config, "broken").find("must be given together"), std::string::npos);
  EXPECT_NE(refusal(Kubeconfig(), "").find("no configuration has been provided"),
            std::string::npos);
  std::filesystem::remove(folder + "/ca.pem");
  EXPECT_NE(refusal(config, "prod").find("unable to read certificate-authority " + folder),
            std::string::npos);
}

TEST_F(KubeconfigTest, FirstFileWinsWhenMerging) {
  write("second", R"(
kind: Config
current-context: other
clusters:
- {name: one, cluster: {server: "https://ignored"}}
- {name: more, cluster: {server: "https://more"}}
contexts:
- {name: other, context: {cluster: more, user: cert}}
)");
  ::setenv("KUBECONFIG", (folder + "/missing::" + folder + "/config:" + folder + "/second").c_str(),
           1);
  auto paths = kubeconfig_paths("");
  EXPECT_EQ(paths.size(), 3U);
  auto config = load_kubeconfig(paths);
  ASSERT_TRUE(config) << config.error().message;
  EXPECT_EQ(config->current_context, "dev");
  EXPECT_EQ(config->clusters.at("one").server, "https://10.0.0.1:6443/");
  KubeOverrides overrides;
  overrides.context = "other";
  EXPECT_EQ(resolve_endpoint(*config, overrides)->server, "https://more");
  EXPECT_EQ(kubeconfig_paths("/x"), std::vector<std::string>{"/x"});
}

TEST_F(KubeconfigTest, BrokenFilesAreNamed) {
  write("bad", "clusters: [");
  auto config = load_kubeconfig({folder + "/bad"});
  ASSERT_FALSE(config);
  EXPECT_NE(config.error().message.find(folder + "/bad"), std::string::npos);
  write("bad", "kind: Pod");
  EXPECT_FALSE(load_kubeconfig({folder + "/bad"}));
  write("bad", "users: [{name: a, user: {client-key-data: '***'}}]");
  EXPECT_NE(load_kubeconfig({folder + "/bad"})
                .error()
                .message.find("users[0].user.client-key-data: illegal base64 data"),
            std::string::npos);
  write("bad", "users: [{user: {}}]");
  EXPECT_NE(
      load_kubeconfig({folder + "/bad"}).error().message.find("users[0].name: Required value"),
      std::string::npos);
  EXPECT_FALSE(load_kubeconfig({folder + "/none"}, true));
  EXPECT_TRUE(load_kubeconfig({folder + "/none"}, false));
}

TEST_F(KubeconfigTest, WrittenFilesReadBack) {
  Kubeconfig config = load();
  std::string path = folder + "/new/dir/config";
  auto written = write_kubeconfig(config, path);
  ASSERT_TRUE(written) << written.error().message;
  struct stat status {};
  ASSERT_EQ(::stat(path.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600U);
  Kubeconfig back = load("new/dir/config");
  // What is not understood is not lost, either.
  EXPECT_EQ(back.users.at("plugin").exec_command, "aws");
  EXPECT_NE(to_yaml_text(back).find("client.authentication.k8s.io/v1"), std::string::npos);
  EXPECT_EQ(back.to_json(), config.to_json());
  EXPECT_EQ(resolve_endpoint(back)->key_pem, "KEY");
}

}  // namespace
}  // namespace moth
