#pragma once
// One run of `apply`: what its parts share.
#include <string>
#include <string_view>
#include <vector>

#include "api/schema/patch_schema.h"
#include "ctl/commands/edit_objects.h"
#include "ctl/objects/result_printer.h"
#include "ctl/objects/selection.h"

namespace moth::ctl {

struct ApplyJob {
  Context& context;
  const Arguments& arguments;
  Api& api;
  DryRun dry_run;
  ResultPrinter printer;
  schema::PatchSchemas schemas;
  std::vector<Json> applied;  // as the server has them now, for --prune
};

// --server-side. A first apply of an object that `apply` without it made takes over the fields of
// that manager.
Outcome<> apply_on_server(ApplyJob& job, const ObjectInfo& info);

// Whether the flags of --prune go together; before anything is applied.
Outcome<> check_prune_flags(const Arguments& arguments);
// Deletes what an earlier `apply` made, carries the labels of -l, and was not applied this time.
Outcome<> prune(ApplyJob& job);

Command apply_edit_last_applied_command();
Command apply_set_last_applied_command();
Command apply_view_last_applied_command();

}  // namespace moth::ctl
