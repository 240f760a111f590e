#pragma once
// What set, rollout, edit and the like share: changing a live object by a patch between what it is
// and what it is to be.
#include <functional>
#include <string>
#include <string_view>

#include "api/base/json.h"
#include "ctl/cli/context.h"
#include "ctl/objects/result_printer.h"
#include "ctl/objects/selection.h"

namespace moth::ctl {

struct Edit {
  std::string manager;  // fieldManager; empty: none is sent
  DryRun dry_run = DryRun::kNone;
  std::string validation;  // fieldValidation; empty: none is sent
  bool save_config = false;
  std::string subresource;
  bool local = false;  // nothing is sent: the change itself is the result
  // Given what is sent, before it is (--output-patch); may be null.
  std::function<void(const Json& patch)> show_patch;
};

// --field-manager, and its value or what the command itself is called.
FlagSpec field_manager_flag();
std::string manager_of(const Arguments& arguments, std::string_view fallback);

// Sends what differs between `info.object` and `changed`: a strategic patch for built-in types, a
// merge patch for others. The new object; nothing when there is no difference.
Outcome<std::optional<Json>> send_changes(Context& context, const ObjectInfo& info,
                                          const Json& changed, const Edit& edit);

// For each selected object: `change` edits a copy (its failure is reported), what differs is sent
// and printed as `done`.
Outcome<int> change_objects(Context& context, const Arguments& arguments,
                            const std::vector<ObjectInfo>& objects, const Edit& edit,
                            std::string_view done,
                            const std::function<Outcome<>(const ObjectInfo&, Json&)>& change);

// The pod spec inside an object (a Pod's own, a workload's template's); null when it has none.
Json* pod_spec_of(Json& object);
Json* pod_template_of(Json& object);

}  // namespace moth::ctl
