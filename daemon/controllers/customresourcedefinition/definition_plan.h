#pragma once
// What the status of a CustomResourceDefinition says. Pure.
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
AcceptedNames accept_names(const Json& definition, const std::vector<Json>& others);

// Brings status.acceptedNames and the conditions NamesAccepted and Established up to date. True
// when anything changed.
bool set_established(Json& definition, const AcceptedNames& names, WallTime now);
// The condition Terminating. True when anything changed.
bool set_terminating(Json& definition, bool done, WallTime now);

// The definition with the names that were accepted: what is served.
Json served_definition(const Json& definition);

}  // namespace moth::controllers
