#include "api/server/auth/impersonation.h"

#include <fmt/format.h>

#include <algorithm>

#include "api/server/auth/rbac.h"

namespace moth::server {
namespace {

constexpr std::string_view kExtraPrefix = "impersonate-extra-";
constexpr const char* kAuthentication = "authentication.k8s.io";

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return out;
}

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return -1;
}

// Keys carry what a header name cannot as %xx; a key that is no such text stays as it is.
std::string unescape(const std::string& text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      out += text[i];
      continue;
    }
    if (i + 2 >= text.size()) return text;
    int high = hex_digit(text[i + 1]), low = hex_digit(text[i + 2]);
    if (high < 0 || low < 0) return text;
    out += static_cast<char>(high * 16 + low);
    i += 2;
  }
  return out;
}

Attributes action(std::string group, std::string resource, std::string name) {
  Attributes wanted;
  wanted.verb = "impersonate";
  wanted.group = std::move(group);
  wanted.version = "v1";
  wanted.resource = std::move(resource);
  wanted.name = std::move(name);
  return wanted;
}

struct Wish {
  std::string user, uid;
  std::vector<std::string> groups;
  std::map<std::string, std::vector<std::string>> extra;
};

Wish read(const http::Request& request) {
  Wish wish;
  wish.user = request.headers.get("Impersonate-User");
  wish.uid = request.headers.get("Impersonate-Uid");
  for (std::string_view group : request.headers.all("Impersonate-Group"))
    wish.groups.emplace_back(group);
  for (const http::Header& header : request.headers) {
    std::string name = lower(header.name);
    if (!name.starts_with(kExtraPrefix)) continue;
    wish.extra[unescape(name.substr(kExtraPrefix.size()))].push_back(header.value);
  }
  return wish;
}

Result<> check(const Authorizer& authorizer, const UserInfo& user, const Wish& wish) {
  auto [ns, account] = rbac::split_service_account(wish.user);
  Attributes who = action("", account.empty() ? "users" : "serviceaccounts",
                          account.empty() ? wish.user : account);
  who.ns = ns;
  MOTH_TRY(authorizer.check(user, who));
  for (const std::string& group : wish.groups)
    MOTH_TRY(authorizer.check(user, action("", "groups", group)));
  for (const auto& [key, values] : wish.extra) {
    for (const std::string& value : values) {
      Attributes extra = action(kAuthentication, "userextras", value);
      extra.subresource = key;
      MOTH_TRY(authorizer.check(user, extra));
    }
  }
  if (!wish.uid.empty())
    MOTH_TRY(authorizer.check(user, action(kAuthentication, "uids", wish.uid)));
  return {};
}

}  // namespace

Result<UserInfo> impersonate(const Authorizer& authorizer, UserInfo user,
                             const http::Request& request) {
  Wish wish = read(request);
  if (wish.user.empty()) {
    if (wish.uid.empty() && wish.groups.empty() && wish.extra.empty()) return user;
    return fail(Error::internal(
        "the request names groups, a uid or extras to impersonate without impersonating a user"));
  }
  MOTH_TRY(check(authorizer, user, wish));
  UserInfo other{wish.user, wish.uid, wish.groups};
  other.extra = std::move(wish.extra);
  auto [ns, account] = rbac::split_service_account(other.name);
  if (!account.empty() && other.groups.empty())
    other.groups = {"system:serviceaccounts", "system:serviceaccounts:" + ns};
  const char* everybody =
      other.name == "system:anonymous" ? "system:unauthenticated" : "system:authenticated";
  if (!other.in_group("system:authenticated") && !other.in_group("system:unauthenticated"))
    other.groups.emplace_back(everybody);
  return other;
}

}  // namespace moth::server
