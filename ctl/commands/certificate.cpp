#include <fmt/format.h>

#include "api/base/clock.h"
#include "api/machinery/time.h"
#include "ctl/commands/all.h"
#include "ctl/objects/result_printer.h"
#include "ctl/objects/selection.h"

namespace moth::ctl {
namespace {

struct Verdict {
  const char* type;
  const char* other;
  const char* reason;
  const char* message;
  const char* done;
};

constexpr Verdict kApproved{"Approved", "Denied", "KubectlApprove",
                            "This CSR was approved by moth certificate approve.", "approved"};
constexpr Verdict kDenied{"Denied", "Approved", "KubectlDeny",
                          "This CSR was denied by moth certificate deny.", "denied"};

bool has_condition(const Json& request, const char* type) {
  const Json* conditions = find_path(request, "status", "conditions");
  for (const Json& condition : conditions ? *conditions : Json::array())
    if (string_or(condition, "type") == type) return true;
  return false;
}

Outcome<Json> decide(Api& api, const ObjectInfo& info, const Verdict& verdict, bool force) {
  if (has_condition(info.object, verdict.other))
    return refuse(
        fmt::format("certificate signing request \"{}\" is already {}", info.name, verdict.other));
  if (has_condition(info.object, verdict.type) && !force) return info.object;
  Json changed = info.object;
  std::string now = format_rfc3339(RealClock().wall());
  Json condition{{"lastUpdateTime", now},
                 {"message", verdict.message},
                 {"reason", verdict.reason},
                 {"status", "True"},
                 {"type", verdict.type}};
  Json& conditions = changed["status"]["conditions"];
  if (!conditions.is_array()) conditions = Json::array();
  for (Json& present : conditions) {
    if (string_or(present, "type") != verdict.type) continue;
    present.update(condition);
    return api.replace(*info.resource, "", info.name, changed, {}, "approval");
  }
  conditions.push_back(std::move(condition));
  return api.replace(*info.resource, "", info.name, changed, {}, "approval");
}

Outcome<int> run_verdict(Context& context, const Arguments& arguments, const Verdict& verdict) {
  if (arguments.words.empty() && arguments.texts("filename").empty())
    return context.usage_error("one or more CSRs must be specified as <name> or -f <filename>");
  MOTH_ASSIGN(ResultPrinter printer, ResultPrinter::make(context, arguments));
  SelectOptions options = select_options(arguments, arguments.words, false);
  if (!options.words.empty())
    options.words.insert(options.words.begin(), "certificatesigningrequests");
  MOTH_ASSIGN(auto objects, select_objects(context, options));
  MOTH_ASSIGN(Api * api, context.api());
  for (const ObjectInfo& info : objects) {
    auto decided = decide(*api, info, verdict, arguments.flag("force"));
    if (decided) {
      printer.print(*decided, verdict.done);
      continue;
    }
    MOTH_TRY(context.carry_on(decided.error()));
  }
  return context.exit_code();
}

Outcome<int> run_approve(Context& context, const Arguments& arguments) {
  return run_verdict(context, arguments, kApproved);
}
Outcome<int> run_deny(Context& context, const Arguments& arguments) {
  return run_verdict(context, arguments, kDenied);
}

std::vector<FlagSpec> verdict_flags() {
  return join_flags({print_flags(),
                     filename_flags("Files that name the requests."),
                     {{"force", 0, FlagKind::kBool, "", "Also when it was decided before."}}});
}

}  // namespace

Command certificate_command() {
  return {.name = "certificate",
          .group = "Other",
          .summary = "Modify certificate signing requests",
          .children = {{.name = "approve",
                        .summary = "Approve a certificate signing request",
                        .usage = "(-f FILENAME | NAME)",
                        .flags = verdict_flags(),
                        .run = run_approve},
                       {.name = "deny",
                        .summary = "Deny a certificate signing request",
                        .usage = "(-f FILENAME | NAME)",
                        .flags = verdict_flags(),
                        .run = run_deny}}};
}

}  // namespace moth::ctl
