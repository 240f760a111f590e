#include <fmt/format.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "api/machinery/yaml.h"
#include "ctl/cli/fetch.h"
#include "ctl/commands/all.h"
#include "ctl/commands/edit_objects.h"
#include "ctl/commands/three_way.h"
#include "ctl/objects/selection.h"

namespace moth::ctl {
namespace {

namespace fs = std::filesystem;
// 1 says that there are differences, so trouble needs another code.
constexpr int kTrouble = 2;

class DiffFolder {
 public:
  explicit DiffFolder(const char* prefix) {
    const char* base = std::getenv("TMPDIR");
    path_ = fmt::format("{}/{}-XXXXXX", base && *base ? base : "/tmp", prefix);
    if (!::mkdtemp(path_.data())) path_.clear();
  }
  ~DiffFolder() {
    std::error_code ignored;
    if (!path_.empty()) fs::remove_all(path_, ignored);
  }
  DiffFolder(const DiffFolder&) = delete;
  DiffFolder& operator=(const DiffFolder&) = delete;

  void write(const std::string& name, const std::string& text) const {
    std::ofstream(path_ + "/" + name) << text;
  }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

std::string file_name(const ObjectInfo& info) {
  std::string name = info.resource->group;
  if (!name.empty()) name += ".";
  name += info.resource->version + "." + info.resource->kind + "." + info.ns + "." + info.name;
  for (char& c : name)
    if (c == '/') c = '_';
  return name;
}

// Values of a Secret are told apart but not shown.
void mask(Json& live, Json& merged) {
  auto values = [](Json& object) -> Json* {
    if (string_or(object, "kind") != "Secret" || !object.contains("data")) return nullptr;
    return object["data"].is_object() ? &object["data"] : nullptr;
  };
  Json *before = values(live), *after = values(merged);
  for (Json* side : {before, after}) {
    if (!side) continue;
    Json* other = side == before ? after : before;
    for (auto& [key, value] : side->items()) {
      bool both = other && other->contains(key);
      bool same = both && (*other)[key] == value;
      if (side == after || !both || same) value = both && !same ? "*** (after)" : "***";
    }
  }
  if (!before || !after) return;
  for (auto& [key, value] : before->items())
    if (after->contains(key) && (*after)[key] == "*** (after)") value = "*** (before)";
}

struct DiffJob {
  Context& context;
  const Arguments& arguments;
  Api& api;
  schema::PatchSchemas schemas;
  DiffFolder live{"LIVE"}, merged{"MERGED"};
};

Outcome<Json> merged_object(DiffJob& job, const ObjectInfo& info, const Json& live) {
  QueryList query{{"dryRun", "All"}};
  if (job.arguments.flag("server-side")) {
    query.emplace_back("fieldManager", manager_of(job.arguments, "kubectl"));
    query.emplace_back("force", job.arguments.flag("force-conflicts") ? "true" : "false");
    return job.api.patch(*info.resource, info.ns, info.name, client::PatchType::kApply, info.object,
                         query);
  }
  query.emplace_back("fieldManager", manager_of(job.arguments, "kubectl-client-side-apply"));
  if (live.is_null()) return job.api.create(*info.resource, info.ns, info.object, query);
  // What was applied holds its annotations, if only an empty map; without one here they would all
  // be taken away.
  Json modified = info.object;
  if (!modified["metadata"].contains("annotations"))
    modified["metadata"]["annotations"] = Json::object();
  MOTH_ASSIGN(ApplyPatch patch, apply_patch(job.schemas, *info.resource, modified, live, true));
  if (patch.body.empty()) return live;
  return job.api.patch(*info.resource, info.ns, info.name, patch.type, patch.body, query);
}

Outcome<> write_pair(DiffJob& job, const ObjectInfo& info, Json live, Json merged) {
  for (Json* side : {&live, &merged}) {
    if (side->is_object() && !job.arguments.flag("show-managed-fields")) drop_managed_fields(*side);
  }
  if (live.is_object() && merged.is_object()) mask(live, merged);
  if (live.is_object() && merged.is_null()) {
    Json nothing = Json::object();
    mask(live, nothing);
  }
  if (live.is_null() && merged.is_object()) {
    Json nothing = Json::object();
    mask(nothing, merged);
  }
  std::string name = file_name(info);
  if (live.is_object()) job.live.write(name, to_yaml(live));
  if (merged.is_object()) job.merged.write(name, to_yaml(merged));
  return {};
}

Outcome<> diff_one(DiffJob& job, const ObjectInfo& info) {
  Json live;
  if (!info.name.empty()) {
    auto found = job.api.get(*info.resource, info.ns, info.name);
    if (found)
      live = *std::move(found);
    else if (!found.error().is(Reason::kNotFound))
      return fail(found.error());
  }
  MOTH_ASSIGN(Json merged, merged_object(job, info, live));
  return write_pair(job, info, std::move(live), std::move(merged));
}

// The words of $KUBECTL_EXTERNAL_DIFF, or diff -u -N. Only words of harmless characters are taken
// as arguments, as kubectl does: nothing is passed to a shell.
std::vector<std::string> diff_program() {
  const char* named = std::getenv("KUBECTL_EXTERNAL_DIFF");
  if (!named || !*named) return {"diff", "-u", "-N"};
  std::istringstream in(named);
  std::vector<std::string> words;
  for (std::string word; in >> word;) words.push_back(word);
  return words;
}

Outcome<int> diff_all(Context& context, const Arguments& arguments) {
  if (arguments.flag("force-conflicts") && !arguments.flag("server-side"))
    return refuse("--force-conflicts only works with --server-side");
  if (arguments.flag("prune"))
    return refuse(
        "--prune is not supported here: \"moth apply --prune --dry-run=server\" names "
        "what would be pruned");
  MOTH_ASSIGN(auto objects, written_objects(context, arguments));
  MOTH_TRY(keep_selected(objects, arguments.text("selector")));
  MOTH_ASSIGN(Api * api, context.api());
  DiffJob job{context, arguments, *api, {}};
  if (job.live.path().empty() || job.merged.path().empty())
    return refuse("cannot make a folder below $TMPDIR or /tmp");
  for (const ObjectInfo& info : objects) MOTH_TRY(diff_one(job, info));
  if (context.exit_code() != 0) return kTrouble;
  std::vector<std::string> command = diff_program();
  command.push_back(job.live.path());
  command.push_back(job.merged.path());
  context.flush();
  int code = run_program(command);
  if (code == 127)
    return refuse(fmt::format("failed to run \"{}\": is it on the PATH?", command[0]));
  return code;
}

Outcome<int> run_diff(Context& context, const Arguments& arguments) {
  auto code = diff_all(context, arguments);
  if (code) return code;
  Failure failure = code.error();
  failure.exit_code = kTrouble;
  return fail(failure);
}

}  // namespace

Command diff_command() {
  return {.name = "diff",
          .group = "Look",
          .summary = "Diff the live version against what would be applied",
          .usage = "-f FILENAME",
          .details =
              "Prints what `apply` would change. The exit code is 0 without differences, 1 with "
              "some, and above 1 when it failed. $KUBECTL_EXTERNAL_DIFF names another program "
              "than `diff -u -N`; it gets two folders.",
          .examples = "moth diff -f web.yaml\ncat web.yaml | moth diff -f -",
          .flags = join_flags(
              {filename_flags("Files or directories with the configurations."),
               {{"concurrency", 0, FlagKind::kInteger, "1", "Taken for compatibility."},
                field_manager_flag(),
                {"force-conflicts", 0, FlagKind::kBool, "",
                 "With --server-side: take over fields that others manage."},
                {"prune", 0, FlagKind::kBool, "", "Not supported."},
                {"prune-allowlist", 0, FlagKind::kTexts, "", "Not supported."},
                {"selector", 'l', FlagKind::kText, "", "Only objects with these labels."},
                {"server-side", 0, FlagKind::kBool, "", "As `apply --server-side`."},
                {"show-managed-fields", 0, FlagKind::kBool, "", "Compare managedFields too."}}}),
          .words = Words::kFiles,
          .run = run_diff};
}

}  // namespace moth::ctl
