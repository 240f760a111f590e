#include "ctl/cli/context.h"
#include "ctl/cli/fetch.h"
#include "ctl/commands/all.h"

namespace moth::ctl {
namespace {

Outcome<int> run_kustomize(Context& context, const Arguments& arguments) {
  if (arguments.words.size() > 1) return context.usage_error("one DIR at most is expected");
  MOTH_ASSIGN(std::string text,
              kustomize_build(arguments.words.empty() ? "." : arguments.words[0]));
  context.write_out(text);
  return 0;
}

}  // namespace

Command kustomize_command() {
  return {.name = "kustomize",
          .group = "Other",
          .summary = "Build a kustomization target with kustomize or kubectl from the PATH",
          .usage = "DIR",
          .words = Words::kFiles,
          .run = run_kustomize};
}

}  // namespace moth::ctl
