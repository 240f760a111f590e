#pragma once
// What the children of `set` share.
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "ctl/commands/edit_objects.h"

namespace moth::ctl {

// Flags of printing, files, selection, --dry-run, --local, --field-manager.
std::vector<FlagSpec> set_flags();

// Words that name objects, and from the first one with `=` (or ending in `-`) on, changes.
std::pair<std::vector<std::string>, std::vector<std::string>> split_changes(
    const std::vector<std::string>& words);

// Changes the objects that `words` and the flags mean and prints each as `done`.
Outcome<int> run_set(Context& context, const Arguments& arguments, std::vector<std::string> words,
                     std::string_view done,
                     const std::function<Outcome<>(const ObjectInfo&, Json&)>& change);
// The objects alone.
Outcome<std::vector<ObjectInfo>> set_targets(Context& context, const Arguments& arguments,
                                             std::vector<std::string> words);

// Calls `change` for each container whose name `pattern` means ("*": all); how many there were.
int each_container(Json& pod_spec, const std::string& pattern, bool with_init,
                   const std::function<void(Json& container)>& change);
Outcome<Json*> pod_spec_or_refuse(Json& object);

Command set_env_command();
Command set_selector_command();
Command set_serviceaccount_command();
Command set_subject_command();

}  // namespace moth::ctl
