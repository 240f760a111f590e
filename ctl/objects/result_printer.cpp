#include "ctl/objects/result_printer.h"

#include <fmt/format.h>

namespace moth::ctl {

std::vector<FlagSpec> print_flags() {
  return {{"allow-missing-template-keys", 0, FlagKind::kBool, "true",
           "Ignore missing fields in a template."},
          {"output", 'o', FlagKind::kText, "",
           "Output format: json, yaml, kyaml, name, wide, jsonpath=..., jsonpath-as-json=..., "
           "jsonpath-file=..., go-template=..., go-template-file=..., custom-columns=..., "
           "custom-columns-file=..."},
          {"show-managed-fields", 0, FlagKind::kBool, "",
           "Keep managedFields when printing JSON or YAML."},
          {"template", 0, FlagKind::kText, "", "The template of -o go-template, jsonpath, ..."}};
}

FlagSpec dry_run_flag() {
  return {"dry-run",
          0,
          FlagKind::kText,
          "none",
          "\"none\", \"server\" (everything but keeping the result) or \"client\" (only print what "
          "would be sent).",
          "unchanged"};
}

Outcome<DryRun> dry_run_of(const Arguments& arguments) {
  const std::string& text = arguments.text("dry-run");
  if (text == "none" || text == "false") return DryRun::kNone;
  if (text == "client" || text == "true") return DryRun::kClient;
  if (text == "server") return DryRun::kServer;
  if (text == "unchanged") return refuse("a value is needed: --dry-run=client or --dry-run=server");
  return refuse(fmt::format(
      "Invalid dry-run value ({}). Must be \"none\", \"server\", or \"client\".", text));
}

Outcome<ResultPrinter> ResultPrinter::make(Context& context, const Arguments& arguments,
                                           DryRun dry_run) {
  MOTH_ASSIGN(OutputFormat format,
              parse_output_format(arguments.text("output"), arguments.text("template"),
                                  arguments.flag("allow-missing-template-keys")));
  return ResultPrinter(context, std::move(format), dry_run, arguments.flag("show-managed-fields"));
}

void ResultPrinter::print(const Json& object, std::string_view done) {
  if (format_.human()) {
    std::string_view suffix = dry_run_ == DryRun::kClient   ? " (dry run)"
                              : dry_run_ == DryRun::kServer ? " (server dry run)"
                                                            : "";
    context_->print("{} {}{}\n", object_name(object), done, suffix);
    return;
  }
  Json shown = object;
  if (!keep_managed_) drop_managed_fields(shown);
  auto text = render(format_, shown, first_);
  if (!text) {
    context_->report(Failure(text.error()));
    return;
  }
  if (!first_ && format_.kind == OutputKind::kYaml) context_->write_out("---\n");
  first_ = false;
  context_->write_out(*text);
}

}  // namespace moth::ctl
