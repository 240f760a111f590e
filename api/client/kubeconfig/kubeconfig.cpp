#include "api/client/kubeconfig/kubeconfig.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <openssl/evp.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "api/base/json.h"
#include "api/machinery/yaml.h"

namespace moth {
namespace {

std::string base64_encode(std::string_view text) {
  std::string encoded(4 * ((text.size() + 2) / 3) + 1, '\0');
  int size = EVP_EncodeBlock(reinterpret_cast<unsigned char*>(encoded.data()),
                             reinterpret_cast<const unsigned char*>(text.data()),
                             static_cast<int>(text.size()));
  encoded.resize(static_cast<std::size_t>(size));
  return encoded;
}

Result<std::string> base64_decode(std::string_view encoded, std::string_view where) {
  std::string compact;
  for (char c : encoded) {
    if (c != '\n' && c != '\r' && c != ' ') compact.push_back(c);
  }
  std::string text(compact.size(), '\0');
  int size = compact.size() % 4 != 0
                 ? -1
                 : EVP_DecodeBlock(reinterpret_cast<unsigned char*>(text.data()),
                                   reinterpret_cast<const unsigned char*>(compact.data()),
                                   static_cast<int>(compact.size()));
  if (size < 0) {
    return fail(Error::bad_request(fmt::format("{}: illegal base64 data", where)));
  }
  // EVP counts the padding's zero bytes as data.
  if (compact.ends_with("=="))
    size -= 2;
  else if (compact.ends_with("="))
    size -= 1;
  text.resize(static_cast<std::size_t>(size));
  return text;
}

std::string absolute(const std::string& folder, std::string path) {
  if (path.empty() || path.front() == '/') return path;
  return (std::filesystem::path(folder) / path).lexically_normal().string();
}

// Reads a *-data member into `out`.
Result<void> read_data(const Json& object, std::string_view key, const std::string& where,
                       std::string& out) {
  std::string encoded = string_or(object, key);
  if (encoded.empty()) return {};
  MOTH_ASSIGN(out, base64_decode(encoded, fmt::format("{}.{}", where, key)));
  return {};
}

std::vector<std::string> string_list(const Json& object, std::string_view key) {
  std::vector<std::string> list;
  const Json* member = find_member(object, key);
  if (!member || !member->is_array()) return list;
  for (const Json& entry : *member) {
    if (entry.is_string()) list.push_back(entry.get<std::string>());
  }
  return list;
}

// Members of `object` that are not among `known`, as JSON text; empty when there are none.
std::string other_members(const Json& object, std::initializer_list<std::string_view> known) {
  Json rest = Json::object();
  for (const auto& [key, value] : object.items()) {
    if (std::find(known.begin(), known.end(), key) == known.end()) rest[key] = value;
  }
  return rest.empty() ? "" : rest.dump();
}

Json with_others(const std::string& other) {
  Json object = other.empty() ? Json::object() : Json::parse(other, nullptr, false);
  return object.is_object() ? object : Json::object();
}

Result<KubeCluster> read_cluster(const Json& object, const std::string& folder,
                                 const std::string& where) {
  KubeCluster cluster;
  cluster.server = string_or(object, "server");
  cluster.certificate_authority = absolute(folder, string_or(object, "certificate-authority"));
  cluster.tls_server_name = string_or(object, "tls-server-name");
  cluster.proxy_url = string_or(object, "proxy-url");
  cluster.insecure_skip_tls_verify = bool_or(object, "insecure-skip-tls-verify");
  MOTH_TRY(
      read_data(object, "certificate-authority-data", where, cluster.certificate_authority_pem));
  return cluster;
}

Result<KubeUser> read_user(const Json& object, const std::string& folder,
                           const std::string& where) {
  KubeUser user;
  user.client_certificate = absolute(folder, string_or(object, "client-certificate"));
  user.client_key = absolute(folder, string_or(object, "client-key"));
  user.token = string_or(object, "token");
  user.token_file = absolute(folder, string_or(object, "tokenFile"));
  user.username = string_or(object, "username");
  user.password = string_or(object, "password");
  user.impersonate = string_or(object, "as");
  user.impersonate_uid = string_or(object, "as-uid");
  user.impersonate_groups = string_list(object, "as-groups");
  if (const Json* exec = find_member(object, "exec"); exec && exec->is_object()) {
    user.exec_command = string_or(*exec, "command", "(none)");
  }
  if (const Json* provider = find_member(object, "auth-provider");
      provider && provider->is_object()) {
    user.auth_provider = string_or(*provider, "name", "(none)");
  }
  MOTH_TRY(read_data(object, "client-certificate-data", where, user.client_certificate_pem));
  MOTH_TRY(read_data(object, "client-key-data", where, user.client_key_pem));
  user.other = other_members(
      object, {"client-certificate", "client-certificate-data", "client-key", "client-key-data",
               "token", "tokenFile", "username", "password", "as", "as-uid", "as-groups"});
  return user;
}

// Calls `read(name, body, where)` for every entry of the list `key`, whose entries are {name,
// <member>: {...}}.
template <class F>
Result<void> each_entry(const Json& document, std::string_view key, std::string_view member,
                        F read) {
  const Json* list = find_member(document, key);
  if (!list || list->is_null()) return {};
  if (!list->is_array()) {
    return fail(Error::bad_request(fmt::format("kubeconfig: {} must be a list", key)));
  }
  std::size_t index = 0;
  for (const Json& entry : *list) {
    std::string name = string_or(entry, "name");
    std::string where = fmt::format("kubeconfig: {}[{}]", key, index++);
    if (name.empty()) return fail(Error::bad_request(where + ".name: Required value"));
    const Json* body = find_member(entry, member);
    MOTH_TRY(read(name, body && body->is_object() ? *body : Json::object(),
                  fmt::format("{}.{}", where, member)));
  }
  return {};
}

void put(Json& object, std::string_view key, const std::string& value) {
  if (!value.empty()) object[std::string(key)] = value;
}

void put_data(Json& object, std::string_view key, const std::string& pem) {
  if (!pem.empty()) object[std::string(key)] = base64_encode(pem);
}

Json cluster_json(const KubeCluster& cluster) {
  Json object = with_others(cluster.other);
  put(object, "server", cluster.server);
  put(object, "certificate-authority", cluster.certificate_authority);
  put_data(object, "certificate-authority-data", cluster.certificate_authority_pem);
  put(object, "tls-server-name", cluster.tls_server_name);
  put(object, "proxy-url", cluster.proxy_url);
  if (cluster.insecure_skip_tls_verify) object["insecure-skip-tls-verify"] = true;
  return object;
}

Json user_json(const KubeUser& user) {
  Json object = with_others(user.other);
  put(object, "client-certificate", user.client_certificate);
  put(object, "client-key", user.client_key);
  put_data(object, "client-certificate-data", user.client_certificate_pem);
  put_data(object, "client-key-data", user.client_key_pem);
  put(object, "token", user.token);
  put(object, "tokenFile", user.token_file);
  put(object, "username", user.username);
  put(object, "password", user.password);
  put(object, "as", user.impersonate);
  put(object, "as-uid", user.impersonate_uid);
  if (!user.impersonate_groups.empty()) object["as-groups"] = user.impersonate_groups;
  return object;
}

Result<std::string> read_file(const std::string& path, std::string_view what) {
  std::ifstream file(path, std::ios::binary);
  if (!file) {
    return fail(Error::from_errno(errno, fmt::format("unable to read {} {}", what, path)));
  }
  std::ostringstream text;
  text << file.rdbuf();
  return std::move(text).str();
}

// `inline_text` wins over the file, as upstream's client has it.
Result<std::string> text_or_file(const std::string& inline_text, const std::string& path,
                                 std::string_view what) {
  if (!inline_text.empty() || path.empty()) return inline_text;
  return read_file(path, what);
}

std::string trimmed(std::string text) {
  while (!text.empty() && std::string_view(" \t\r\n").find(text.back()) != std::string_view::npos) {
    text.pop_back();
  }
  return text;
}

Result<void> fill_cluster(const KubeCluster& cluster, const KubeOverrides& overrides,
                          KubeEndpoint& endpoint) {
  endpoint.server = overrides.server.empty() ? cluster.server : overrides.server;
  while (endpoint.server.ends_with('/')) endpoint.server.pop_back();
  if (!endpoint.server.empty() && endpoint.server.find("://") == std::string::npos) {
    endpoint.server = "http://" + endpoint.server;
  }
  endpoint.insecure_skip_tls_verify =
      overrides.insecure_skip_tls_verify.value_or(cluster.insecure_skip_tls_verify);
  endpoint.tls_server_name =
      overrides.tls_server_name.empty() ? cluster.tls_server_name : overrides.tls_server_name;
  endpoint.proxy_url = cluster.proxy_url;
  if (endpoint.insecure_skip_tls_verify) return {};
  bool given = !overrides.certificate_authority.empty();
  MOTH_ASSIGN(endpoint.ca_pem,
              text_or_file(given ? "" : cluster.certificate_authority_pem,
                           given ? overrides.certificate_authority : cluster.certificate_authority,
                           "certificate-authority"));
  return {};
}

Result<void> fill_user(const KubeUser& user, const KubeOverrides& overrides,
                       KubeEndpoint& endpoint) {
  bool given = !overrides.client_certificate.empty();
  MOTH_ASSIGN(
      endpoint.certificate_pem,
      text_or_file(given ? "" : user.client_certificate_pem,
                   given ? overrides.client_certificate : user.client_certificate, "client-cert"));
  bool key_given = !overrides.client_key.empty();
  MOTH_ASSIGN(endpoint.key_pem,
              text_or_file(key_given ? "" : user.client_key_pem,
                           key_given ? overrides.client_key : user.client_key, "client-key"));
  if (endpoint.certificate_pem.empty() != endpoint.key_pem.empty()) {
    return fail(Error::bad_request(fmt::format(
        "user \"{}\": client-certificate and client-key must be given together", endpoint.user)));
  }
  endpoint.token = overrides.token;
  if (endpoint.token.empty() && !user.token_file.empty()) {
    MOTH_ASSIGN(std::string token, read_file(user.token_file, "tokenFile"));
    endpoint.token = trimmed(std::move(token));
    endpoint.token_file = user.token_file;
  }
  if (endpoint.token.empty()) endpoint.token = user.token;
  endpoint.username = user.username;
  endpoint.password = user.password;
  endpoint.impersonate = user.impersonate;
  endpoint.impersonate_uid = user.impersonate_uid;
  endpoint.impersonate_groups = user.impersonate_groups;
  bool other = !endpoint.token.empty() || !endpoint.certificate_pem.empty();
  if (!user.exec_command.empty() && !other) {
    return fail(Error::bad_request(fmt::format(
        "user \"{}\": exec credential plugins (command \"{}\") are not supported yet: use a token "
        "or a client certificate",
        endpoint.user, user.exec_command)));
  }
  if (!user.auth_provider.empty() && !other) {
    return fail(Error::bad_request(
        fmt::format("user \"{}\": the auth provider \"{}\" is not supported: use a token or a "
                    "client certificate",
                    endpoint.user, user.auth_provider)));
  }
  return {};
}

Error does_not_exist(std::string_view what, std::string_view name) {
  return Error::bad_request(fmt::format("{} \"{}\" does not exist", what, name));
}

}  // namespace

Result<Kubeconfig> Kubeconfig::from_json(const Json& document, const std::string& folder) {
  Kubeconfig config;
  if (document.is_null()) return config;
  if (!document.is_object()) {
    return fail(Error::bad_request("kubeconfig: expected an object of kind Config"));
  }
  std::string kind = string_or(document, "kind");
  if (!kind.empty() && kind != "Config") {
    return fail(Error::bad_request(
        fmt::format("kubeconfig: no kind \"{}\" is registered: expected Config", kind)));
  }
  config.current_context = string_or(document, "current-context");
  config.other = other_members(
      document, {"apiVersion", "kind", "clusters", "users", "contexts", "current-context"});
  // Within one file the first entry of a name wins, too.
  MOTH_TRY(each_entry(
      document, "clusters", "cluster",
      [&](const std::string& name, const Json& body, const std::string& where) -> Result<void> {
        MOTH_ASSIGN(KubeCluster cluster, read_cluster(body, folder, where));
        config.clusters.emplace(name, std::move(cluster));
        return {};
      }));
  MOTH_TRY(each_entry(
      document, "users", "user",
      [&](const std::string& name, const Json& body, const std::string& where) -> Result<void> {
        MOTH_ASSIGN(KubeUser user, read_user(body, folder, where));
        config.users.emplace(name, std::move(user));
        return {};
      }));
  MOTH_TRY(each_entry(
      document, "contexts", "context",
      [&](const std::string& name, const Json& body, const std::string&) -> Result<void> {
        config.contexts.emplace(name,
                                KubeContext{string_or(body, "cluster"), string_or(body, "user"),
                                            string_or(body, "namespace"),
                                            other_members(body, {"cluster", "user", "namespace"})});
        return {};
      }));
  return config;
}

Json Kubeconfig::to_json() const {
  Json document = with_others(other);
  document["apiVersion"] = "v1";
  document["kind"] = "Config";
  document["clusters"] = document["users"] = document["contexts"] = Json::array();
  document["current-context"] = current_context;
  for (const auto& [name, cluster] : clusters) {
    document["clusters"].push_back({{"name", name}, {"cluster", cluster_json(cluster)}});
  }
  for (const auto& [name, user] : users) {
    document["users"].push_back({{"name", name}, {"user", user_json(user)}});
  }
  for (const auto& [name, context] : contexts) {
    Json body = with_others(context.other);
    body["cluster"] = context.cluster;
    body["user"] = context.user;
    put(body, "namespace", context.namespace_);
    document["contexts"].push_back({{"name", name}, {"context", std::move(body)}});
  }
  return document;
}

void Kubeconfig::merge(const Kubeconfig& config) {
  clusters.insert(config.clusters.begin(), config.clusters.end());
  users.insert(config.users.begin(), config.users.end());
  contexts.insert(config.contexts.begin(), config.contexts.end());
  if (current_context.empty()) current_context = config.current_context;
  if (other.empty()) other = config.other;
}

std::vector<std::string> kubeconfig_paths(std::string_view explicit_path) {
  if (!explicit_path.empty()) return {std::string(explicit_path)};
  std::vector<std::string> paths;
  if (const char* list = std::getenv("KUBECONFIG"); list && *list) {
    std::string_view rest = list;
    while (!rest.empty()) {
      auto colon = rest.find(':');
      if (colon != 0) paths.emplace_back(rest.substr(0, colon));
      rest.remove_prefix(colon == std::string_view::npos ? rest.size() : colon + 1);
    }
    return paths;
  }
  if (const char* home = std::getenv("HOME"); home && *home) {
    paths.push_back(std::string(home) + "/.kube/config");
  }
  return paths;
}

Result<Kubeconfig> load_kubeconfig(const std::vector<std::string>& paths, bool required) {
  Kubeconfig merged;
  for (const std::string& path : paths) {
    auto text = read_file(path, "kubeconfig");
    if (!text && text.error().os_errno == ENOENT) {
      if (!required) continue;
      return fail(Error::from_errno(ENOENT, "stat " + path));
    }
    if (!text) return fail(std::move(text).error());
    auto document = parse_yaml(*text);
    if (!document) {
      return fail(
          std::move(document.error().with_context("error loading config file \"" + path + "\"")));
    }
    std::error_code ignored;
    auto folder = std::filesystem::absolute(path, ignored).parent_path().string();
    auto config = Kubeconfig::from_json(*document, folder);
    if (!config) {
      return fail(
          std::move(config.error().with_context("error loading config file \"" + path + "\"")));
    }
    merged.merge(*config);
  }
  return merged;
}

Result<KubeEndpoint> resolve_endpoint(const Kubeconfig& config, const KubeOverrides& overrides) {
  KubeEndpoint endpoint;
  endpoint.context = overrides.context.empty() ? config.current_context : overrides.context;
  KubeContext context;
  if (!endpoint.context.empty()) {
    auto found = config.contexts.find(endpoint.context);
    if (found == config.contexts.end()) return fail(does_not_exist("context", endpoint.context));
    context = found->second;
  }
  endpoint.cluster = overrides.cluster.empty() ? context.cluster : overrides.cluster;
  endpoint.user = overrides.user.empty() ? context.user : overrides.user;
  endpoint.namespace_ = !overrides.namespace_.empty() ? overrides.namespace_
                        : !context.namespace_.empty() ? context.namespace_
                                                      : "default";
  KubeCluster cluster;
  if (!endpoint.cluster.empty()) {
    auto found = config.clusters.find(endpoint.cluster);
    if (found == config.clusters.end()) return fail(does_not_exist("cluster", endpoint.cluster));
    cluster = found->second;
  }
  KubeUser user;
  if (!endpoint.user.empty()) {
    auto found = config.users.find(endpoint.user);
    if (found == config.users.end()) return fail(does_not_exist("auth info", endpoint.user));
    user = found->second;
  }
  MOTH_TRY(fill_cluster(cluster, overrides, endpoint));
  MOTH_TRY(fill_user(user, overrides, endpoint));
  if (endpoint.server.empty()) {
    return fail(Error::bad_request(
        "invalid configuration: no configuration has been provided, try setting KUBECONFIG or "
        "--kubeconfig"));
  }
  return endpoint;
}

std::string to_yaml_text(const Kubeconfig& config) {
  return to_yaml(config.to_json());
}

Result<void> write_kubeconfig(const Kubeconfig& config, const std::string& path) {
  auto folder = std::filesystem::path(path).parent_path();
  std::error_code error;
  if (!folder.empty() && !std::filesystem::exists(folder, error)) {
    std::filesystem::create_directories(folder, error);
    if (error) {
      return fail(Error::from_errno(error.value(), "mkdir " + folder.string()));
    }
    std::filesystem::permissions(folder, std::filesystem::perms::owner_all, error);
  }
  std::string temporary = fmt::format("{}.{}.tmp", path, ::getpid());
  int fd = ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (fd < 0) return fail(Error::from_errno(errno, "open " + temporary));
  std::string text = to_yaml_text(config);
  std::size_t written = 0;
  int code = 0;
  while (written < text.size() && code == 0) {
    ssize_t count = ::write(fd, text.data() + written, text.size() - written);
    if (count < 0 && errno != EINTR) code = errno;
    if (count > 0) written += static_cast<std::size_t>(count);
  }
  if (code == 0 && ::fsync(fd) != 0) code = errno;
  ::close(fd);
  if (code == 0 && ::rename(temporary.c_str(), path.c_str()) != 0) code = errno;
  if (code != 0) {
    ::unlink(temporary.c_str());
    return fail(Error::from_errno(code, "write " + path));
  }
  return {};
}

}  // namespace moth
