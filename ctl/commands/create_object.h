#pragma once
// Creating an object made from flags: what create, run, expose and autoscale share.
#include <string_view>

#include "ctl/cli/context.h"
#include "ctl/objects/result_printer.h"

namespace moth::ctl {

// Printing flags, --dry-run, --save-config, --validate, --field-manager.
std::vector<FlagSpec> create_flags();

// Sends `object` into the command's namespace and prints it as `done`; with --dry-run=client only
// the latter. The created object.
Outcome<Json> create_object(Context& context, const Arguments& arguments, Json object,
                            std::string_view manager, std::string_view done);

// Kinds that are made from flags and live in no namespace.
bool cluster_scoped(std::string_view kind);

}  // namespace moth::ctl
