#include <fmt/format.h>

#include "api/base/json.h"
#include "api/resources/apiregistration_v1/rows.h"
#include "api/resources/cells.h"
#include "api/resources/check.h"
#include "api/resources/edit.h"
#include "api/resources/row_base.h"

namespace moth::resources {
namespace {

constexpr std::int64_t kMaxGroupPriority = 20000;
constexpr std::int64_t kMaxVersionPriority = 1000;
constexpr std::int64_t kHttpsPort = 443;

void set_defaults(Json& object) {
  if (Json* spec = member(object, "spec")) {
    if (Json* service = member(*spec, "service")) default_to(*service, "port", kHttpsPort);
  }
}

void check_own_name(FieldErrors& errors, const Json& object, const Json& spec) {
  std::string wanted = string_or(spec, "version") + "." + string_or(spec, "group");
  std::string name = name_cell(object);
  if (name == wanted || !check_path_segment_name(name).empty()) return;
  errors.push_back(
      FieldError::invalid(FieldPath("metadata").child("name"), name,
                          fmt::format("must be `spec.version+\".\"+spec.group`: \"{}\"", wanted)));
}

void check_priority(FieldErrors& errors, const Json& spec, const char* key, std::int64_t max) {
  std::int64_t value = int_or(spec, key);
  if (value > 0 && value <= max) return;
  errors.push_back(FieldError::invalid(FieldPath("spec").child(key), value,
                                       fmt::format("must be positive and less than {}", max)));
}

void check_backend(FieldErrors& errors, const Json& spec) {
  FieldPath path("spec");
  const Json* service = member(spec, "service");
  std::size_t bundle = string_or(spec, "caBundle").size() / 4 * 3;
  bool insecure = bool_or(spec, "insecureSkipTLSVerify");
  if (!service) {
    if (bundle > 0) {
      errors.push_back(FieldError::invalid(path.child("caBundle"), fmt::format("{} bytes", bundle),
                                           "local APIServices may not have a caBundle"));
    }
    if (insecure) {
      errors.push_back(FieldError::invalid(path.child("insecureSkipTLSVerify"), true,
                                           "local APIServices may not have insecureSkipTLSVerify"));
    }
    return;
  }
  FieldPath at = path.child("service");
  check_required(errors, *service, "namespace", at);
  check_required(errors, *service, "name", at);
  if (const Json* port = member(*service, "port"); port && port->is_number_integer()) {
    add_invalid(errors, at.child("port"), *port, check_port_number(port->get<std::int64_t>()));
  }
  if (insecure && bundle > 0) {
    errors.push_back(FieldError::invalid(path.child("insecureSkipTLSVerify"), true,
                                         "may not be true if caBundle is present"));
  }
}

FieldErrors validate(const Json& object) {
  FieldErrors errors;
  const Json& spec = object_of(object, "spec");
  FieldPath path("spec");
  check_own_name(errors, object, spec);
  std::string group = string_or(spec, "group");
  std::string version = string_or(spec, "version");
  if (group.empty() && version != "v1") {
    errors.push_back(FieldError::required(
        path.child("group"), "only v1 may have an empty group and it better be legacy kube"));
  }
  check_name(errors, spec, "group", path, check_dns1123_subdomain);
  add_invalid(errors, path.child("version"), version, check_dns1035_label(version));
  check_priority(errors, spec, "groupPriorityMinimum", kMaxGroupPriority);
  check_priority(errors, spec, "versionPriority", kMaxVersionPriority);
  check_backend(errors, spec);
  return errors;
}

std::string available_cell(const Json& object) {
  for (const Json& condition : items(object_of(object, "status"), "conditions")) {
    if (string_or(condition, "type") != "Available") continue;
    std::string status = string_or(condition, "status");
    std::string reason = string_or(condition, "reason");
    return status == "True" || reason.empty() ? status : fmt::format("{} ({})", status, reason);
  }
  return "Unknown";
}

Json cells(const Json& object, const RowContext& context) {
  const Json* service = member(object_of(object, "spec"), "service");
  std::string where =
      service ? string_or(*service, "namespace") + "/" + string_or(*service, "name") : "Local";
  return Json::array({name_cell(object), where, available_cell(object), age_cell(object, context)});
}

}  // namespace

ResourceDef api_services() {
  ResourceDef row = row_of("apiregistration.k8s.io", "v1", "apiservices", "apiservice",
                           "APIService", "apiregistration.v1.APIService");
  row.namespaced = false;
  row.categories = {"api-extensions"};
  row.subresources = {own_subresource(row, "status")};
  row.allow_unconditional_update = false;
  row.validate_name = check_path_segment_name;
  row.set_defaults = set_defaults;
  row.prepare_create = [](Json& object) { object["status"] = Json::object(); };
  row.validate = validate;
  row.columns =
      columns({column("Name", "Version and group that it is about"),
               column("Service", "Who serves it: a Service, or Local"),
               column("Available", "Whether it answers"), column("Age", "Time since creation")});
  row.row = cells;
  return row;
}

}  // namespace moth::resources
