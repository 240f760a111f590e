#include "runtime/images/reference.h"

#include <fmt/format.h>

#include <algorithm>

namespace moth::images {
namespace {

constexpr std::size_t kMaxNameLength = 255;

bool is_lower_alnum(char c) {
  return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}
bool is_alnum(char c) {
  return is_lower_alnum(c) || (c >= 'A' && c <= 'Z');
}
bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

tl::unexpected<Error> invalid(std::string_view text, std::string_view why) {
  return fail(
      Error::of(Reason::kInvalid, fmt::format("couldn't parse image name \"{}\": {}", text, why)));
}

// Lower-case runs joined by '.', '_', '__' or any number of '-'.
bool valid_component(std::string_view text) {
  std::size_t i = 0;
  auto run = [&] {
    std::size_t start = i;
    while (i < text.size() && is_lower_alnum(text[i])) ++i;
    return i > start;
  };
  if (!run()) return false;
  while (i < text.size()) {
    if (text[i] == '.') {
      ++i;
    } else if (text[i] == '_') {
      ++i;
      if (i < text.size() && text[i] == '_') ++i;
    } else if (text[i] == '-') {
      while (i < text.size() && text[i] == '-') ++i;
    } else {
      return false;
    }
    if (!run()) return false;
  }
  return true;
}

bool valid_path(std::string_view path) {
  while (true) {
    auto slash = path.find('/');
    if (!valid_component(path.substr(0, slash))) return false;
    if (slash == std::string_view::npos) return true;
    path.remove_prefix(slash + 1);
  }
}

bool valid_port(std::string_view port) {
  return !port.empty() && port.size() <= 5 && std::all_of(port.begin(), port.end(), is_digit);
}

bool valid_host_label(std::string_view label) {
  return !label.empty() && is_alnum(label.front()) && is_alnum(label.back()) &&
         std::all_of(label.begin(), label.end(), [](char c) { return is_alnum(c) || c == '-'; });
}

bool valid_registry(std::string_view text) {
  if (!text.empty() && text.front() == '[') {
    auto end = text.find(']');
    if (end == std::string_view::npos || end == 1) return false;
    std::string_view address = text.substr(1, end - 1);
    bool hex = std::all_of(address.begin(), address.end(), [](char c) {
      return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F') || c == ':';
    });
    std::string_view rest = text.substr(end + 1);
    return hex && (rest.empty() || (rest.front() == ':' && valid_port(rest.substr(1))));
  }
  auto colon = text.find(':');
  if (colon != std::string_view::npos && !valid_port(text.substr(colon + 1))) return false;
  std::string_view host = text.substr(0, colon);
  while (true) {
    auto dot = host.find('.');
    if (!valid_host_label(host.substr(0, dot))) return false;
    if (dot == std::string_view::npos) return true;
    host.remove_prefix(dot + 1);
  }
}

bool valid_tag(std::string_view tag) {
  return !tag.empty() && tag.size() <= 128 && (is_alnum(tag.front()) || tag.front() == '_') &&
         std::all_of(tag.begin(), tag.end(),
                     [](char c) { return is_alnum(c) || c == '_' || c == '.' || c == '-'; });
}

// Is the part before the first slash a registry rather than the first part of a repository?
bool names_registry(std::string_view head) {
  return head == "localhost" || head.find_first_of(".:[") != std::string_view::npos ||
         std::any_of(head.begin(), head.end(), [](char c) { return c >= 'A' && c <= 'Z'; });
}

}  // namespace

bool valid_digest(std::string_view text) {
  constexpr std::string_view kPrefix = "sha256:";
  if (text.substr(0, kPrefix.size()) != kPrefix || text.size() != kPrefix.size() + 64) return false;
  text.remove_prefix(kPrefix.size());
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return is_digit(c) || (c >= 'a' && c <= 'f'); });
}

std::string_view digest_hex(std::string_view digest) {
  auto colon = digest.find(':');
  return colon == std::string_view::npos ? digest : digest.substr(colon + 1);
}

Result<Reference> parse_reference(std::string_view text) {
  Reference reference;
  std::string_view rest = text;
  if (rest.empty()) return invalid(text, "invalid reference format");
  if (rest.size() == 64 && std::all_of(rest.begin(), rest.end(), [](char c) {
        return is_digit(c) || (c >= 'a' && c <= 'f');
      })) {
    return invalid(text, fmt::format("invalid repository name ({}), cannot specify 64-byte "
                                     "hexadecimal strings",
                                     text));
  }
  if (auto at = rest.find('@'); at != std::string_view::npos) {
    reference.digest = rest.substr(at + 1);
    rest = rest.substr(0, at);
    if (!valid_digest(reference.digest)) {
      return invalid(text, reference.digest.starts_with("sha256:")
                               ? "invalid reference format: invalid checksum digest length"
                               : "invalid reference format");
    }
  }
  auto slash = rest.find('/');
  std::string_view path = rest;
  if (slash != std::string_view::npos && names_registry(rest.substr(0, slash))) {
    reference.registry = rest.substr(0, slash);
    reference.registry_given = true;
    path = rest.substr(slash + 1);
    if (!valid_registry(reference.registry)) return invalid(text, "invalid reference format");
  }
  if (auto colon = path.rfind(':');
      colon != std::string_view::npos && path.find('/', colon) == std::string_view::npos) {
    reference.tag = path.substr(colon + 1);
    path = path.substr(0, colon);
    if (!valid_tag(reference.tag)) return invalid(text, "invalid reference format");
  }
  if (!valid_path(path)) {
    std::string lower(path);
    std::transform(lower.begin(), lower.end(), lower.begin(),
                   [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
    if (lower != path && valid_path(lower)) {
      return invalid(
          text,
          fmt::format("invalid reference format: repository name ({}{}) must be "
                      "lowercase",
                      reference.registry_given || path.find('/') != path.npos ? "" : "library/",
                      path));
    }
    return invalid(text, "invalid reference format");
  }
  if (!reference.registry_given) reference.registry = kDefaultRegistry;
  if (reference.registry == "index.docker.io" || reference.registry == "registry-1.docker.io") {
    reference.registry = kDefaultRegistry;
  }
  reference.repository = path;
  if (reference.registry == kDefaultRegistry && path.find('/') == std::string_view::npos) {
    reference.repository = fmt::format("library/{}", path);
  }
  if (reference.name().size() > kMaxNameLength) {
    return invalid(text,
                   "invalid reference format: repository name must not be more than 255 "
                   "characters");
  }
  if (reference.tag.empty() && reference.digest.empty()) reference.tag = "latest";
  return reference;
}

std::string Reference::name() const {
  return registry + "/" + repository;
}

std::string Reference::canonical() const {
  return digest.empty() ? fmt::format("{}:{}", name(), tag) : fmt::format("{}@{}", name(), digest);
}

std::string Reference::familiar() const {
  std::string text = canonical();
  std::string_view view = text;
  if (view.starts_with("docker.io/library/")) return text.substr(18);
  if (view.starts_with("docker.io/")) return text.substr(10);
  return text;
}

std::vector<std::string> local_candidates(const Reference& reference) {
  std::vector<std::string> names{reference.canonical()};
  if (!reference.registry_given) {
    Reference local = reference;
    local.registry = "localhost";
    if (local.repository.starts_with("library/")) local.repository.erase(0, 8);
    names.push_back(local.canonical());
  }
  return names;
}

}  // namespace moth::images
