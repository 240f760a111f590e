#include "api/server/selection.h"

#include <algorithm>
#include <optional>

#include "api/base/json.h"

namespace moth::server {
namespace {

// Each version of a custom resource has selectable fields of its own.
const resources::ResourceDef& row_of(const resources::ResourceDef& def) {
  return def.custom ? def : *def.storage_def;
}

}  // namespace

Result<Selection> Selection::parse(const resources::ResourceDef& def, std::string_view labels,
                                   std::string_view fields) {
  Selection selection;
  selection.def_ = &def;
  MOTH_ASSIGN(selection.labels_, LabelSelector::parse(labels));
  MOTH_ASSIGN(selection.fields_, FieldSelector::parse(fields));
  for (const FieldRequirement& requirement : selection.fields_.requirements()) {
    const std::string& field = requirement.field;
    if (field == "metadata.name" || (field == "metadata.namespace" && def.namespaced)) continue;
    const auto& known = row_of(def).selectable_fields;
    if (std::find(known.begin(), known.end(), field) == known.end()) {
      return fail(Error::bad_request("field label not supported: " + field));
    }
  }
  return selection;
}

void Selection::require_name(const std::string& name) {
  if (name.empty()) return;
  std::vector<FieldRequirement> requirements = fields_.requirements();
  requirements.push_back({"metadata.name", false, name});
  fields_ = FieldSelector::from_requirements(std::move(requirements));
}

bool Selection::everything() const {
  return labels_.matches_everything() && fields_.matches_everything();
}

bool Selection::matches(const Object& object) const {
  if (!labels_.matches(object.meta().labels)) return false;
  std::optional<Json> dom;
  return fields_.matches([&](std::string_view field) -> std::string {
    if (field == "metadata.name") return object.name();
    if (field == "metadata.namespace") return object.ns();
    if (!row_of(*def_).field) return "";
    if (!dom) dom = object.parse();
    return row_of(*def_).field(*dom, field);
  });
}

}  // namespace moth::server
