#include <fmt/format.h>

#include <optional>
#include <set>

#include "api/base/json.h"
#include "api/resources/cells.h"
#include "api/resources/check.h"
#include "api/resources/core_v1/pod_defaults.h"
#include "api/resources/core_v1/resource_list.h"
#include "api/resources/core_v1/resource_names.h"
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

// The amounts of one resource in the maps of an item; those that are not given are unset.
struct Amounts {
  std::optional<Quantity> max, min, default_limit, default_request, max_ratio;
};

std::optional<Quantity> amount_in(const Json& item, const char* map, const std::string& name) {
  const Json* value = member(object_of(item, map), name);
  if (!value) return std::nullopt;
  auto quantity = Quantity::from_json(*value);
  return quantity ? std::optional(*quantity) : std::nullopt;
}

// Appends `text` with both amounts when `low` is above `high`.
void check_order(FieldErrors& errors, const FieldPath& path, const std::optional<Quantity>& low,
                 const std::optional<Quantity>& high, const Quantity* shown,
                 std::string_view text) {
  if (!low || !high || *low <= *high) return;
  errors.push_back(
      FieldError::invalid(path, (shown ? *shown : *low).to_string(),
                          fmt::format(fmt::runtime(text), low->to_string(), high->to_string())));
}

void check_ratio(FieldErrors& errors, const Amounts& amounts, const FieldPath& path) {
  if (!amounts.max_ratio) return;
  const Quantity& ratio = *amounts.max_ratio;
  if (ratio < Quantity::from_value(1)) {
    errors.push_back(FieldError::invalid(
        path, ratio.to_string(), fmt::format("ratio {} is less than 1", ratio.to_string())));
  }
  if (!amounts.min || !amounts.max) return;
  double limit = amounts.max->as_double() / amounts.min->as_double();
  if (ratio.as_double() > limit) {
    errors.push_back(FieldError::invalid(
        path, ratio.to_string(),
        fmt::format("ratio {} is greater than max/min = {:f}", ratio.to_string(), limit)));
  }
}

void check_amounts(FieldErrors& errors, const Json& item, const std::string& name,
                   const FieldPath& path) {
  Amounts amounts{amount_in(item, "max", name), amount_in(item, "min", name),
                  amount_in(item, "default", name), amount_in(item, "defaultRequest", name),
                  amount_in(item, "maxLimitRequestRatio", name)};
  if (string_or(item, "type") == "Pod") amounts.default_limit = amounts.default_request = {};
  const auto& request = amounts.default_request;
  const auto& limit = amounts.default_limit;
  FieldPath limit_path = path.child("default").key(name);
  FieldPath request_path = path.child("defaultRequest").key(name);
  check_order(errors, path.child("min").key(name), amounts.min, amounts.max, nullptr,
              "min value {} is greater than max value {}");
  check_order(errors, request_path, amounts.min, request, request ? &*request : nullptr,
              "min value {} is greater than default request value {}");
  check_order(errors, request_path, request, amounts.max, nullptr,
              "default request value {} is greater than max value {}");
  check_order(errors, request_path, request, limit, nullptr,
              "default request value {} is greater than default limit value {}");
  check_order(errors, limit_path, amounts.min, limit, nullptr,
              "min value {} is greater than default value {}");
  check_order(errors, limit_path, limit, amounts.max, amounts.max ? &*amounts.max : nullptr,
              "default value {} is greater than max value {}");
  check_ratio(errors, amounts, path.child("maxLimitRequestRatio").key(name));
  if (!may_overcommit(name) && limit && request && *limit != *request) {
    errors.push_back(FieldError::invalid(
        request_path, request->to_string(),
        fmt::format("default value {} must equal to defaultRequest value {} in {}",
                    limit->to_string(), request->to_string(), name)));
  }
}

void check_type(FieldErrors& errors, const std::string& type, const FieldPath& path) {
  Messages wrong = check_qualified_name(type);
  add_invalid(errors, path, type, wrong);
  bool known = type == "Pod" || type == "Container" || type == "PersistentVolumeClaim" ||
               type.find('/') != std::string::npos;
  if (wrong.empty() && !known) {
    errors.push_back(
        FieldError::invalid(path, type, "must be a standard limit type or fully qualified"));
  }
}

void check_item(FieldErrors& errors, const Json& item, const FieldPath& path) {
  std::string type = string_or(item, "type");
  bool of_containers = type == "Pod" || type == "Container";
  std::set<std::string> names;
  auto check_names = [&](const char* map) {
    for (const auto& [name, value] : object_of(item, map).items()) {
      FieldPath at = path.child(map).key(name);
      if (of_containers) {
        check_container_resource_name(errors, name, at);
      } else {
        check_resource_name(errors, name, at);
      }
      names.insert(name);
    }
  };
  check_names("max");
  check_names("min");
  for (const char* map : {"default", "defaultRequest"}) {
    if (type != "Pod") {
      check_names(map);
    } else if (!object_of(item, map).empty()) {
      errors.push_back(
          FieldError::forbidden(path.child(map), "may not be specified when `type` is 'Pod'"));
    }
  }
  if (type == "PersistentVolumeClaim" && !object_of(item, "min").contains("storage") &&
      !object_of(item, "max").contains("storage")) {
    errors.push_back(FieldError::required(
        path.child("limits"),
        "either minimum or maximum storage value is required, but neither was provided"));
  }
  check_names("maxLimitRequestRatio");
  for (const std::string& name : names) check_amounts(errors, item, name, path);
}

FieldErrors validate(const Json& object) {
  FieldErrors errors;
  UniqueNames types;
  std::size_t i = 0;
  for (const Json& item : items(object_of(object, "spec"), "limits")) {
    FieldPath at = FieldPath("spec").child("limits").index(i++);
    std::string type = string_or(item, "type");
    check_type(errors, type, at.child("type"));
    types.add(errors, type, at.child("type"));
    check_item(errors, item, at);
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
  row.validate_update = [](const Json& object, const Json&) { return validate(object); };
  row.columns = columns({column("Name", "Name of the limit range, unique in its namespace"),
                         column("Created At", "When it was created", "date")});
  row.row = [](const Json& object, const RowContext&) {
    return Json::array(
        {name_cell(object), string_or(object_of(object, "metadata"), "creationTimestamp")});
  };
  return row;
}

}  // namespace moth::resources
