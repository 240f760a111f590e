#pragma once
// Who asks for what. Value types.
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "api/base/error.h"
#include "api/machinery/gvk.h"

namespace moth::server {

struct UserInfo {
  std::string name;
  std::string uid;
  std::vector<std::string> groups;
  // What else the authentication knows, e.g. authentication.kubernetes.io/pod-name.
  std::map<std::string, std::vector<std::string>> extra{};
  bool in_group(std::string_view group) const {
    for (const auto& candidate : groups) {
      if (candidate == group) return true;
    }
    return false;
  }
};

// One call as authorization and admission see it.
struct RequestContext {
  UserInfo user;
  std::string user_agent;
  std::string field_manager;
  std::string field_validation;  // "", Strict, Warn, Ignore
  bool dry_run = false;
  bool force = false;
  // For managedFields: the object comes with those of its apply already; the subresource that a
  // write to the parent is made for (scale).
  bool applied = false;
  std::string on_behalf_of;
  // Why the user may not create what an apply does not find; none: may.
  std::optional<Error> create_denied;
  // Texts for Warning headers, in order.
  std::vector<std::string> warnings;
};

// What a path and method mean (upstream's request info).
struct RequestInfo {
  bool is_resource = false;
  std::string verb;  // get list watch create update patch delete deletecollection; or the method
  Gvr gvr;
  std::string ns, name, subresource;
  std::vector<std::string> rest;  // segments behind the subresource (proxy paths)
  std::string path;
};

}  // namespace moth::server
