#include <fmt/format.h>

#include "ctl/commands/apply_job.h"
#include "ctl/objects/last_applied.h"

namespace moth::ctl {
namespace {

constexpr std::string_view kClientSide = "kubectl-client-side-apply";
constexpr std::string_view kKeeper = "kubectl-last-applied";

QueryList apply_query(const ApplyJob& job, std::string manager, bool force) {
  QueryList query;
  if (job.dry_run == DryRun::kServer) query.emplace_back("dryRun", "All");
  query.emplace_back("fieldManager", std::move(manager));
  query.emplace_back("fieldValidation", field_validation(job.arguments));
  query.emplace_back("force", force ? "true" : "false");
  return query;
}

bool is_client_side_entry(const Json& entry) {
  return string_or(entry, "manager") == kClientSide && string_or(entry, "operation") == "Update" &&
         string_or(entry, "subresource").empty();
}

const Json& managed_fields(const Json& object) {
  static const Json kNone = Json::array();
  const Json* found = find_path(object, "metadata", "managedFields");
  return found && found->is_array() ? *found : kNone;
}

bool needs_migration(const Json& object) {
  for (const Json& entry : managed_fields(object))
    if (is_client_side_entry(entry)) return true;
  return false;
}

void unite(Json& fields, const Json& more) {
  for (const auto& [key, value] : more.items()) {
    if (!fields.contains(key))
      fields[key] = value;
    else if (value.is_object())
      unite(fields[key], value);
  }
}

// The entries with those of the client-side manager joined into the one of `manager`.
Json upgraded(const Json& entries, const std::string& manager) {
  Json own, out = Json::array();
  Json taken = Json::object();
  for (const Json& entry : entries) {
    bool is_own = string_or(entry, "manager") == manager &&
                  string_or(entry, "operation") == "Apply" &&
                  string_or(entry, "subresource").empty();
    if (is_client_side_entry(entry))
      unite(taken, entry.value("fieldsV1", Json::object()));
    else if (is_own)
      own = entry;
    else
      out.push_back(entry);
  }
  if (own.is_null()) return entries;
  Json fields = own.value("fieldsV1", Json::object());
  unite(fields, taken);
  own["fieldsV1"] = std::move(fields);
  out.insert(out.begin(), own);
  return out;
}

// The annotation of client-side apply gets a manager of its own, so that it stays: whoever goes
// back to client-side apply needs it.
Outcome<> keep_annotation(ApplyJob& job, const ObjectInfo& info, const Json& object) {
  const Json* annotations = find_path(object, "metadata", "annotations");
  if (!annotations || !annotations->contains(std::string(kLastApplied))) return {};
  Json metadata{{"name", info.name}};
  if (!info.ns.empty()) metadata["namespace"] = info.ns;
  metadata["annotations"][std::string(kLastApplied)] = (*annotations)[std::string(kLastApplied)];
  Json body{{"apiVersion", info.resource->api_version()},
            {"kind", info.resource->kind},
            {"metadata", std::move(metadata)}};
  MOTH_ASSIGN(Json kept,
              job.api.patch(*info.resource, info.ns, info.name, client::PatchType::kApply, body,
                            apply_query(job, std::string(kKeeper), false)));
  (void)kept;
  return {};
}

Outcome<> migrate(ApplyJob& job, const ObjectInfo& info, const std::string& manager) {
  constexpr int kAttempts = 5;
  for (int attempt = 1;; ++attempt) {
    MOTH_ASSIGN(Json live, job.api.get(*info.resource, info.ns, info.name));
    if (!needs_migration(live)) return {};
    Json patch = Json::array({{{"op", "replace"},
                               {"path", "/metadata/managedFields"},
                               {"value", upgraded(managed_fields(live), manager)}},
                              {{"op", "replace"},
                               {"path", "/metadata/resourceVersion"},
                               {"value", live["metadata"]["resourceVersion"]}}});
    auto written =
        job.api.patch(*info.resource, info.ns, info.name, client::PatchType::kJson, patch, {});
    if (written) return {};
    if (!written.error().is(Reason::kConflict) || attempt == kAttempts)
      return fail(written.error());
  }
}

}  // namespace

Outcome<> apply_on_server(ApplyJob& job, const ObjectInfo& info) {
  std::string manager = manager_of(job.arguments, "kubectl");
  const std::string& subresource = job.arguments.text("subresource");
  auto apply = [&] {
    return job.api.patch(*info.resource, info.ns, info.name, client::PatchType::kApply, info.object,
                         apply_query(job, manager, job.arguments.flag("force-conflicts")),
                         subresource);
  };
  auto applied = apply();
  if (applied && job.dry_run == DryRun::kNone && subresource.empty() && needs_migration(*applied)) {
    MOTH_TRY(keep_annotation(job, info, *applied));
    MOTH_TRY(migrate(job, info, manager));
    applied = apply();
  }
  if (applied) {
    job.printer.print(*applied, "serverside-applied");
    job.applied.push_back(*std::move(applied));
    return {};
  }
  Failure failure = applied.error();
  if (failure.is(Reason::kConflict)) {
    failure.error.message +=
        "\nPlease review the fields above--they currently have other managers. Here\n"
        "are the ways you can resolve this warning:\n"
        "* If you intend to manage all of these fields, please re-run the apply\n"
        "  command with the `--force-conflicts` flag.\n"
        "* If you do not intend to manage all of the fields, please edit your\n"
        "  manifest to remove references to the fields that should keep their\n"
        "  current managers.\n"
        "* You may co-own fields by updating your manifest to match the existing\n"
        "  value; in this case, you'll become the manager if the other manager(s)\n"
        "  stop managing the field (remove it from their configuration).\n"
        "See https://kubernetes.io/docs/reference/using-api/server-side-apply/#conflicts";
  }
  return fail(std::move(failure));
}

}  // namespace moth::ctl
