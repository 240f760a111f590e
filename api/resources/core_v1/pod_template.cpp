#include "api/base/json.h"
#include "api/resources/cells.h"
#include "api/resources/core_v1/pod_defaults.h"
#include "api/resources/core_v1/pod_validation.h"
#include "api/resources/core_v1/rows.h"
#include "api/resources/edit.h"
#include "api/resources/row_base.h"

namespace moth::resources {
namespace {

FieldErrors validate(const Json& object) {
  return validate_pod_template(object_of(object, "template"), FieldPath("template"));
}

Json cells(const Json& object, const RowContext&) {
  const Json& pod_template = object_of(object, "template");
  return Json::array({name_cell(object), container_cell(pod_template, "name"),
                      container_cell(pod_template, "image"),
                      labels_cell(object_of(object_of(pod_template, "metadata"), "labels"))});
}

}  // namespace

ResourceDef pod_templates() {
  ResourceDef row =
      row_of("", "v1", "podtemplates", "podtemplate", "PodTemplate", "core.v1.PodTemplate");
  row.has_generation = true;
  row.set_defaults = [](Json& object) { set_pod_template_defaults(object_at(object, "template")); };
  row.validate = validate;
  row.validate_update = [](const Json& object, const Json&) { return validate(object); };
  row.warnings = [](const Json& object) {
    return pod_spec_warnings(object_of(object_of(object, "template"), "spec"),
                             FieldPath("template.spec"));
  };
  row.columns = columns({column("Name", "Name of the template, unique in its namespace"),
                         column("Containers", "Names of the containers"),
                         column("Images", "Images of the containers"),
                         column("Pod Labels", "Labels of pods made from it")});
  row.row = cells;
  return row;
}

}  // namespace moth::resources
