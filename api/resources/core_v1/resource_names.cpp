#include "api/resources/core_v1/resource_names.h"

#include <algorithm>
#include <array>

#include "api/base/json.h"
#include "api/machinery/names.h"
#include "api/resources/core_v1/resource_list.h"

namespace moth::resources {
namespace {

using namespace std::string_view_literals;

constexpr std::array kContainerResources = {"cpu"sv, "ephemeral-storage"sv, "memory"sv};
constexpr std::array kQuotaAmounts = {"cpu"sv,
                                      "memory"sv,
                                      "ephemeral-storage"sv,
                                      "requests.cpu"sv,
                                      "requests.memory"sv,
                                      "requests.storage"sv,
                                      "requests.ephemeral-storage"sv,
                                      "limits.cpu"sv,
                                      "limits.memory"sv,
                                      "limits.ephemeral-storage"sv};
constexpr std::array kQuotaCounts = {"pods"sv,
                                     "resourcequotas"sv,
                                     "services"sv,
                                     "replicationcontrollers"sv,
                                     "secrets"sv,
                                     "configmaps"sv,
                                     "persistentvolumeclaims"sv,
                                     "services.nodeports"sv,
                                     "services.loadbalancers"sv};

template <class List>
bool among(const List& list, std::string_view name) {
  return std::find(list.begin(), list.end(), name) != list.end();
}

bool is_native(std::string_view name) {
  auto slash = name.find('/');
  if (slash == std::string_view::npos) return true;
  std::string_view domain = name.substr(0, slash);
  return domain == "kubernetes.io" || domain.ends_with(".kubernetes.io");
}

}  // namespace

void check_resource_name(FieldErrors& errors, const std::string& name, const FieldPath& path) {
  Messages wrong = check_qualified_name(name);
  add_invalid(errors, path, name, wrong);
  if (!wrong.empty() || name.find('/') != std::string::npos) return;
  if (name == "storage" || is_standard_quota_resource(name)) return;
  errors.push_back(
      FieldError::invalid(path, name, "must be a standard resource type or fully qualified"));
}

void check_container_resource_name(FieldErrors& errors, const std::string& name,
                                   const FieldPath& path) {
  check_resource_name(errors, name, path);
  if (name.find('/') == std::string::npos) {
    if (is_hugepages(name) || among(kContainerResources, name)) return;
    errors.push_back(FieldError::invalid(path, name, "must be a standard resource for containers"));
  } else if (!is_native(name) && name.starts_with("requests.")) {
    errors.push_back(
        FieldError::invalid(path, name, "doesn't follow extended resource name standard"));
  }
}

void check_quota_resource_name(FieldErrors& errors, const std::string& name,
                               const FieldPath& path) {
  check_resource_name(errors, name, path);
  if (name.find('/') != std::string::npos || is_standard_quota_resource(name)) return;
  errors.push_back(FieldError::invalid(path, name, "must be a standard resource for quota"));
}

bool is_standard_quota_resource(std::string_view name) {
  return among(kQuotaAmounts, name) || among(kQuotaCounts, name) || is_hugepages(name) ||
         name.starts_with("requests.hugepages-");
}

bool is_integer_resource(std::string_view name) {
  return among(kQuotaCounts, name) || is_extended_resource(name);
}

bool may_overcommit(std::string_view name) {
  return !is_hugepages(name) && !is_extended_resource(name);
}

}  // namespace moth::resources
