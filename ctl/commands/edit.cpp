#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <fstream>
#include <iterator>

#include "api/machinery/yaml.h"
#include "ctl/commands/all.h"
#include "ctl/commands/edit_objects.h"
#include "ctl/commands/text_editor.h"
#include "ctl/objects/last_applied.h"

namespace moth::ctl {
namespace {

constexpr std::string_view kHead =
    "# Please edit the object below. Lines beginning with a '#' will be ignored,\n"
    "# and an empty file will abort the edit. If an error occurs while saving this file will be\n"
    "# reopened with the relevant failures.\n#\n";

std::string without_comments(const std::string& text) {
  std::string out;
  bool leading = true;
  for (std::size_t from = 0; from < text.size();) {
    auto end = std::min(text.find('\n', from), text.size());
    std::string line = text.substr(from, end - from);
    leading = leading && line.starts_with('#');
    if (!leading) out += line + "\n";
    from = end + 1;
  }
  return out;
}

std::string commented(const std::string& text) {
  std::string out;
  for (std::size_t from = 0; from < text.size();) {
    auto end = std::min(text.find('\n', from), text.size());
    out += "# " + text.substr(from, end - from) + "\n";
    from = end + 1;
  }
  return out;
}

Outcome<> edit_one(Context& context, const ObjectInfo& info, const Edit& edit,
                   ResultPrinter& printer) {
  Json shown = info.object;
  drop_managed_fields(shown);
  std::string body = to_yaml(shown), complaint;
  ScratchFile file;
  for (;;) {
    std::string before = std::string(kHead) + complaint + body;
    file.write(before);
    MOTH_TRY(run_editor(file.path()));
    std::string after = file.read();
    std::string text = without_comments(after);
    if (after == before || text.find_first_not_of(" \t\n") == std::string::npos) {
      // Leaving a text with errors as it was means giving up.
      if (!complaint.empty()) {
        file.keep();
        return refuse(fmt::format(
            "Edit cancelled, no valid changes were saved. Your edits are in {}", file.path()));
      }
      context.print("Edit cancelled, no changes made.\n");
      return {};
    }
    body = text;
    auto changed = parse_yaml(text, true);
    if (!changed) {
      complaint =
          commented("The edited file had a syntax error: " + changed.error().message) + "#\n";
      continue;
    }
    if (*changed == shown) {
      context.print("Edit cancelled, no changes made.\n");
      return {};
    }
    ObjectInfo original = info;
    original.object = shown;
    if (live_annotation(*changed) || edit.save_config)
      changed = with_last_applied(*std::move(changed));
    auto result = send_changes(context, original, *changed, edit);
    if (result) {
      if (*result) printer.print(**result, "edited");
      return {};
    }
    if (result.error().origin != Failure::Origin::kServer) return fail(result.error());
    context.write_err(context.failure_message(result.error()));
    complaint = commented(context.failure_message(result.error())) + "#\n";
  }
}

Outcome<int> run_edit(Context& context, const Arguments& arguments) {
  MOTH_ASSIGN(ResultPrinter printer, ResultPrinter::make(context, arguments));
  MOTH_ASSIGN(auto objects,
              select_objects(context, select_options(arguments, arguments.words, false)));
  Edit edit{manager_of(arguments, "kubectl-edit"), DryRun::kNone};
  edit.validation = field_validation(arguments);
  edit.subresource = arguments.text("subresource");
  edit.save_config = arguments.flag("save-config");
  if (arguments.flag("output-patch")) {
    edit.show_patch = [&](const Json& patch) { context.print("Patch: {}\n", compact_json(patch)); };
  }
  for (ObjectInfo& info : objects) {
    if (!edit.subresource.empty()) {
      MOTH_ASSIGN(Api * api, context.api());
      MOTH_ASSIGN(info.object, api->get(*info.resource, info.ns, info.name, edit.subresource));
    }
    auto edited = edit_one(context, info, edit, printer);
    if (!edited) MOTH_TRY(context.carry_on(edited.error()));
  }
  return context.exit_code();
}

}  // namespace

Command edit_command() {
  return {.name = "edit",
          .group = "Change",
          .summary = "Edit a resource with $KUBE_EDITOR, $EDITOR or vi",
          .usage = "(TYPE NAME | TYPE/NAME | -f FILENAME)",
          .examples = "moth edit deploy/web",
          .flags = join_flags(
              {print_flags(),
               filename_flags("Files that name the objects."),
               {field_manager_flag(),
                {"output-patch", 0, FlagKind::kBool, "", "Print the patch that is sent."},
                {"save-config", 0, FlagKind::kBool, "", "Keep the configuration for `apply`."},
                {"subresource", 0, FlagKind::kText, "", "Edit this subresource: status."},
                validate_flag(),
                {"windows-line-endings", 0, FlagKind::kBool, "", "Taken for compatibility."}}}),
          .words = Words::kResourceNames,
          .run = run_edit};
}

}  // namespace moth::ctl
