#pragma once
// What exec, attach and run share: a session with a container.
#include <string>
#include <vector>

#include "api/base/json.h"
#include "ctl/cli/context.h"

namespace moth::ctl {

struct Session {
  std::string subresource;  // exec, attach
  std::string ns, pod, container;
  std::vector<std::string> command;
  bool stdin_open = false, tty = false;
};

// Runs it to its end; the value is the remote command's exit code.
Outcome<int> run_session(Context& context, const ApiResource& pods, const Session& session);
// The same for attach; a container that ended in the meantime is shown by its log.
Outcome<int> attach_or_show_log(Context& context, const ApiResource& pods, const Session& session);
// -t, when there is a terminal to use.
bool usable_tty(Context& context, const Arguments& arguments);
// The best pod behind `word` unless it has ended already; `what` is "exec into" or "attach".
Outcome<Json> running_pod(Context& context, const std::string& word, std::string_view what);

}  // namespace moth::ctl
