#pragma once
// Rules of roles taken apart: one for each resource or path, as kubectl shows them. Pure.
#include <string>
#include <vector>

#include "api/base/json.h"

namespace moth::ctl {

struct SingleRule {
  std::string group, resource;
  std::string names, urls;  // as shown: "[a b]"
  Json verbs = Json::array();

  // "deployments.apps/scale"
  std::string shown() const;
};

// Of a role's `rules`, or of both lists of a rules review joined. Equal resources share their
// verbs; sorted as kubectl sorts.
std::vector<SingleRule> single_rules(const Json& rules);

}  // namespace moth::ctl
