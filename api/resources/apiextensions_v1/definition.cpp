#include <algorithm>

#include "api/resources/apiextensions_v1/definition_rules.h"
#include "api/resources/apiextensions_v1/rows.h"
#include "api/resources/cells.h"
#include "api/resources/edit.h"
#include "api/resources/row_base.h"

namespace moth::resources {
namespace {

// The stored version joins the list of those that objects may be stored in.
void remember_stored_version(Json& definition) {
  Json& status = object_at(definition, "status");
  Json& stored = status["storedVersions"];
  if (!stored.is_array()) stored = Json::array();
  std::string current = stored_version(definition);
  if (!current.empty() && std::find(stored.begin(), stored.end(), current) == stored.end())
    stored.push_back(current);
}

void prepare_create(Json& definition) {
  definition["status"] = {{"acceptedNames", {{"kind", ""}, {"plural", ""}}},
                          {"conditions", Json::array()},
                          {"storedVersions", Json::array()}};
  remember_stored_version(definition);
}

void prepare_update(Json& definition, const Json&) {
  remember_stored_version(definition);
}

}  // namespace

ResourceDef custom_resource_definitions() {
  ResourceDef row =
      row_of("apiextensions.k8s.io", "v1", "customresourcedefinitions", "customresourcedefinition",
             "CustomResourceDefinition", "apiextensions.v1.CustomResourceDefinition");
  row.namespaced = false;
  row.short_names = {"crd", "crds"};
  row.categories = {"api-extensions"};
  row.subresources = {own_subresource(row, "status")};
  row.status_durability = Durability::kDurable;
  row.allow_unconditional_update = false;
  row.has_generation = true;
  row.set_defaults = set_definition_defaults;
  row.prepare_create = prepare_create;
  row.prepare_update = prepare_update;
  row.validate = validate_definition;
  row.validate_update = validate_definition_update;
  row.validate_status = [](const Json& object, const Json&) {
    return validate_definition_status(object);
  };
  row.columns = columns({column("Name", "Name of the definition: plural.group"),
                         column("Created At", "When the definition was created", "date")});
  row.row = [](const Json& object, const RowContext&) {
    return Json::array(
        {name_cell(object), string_or(object_of(object, "metadata"), "creationTimestamp")});
  };
  return row;
}

}  // namespace moth::resources
