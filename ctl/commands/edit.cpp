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

namespace moth::ctl {
namespace {

constexpr std::string_view kHead =
    "# Please edit the object below. Lines beginning with a '#' will be ignored,\n"
    "# and an empty file will abort the edit. If an error occurs while saving this file will be\n"
    "# reopened with the relevant failures.\n#\n";

std::string editor() {
  for (const char* name : {"KUBE_EDITOR", "EDITOR"}) {
    const char* value = std::getenv(name);
    if (value && *value) return value;
  }
  return "vi";
}

// A file of our own that goes when we do.
class ScratchFile {
 public:
  ScratchFile() {
    const char* folder = std::getenv("TMPDIR");
    path_ = std::string(folder && *folder ? folder : "/tmp") + "/moth-edit-XXXXXX.yaml";
    int descriptor = ::mkstemps(path_.data(), 5);
    if (descriptor >= 0) ::close(descriptor);
  }
  ~ScratchFile() {
    if (!kept_) ::unlink(path_.c_str());
  }
  ScratchFile(const ScratchFile&) = delete;
  ScratchFile& operator=(const ScratchFile&) = delete;

  void write(std::string_view text) const { std::ofstream(path_, std::ios::trunc) << text; }
  std::string read() const {
    std::ifstream file(path_);
    return {std::istreambuf_iterator<char>(file), {}};
  }
  void keep() { kept_ = true; }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
  bool kept_ = false;
};

Outcome<> run_editor(const std::string& path) {
  // The variable may hold arguments ("code --wait"), so a shell takes it apart; the path is passed
  // as an argument, not as text.
  std::string command = editor() + " \"$1\"";
  pid_t child = ::fork();
  if (child < 0) return fail(Failure(Error::from_errno(errno, "fork")));
  if (child == 0) {
    ::execl("/bin/sh", "sh", "-c", command.c_str(), "sh", path.c_str(), nullptr);
    ::_exit(127);
  }
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return {};
  return refuse(fmt::format("there was a problem with the editor \"{}\"", editor()));
}

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
  for (const ObjectInfo& info : objects) {
    auto edited = edit_one(context, info, {"kubectl-edit", DryRun::kNone, true}, printer);
    if (edited) continue;
    if (edited.error().origin == Failure::Origin::kNetwork) return fail(edited.error());
    context.report(edited.error());
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
          .flags = join_flags({print_flags(), filename_flags("Files that name the objects.")}),
          .words = Words::kResourceNames,
          .run = run_edit};
}

}  // namespace moth::ctl
