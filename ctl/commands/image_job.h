#pragma once
// Long work on images by the daemon (/moth/v1/images/...): lines of progress, then a result.
#include <string>
#include <string_view>

#include "api/base/json.h"
#include "ctl/cli/context.h"

namespace moth::ctl {

// `action` is load, pull or build. Progress goes to stderr, on a terminal one line for each layer
// that is rewritten in place.
Outcome<Json> run_image_job(Context& context, std::string_view action, Json request);

// "12.3MB"
std::string size_text(double bytes);

}  // namespace moth::ctl
