#pragma once
// The daemon's own directories, at its start and after a start that failed. Blocking, but short.
#include <string>

#include "api/base/result.h"

namespace moth {

// Creates the data directory, its parents with mode 0755, itself with 0700: below it lie root file
// systems with setuid programs, logs and keys. One that others may enter is closed to them when it
// is empty or holds nothing but the daemon's own files; else (it may be somebody's home, or
// /var/lib) a warning says so. Errors name --data-dir.
Result<> make_data_dir(const std::string& path);

// Removes `path` and the folders below it as far as there is no file in them. Missing ones and
// other troubles are no matter.
void remove_empty_directories(const std::string& path);

}  // namespace moth
