#include "api/resources/core_v1/container_parse.h"
#include "api/resources/core_v1/parse.h"

namespace moth::resources {
namespace {

constexpr std::int64_t kDefaultMode = 0644;

std::uint32_t mode_or_default(const Json& json) {
  return static_cast<std::uint32_t>(int_or(json, "defaultMode", kDefaultMode));
}

std::optional<std::uint32_t> optional_mode(const Json& json) {
  auto mode = optional_int(json, "mode");
  return mode ? std::optional(static_cast<std::uint32_t>(*mode)) : std::nullopt;
}

std::vector<KeyToPath> parse_items(const Json& json) {
  std::vector<KeyToPath> out;
  for (const Json& item : items(json, "items")) {
    out.push_back({string_or(item, "key"), string_or(item, "path"), optional_mode(item)});
  }
  return out;
}

ConfigMapVolume parse_config_map(const Json& json) {
  return {string_or(json, "name"), parse_items(json), mode_or_default(json),
          bool_or(json, "optional")};
}

// A Secret volume calls its object secretName, a projected source calls it name.
SecretVolume parse_secret(const Json& json, std::string_view name_key) {
  return {string_or(json, name_key), parse_items(json), mode_or_default(json),
          bool_or(json, "optional")};
}

DownwardApiVolume parse_downward(const Json& json) {
  DownwardApiVolume out;
  out.default_mode = mode_or_default(json);
  for (const Json& item : items(json, "items")) {
    const Json& resource = object_of(item, "resourceFieldRef");
    out.items.push_back(
        {string_or(item, "path"), string_or(object_of(item, "fieldRef"), "fieldPath"),
         string_or(resource, "containerName"), string_or(resource, "resource"),
         Quantity::parse_or_zero(string_or(resource, "divisor", "0")), optional_mode(item)});
  }
  return out;
}

ProjectedVolume parse_projected(const Json& json) {
  ProjectedVolume out;
  out.default_mode = mode_or_default(json);
  for (const Json& source : items(json, "sources")) {
    if (const Json* config = member(source, "configMap")) {
      out.sources.emplace_back(parse_config_map(*config));
    } else if (const Json* secret = member(source, "secret")) {
      out.sources.emplace_back(parse_secret(*secret, "name"));
    } else if (const Json* downward = member(source, "downwardAPI")) {
      out.sources.emplace_back(parse_downward(*downward));
    } else if (const Json* token = member(source, "serviceAccountToken")) {
      out.sources.emplace_back(
          ServiceAccountTokenSource{string_or(*token, "audience"), string_or(*token, "path"),
                                    seconds_or(*token, "expirationSeconds", 3600)});
    }
  }
  return out;
}

EmptyDirVolume parse_empty_dir(const Json& json) {
  EmptyDirVolume out;
  out.medium = string_or(json, "medium");
  if (const Json* limit = member(json, "sizeLimit")) {
    auto quantity = Quantity::from_json(*limit);
    if (quantity && !quantity->is_zero()) out.size_limit_bytes = quantity->value();
  }
  return out;
}

}  // namespace

Volume parse_volume(const Json& json, std::string_view pod_name) {
  Volume out;
  out.name = string_or(json, "name");
  if (!json.is_object()) return out;
  for (const auto& [type, source] : json.items()) {
    if (type == "name" || !source.is_object()) continue;
    if (type == "emptyDir") {
      out.source = parse_empty_dir(source);
    } else if (type == "hostPath") {
      out.source = HostPathVolume{string_or(source, "path"), string_or(source, "type")};
    } else if (type == "configMap") {
      out.source = parse_config_map(source);
    } else if (type == "secret") {
      out.source = parse_secret(source, "secretName");
    } else if (type == "downwardAPI") {
      out.source = parse_downward(source);
    } else if (type == "projected") {
      out.source = parse_projected(source);
    } else if (type == "persistentVolumeClaim") {
      out.source = ClaimVolume{string_or(source, "claimName"), bool_or(source, "readOnly"), false};
    } else if (type == "ephemeral") {
      out.source = ClaimVolume{std::string(pod_name) + "-" + out.name, false, true};
    } else if (type == "image") {
      out.source = ImageVolume{
          string_or(source, "reference"),
          parse_pull_policy(string_or(source, "pullPolicy"), PullPolicy::kIfNotPresent)};
    } else if (type == "nfs") {
      out.source = NfsVolume{string_or(source, "server"), string_or(source, "path"),
                             bool_or(source, "readOnly")};
    } else {
      out.source = OtherVolume{type};
    }
  }
  return out;
}

}  // namespace moth::resources
