#include <fmt/format.h>

#include "api/base/json.h"
#include "api/resources/cells.h"
#include "api/resources/check.h"
#include "api/resources/core_v1/pod_defaults.h"
#include "api/resources/core_v1/resource_list.h"
#include "api/resources/core_v1/rows.h"
#include "api/resources/edit.h"
#include "api/resources/row_base.h"

namespace moth::resources {
namespace {

constexpr const char* kMaps[] = {"max", "min", "default", "defaultRequest", "maxLimitRequestRatio"};

// A container's default limit is its maximum; its default request the limit, else the minimum.
void set_container_defaults(Json& item) {
  const Json max = object_of(item, "max"), min = object_of(item, "min");
  Json& limit = object_at(item, "default");
  Json& request = object_at(item, "defaultRequest");
  for (const auto& [name, value] : max.items()) default_to(limit, name, value);
  const Json limits = limit;
  for (const auto& [name, value] : limits.items()) default_to(request, name, value);
  for (const auto& [name, value] : min.items()) default_to(request, name, value);
  if (limit.empty()) item.erase("default");
  if (request.empty()) item.erase("defaultRequest");
}

void set_defaults(Json& object) {
  edit_items(object_at(object, "spec"), "limits", [](Json& item) {
    for (const char* key : kMaps) round_resource_list(member(item, key));
    if (string_or(item, "type") == "Container") set_container_defaults(item);
  });
}

// `lower` must not be above `upper` for any resource that both name.
void check_order(FieldErrors& errors, const Json& item, const FieldPath& path,
                 std::string_view lower, std::string_view upper, std::string_view text) {
  ResourceList high = parse_resource_list(find_member(item, upper));
  for (const auto& [name, value] : parse_resource_list(find_member(item, lower))) {
    auto limit = high.find(name);
    if (limit == high.end() || value <= limit->second) continue;
    errors.push_back(FieldError::invalid(
        path.child(lower).key(name), value.to_string(),
        fmt::format(fmt::runtime(text), value.to_string(), limit->second.to_string())));
  }
}

FieldErrors validate(const Json& object) {
  FieldErrors errors;
  UniqueNames types;
  std::size_t i = 0;
  for (const Json& item : items(object_of(object, "spec"), "limits")) {
    FieldPath at = FieldPath("spec").child("limits").index(i++);
    std::string type = string_or(item, "type");
    check_required(errors, item, "type", at);
    types.add(errors, type, at.child("type"));
    if (type == "Pod") {
      for (const char* key : {"default", "defaultRequest"}) {
        if (object_of(item, key).empty()) continue;
        errors.push_back(
            FieldError::forbidden(at.child(key), "may not be specified when `type` is 'Pod'"));
      }
    }
    check_order(errors, item, at, "min", "max", "min value {} is greater than max value {}");
    check_order(errors, item, at, "defaultRequest", "max",
                "default request value {} is greater than max value {}");
    check_order(errors, item, at, "defaultRequest", "default",
                "default request value {} is greater than default limit value {}");
    check_order(errors, item, at, "default", "max",
                "default value {} is greater than max value {}");
    check_order(errors, item, at, "min", "defaultRequest",
                "min value {} is greater than default request value {}");
  }
  return errors;
}

}  // namespace

ResourceDef limit_ranges() {
  ResourceDef row =
      row_of("", "v1", "limitranges", "limitrange", "LimitRange", "core.v1.LimitRange");
  row.short_names = {"limits"};
  row.allow_create_on_update = true;
  row.set_defaults = set_defaults;
  row.validate = validate;
  row.columns = columns({column("Name", "Name of the limit range, unique in its namespace"),
                         column("Created At", "When it was created", "date")});
  row.row = [](const Json& object, const RowContext&) {
    return Json::array(
        {name_cell(object), string_or(object_of(object, "metadata"), "creationTimestamp")});
  };
  return row;
}

}  // namespace moth::resources
