#include <fmt/format.h>

#include "api/base/json.h"
#include "api/resources/cells.h"
#include "api/resources/check.h"
#include "api/resources/edit.h"
#include "api/resources/row_base.h"
#include "api/resources/scheduling_v1/rows.h"

namespace moth::resources {
namespace {

constexpr std::int64_t kHighestUserPriority = 1'000'000'000;

struct SystemClass {
  std::string_view name;
  std::int64_t value;
};
constexpr SystemClass kSystemClasses[] = {{"system-node-critical", 2'000'001'000},
                                          {"system-cluster-critical", 2'000'000'000}};

bool is_system_class(const std::string& name, std::int64_t value) {
  for (const SystemClass& known : kSystemClasses) {
    if (known.name == name && known.value == value) return true;
  }
  return false;
}

void set_defaults(Json& object) {
  default_to(object, "value", 0);
  default_text(object, "preemptionPolicy", "PreemptLowerPriority");
}

FieldErrors validate(const Json& object) {
  FieldErrors errors;
  std::string name = name_cell(object);
  std::int64_t value = int_or(object, "value");
  if (name.starts_with("system-")) {
    if (!is_system_class(name, value)) {
      errors.push_back(FieldError::forbidden(
          FieldPath("metadata.name"),
          "priority class names with 'system-' prefix are reserved for system use only. error: " +
              name + " is not a known system priority class"));
    }
  } else if (value > kHighestUserPriority) {
    errors.push_back(FieldError::forbidden(
        FieldPath("value"), fmt::format("maximum allowed value of a user defined priority is {}",
                                        kHighestUserPriority)));
  }
  check_supported(errors, object, "preemptionPolicy", FieldPath(),
                  {"PreemptLowerPriority", "Never"});
  return errors;
}

FieldErrors validate_update(const Json& object, const Json& old) {
  FieldErrors errors;
  if (int_or(object, "value") != int_or(old, "value")) {
    errors.push_back(FieldError::forbidden(FieldPath("value"), "may not be changed in an update."));
  }
  check_immutable(errors, object, old, "preemptionPolicy", FieldPath());
  return errors;
}

}  // namespace

ResourceDef priority_classes() {
  ResourceDef row = row_of("scheduling.k8s.io", "v1", "priorityclasses", "priorityclass",
                           "PriorityClass", "scheduling.v1.PriorityClass");
  row.namespaced = false;
  row.short_names = {"pc"};
  row.has_generation = false;
  row.set_defaults = set_defaults;
  row.validate = validate;
  row.validate_update = validate_update;
  row.columns = columns({column("Name", "Name of the priority class"),
                         column("Value", "Priority of the pods that name it", "integer"),
                         column("Global-Default", "Whether pods without a class get it", "boolean"),
                         column("Age", "Time since creation"),
                         column("PreemptionPolicy", "Whether its pods may displace others")});
  row.row = [](const Json& object, const RowContext& context) {
    return Json::array({name_cell(object), int_or(object, "value"),
                        bool_or(object, "globalDefault"), age_cell(object, context),
                        string_or(object, "preemptionPolicy")});
  };
  return row;
}

}  // namespace moth::resources
