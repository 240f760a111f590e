#pragma once
// What an authorizer is asked: one action, free of who wants it. Value type.
#include <string>
#include <string_view>

#include "api/base/error.h"
#include "api/server/request_context.h"

namespace moth::server {

struct Attributes {
  bool is_resource = true;
  std::string verb;  // of a path: the method in lower case
  std::string group, version, resource, subresource, ns, name;
  std::string path;  // when it is no resource
};

// Of a request. `field_selector` of a list or watch that picks one name counts as that name, as
// upstream has it, so that a role with resourceNames lets a single object be watched.
Attributes attributes_of(const RequestInfo& info, std::string_view field_selector = "");

// The 403 for it: `pods "x" is forbidden: User "u" cannot get resource "pods" in API group "" in
// the namespace "ns"`, with `: reason` behind it unless empty.
Error forbidden(const UserInfo& user, const Attributes& attributes, std::string_view reason = "");

}  // namespace moth::server
