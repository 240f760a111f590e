#pragma once
// What is the same for a group of every hierarchy: its processes and its removal. Internal.
#include <sys/types.h>

#include <chrono>
#include <set>
#include <string>
#include <vector>

#include "api/base/result.h"

namespace moth::cgroups {

// `folder` and all groups below, the deepest first. Empty when there is no such folder.
std::vector<std::string> group_tree(const std::string& folder);
// Processes of the group and of all below. A missing group has none.
Result<void> add_processes(const std::string& folder, std::set<pid_t>& processes);
// Sends SIGKILL to all and waits until they are gone, `deadline` at the latest.
void kill_and_wait(const std::set<pid_t>& processes,
                   std::chrono::steady_clock::time_point deadline);
// rmdir from the leaves up; tries again for a moment, since the last task of a group may still be
// on its way out.
Result<void> remove_group_tree(const std::string& folder);

}  // namespace moth::cgroups
