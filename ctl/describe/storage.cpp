// Volumes, claims, storage classes.
#include <algorithm>

#include "ctl/describe/kinds.h"

namespace moth::ctl {
namespace {

// "RWO,ROX".
std::string modes_text(const Json* modes) {
  std::string text;
  for (auto [mode, shown] :
       {std::pair("ReadWriteOnce", "RWO"), std::pair("ReadOnlyMany", "ROX"),
        std::pair("ReadWriteMany", "RWX"), std::pair("ReadWriteOncePod", "RWOP")}) {
    if (modes && modes->is_array() && std::find(modes->begin(), modes->end(), mode) != modes->end())
      text += (text.empty() ? "" : ",") + std::string(shown);
  }
  return text;
}

void write_phase(DescribeWriter& out, const Json& object) {
  std::string deleted = text_at(object, "metadata", "deletionTimestamp");
  if (deleted.empty())
    out.write(0, "Status:\t{}\n", text_at(object, "status", "phase"));
  else
    out.write(0, "Status:\tTerminating (lasts {})\n", age_of(deleted));
}

// metadata.annotations of old, else the spec's.
std::string class_of(const Json& object) {
  const Json* annotations = metadata_member(object, "annotations");
  std::string old =
      annotations ? string_or(*annotations, "volume.beta.kubernetes.io/storage-class") : "";
  return old.empty() ? text_at(object, "spec", "storageClassName") : old;
}

void write_affinity(DescribeWriter& out, const Json& spec) {
  const Json* terms = find_path(spec, "nodeAffinity", "required", "nodeSelectorTerms");
  if (!terms) {
    out.write(0, "Node Affinity:\t<none>\n");
    return;
  }
  out.write(0, "Node Affinity:\t\n");
  out.write(1, "Required Terms:\t{}\n", terms->empty() ? "<none>" : "");
  for (std::size_t i = 0; i < terms->size(); ++i) {
    const Json expressions = (*terms)[i].value("matchExpressions", Json::array());
    out.write(2, "Term {}:\t", i);
    if (expressions.empty()) out.raw("<none>\n");
    bool first = true;
    for (const Json& expression : expressions) {
      if (!first) out.write(2, "\t");
      first = false;
      std::string op = string_or(expression, "operator");
      std::transform(op.begin(), op.end(), op.begin(),
                     [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
      std::string values = joined_text(find_member(expression, "values"), ", ");
      out.raw(fmt::format("{} {}{}\n", string_or(expression, "key"), op,
                          values.empty() ? "" : " [" + values + "]"));
    }
  }
}

void write_users_of_claim(DescribeWriter& out, Api& api, const Json& claim) {
  auto pods = api.resource("pods");
  auto list = pods ? api.list(**pods, text_at(claim, "metadata", "namespace"))
                   : Outcome<Json>(fail(pods.error()));
  if (!list) return;
  std::string name = text_at(claim, "metadata", "name"), text;
  for (const Json& pod : (*list)["items"]) {
    const Json* volumes = find_path(pod, "spec", "volumes");
    for (const Json& volume : volumes ? *volumes : Json::array()) {
      if (text_at(volume, "persistentVolumeClaim", "claimName") != name) continue;
      text += (text.empty() ? "" : "\t") + text_at(pod, "metadata", "name") + "\n";
      break;
    }
  }
  out.write(0, "Used By:\t{}", text.empty() ? "<none>\n" : text);
}

void write_claim_conditions(DescribeWriter& out, const Json& claim) {
  const Json* conditions = find_path(claim, "status", "conditions");
  if (!conditions || conditions->empty()) return;
  out.raw("Conditions:\n");
  out.write(1, "Type\tStatus\tLastProbeTime\tLastTransitionTime\tReason\tMessage\n");
  out.write(1, "----\t------\t-----------------\t------------------\t------\t-------\n");
  for (const Json& condition : *conditions) {
    out.write(1, "{} \t{} \t{} \t{} \t{} \t{}\n", string_or(condition, "type"),
              string_or(condition, "status"), long_time(string_or(condition, "lastProbeTime")),
              long_time(string_or(condition, "lastTransitionTime")), string_or(condition, "reason"),
              string_or(condition, "message"));
  }
}

}  // namespace

void describe_persistent_volume(DescribeWriter& out, Api&, const Json& volume) {
  const Json spec = volume.value("spec", Json::object());
  write_head(out, volume);
  out.write(0, "Finalizers:\t{}\n", bracketed_text(metadata_member(volume, "finalizers")));
  out.write(0, "StorageClass:\t{}\n", class_of(volume));
  write_phase(out, volume);
  const Json* claim = find_member(spec, "claimRef");
  out.write(0, "Claim:\t{}\n",
            claim ? string_or(*claim, "namespace") + "/" + string_or(*claim, "name") : "");
  out.write(0, "Reclaim Policy:\t{}\n", string_or(spec, "persistentVolumeReclaimPolicy"));
  out.write(0, "Access Modes:\t{}\n", modes_text(find_member(spec, "accessModes")));
  if (spec.contains("volumeMode")) out.write(0, "VolumeMode:\t{}\n", string_or(spec, "volumeMode"));
  out.write(0, "Capacity:\t{}\n", text_at(spec, "capacity", "storage"));
  write_affinity(out, spec);
  out.write(0, "Message:\t{}\n", text_at(volume, "status", "message"));
  out.write(0, "Source:\n");
  write_volume_source(out, spec);
}

void describe_persistent_volume_claim(DescribeWriter& out, Api& api, const Json& claim) {
  const Json spec = claim.value("spec", Json::object());
  write_name(out, claim);
  out.write(0, "StorageClass:\t{}\n", class_of(claim));
  write_phase(out, claim);
  out.write(0, "Volume:\t{}\n", string_or(spec, "volumeName"));
  write_labels(out, "Labels", metadata_member(claim, "labels"));
  write_annotations(out, "Annotations", metadata_member(claim, "annotations"));
  out.write(0, "Finalizers:\t{}\n", bracketed_text(metadata_member(claim, "finalizers")));
  bool bound = !string_or(spec, "volumeName").empty();
  const Json* capacity = find_path(claim, "status", "capacity");
  out.write(0, "Capacity:\t{}\n", bound && capacity ? string_or(*capacity, "storage") : "");
  out.write(0, "Access Modes:\t{}\n",
            bound ? modes_text(find_path(claim, "status", "accessModes")) : "");
  if (spec.contains("volumeMode")) out.write(0, "VolumeMode:\t{}\n", string_or(spec, "volumeMode"));
  if (const Json* source = find_member(spec, "dataSource")) {
    out.write(0, "DataSource:\n");
    if (source->contains("apiGroup"))
      out.write(1, "APIGroup:\t{}\n", string_or(*source, "apiGroup"));
    out.write(1, "Kind:\t{}\n", string_or(*source, "kind"));
    out.write(1, "Name:\t{}\n", string_or(*source, "name"));
  }
  write_users_of_claim(out, api, claim);
  write_claim_conditions(out, claim);
}

void describe_storage_class(DescribeWriter& out, Api&, const Json& storage_class) {
  const Json* annotations = metadata_member(storage_class, "annotations");
  const Json& marks = object_or_empty(annotations);
  bool is_default = string_or(marks, "storageclass.kubernetes.io/is-default-class") == "true";
  out.write(0, "Name:\t{}\n", text_at(storage_class, "metadata", "name"));
  out.write(0, "IsDefaultClass:\t{}\n", is_default ? "Yes" : "No");
  out.write(0, "Annotations:\t{}\n", pairs_text(annotations));
  out.write(0, "Provisioner:\t{}\n", string_or(storage_class, "provisioner"));
  out.write(0, "Parameters:\t{}\n", pairs_text(find_member(storage_class, "parameters")));
  out.write(0, "AllowVolumeExpansion:\t{}\n",
            !storage_class.contains("allowVolumeExpansion")  ? "<unset>"
            : bool_or(storage_class, "allowVolumeExpansion") ? "True"
                                                             : "False");
  const Json mounts = storage_class.value("mountOptions", Json::array());
  out.write(0, "MountOptions:{}\n", mounts.empty() ? "\t<none>" : "");
  for (const Json& option : mounts) out.write(1, "{}\n", scalar_text(option));
  if (storage_class.contains("reclaimPolicy"))
    out.write(0, "ReclaimPolicy:\t{}\n", string_or(storage_class, "reclaimPolicy"));
  if (storage_class.contains("volumeBindingMode"))
    out.write(0, "VolumeBindingMode:\t{}\n", string_or(storage_class, "volumeBindingMode"));
}

}  // namespace moth::ctl
