#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "ctl/commands/apply_job.h"
#include "ctl/objects/last_applied.h"

namespace moth::ctl {
namespace {

constexpr std::string_view kTypes[] = {
    "/v1/ConfigMap",
    "/v1/Endpoints",
    "/v1/PersistentVolumeClaim",
    "/v1/Pod",
    "/v1/ReplicationController",
    "/v1/Secret",
    "/v1/Service",
    "batch/v1/Job",
    "batch/v1/CronJob",
    "networking.k8s.io/v1/Ingress",
    "apps/v1/DaemonSet",
    "apps/v1/Deployment",
    "apps/v1/ReplicaSet",
    "apps/v1/StatefulSet",
    "/v1/Namespace",
    "/v1/PersistentVolume",
};

// "GROUP/VERSION/KIND", "core" or nothing for the core group.
Outcome<Gvk> parse_type(std::string_view text) {
  auto first = text.find('/'), last = text.rfind('/');
  if (first == std::string_view::npos || first == last)
    return refuse(fmt::format(
        "invalid GroupVersionKind format: {}, please follow <group/version/kind>", text));
  std::string group(text.substr(0, first));
  if (group == "core") group.clear();
  return Gvk{group, std::string(text.substr(first + 1, last - first - 1)),
             std::string(text.substr(last + 1))};
}

Outcome<std::vector<const ApiResource*>> types_to_prune(ApplyJob& job) {
  MOTH_ASSIGN(const client::RestMapper* mapper, job.api.mapper());
  std::vector<const ApiResource*> types;
  const auto& allowed = job.arguments.texts("prune-allowlist");
  for (const std::string& text : allowed) {
    MOTH_ASSIGN(Gvk gvk, parse_type(text));
    const ApiResource* resource = mapper->find_kind(gvk);
    if (!resource)
      return refuse(
          fmt::format("error retrieving RESTMappings to prune: invalid resource {}: the "
                      "server does not have it",
                      text));
    types.push_back(resource);
  }
  if (!allowed.empty()) return types;
  for (std::string_view text : kTypes) {
    MOTH_ASSIGN(Gvk gvk, parse_type(text));
    // A server that has no such type has nothing to prune of it.
    if (const ApiResource* resource = mapper->find_kind(gvk)) types.push_back(resource);
  }
  return types;
}

Outcome<> prune_list(ApplyJob& job, const ApiResource& resource, const std::string& ns,
                     const std::set<std::string>& kept) {
  QueryList query;
  if (!job.arguments.text("selector").empty())
    query.emplace_back("labelSelector", job.arguments.text("selector"));
  MOTH_ASSIGN(Json list, job.api.list(resource, ns, query));
  const std::string& cascade = job.arguments.text("cascade");
  Json options{{"propagationPolicy", cascade == "orphan"       ? "Orphan"
                                     : cascade == "foreground" ? "Foreground"
                                                               : "Background"}};
  if (std::int64_t grace = job.arguments.integer("grace-period"); grace >= 0)
    options["gracePeriodSeconds"] = grace;
  if (job.dry_run == DryRun::kServer) options["dryRun"] = {"All"};
  for (const Json& item : list["items"]) {
    const Json& metadata = item["metadata"];
    if (!live_annotation(item) || kept.contains(string_or(metadata, "uid"))) continue;
    if (metadata.contains("deletionTimestamp")) continue;
    if (job.dry_run != DryRun::kClient) {
      auto gone = job.api.remove(resource, string_or(metadata, "namespace"),
                                 string_or(metadata, "name"), options);
      if (!gone && !gone.error().is(Reason::kNotFound)) return fail(gone.error());
    }
    job.printer.print(item, "pruned");
  }
  return {};
}

}  // namespace

Outcome<> check_prune_flags(const Arguments& arguments) {
  if (!arguments.text("applyset").empty())
    return refuse("--applyset is not supported: use --prune with -l SELECTOR or --all");
  if (!arguments.flag("prune")) return {};
  if (!arguments.flag("all") && arguments.text("selector").empty()) {
    return refuse(
        "all resources selected for prune without explicitly passing --all. To prune all "
        "resources, pass the --all flag. If you did not mean to prune all resources, specify a "
        "label selector");
  }
  if (arguments.flag("all") && !arguments.text("selector").empty())
    return refuse("cannot set --all and --selector at the same time");
  return {};
}

Outcome<> prune(ApplyJob& job) {
  if (!job.arguments.flag("prune")) return {};
  std::set<std::string> kept, namespaces;
  for (const Json& object : job.applied) {
    kept.insert(string_or(object["metadata"], "uid"));
    if (std::string ns = string_or(object["metadata"], "namespace"); !ns.empty())
      namespaces.insert(ns);
  }
  MOTH_ASSIGN(auto types, types_to_prune(job));
  for (const ApiResource* resource : types) {
    if (!resource->namespaced) {
      MOTH_TRY(prune_list(job, *resource, "", kept));
      continue;
    }
    for (const std::string& ns : namespaces) MOTH_TRY(prune_list(job, *resource, ns, kept));
  }
  return {};
}

}  // namespace moth::ctl
