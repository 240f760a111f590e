#pragma once
// A kind or one of its fields in words, from an OpenAPI v3 document. Pure.
#include <string>
#include <vector>

#include "api/base/json.h"
#include "api/machinery/gvk.h"

namespace moth::ctl {

struct ExplainText {
  std::string head;     // group, kind, version
  std::string body;     // what there is to say
  std::string problem;  // why there is no body
};

ExplainText explain_text(const Json& document, const Gvk& gvk, const std::vector<std::string>& path,
                         bool recursive);

}  // namespace moth::ctl
