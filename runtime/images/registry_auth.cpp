#include <fmt/format.h>

#include <algorithm>

#include "api/base/json.h"
#include "api/http/url.h"
#include "runtime/images/registry_session.h"
#include "runtime/os/fs.h"

namespace moth::images {
namespace {

constexpr std::size_t kTokenLimit = 1 << 20;

std::string base64(std::string_view bytes) {
  constexpr std::string_view kAlphabet =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    unsigned value = 0;
    std::size_t count = std::min<std::size_t>(3, bytes.size() - i);
    for (std::size_t k = 0; k < 3; ++k) {
      value = (value << 8) | (k < count ? static_cast<unsigned char>(bytes[i + k]) : 0U);
    }
    for (std::size_t k = 0; k < 4; ++k) {
      out += k <= count ? kAlphabet[(value >> (18 - 6 * k)) & 63] : '=';
    }
  }
  return out;
}

std::string basic(const Credential& credential) {
  return "Basic " + base64(credential.username + ":" + credential.password);
}

http::ClientRequest token_request(const RegistryClient::Session& session,
                                  const Challenge& challenge) {
  const Credential& credential = session.credential;
  std::string scope(challenge.get("scope"));
  if (scope.empty()) scope = fmt::format("repository:{}:pull", session.reference.repository);
  std::vector<std::pair<std::string, std::string>> query;
  if (auto service = challenge.get("service"); !service.empty()) {
    query.emplace_back("service", service);
  }
  query.emplace_back("scope", scope);
  http::ClientRequest request;
  request.url = challenge.get("realm");
  request.body_limit = kTokenLimit;
  if (!credential.identity_token.empty()) {
    query.emplace_back("grant_type", "refresh_token");
    query.emplace_back("refresh_token", credential.identity_token);
    query.emplace_back("client_id", "moth");
    request.method = "POST";
    request.body = http::encode_query(query);
    request.headers.set("Content-Type", "application/x-www-form-urlencoded");
    return request;
  }
  if (!credential.username.empty()) {
    query.emplace_back("account", credential.username);
    request.headers.set("Authorization", basic(credential));
  }
  request.url += request.url.find('?') == std::string::npos ? "?" : "&";
  request.url += http::encode_query(query);
  return request;
}

Task<Result<std::string>> fetch_token(const RegistryClient::Session& session, Challenge challenge,
                                      std::shared_ptr<http::Client> client) {
  std::string realm(challenge.get("realm"));
  auto url = http::parse_url(realm);
  if (!url) {
    co_return fail(Error::of(Reason::kUnauthorized,
                             "failed to authorize: the registry names no valid token server"));
  }
  bool secret = !session.credential.anonymous();
  if (secret && !url->tls() && session.endpoint.base.starts_with("https://")) {
    co_return fail(Error::of(
        Reason::kUnauthorized,
        fmt::format("failed to authorize: the token server {} is not https: credentials withheld",
                    realm)));
  }
  http::ClientRequest request = token_request(session, challenge);
  std::string method = request.method;
  auto response = co_await client->request(std::move(request));
  if (!response) {
    co_return fail(std::move(response.error().with_context("failed to authorize")));
  }
  if (response->status != 200) {
    std::string why = registry_message(response->whole_body());
    co_return fail(Error::of(
        Reason::kUnauthorized,
        fmt::format("failed to authorize: failed to fetch {} token: unexpected status from {} "
                    "request to {}: {} {}{}{}",
                    secret ? "oauth" : "anonymous", method, realm, response->status,
                    http::status_phrase(response->status), why.empty() ? "" : ": ", why)));
  }
  Json document = Json::parse(response->whole_body(), nullptr, false);
  std::string token = string_or(document, "token");
  if (token.empty()) token = string_or(document, "access_token");
  if (token.empty()) {
    co_return fail(Error::of(Reason::kUnauthorized,
                             "failed to authorize: the token server's answer has no token"));
  }
  co_return token;
}

}  // namespace

std::string registry_message(std::string_view body) {
  Json document = Json::parse(body, nullptr, false);
  const Json* errors = find_member(document, "errors");
  if (!errors || !errors->is_array()) return string_or(document, "details");
  std::string text;
  for (const Json& error : *errors) {
    std::string one = string_or(error, "message");
    if (one.empty()) one = string_or(error, "code");
    if (one.empty()) continue;
    if (!text.empty()) text += ", ";
    text += one.substr(0, 512);
  }
  return text;
}

Task<Result<void>> authorize(RegistryClient::Session& session, std::string www_authenticate,
                             std::shared_ptr<http::Client> token_client) {
  const Credential& credential = session.credential;
  for (Challenge& challenge : parse_challenges(www_authenticate)) {
    if (challenge.scheme == "bearer") {
      if (!credential.registry_token.empty()) {
        session.authorization = "Bearer " + credential.registry_token;
        co_return Result<void>();
      }
      auto token = co_await fetch_token(session, challenge, token_client);
      if (!token) co_return fail(std::move(token).error());
      session.authorization = "Bearer " + *token;
      co_return Result<void>();
    }
    if (challenge.scheme == "basic" && !credential.username.empty()) {
      session.authorization = basic(credential);
      co_return Result<void>();
    }
  }
  co_return fail(Error::of(Reason::kUnauthorized,
                           credential.anonymous()
                               ? "failed to authorize: no basic auth credentials"
                               : "failed to authorize: the registry offers no way to sign in that "
                                 "is supported (bearer, basic)"));
}

bool is_loopback_registry(std::string_view host) {
  if (host.starts_with("[::1]")) return true;
  std::string_view name = host.substr(0, host.find(':'));
  return name == "localhost" || name.ends_with(".localhost") || name.starts_with("127.");
}

Result<RegistryCertificates> load_certificates(const std::vector<std::string>& directories,
                                               const std::string& host) {
  RegistryCertificates result;
  if (host.empty()) return result;
  for (const std::string& directory : directories) {
    std::string folder = directory + "/" + host;
    if (!os::is_directory(folder)) continue;
    MOTH_ASSIGN(auto entries, os::list_dir(folder, 1000));
    for (const auto& entry : entries) {
      std::string path = folder + "/" + entry.name;
      if (entry.name.ends_with(".crt")) {
        MOTH_ASSIGN(std::string pem, os::read_file(path));
        result.ca_pem += pem + "\n";
      } else if (entry.name.ends_with(".cert") && result.certificate_pem.empty()) {
        MOTH_ASSIGN(result.certificate_pem, os::read_file(path));
        MOTH_ASSIGN(result.key_pem, os::read_file(path.substr(0, path.size() - 5) + ".key"));
      }
    }
    result.found = !result.ca_pem.empty() || !result.certificate_pem.empty();
    if (result.found) return result;
  }
  return result;
}

}  // namespace moth::images
