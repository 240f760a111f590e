#include <fmt/format.h>

#include <filesystem>

#include "api/machinery/time.h"
#include "ctl/commands/all.h"
#include "ctl/commands/image_job.h"
#include "ctl/objects/result_printer.h"
#include "ctl/objects/selection.h"
#include "ctl/printers/columns.h"

namespace moth::ctl {
namespace {

// Without "sha256:", twelve digits.
std::string short_id(std::string id) {
  if (auto colon = id.find(':'); colon != std::string::npos) id.erase(0, colon + 1);
  return id.substr(0, 12);
}

Outcome<Json> ask(Context& context, std::string method, std::string path, QueryList query = {}) {
  MOTH_ASSIGN(Api * api, context.api());
  RestRequest request;
  request.method = std::move(method);
  request.path = std::move(path);
  request.query = std::move(query);
  return api->json(std::move(request));
}

std::string age_text(const Json& image) {
  std::string created = string_or(image, "created");
  if (created.empty() || created.starts_with("0001-")) return "<unknown>";
  return human_age_since(created, RealClock().wall());
}

Outcome<int> run_ls(Context& context, const Arguments& arguments) {
  MOTH_ASSIGN(OutputFormat format, parse_output_format(arguments.text("output")));
  MOTH_ASSIGN(Json answer, ask(context, "GET", "/moth/v1/images"));
  if (format.kind == OutputKind::kJson || format.kind == OutputKind::kYaml ||
      format.kind == OutputKind::kJsonPath) {
    MOTH_ASSIGN(std::string text, render(format, answer));
    context.write_out(text);
    return 0;
  }
  std::string text = "IMAGE\tID\tSIZE\tCREATED\n";
  bool names_only = format.kind == OutputKind::kName || arguments.flag("quiet");
  for (const Json& image : answer.value("images", Json::array())) {
    Json names = image.value("names", Json::array());
    if (!names.is_array() || names.empty()) names = Json::array({"<none>"});
    for (const Json& name : names) {
      if (names_only) {
        context.print("{}\n", name.get<std::string>());
        continue;
      }
      text +=
          fmt::format("{}\t{}\t{}\t{}\n", name.get<std::string>(), short_id(string_or(image, "id")),
                      size_text(static_cast<double>(int_or(image, "size"))), age_text(image));
    }
  }
  if (!names_only) context.write_out(align_columns(text, kTableRules));
  return 0;
}

void print_images(Context& context, const Json& result, std::string_view done) {
  Json images = result.contains("images") ? result["images"] : Json::array({result});
  for (const Json& image : images) {
    std::string name = short_id(string_or(image, "id"));
    const Json* names = find_member(image, "names");
    if (names && names->is_array() && !names->empty()) {
      for (const Json& one : *names) context.print("{} {}\n", one.get<std::string>(), done);
    } else {
      context.print("{} {}\n", name, done);
    }
  }
}

Outcome<int> run_load(Context& context, const Arguments& arguments) {
  std::string file = arguments.text("input");
  if (file.empty() && arguments.words.size() == 1) file = arguments.words[0];
  if (file.empty()) return refuse("name the archive: moth image load -i FILE");
  std::error_code error;
  auto path = std::filesystem::absolute(file, error);
  if (!std::filesystem::exists(path, error))
    return refuse(fmt::format("the path \"{}\" does not exist", file));
  MOTH_ASSIGN(Json result, run_image_job(context, "load", {{"path", path.string()}}));
  print_images(context, result, "loaded");
  return 0;
}

Outcome<int> run_pull(Context& context, const Arguments& arguments) {
  if (arguments.words.empty()) return refuse("name the image: moth image pull NAME[:TAG]");
  for (const std::string& reference : arguments.words) {
    MOTH_ASSIGN(Json result, run_image_job(context, "pull", {{"reference", reference}}));
    print_images(context, result, "pulled");
  }
  return 0;
}

void print_removed(Context& context, const Json& removed) {
  for (const Json& name : removed.value("untagged", Json::array()))
    context.print("untagged {}\n", name.get<std::string>());
  for (const Json& id : removed.value("deleted", Json::array()))
    context.print("deleted {}\n", short_id(id.get<std::string>()));
}

Outcome<int> run_rm(Context& context, const Arguments& arguments) {
  if (arguments.words.empty()) return refuse("name the image: moth image rm NAME[:TAG]");
  for (const std::string& reference : arguments.words) {
    auto removed = ask(context, "DELETE", "/moth/v1/images", {{"reference", reference}});
    if (removed) {
      print_removed(context, *removed);
      continue;
    }
    MOTH_TRY(context.carry_on(removed.error()));
  }
  return context.exit_code();
}

Outcome<int> run_prune(Context& context, const Arguments&) {
  MOTH_ASSIGN(Json removed, ask(context, "POST", "/moth/v1/images/prune"));
  print_removed(context, removed);
  context.print("freed {}\n", size_text(static_cast<double>(int_or(removed, "freedBytes"))));
  return 0;
}

// KEY=VALUE; KEY alone takes the value of the environment variable.
Outcome<Json> build_args(const std::vector<std::string>& words) {
  Json args = Json::object();
  for (const std::string& word : words) {
    auto equals = word.find('=');
    if (equals == 0) return refuse(fmt::format("invalid --build-arg \"{}\": KEY=VALUE", word));
    if (equals != std::string::npos) {
      args[word.substr(0, equals)] = word.substr(equals + 1);
    } else if (const char* value = std::getenv(word.c_str())) {
      args[word] = value;
    }
  }
  return args;
}

Outcome<int> run_build(Context& context, const Arguments& arguments) {
  if (arguments.words.size() != 1) {
    return refuse("exactly one directory with a Dockerfile is expected: moth build -t NAME DIR");
  }
  if (arguments.texts("tag").empty()) return refuse("name the image: moth build -t NAME DIR");
  std::error_code error;
  auto directory = std::filesystem::canonical(arguments.words[0], error);
  if (error || !std::filesystem::is_directory(directory))
    return refuse(fmt::format("\"{}\" is no directory", arguments.words[0]));
  Json request{{"context", directory.string()}, {"tags", arguments.texts("tag")}};
  MOTH_ASSIGN(request["args"], build_args(arguments.texts("build-arg")));
  if (arguments.given("file")) {
    auto file = std::filesystem::absolute(arguments.text("file"), error);
    if (!std::filesystem::exists(file, error))
      return refuse(fmt::format("the path \"{}\" does not exist", arguments.text("file")));
    request["file"] = file.string();
  }
  if (arguments.given("target")) request["target"] = arguments.text("target");
  if (arguments.flag("no-cache")) request["noCache"] = true;
  for (const std::string& word : arguments.texts("volume")) {
    auto colon = word.find(':');
    if (colon == std::string::npos || colon == 0)
      return refuse(fmt::format("invalid --volume \"{}\": HOSTPATH:PATH", word));
    request["volumes"][std::filesystem::absolute(word.substr(0, colon)).string()] =
        word.substr(colon + 1);
  }
  MOTH_ASSIGN(Json result, run_image_job(context, "build", std::move(request)));
  print_images(context, result, "built");
  return 0;
}

}  // namespace

Command image_command() {
  return {
      .name = "image",
      .aliases = {"images"},
      .group = "Node",
      .summary = "Images of this node",
      .examples =
          "moth image ls\nmoth image load -i web.tar\nmoth image pull nginx:1.29\n"
          "moth image rm web:1",
      .children = {
          {.name = "load",
           .summary = "Load images from an archive (docker save, OCI)",
           .usage = "-i FILE",
           .flags = {{"input", 'i', FlagKind::kText, "", "The archive, a file on the node."}},
           .words = Words::kFiles,
           .run = run_load},
          {.name = "ls",
           .aliases = {"list"},
           .summary = "List images",
           .flags = {{"output", 'o', FlagKind::kText, "", "json, yaml, name, jsonpath=..."},
                     {"quiet", 'q', FlagKind::kBool, "", "Only names."}},
           .run = run_ls},
          {.name = "prune", .summary = "Remove images that no container uses", .run = run_prune},
          {.name = "pull",
           .summary = "Fetch an image from its registry",
           .usage = "NAME[:TAG]...",
           .run = run_pull},
          {.name = "rm",
           .aliases = {"remove"},
           .summary = "Remove a name of an image, and the image with its last name",
           .usage = "NAME[:TAG]...",
           .run = run_rm}}};
}

Command build_command() {
  return {
      .name = "build",
      .group = "Node",
      .summary = "Build an image from a Dockerfile, for use on this node",
      .usage = "-t NAME[:TAG] [-f FILE] [--build-arg K=V] DIR",
      .examples =
          "moth build -t web:1 .\nmoth build -t web:1 -f docker/Dockerfile --build-arg V=2 .",
      .flags = {{"build-arg", 0, FlagKind::kTexts, "", "KEY=VALUE for an ARG of the Dockerfile."},
                {"file", 'f', FlagKind::kText, "", "The Dockerfile; DIR/Dockerfile."},
                {"no-cache", 0, FlagKind::kBool, "", "Run every step anew."},
                {"tag", 't', FlagKind::kTexts, "",
                 "Name of the image; may be given several times."},
                {"target", 0, FlagKind::kText, "", "Build up to this stage."},
                {"volume", 0, FlagKind::kTexts, "",
                 "HOSTPATH:PATH to mount into the build's steps."}},
      .words = Words::kFiles,
      .run = run_build};
}

}  // namespace moth::ctl
