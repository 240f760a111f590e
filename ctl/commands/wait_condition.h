#pragma once
// What `wait --for` asks for. Pure.
#include <optional>
#include <string>

#include "api/base/json.h"
#include "api/machinery/jsonpath.h"
#include "ctl/cli/failure.h"

namespace moth::ctl {

struct WaitCondition {
  enum class Kind { kDelete, kCreate, kCondition, kJsonPath };
  Kind kind = Kind::kCondition;
  std::string subject;  // the condition's type
  std::string value;
  bool any_value = false;  // jsonpath without a value: that there is one
  std::optional<JsonPath> path;
};

Outcome<WaitCondition> parse_wait_condition(const std::string& text);
// `object` is null when there is none.
Outcome<bool> wait_condition_met(const WaitCondition& condition, const Json* object);

}  // namespace moth::ctl
