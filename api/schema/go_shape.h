#pragma once
// What the Go types behind the table say beyond JSON. Pure; any thread.
#include <string_view>

#include "api/schema/types.h"

namespace moth::schema {

// Whether the field `name` of a built-in type is held by value in Go and so is there in every
// object, if only empty: structures that are no pointers, required lists. False for others, for
// unknown names and for types of custom resources.
bool always_there(Type type, std::string_view name);

}  // namespace moth::schema
