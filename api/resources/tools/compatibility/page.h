#pragma once
// docs/compatibility.md: what is served, from the registry, and what is acted upon, from
// api/resources/compatibility.tsv. Pure.
#include <string>
#include <string_view>

#include "api/base/result.h"
#include "api/resources/registry.h"

namespace moth::resources {

// The page. `notes` is the text of compatibility.tsv: lines `kind NAME STATE WORDS` and `feature
// NAME STATE WORDS` with tabs between, where NAME of a kind is `deployments.apps/v1` and STATE is
// yes, partly or no; partly and no need words. BadRequest that names the line, the row of the
// registry that has no note, or the note that has no row.
Result<std::string> compatibility_page(const Registry& registry, std::string_view notes);

}  // namespace moth::resources
