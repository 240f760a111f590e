#include "ctl/commands/three_way.h"

#include "api/machinery/patch_three_way.h"
#include "ctl/objects/last_applied.h"

namespace moth::ctl {

Outcome<ApplyPatch> apply_patch(const schema::PatchSchemas& schemas, const ApiResource& resource,
                                const Json& modified, const Json& live, bool overwrite) {
  Json original = last_applied(live);
  const PatchSchema* schema =
      schemas.of(schema::find_type(resource.group, resource.version, resource.kind));
  ApplyPatch patch;
  if (schema) {
    MOTH_ASSIGN(patch.body,
                three_way_strategic_patch(original, modified, live, *schema, overwrite));
  } else {
    patch.type = client::PatchType::kMerge;
    MOTH_ASSIGN(patch.body, three_way_merge_patch(original, modified, live));
  }
  return patch;
}

}  // namespace moth::ctl
