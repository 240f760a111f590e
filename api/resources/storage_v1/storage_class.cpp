#include <set>

#include "api/base/json.h"
#include "api/resources/cells.h"
#include "api/resources/check.h"
#include "api/resources/edit.h"
#include "api/resources/row_base.h"
#include "api/resources/storage_v1/rows.h"
#include "api/resources/storage_v1/storage_checks.h"

namespace moth::resources {
namespace {

bool has_true_annotation(const Json& object, std::initializer_list<const char*> keys) {
  const Json& annotations = object_of(object_of(object, "metadata"), "annotations");
  for (const char* key : keys) {
    if (string_or(annotations, key) == "true") return true;
  }
  return false;
}

std::string class_cell(const Json& object, std::initializer_list<const char*> default_marks) {
  return name_cell(object) + (has_true_annotation(object, default_marks) ? " (default)" : "");
}

void set_defaults(Json& object) {
  default_to(object, "reclaimPolicy", "Delete");
  default_to(object, "volumeBindingMode", "Immediate");
}

void check_expression(FieldErrors& errors, const Json& expression, std::set<std::string>& values,
                      const FieldPath& path) {
  const Json& given = items(expression, "values");
  if (given.empty()) errors.push_back(FieldError::required(path.child("values"), ""));
  for (std::size_t i = 0; i < given.size(); ++i) {
    if (given[i].is_string() && !values.insert(given[i].get<std::string>()).second) {
      errors.push_back(FieldError::duplicate(path.child("values").index(i), given[i]));
    }
  }
  std::string key = string_or(expression, "key");
  add_invalid(errors, path.child("key"), key, check_qualified_name(key));
}

// Keys and the sets of values that a term asks for.
using Term = std::map<std::string, std::set<std::string>>;

Term check_term(FieldErrors& errors, const Json& term, const FieldPath& path) {
  Term out;
  const Json& expressions = items(term, "matchLabelExpressions");
  for (std::size_t i = 0; i < expressions.size(); ++i) {
    FieldPath at = path.child("matchLabelExpressions").index(i);
    std::set<std::string> values;
    check_expression(errors, expressions[i], values, at);
    std::string key = string_or(expressions[i], "key");
    if (!out.emplace(key, std::move(values)).second) {
      errors.push_back(FieldError::duplicate(at.child("key"), key));
    }
  }
  return out;
}

void check_topologies(FieldErrors& errors, const Json& object) {
  FieldPath path("allowedTopologies");
  const Json& terms = items(object, "allowedTopologies");
  std::set<Term> seen;
  for (std::size_t i = 0; i < terms.size(); ++i) {
    if (!seen.insert(check_term(errors, terms[i], path)).second) {
      errors.push_back(FieldError::duplicate(path.index(i).child("matchLabelExpressions"), ""));
    }
  }
}

FieldErrors validate(const Json& object) {
  FieldErrors errors;
  check_provisioner(errors, object, "provisioner");
  check_parameters(errors, object, false);
  check_supported(errors, object, "reclaimPolicy", FieldPath(), {"Delete", "Retain"});
  check_supported(errors, object, "volumeBindingMode", FieldPath(),
                  {"Immediate", "WaitForFirstConsumer"}, true);
  check_topologies(errors, object);
  return errors;
}

FieldErrors validate_update(const Json& object, const Json& old) {
  FieldErrors errors;
  for (const char* key : {"parameters", "provisioner", "reclaimPolicy"}) {
    check_class_member_kept(errors, object, old, key);
  }
  check_immutable(errors, object, old, "volumeBindingMode", FieldPath());
  return errors;
}

Json cells(const Json& object, const RowContext& context) {
  return Json::array({class_cell(object, {"storageclass.kubernetes.io/is-default-class",
                                          "storageclass.beta.kubernetes.io/is-default-class"}),
                      string_or(object, "provisioner"), string_or(object, "reclaimPolicy"),
                      string_or(object, "volumeBindingMode"),
                      bool_or(object, "allowVolumeExpansion"), age_cell(object, context)});
}

FieldErrors validate_attributes(const Json& object) {
  FieldErrors errors;
  check_provisioner(errors, object, "driverName");
  check_parameters(errors, object, true);
  return errors;
}

FieldErrors validate_attributes_update(const Json& object, const Json& old) {
  FieldErrors errors;
  check_class_member_kept(errors, object, old, "driverName");
  check_class_member_kept(errors, object, old, "parameters");
  return errors;
}

}  // namespace

ResourceDef storage_classes() {
  ResourceDef row = row_of("storage.k8s.io", "v1", "storageclasses", "storageclass", "StorageClass",
                           "storage.v1.StorageClass");
  row.namespaced = false;
  row.short_names = {"sc"};
  row.set_defaults = set_defaults;
  row.validate = validate;
  row.validate_update = validate_update;
  row.columns = columns({column("Name", "Name of the class, marked when it is the default"),
                         column("Provisioner", "Who makes its volumes"),
                         column("ReclaimPolicy", "What becomes of a volume that is released"),
                         column("VolumeBindingMode", "When a volume is made"),
                         column("AllowVolumeExpansion", "Whether its volumes can grow", "boolean"),
                         column("Age", "Time since creation")});
  row.row = cells;
  return row;
}

ResourceDef volume_attributes_classes() {
  ResourceDef row =
      row_of("storage.k8s.io", "v1", "volumeattributesclasses", "volumeattributesclass",
             "VolumeAttributesClass", "storage.v1.VolumeAttributesClass");
  row.namespaced = false;
  row.short_names = {"vac"};
  row.validate = validate_attributes;
  row.validate_update = validate_attributes_update;
  row.columns = columns({column("Name", "Name of the class, marked when it is the default"),
                         column("DriverName", "The CSI driver that knows its parameters"),
                         column("Age", "Time since creation")});
  row.row = [](const Json& object, const RowContext& context) {
    return Json::array(
        {class_cell(object, {"volumeattributesclass.alpha.kubernetes.io/is-default-class"}),
         string_or(object, "driverName"), age_cell(object, context)});
  };
  return row;
}

}  // namespace moth::resources
