#pragma once
// The format of the database, as numbered steps. A step, once released, never changes; a new format
// is a new step at the end. Commit thread.
#include <functional>
#include <span>
#include <string>

#include "api/base/result.h"
#include "daemon/store/sqlite_db.h"

namespace moth::store {

struct Migration {
  int version = 0;  // 1, 2, ...
  const char* what = "";
  std::function<Result<>(Database&)> apply;  // inside a transaction
};

// The steps of this release.
std::span<const Migration> migrations();

// Brings the database to the version of the last step, each step in a transaction of its own.
// Before the first step on a database that holds data, a copy is put beside it as
// PATH.v<version>.bak. InternalError when the database is of a newer version, or not moth's at all.
Result<> migrate(Database& database, std::span<const Migration> steps = migrations());

}  // namespace moth::store
