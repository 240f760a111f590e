#include "api/server/auth/authenticator.h"

#include <fmt/format.h>
#include <openssl/crypto.h>

#include <optional>
#include <vector>

#include "api/server/auth/jwt.h"

namespace moth::server {
namespace {

// Without an early exit, so that the time says nothing about the token.
bool same_token(std::string_view a, std::string_view b) {
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

// One CSV record: fields with commas stand in double quotes.
std::vector<std::string> split_record(std::string_view line) {
  std::vector<std::string> fields(1);
  bool quoted = false;
  for (std::size_t i = 0; i < line.size(); ++i) {
    char c = line[i];
    if (c == '"' && quoted && i + 1 < line.size() && line[i + 1] == '"') {
      fields.back() += '"';
      ++i;
    } else if (c == '"') {
      quoted = !quoted;
    } else if (c == ',' && !quoted) {
      fields.emplace_back();
    } else if (c != '\r') {
      fields.back() += c;
    }
  }
  return fields;
}

std::vector<std::string> split_groups(std::string_view text) {
  std::vector<std::string> groups;
  while (!text.empty()) {
    auto comma = text.find(',');
    if (comma != 0) groups.emplace_back(text.substr(0, comma));
    text = comma == std::string_view::npos ? std::string_view{} : text.substr(comma + 1);
  }
  return groups;
}

}  // namespace

std::string_view bearer_token(const http::Request& request) {
  std::string_view authorization = request.headers.get("Authorization");
  constexpr std::string_view kBearer = "bearer ";
  if (authorization.size() <= kBearer.size() ||
      !http::iequals(authorization.substr(0, kBearer.size()), kBearer)) {
    return {};
  }
  std::string_view token = authorization.substr(kBearer.size());
  while (!token.empty() && token.front() == ' ') token.remove_prefix(1);
  return token;
}

Result<> take_websocket_token(http::Request& request) {
  constexpr std::string_view kProtocols = "Sec-WebSocket-Protocol";
  constexpr std::string_view kPrefix = "base64url.bearer.authorization.k8s.io.";
  if (!http::iequals(request.headers.get("Upgrade"), "websocket")) return {};
  std::vector<std::string> others;
  std::optional<std::string> token;
  for (std::string_view line : request.headers.all(kProtocols)) {
    while (!line.empty()) {
      auto comma = line.find(',');
      std::string_view one = line.substr(0, comma);
      line = comma == std::string_view::npos ? std::string_view{} : line.substr(comma + 1);
      while (!one.empty() && (one.front() == ' ' || one.front() == '\t')) one.remove_prefix(1);
      while (!one.empty() && (one.back() == ' ' || one.back() == '\t')) one.remove_suffix(1);
      if (!one.starts_with(kPrefix)) {
        if (!one.empty()) others.emplace_back(one);
        continue;
      }
      auto decoded = jwt::decode_base64url(one.substr(kPrefix.size()));
      if (token || !decoded || decoded->empty()) return fail(Error::unauthorized());
      token = *std::move(decoded);
    }
  }
  if (!token) return {};
  // The handshake answers with one of those that were offered, and never with the token.
  if (others.empty()) return fail(Error::unauthorized());
  request.headers.set(kProtocols, fmt::format("{}", fmt::join(others, ", ")));
  if (!request.headers.has("Authorization"))
    request.headers.set("Authorization", "Bearer " + *token);
  return {};
}

Authenticator::Authenticator(std::map<std::string, UserInfo> tokens) : tokens_(std::move(tokens)) {}

Result<UserInfo> Authenticator::authenticate(const http::Request& request) const {
  UserInfo user;
  if (request.peer) {
    user.name = request.peer->common_name;
    user.groups = request.peer->organizations;
    user.groups.emplace_back("system:authenticated");
    user.extra["authentication.kubernetes.io/credential-id"] = {"X509SHA256=" +
                                                                request.peer->fingerprint};
    return user;
  }
  if (!request.peer_error.empty()) return fail(Error::unauthorized());
  std::string_view authorization = request.headers.get("Authorization");
  if (authorization.empty()) {
    return UserInfo{"system:anonymous", "", {"system:unauthenticated"}};
  }
  std::string_view token = bearer_token(request);
  if (token.empty()) return fail(Error::unauthorized());
  const UserInfo* found = find(token);
  if (!found) return fail(Error::unauthorized());
  user = *found;
  user.groups.emplace_back("system:authenticated");
  return user;
}

const UserInfo* Authenticator::find(std::string_view token) const {
  const UserInfo* found = nullptr;
  for (const auto& [candidate, info] : tokens_) {
    if (same_token(candidate, token)) found = &info;
  }
  return found;
}

Result<std::map<std::string, UserInfo>> parse_token_file(std::string_view text) {
  std::map<std::string, UserInfo> tokens;
  int number = 0;
  while (!text.empty()) {
    auto end = text.find('\n');
    std::string_view line = text.substr(0, end);
    text = end == std::string_view::npos ? std::string_view{} : text.substr(end + 1);
    ++number;
    if (line.empty() || line == "\r") continue;
    std::vector<std::string> fields = split_record(line);
    if (fields.size() < 3 || fields[0].empty()) {
      return fail(Error::bad_request(
          fmt::format("token file, line {}: expected token,user,uid[,\"group,...\"]", number)));
    }
    UserInfo user{fields[1], fields[2], {}};
    if (fields.size() > 3) user.groups = split_groups(fields[3]);
    if (!tokens.emplace(fields[0], std::move(user)).second) {
      return fail(
          Error::bad_request(fmt::format("token file, line {}: the token occurs twice", number)));
    }
  }
  return tokens;
}

}  // namespace moth::server
