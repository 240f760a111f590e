#include <fmt/format.h>

#include "api/base/build_info.h"
#include "api/base/version.h"
#include "api/machinery/yaml.h"
#include "ctl/commands/all.h"
#include "ctl/objects/selection.h"
#include "ctl/printers/output_format.h"

namespace moth::ctl {
namespace {

Outcome<int> run_version(Context& context, const Arguments& arguments) {
  const std::string& form = arguments.text("output");
  if (!form.empty() && form != "json" && form != "yaml")
    return refuse("--output must be 'yaml' or 'json'");
  Json all{{"clientVersion", version_document(fmt::format("v{}", kVersion), this_build())}};
  std::optional<Failure> failure;
  if (!arguments.flag("client")) {
    RestRequest request;
    request.path = "/version";
    auto api = context.api();
    auto answer = api ? (*api)->json(std::move(request)) : Outcome<Json>(fail(api.error()));
    if (answer)
      all["serverVersion"] = *std::move(answer);
    else
      failure = answer.error();
  }
  if (form == "json") {
    context.write_out(all.dump(2) + "\n");
  } else if (form == "yaml") {
    context.write_out(to_yaml(all));
  } else {
    context.print("Client Version: v{}\n", kVersion);
    if (all.contains("serverVersion"))
      context.print("Server Version: {}\n", string_or(all["serverVersion"], "gitVersion"));
  }
  if (failure) return fail(*failure);
  return 0;
}

}  // namespace

Command version_command() {
  return {.name = "version",
          .group = "Other",
          .summary = "Print the client and server version information",
          .flags = {{"client", 0, FlagKind::kBool, "", "Only the client's; asks no server."},
                    {"output", 'o', FlagKind::kText, "", "json or yaml."}},
          .run = run_version};
}

}  // namespace moth::ctl
