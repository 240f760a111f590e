#pragma once
// --raw: a request whose path and body are the user's own.
#include <string_view>

#include "ctl/cli/context.h"

namespace moth::ctl {

// Sends the one file of -f ("-": stdin), or nothing for DELETE without -f, to the path of --raw and
// prints the answer as it comes.
Outcome<int> send_raw_file(Context& context, const Arguments& arguments, std::string_view method);

}  // namespace moth::ctl
