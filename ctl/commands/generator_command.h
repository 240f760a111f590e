#pragma once
// What the children of `create` share: one NAME, an object made of flags, and sending it.
#include <fmt/format.h>

#include <type_traits>

#include "ctl/commands/create_object.h"

namespace moth::ctl {

// Checks for exactly one NAME (words behind `--` are a command when `takes_command`).
Outcome<> require_one_name(Context& context, const Arguments& arguments, bool takes_command);
// Sends what was made; what the server refuses reads "failed to create WHAT: ...", unless `what`
// is empty.
Outcome<int> send_generated(Context& context, const Arguments& arguments, Outcome<Json> object,
                            std::string_view what);

// kMake takes (arguments, name), or the context first when it has to ask the server.
template <auto kMake, const auto& kWhat, bool kTakesCommand = false>
Outcome<int> run_generator(Context& context, const Arguments& arguments) {
  MOTH_TRY(require_one_name(context, arguments, kTakesCommand));
  const std::string& name = arguments.words[0];
  if constexpr (std::is_invocable_v<decltype(kMake), Context&, const Arguments&,
                                    const std::string&>)
    return send_generated(context, arguments, kMake(context, arguments, name), kWhat);
  else
    return send_generated(context, arguments, kMake(arguments, name), kWhat);
}

Command create_clusterrole_command();
Command create_clusterrolebinding_command();
Command create_cronjob_command();
Command create_ingress_command();
Command create_job_command();
Command create_poddisruptionbudget_command();
Command create_priorityclass_command();
Command create_quota_command();
Command create_role_command();
Command create_rolebinding_command();
Command create_secret_command();
Command create_service_command();
Command create_token_command();

}  // namespace moth::ctl
