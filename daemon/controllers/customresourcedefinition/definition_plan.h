#pragma once
// What the status of a CustomResourceDefinition says. Pure.
#include <memory>
#include <string>
#include <vector>

#include "api/base/clock.h"
#include "api/base/json.h"
#include "api/machinery/object.h"

namespace moth::controllers {

// The names of a definition that may be used: those of its spec that no other definition of the
// group has, else those that were accepted before.
struct AcceptedNames {
  Json names;
  // Of the condition NamesAccepted: NoConflicts, or the first conflict (PluralConflict ...).
  std::string reason, message;
  bool accepted() const { return reason == "NoConflicts"; }
};
AcceptedNames accept_names(const Json& definition,
                           const std::vector<std::shared_ptr<const Json>>& others);

// The definition without what is large: group and names of its spec, and its status. All that the
// other functions here look at.
Json slim_definition(const Json& definition);

// Brings status.acceptedNames and the conditions NamesAccepted and Established up to date. True
// when anything changed.
bool set_established(Json& definition, const AcceptedNames& names, WallTime now);
// The condition Terminating. True when anything changed.
bool set_terminating(Json& definition, bool done, WallTime now);

// Puts the names that `accepted` (slim or not) has in its status into the definition: what is
// served.
void serve_accepted_names(Json& definition, const Json& accepted);

}  // namespace moth::controllers
