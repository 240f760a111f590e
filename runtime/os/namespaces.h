#pragma once
// Namespaces that live without a process: created on a throw-away thread and pinned by a bind
// mount. Synchronous, about half a millisecond, thread-safe: the caller's own namespaces do not
// change.
#include <string>

#include "api/base/result.h"

namespace moth::os {

enum class NamespaceKind { kNet, kIpc, kUts };

// Creates `path` (its folder must exist) as a handle of a new namespace. `host_name` is set in a
// uts namespace. AlreadyExists when `path` is a pinned namespace already.
Result<void> pin_namespace(NamespaceKind kind, const std::string& path,
                           const std::string& host_name = {});
// Unmounts and deletes the handle; the namespace goes with its last process. Missing is no error.
Result<void> unpin_namespace(const std::string& path);
// True when `path` is a namespace handle (and not the plain file that a reboot leaves).
bool is_pinned_namespace(const std::string& path);

}  // namespace moth::os
