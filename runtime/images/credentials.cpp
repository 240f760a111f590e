#include "runtime/images/credentials.h"

#include <fmt/format.h>
#include <fnmatch.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <iterator>

#include "api/base/json.h"
#include "runtime/images/digest.h"

namespace moth::images {
namespace {

std::string base64_decode(std::string_view text) {
  std::string out;
  unsigned bits = 0;
  int count = 0;
  for (char c : text) {
    int value = -1;
    if (c >= 'A' && c <= 'Z') value = c - 'A';
    if (c >= 'a' && c <= 'z') value = c - 'a' + 26;
    if (c >= '0' && c <= '9') value = c - '0' + 52;
    if (c == '+' || c == '-') value = 62;
    if (c == '/' || c == '_') value = 63;
    if (value < 0) continue;
    bits = (bits << 6) | static_cast<unsigned>(value);
    count += 6;
    if (count >= 8) {
      count -= 8;
      out += static_cast<char>((bits >> count) & 0xff);
    }
  }
  return out;
}

struct Location {
  std::string host, port, path;
};

Location locate(std::string_view key) {
  for (std::string_view scheme : {"https://", "http://"}) {
    if (key.starts_with(scheme)) key.remove_prefix(scheme.size());
  }
  Location location;
  auto slash = key.find('/');
  std::string_view authority = key.substr(0, slash);
  if (slash != std::string_view::npos) {
    std::string_view path = key.substr(slash + 1);
    while (path.ends_with('/')) path.remove_suffix(1);
    for (std::string_view version : {"v1", "v2"}) {
      if (path == version) path = {};
    }
    for (std::string_view version : {"v1/", "v2/"}) {
      if (path.starts_with(version)) path.remove_prefix(version.size());
    }
    location.path = path;
  }
  auto bracket = authority.find(']');
  auto colon = authority.rfind(':');
  if (colon != std::string_view::npos && (bracket == std::string_view::npos || colon > bracket)) {
    location.port = authority.substr(colon + 1);
    authority = authority.substr(0, colon);
  }
  location.host = authority;
  if (location.host == "index.docker.io" || location.host == "registry-1.docker.io") {
    location.host = kDefaultRegistry;
  }
  return location;
}

std::vector<std::string> labels(std::string_view host) {
  std::vector<std::string> parts;
  while (true) {
    auto dot = host.find('.');
    parts.emplace_back(host.substr(0, dot));
    if (dot == std::string_view::npos) return parts;
    host.remove_prefix(dot + 1);
  }
}

bool fits(std::string_view key, const Reference& reference) {
  Location want = locate(key);
  Location have = locate(reference.name());
  if (want.port != have.port) return false;
  if (!have.path.starts_with(want.path)) return false;  // no segment boundary, as the kubelet
  auto want_labels = labels(want.host);
  auto have_labels = labels(have.host);
  if (want_labels.size() != have_labels.size()) return false;
  for (std::size_t i = 0; i < want_labels.size(); ++i) {
    if (::fnmatch(want_labels[i].c_str(), have_labels[i].c_str(), 0) != 0) return false;
  }
  return true;
}

Credential read_entry(const Json& entry) {
  Credential credential;
  credential.username = string_or(entry, "username");
  credential.password = string_or(entry, "password");
  credential.identity_token = string_or(entry, "identitytoken");
  credential.registry_token = string_or(entry, "registrytoken");
  std::string joined = base64_decode(string_or(entry, "auth"));
  while (!joined.empty() && joined.back() == '\0') joined.pop_back();
  if (auto colon = joined.find(':'); colon != std::string::npos) {
    credential.username = joined.substr(0, colon);
    credential.password = joined.substr(colon + 1);
  }
  return credential;
}

Result<Keyring> read_entries(const Json& entries, std::string_view where) {
  if (!entries.is_object()) {
    return fail(Error::bad_request(fmt::format("{} must be an object of registries", where)));
  }
  Keyring keyring;
  for (const auto& [key, entry] : entries.items()) {
    Credential credential = read_entry(entry);
    if (!credential.anonymous()) keyring.entries.emplace_back(key, std::move(credential));
  }
  return keyring;
}

void append_file(Keyring& keyring, const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return;
  std::string text((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  if (auto parsed = parse_docker_config_json(text)) keyring.append(*parsed);
}

}  // namespace

std::string Credential::fingerprint() const {
  std::string joined;
  for (const std::string* part : {&username, &password, &identity_token, &registry_token}) {
    joined += fmt::format("{}:{}", part->size(), *part);
  }
  return sha256_digest(joined);
}

std::vector<Credential> Keyring::lookup(const Reference& reference) const {
  std::vector<const std::pair<std::string, Credential>*> matching;
  for (const auto& entry : entries) {
    if (fits(entry.first, reference)) matching.push_back(&entry);
  }
  std::stable_sort(matching.begin(), matching.end(),
                   [](const auto* a, const auto* b) { return a->first.size() > b->first.size(); });
  std::vector<Credential> result;
  for (const auto* entry : matching) {
    if (std::find(result.begin(), result.end(), entry->second) == result.end()) {
      result.push_back(entry->second);
    }
  }
  return result;
}

void Keyring::append(const Keyring& other) {
  entries.insert(entries.end(), other.entries.begin(), other.entries.end());
}

Result<Keyring> parse_docker_config_json(std::string_view text) {
  Json document = Json::parse(text, nullptr, false);
  if (!document.is_object()) {
    return fail(Error::bad_request("docker config.json: not a JSON object"));
  }
  const Json* auths = find_member(document, "auths");
  return auths ? read_entries(*auths, "docker config.json: auths") : Keyring{};
}

Result<Keyring> parse_docker_cfg(std::string_view text) {
  Json document = Json::parse(text, nullptr, false);
  if (document.is_discarded()) return fail(Error::bad_request(".dockercfg: not JSON"));
  return read_entries(document, ".dockercfg");
}

Keyring load_host_credentials() {
  Keyring keyring;
  if (const char* home = std::getenv("HOME")) {
    append_file(keyring, std::string(home) + "/.docker/config.json");
  }
  append_file(keyring, "/run/containers/0/auth.json");
  append_file(keyring, "/etc/moth/registries.json");
  return keyring;
}

}  // namespace moth::images
