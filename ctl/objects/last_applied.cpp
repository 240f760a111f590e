#include "ctl/objects/last_applied.h"

#include "ctl/printers/output_format.h"

namespace moth::ctl {

Json with_last_applied(Json object) {
  Json& annotations = object["metadata"]["annotations"];
  if (!annotations.is_object()) annotations = Json::object();
  annotations.erase(std::string(kLastApplied));
  std::string text = compact_json(object) + "\n";
  object["metadata"]["annotations"][std::string(kLastApplied)] = std::move(text);
  return object;
}

bool live_annotation(const Json& live) {
  const Json* annotations = find_path(live, "metadata", "annotations");
  return annotations && annotations->is_object() &&
         annotations->contains(std::string(kLastApplied));
}

Json last_applied(const Json& live) {
  const Json* annotations = find_path(live, "metadata", "annotations");
  if (!annotations) return nullptr;
  Json parsed = Json::parse(string_or(*annotations, kLastApplied), nullptr, false);
  return parsed.is_object() ? parsed : Json(nullptr);
}

FlagSpec validate_flag() {
  return {
      "validate",
      0,
      FlagKind::kText,
      "strict",
      "What the server does about unknown fields: \"strict\" (or true) refuses, \"warn\" warns, "
      "\"ignore\" (or false) drops them.",
      "strict"};
}

std::string field_validation(const Arguments& arguments) {
  const std::string& text = arguments.text("validate");
  if (text == "ignore" || text == "false") return "Ignore";
  if (text == "warn") return "Warn";
  return "Strict";
}

std::string gvr_text(const ApiResource& resource) {
  return resource.group + "/" + resource.version + ", Resource=" + resource.plural;
}

}  // namespace moth::ctl
