#pragma once
// The single checks of the Pod Security Standards. Pure.
#include <vector>

#include "api/base/json_fwd.h"
#include "api/server/admission/pod_security_policy.h"

namespace moth::server::pod_security {

inline constexpr int kLatestMinor = 1'000'000;

struct Subject {
  const Json& metadata;
  const Json& spec;
  int minor;  // of the policy's version
  bool since(int other) const { return minor >= other; }
};

void check_baseline(const Subject& subject, std::vector<Violation>& found);
// Baseline's checks as far as they are not replaced by stricter ones, then restricted's own.
void check_restricted(const Subject& subject, std::vector<Violation>& found);

}  // namespace moth::server::pod_security
