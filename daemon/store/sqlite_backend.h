#pragma once
// SqliteBackend: one SQLite database in WAL mode with synchronous=FULL, so that a commit that
// returned survives a power cut. Files in the data directory: state.db, state.db-wal, lock.
#include <memory>
#include <string>

#include "api/base/result.h"
#include "daemon/store/backend.h"

namespace moth::store {

inline constexpr const char* kDatabaseFile = "state.db";
inline constexpr const char* kLockFile = "lock";

// Creates `data_dir` (mode 0700) when it is missing, takes its lock, opens the database and brings
// its format up to date. ServiceUnavailable when another process holds the lock; InternalError,
// with the remedy, when the database is damaged or from a newer release. Blocking.
Result<std::unique_ptr<Backend>> open_sqlite_backend(const std::string& data_dir);

}  // namespace moth::store
