#include "api/server/body.h"

#include <fmt/format.h>

#include "api/machinery/json_text.h"
#include "api/machinery/yaml.h"
#include "api/schema/protobuf.h"

namespace moth::server {
namespace {

// A body of nothing but small values would take 30 times its size once parsed.
constexpr std::size_t kMaxValues = 500'000;
constexpr std::string_view kProtobuf = "application/vnd.kubernetes.protobuf";

std::string media_type(const http::Request& request) {
  std::string_view text = request.headers.get("Content-Type");
  text = text.substr(0, text.find(';'));
  while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
  std::string media;
  for (char c : text) media += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return media;
}

Error unsupported(std::string_view accepted) {
  return Error::of(
      Reason::kUnsupportedMediaType,
      fmt::format("the body of the request was in an unknown format - accepted media types "
                  "include: {}",
                  accepted));
}

}  // namespace

Result<DecodedBody> decode_body(const http::Request& request) {
  DecodedBody body;
  if (request.body.empty()) return body;
  std::string media = media_type(request);
  JsonTextOptions json;
  json.max_values = kMaxValues;
  YamlLimits yaml;
  yaml.max_nodes = kMaxValues;
  if (media.empty() || media == "application/json" || media.ends_with("+json")) {
    MOTH_ASSIGN(body.value, parse_json(request.body, body.duplicates, json));
    for (std::string& path : body.duplicates) {
      if (!path.starts_with("duplicate")) path = fmt::format("duplicate field \"{}\"", path);
    }
    return body;
  }
  if (media == "application/apply-patch+yaml") {
    // Most clients send JSON, of which the stricter parser knows duplicates.
    if (request.body.find_first_not_of(" \t\r\n") == request.body.find('{')) {
      if (auto value = parse_json(request.body, body.duplicates, json)) {
        body.value = *std::move(value);
        for (std::string& path : body.duplicates)
          path = fmt::format("key \"{}\" already set", path);
        return body;
      }
      body.duplicates.clear();
    }
    auto value = parse_yaml(request.body, false, yaml);
    if (!value) return fail(Error::bad_request("error decoding YAML: " + value.error().message));
    body.value = *std::move(value);
    return body;
  }
  if (media == "application/yaml" || media == "text/yaml" || media.ends_with("+yaml")) {
    MOTH_ASSIGN(body.value, parse_yaml(request.body, false, yaml));
    return body;
  }
  if (media == kProtobuf) {
    MOTH_ASSIGN(body.value, schema::decode_protobuf(request.body));
    return body;
  }
  return fail(
      unsupported("application/json, application/yaml, application/vnd.kubernetes.protobuf"));
}

Result<client::PatchType> patch_type(const http::Request& request) {
  std::string media = media_type(request);
  if (media == "application/json-patch+json") return client::PatchType::kJson;
  if (media == "application/merge-patch+json") return client::PatchType::kMerge;
  if (media == "application/strategic-merge-patch+json") return client::PatchType::kStrategic;
  if (media == "application/apply-patch+yaml") return client::PatchType::kApply;
  return fail(
      unsupported("application/json-patch+json, application/merge-patch+json, "
                  "application/strategic-merge-patch+json, application/apply-patch+yaml"));
}

Result<client::DeleteOptions> decode_delete_options(const http::Request& request) {
  client::DeleteOptions options;
  MOTH_ASSIGN(options.grace_period_seconds, request.query.integer("gracePeriodSeconds"));
  options.propagation_policy = request.query.get("propagationPolicy");
  options.dry_run = request.query.get("dryRun") == "All";
  if (request.query.flag("orphanDependents")) options.propagation_policy = "Orphan";
  MOTH_ASSIGN(DecodedBody body, decode_body(request));
  const Json& value = body.value;
  if (value.is_null()) return options;
  if (!value.is_object()) return fail(Error::bad_request("DeleteOptions must be a JSON object"));
  if (const Json* grace = find_member(value, "gracePeriodSeconds");
      grace && grace->is_number_integer()) {
    options.grace_period_seconds = grace->get<std::int64_t>();
  }
  if (std::string policy = string_or(value, "propagationPolicy"); !policy.empty()) {
    options.propagation_policy = policy;
  }
  if (bool_or(value, "orphanDependents")) options.propagation_policy = "Orphan";
  if (const Json* preconditions = find_member(value, "preconditions")) {
    options.precondition_uid = string_or(*preconditions, "uid");
    options.precondition_resource_version = string_or(*preconditions, "resourceVersion");
  }
  if (const Json* dry = find_member(value, "dryRun"); dry && dry->is_array() && !dry->empty()) {
    options.dry_run = dry->front() == "All";
  }
  return options;
}

}  // namespace moth::server
