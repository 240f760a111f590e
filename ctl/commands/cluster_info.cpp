#include <fmt/format.h>

#include <filesystem>
#include <fstream>

#include "api/base/json.h"
#include "ctl/cli/api.h"
#include "ctl/cli/context.h"
#include "ctl/cli/terminal.h"
#include "ctl/commands/all.h"
#include "ctl/objects/result_printer.h"
#include "ctl/objects/selection.h"

namespace moth::ctl {
namespace {

Outcome<int> run_cluster_info(Context& context, const Arguments&) {
  MOTH_ASSIGN(Api * api, context.api());
  RestRequest request;
  request.path = "/readyz";
  request.accept = "application/json, */*";
  MOTH_ASSIGN(std::string ready, api->text(std::move(request)));
  bool colours = context.colours();
  context.print("{} is running at {}\n",
                coloured("Kubernetes control plane", colours ? Colour::kGreen : Colour::kNone),
                coloured(api->endpoint().server, colours ? Colour::kYellow : Colour::kNone));
  RestRequest services;
  services.path = "/api/v1/namespaces/kube-system/services";
  services.query = {{"labelSelector", "kubernetes.io/cluster-service=true"}};
  if (auto list = api->json(std::move(services)); list && list->contains("items")) {
    for (const Json& service : (*list)["items"]) {
      std::string name = string_or(service["metadata"], "name");
      context.print("{} is running at {}/api/v1/namespaces/kube-system/services/{}/proxy\n", name,
                    api->endpoint().server, name);
    }
  }
  context.print(
      "\nTo further debug and diagnose cluster problems, use 'moth cluster-info dump'.\n");
  return 0;
}

// Where `dump` puts a list or a log: stdout, or a file below --output-directory.
class DumpTarget {
 public:
  DumpTarget(Context& context, std::string folder)
      : context_(context), folder_(std::move(folder)) {}

  Outcome<> write(const std::string& name, const std::string& text) {
    if (folder_.empty() || folder_ == "-") {
      context_.write_out(text);
      return {};
    }
    std::filesystem::path path = std::filesystem::path(folder_) / name;
    std::error_code error;
    std::filesystem::create_directories(path.parent_path(), error);
    std::ofstream file(path, std::ios::trunc);
    file << text;
    if (file) return {};
    return refuse(fmt::format("cannot write {}", path.string()));
  }

 private:
  Context& context_;
  std::string folder_;
};

Outcome<> dump_list(Api& api, DumpTarget& target, const OutputFormat& format, const char* type,
                    const std::string& ns, const std::string& name) {
  auto resource = api.resource(type);
  if (!resource) return {};  // not every server has all of them
  MOTH_ASSIGN(Json list, api.list(**resource, ns));
  drop_managed_fields(list);
  MOTH_ASSIGN(std::string text, render(format, list));
  return target.write(name, text);
}

Outcome<> dump_logs(Api& api, DumpTarget& target, const std::string& ns) {
  MOTH_ASSIGN(const ApiResource* pods, api.resource("pods"));
  MOTH_ASSIGN(Json list, api.list(*pods, ns));
  for (const Json& pod : list["items"]) {
    std::string name = string_or(pod["metadata"], "name"), text;
    const Json* containers = find_path(pod, "spec", "containers");
    for (const Json& container : containers ? *containers : Json::array()) {
      std::string which = string_or(container, "name");
      RestRequest request;
      request.path = pods->path(ns, name, "log");
      request.query = {{"container", which}};
      request.accept = "application/json, */*";
      auto log = api.text(std::move(request));
      text += fmt::format(
          "==== START logs for container {0} of pod {1}/{2} ====\n{3}"
          "==== END logs for container {0} of pod {1}/{2} ====\n",
          which, ns, name,
          log ? *log : fmt::format("Request log error: {}\n", log.error().error.message));
    }
    MOTH_TRY(target.write(ns + "/" + name + "/logs.txt", text));
  }
  return {};
}

Outcome<int> run_dump(Context& context, const Arguments& arguments) {
  MOTH_ASSIGN(Api * api, context.api());
  std::string form = arguments.text("output").empty() ? "json" : arguments.text("output");
  MOTH_ASSIGN(OutputFormat format,
              parse_output_format(form, arguments.text("template"),
                                  arguments.flag("allow-missing-template-keys")));
  if (format.human()) return refuse("--output must be json, yaml or another format for objects");
  DumpTarget target(context, arguments.text("output-directory"));
  std::string suffix = form == "yaml" ? ".yaml" : form == "json" ? ".json" : ".txt";
  std::vector<std::string> namespaces = arguments.texts("namespaces");
  if (arguments.flag("all-namespaces")) {
    MOTH_ASSIGN(const ApiResource* resource, api->resource("namespaces"));
    MOTH_ASSIGN(Json list, api->list(*resource, ""));
    namespaces.clear();
    for (const Json& ns : list["items"]) namespaces.push_back(string_or(ns["metadata"], "name"));
  } else if (namespaces.empty()) {
    MOTH_ASSIGN(std::string ns, context.ns());
    namespaces = {"kube-system"};
    if (ns != "kube-system") namespaces.push_back(ns);
  }
  MOTH_TRY(dump_list(*api, target, format, "nodes", "", "nodes" + suffix));
  for (const std::string& ns : namespaces) {
    for (auto [type, file] :
         {std::pair("events", "events"),
          std::pair("replicationcontrollers", "replication-controllers"),
          std::pair("services", "services"), std::pair("daemonsets.apps", "daemonsets"),
          std::pair("deployments.apps", "deployments"),
          std::pair("replicasets.apps", "replicasets"), std::pair("pods", "pods")})
      MOTH_TRY(dump_list(*api, target, format, type, ns, ns + "/" + file + suffix));
    MOTH_TRY(dump_logs(*api, target, ns));
  }
  const std::string& folder = arguments.text("output-directory");
  if (!folder.empty() && folder != "-") context.print("Cluster info dumped to {}\n", folder);
  return context.exit_code();
}

}  // namespace

Command cluster_info_command() {
  return {.name = "cluster-info",
          .group = "Other",
          .summary = "Display addresses of the control plane and services",
          .children = {{.name = "dump",
                        .summary = "Dump objects and logs for debugging",
                        .flags = join_flags(
                            {print_flags(),
                             {{"all-namespaces", 'A', FlagKind::kBool, "", "All namespaces."},
                              {"namespaces", 0, FlagKind::kList, "",
                               "These namespaces; kube-system and the present one."},
                              {"output-directory", 0, FlagKind::kText, "",
                               "Write files into this folder instead of stdout."},
                              {"pod-running-timeout", 0, FlagKind::kDuration, "20s",
                               "Taken for compatibility."}}}),
                        .run = run_dump}},
          .run = run_cluster_info};
}

}  // namespace moth::ctl
