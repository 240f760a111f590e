#include "api/server/negotiation.h"

#include <optional>
#include <string>

namespace moth::server {
namespace {

std::string_view trim(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

// Cuts the piece before `separator` off `text`.
std::string_view next_piece(std::string_view& text, char separator) {
  auto end = text.find(separator);
  std::string_view piece = text.substr(0, end);
  text = end == std::string_view::npos ? std::string_view{} : text.substr(end + 1);
  return trim(piece);
}

std::optional<Form> form_of(std::string_view entry, bool discovery) {
  std::string_view media = next_piece(entry, ';');
  std::string_view as, version, group;
  while (!entry.empty()) {
    std::string_view parameter = next_piece(entry, ';');
    std::string_view name = next_piece(parameter, '=');
    if (name == "as") as = parameter;
    if (name == "v") version = parameter;
    if (name == "g") group = parameter;
  }
  if (media != "application/json" && media != "application/*" && media != "*/*")
    return std::nullopt;
  if (as.empty()) return Form::kObject;
  if (discovery) {
    bool known = as == "APIGroupDiscoveryList" && version == "v2" && group == "apidiscovery.k8s.io";
    return known ? std::optional(Form::kDiscovery) : std::nullopt;
  }
  if (group != "meta.k8s.io" || version != "v1") return std::nullopt;
  if (as == "Table") return Form::kTable;
  if (as == "PartialObjectMetadata" || as == "PartialObjectMetadataList")
    return Form::kPartialMetadata;
  return std::nullopt;
}

}  // namespace

Result<Form> negotiate(std::string_view accept, bool discovery) {
  if (trim(accept).empty()) return Form::kObject;
  while (!accept.empty()) {
    if (auto form = form_of(next_piece(accept, ','), discovery)) return *form;
  }
  return fail(Error::of(Reason::kNotAcceptable,
                        "only the following media types are accepted: application/json"));
}

}  // namespace moth::server
