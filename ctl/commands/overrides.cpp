#include "ctl/commands/overrides.h"

#include <fmt/format.h>

#include "api/machinery/gvk.h"
#include "api/machinery/patch_json.h"
#include "api/machinery/patch_strategic.h"
#include "api/machinery/yaml.h"
#include "api/schema/patch_schema.h"

namespace moth::ctl {

std::vector<FlagSpec> override_flags() {
  return {{"override-type", 0, FlagKind::kText, "merge",
           "How --overrides is merged: merge, strategic or json."},
          {"overrides", 0, FlagKind::kText, "", "JSON that is merged into the object."}};
}

Outcome<Json> overridden(const Arguments& arguments, Json object) {
  const std::string& text = arguments.text("overrides");
  if (text.empty()) return object;
  auto patch = parse_yaml(text);
  if (!patch) return refuse(fmt::format("--overrides does not parse: {}", patch.error().message));
  const std::string& type = arguments.text("override-type");
  if (type == "json") {
    MOTH_ASSIGN(Json result, apply_json_patch(std::move(object), *patch));
    return result;
  }
  if (!patch->is_object()) return refuse("--overrides must be a JSON object");
  if (type == "merge") {
    object.merge_patch(*patch);
    return object;
  }
  if (type != "strategic")
    return refuse(
        fmt::format("invalid override type: {}: merge, strategic or json is expected", type));
  schema::PatchSchemas schemas;
  Gvk gvk = Gvk::of(string_or(object, "apiVersion"), string_or(object, "kind"));
  const PatchSchema* schema = schemas.of(schema::find_type(gvk.group, gvk.version, gvk.kind));
  if (!schema) return refuse(fmt::format("{} has no strategic merge patch", gvk.kind));
  MOTH_ASSIGN(Json result, apply_strategic_patch(std::move(object), *patch, *schema));
  return result;
}

}  // namespace moth::ctl
