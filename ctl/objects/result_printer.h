#pragma once
// ResultPrinter: what commands that change something say about each object: a line such as
// "deployment.apps/web created", or the object in the form that -o asks for.
#include <string>
#include <string_view>

#include "api/base/json.h"
#include "ctl/cli/context.h"
#include "ctl/printers/output_format.h"

namespace moth::ctl {

enum class DryRun { kNone, kClient, kServer };

// -o, --template, --show-managed-fields, --allow-missing-template-keys.
std::vector<FlagSpec> print_flags();
// --dry-run.
FlagSpec dry_run_flag();
Outcome<DryRun> dry_run_of(const Arguments& arguments);

class ResultPrinter {
 public:
  // Reads print_flags().
  static Outcome<ResultPrinter> make(Context& context, const Arguments& arguments,
                                     DryRun dry_run = DryRun::kNone);
  // `done` is the verb: created, configured...
  void print(const Json& object, std::string_view done);
  bool human() const { return format_.human(); }

 private:
  ResultPrinter(Context& context, OutputFormat format, DryRun dry_run, bool keep_managed)
      : context_(&context),
        format_(std::move(format)),
        dry_run_(dry_run),
        keep_managed_(keep_managed) {}
  Context* context_;
  OutputFormat format_;
  DryRun dry_run_;
  bool keep_managed_;
  bool first_ = true;
};

}  // namespace moth::ctl
