#pragma once
// The Pod Security Standards: which policy the labels of a namespace ask for, and what of a pod
// violates it. Pure functions, any thread. Texts are upstream's.
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "api/base/json_fwd.h"
#include "api/machinery/field_error.h"
#include "api/machinery/labels.h"

namespace moth::server::pod_security {

enum class Level { kPrivileged, kBaseline, kRestricted };

struct LevelVersion {
  Level level = Level::kPrivileged;
  std::optional<int> minor;  // of v1.MINOR; none: latest

  std::string to_string() const;  // "restricted:latest"
  bool operator==(const LevelVersion&) const = default;
};

struct Policy {
  LevelVersion enforce, audit, warn;
  bool fully_privileged() const {
    return enforce.level == Level::kPrivileged && warn.level == Level::kPrivileged;
  }
};

// The labels pod-security.kubernetes.io/{enforce,audit,warn}[-version]. A level that is not known
// counts as restricted for enforce and as privileged for the others; `errors` says so.
Policy policy_of(const Labels& labels, FieldErrors* errors = nullptr);

struct Violation {
  std::string reason;  // "allowPrivilegeEscalation != false"
  std::string detail;  // "container \"c\" must set ..."; may be empty
};

// In upstream's order. `metadata` is of the pod or of its template (annotations count).
std::vector<Violation> evaluate(const LevelVersion& policy, const Json& metadata, const Json& spec);

// "reason (detail), reason (detail)" and "reason, reason".
std::string details(const std::vector<Violation>& violations);
std::string reasons(const std::vector<Violation>& violations);

}  // namespace moth::server::pod_security
