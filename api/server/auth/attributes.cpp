#include "api/server/auth/attributes.h"

#include <fmt/format.h>

#include "api/machinery/selectors.h"

namespace moth::server {
namespace {

// The name in `metadata.name=NAME`, the one field selector that authorization looks at.
std::string selected_name(std::string_view selector) {
  while (!selector.empty()) {
    auto comma = selector.find(',');
    std::string_view term = selector.substr(0, comma);
    selector = comma == std::string_view::npos ? std::string_view{} : selector.substr(comma + 1);
    constexpr std::string_view kField = "metadata.name=";
    if (!term.starts_with(kField)) continue;
    term.remove_prefix(kField.size());
    if (term.starts_with('=')) term.remove_prefix(1);
    return std::string(term);
  }
  return "";
}

std::string lower(std::string text) {
  for (char& c : text) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return text;
}

}  // namespace

Attributes attributes_of(const RequestInfo& info, std::string_view field_selector) {
  Attributes attributes;
  attributes.is_resource = info.is_resource;
  attributes.path = info.path;
  if (!info.is_resource) {
    attributes.verb = lower(info.verb);
    return attributes;
  }
  attributes.verb = info.verb;
  attributes.group = info.gvr.group;
  attributes.version = info.gvr.version;
  attributes.resource = info.gvr.resource;
  attributes.subresource = info.subresource;
  attributes.ns = info.ns;
  attributes.name = info.name;
  // A namespace is in itself, so that its admin may read it.
  if (info.gvr.group.empty() && info.gvr.resource == "namespaces") attributes.ns = info.name;
  bool of_many = info.verb == "list" || info.verb == "watch" || info.verb == "deletecollection";
  if (of_many && attributes.name.empty() && !field_selector.empty())
    attributes.name = selected_name(field_selector);
  return attributes;
}

Error forbidden(const UserInfo& user, const Attributes& wanted, std::string_view reason) {
  std::string tail = reason.empty() ? std::string() : fmt::format(": {}", reason);
  if (!wanted.is_resource) {
    return Error::of(Reason::kForbidden,
                     fmt::format("forbidden: User \"{}\" cannot {} path \"{}\"{}", user.name,
                                 wanted.verb, wanted.path, tail));
  }
  std::string resource = wanted.resource;
  if (!wanted.subresource.empty()) resource += "/" + wanted.subresource;
  std::string where = wanted.ns.empty() ? "at the cluster scope"
                                        : fmt::format("in the namespace \"{}\"", wanted.ns);
  std::string qualified =
      wanted.group.empty() ? wanted.resource : wanted.resource + "." + wanted.group;
  return Error::forbidden(
      qualified, wanted.name,
      fmt::format("User \"{}\" cannot {} resource \"{}\" in API group \"{}\" {}{}", user.name,
                  wanted.verb, resource, wanted.group, where, tail));
}

}  // namespace moth::server
