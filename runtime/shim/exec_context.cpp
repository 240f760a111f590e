#include "runtime/shim/exec_context.h"

#include "api/base/json.h"

namespace moth::shim {

namespace {

std::vector<std::string> strings_of(const Json* list) {
  std::vector<std::string> result;
  if (!list || !list->is_array()) return result;
  for (const Json& item : *list) {
    if (item.is_string()) result.push_back(item.get<std::string>());
  }
  return result;
}

}  // namespace

Result<ExecContext> exec_context_of_spec(const Json& spec,
                                         int (*capability_number)(std::string_view name)) {
  const Json* process = find_member(spec, "process");
  if (!process || !process->is_object()) {
    return fail(Error::bad_request("config.json: process is missing"));
  }
  ExecContext context;
  context.env = strings_of(find_member(*process, "env"));
  context.cwd = string_or(*process, "cwd", "/");
  context.no_new_privs = bool_or(*process, "noNewPrivileges");
  context.oom_score_adj = static_cast<int>(int_or(*process, "oomScoreAdj"));
  if (const Json* user = find_member(*process, "user")) {
    context.uid = static_cast<std::uint32_t>(int_or(*user, "uid"));
    context.gid = static_cast<std::uint32_t>(int_or(*user, "gid"));
    const Json* groups = find_member(*user, "additionalGids");
    for (const Json& group : groups && groups->is_array() ? *groups : Json::array()) {
      if (group.is_number_integer()) context.groups.push_back(group.get<std::uint32_t>());
    }
  }
  for (const std::string& name : strings_of(find_path(*process, "capabilities", "bounding"))) {
    const int number = capability_number(name);
    if (number >= 0) context.capabilities |= std::uint64_t{1} << number;
  }
  return context;
}

}  // namespace moth::shim
