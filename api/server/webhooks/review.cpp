#include "api/server/webhooks/review.h"

#include <fmt/format.h>

#include "api/schema/base64.h"
#include "api/server/webhooks/configuration.h"

namespace moth::server {
namespace {

constexpr std::size_t kMaxWarnings = 32, kMaxWarningLength = 256;

Json kind_json(const Gvk& kind) {
  return {{"group", kind.group}, {"version", kind.version}, {"kind", kind.kind}};
}
Json resource_json(const Gvr& gvr) {
  return {{"group", gvr.group}, {"version", gvr.version}, {"resource", gvr.resource}};
}

Gvk kind_of(const resources::ResourceDef& def, const std::string& subresource) {
  if (const auto* sub = def.subresource(subresource); sub && !sub->kind.kind.empty())
    return sub->kind;
  return def.gvk();
}

Json user_json(const UserInfo& user) {
  Json json = {{"username", user.name}, {"groups", user.groups}};
  if (!user.uid.empty()) json["uid"] = user.uid;
  if (!user.extra.empty()) {
    Json extra = Json::object();
    for (const auto& [key, values] : user.extra) extra[key] = values;
    json["extra"] = std::move(extra);
  }
  return json;
}

Json options_json(const AdmissionRequest& request) {
  const char* kind = request.operation == Operation::kCreate   ? "CreateOptions"
                     : request.operation == Operation::kUpdate ? "UpdateOptions"
                                                               : "DeleteOptions";
  Json options = {{"kind", kind}, {"apiVersion", "meta.k8s.io/v1"}};
  if (request.context.dry_run) options["dryRun"] = Json::array({"All"});
  if (request.operation == Operation::kDelete) return options;
  if (!request.context.field_manager.empty())
    options["fieldManager"] = request.context.field_manager;
  if (!request.context.field_validation.empty())
    options["fieldValidation"] = request.context.field_validation;
  return options;
}

}  // namespace

Json review_request(const AdmissionRequest& request, const resources::ResourceDef& def,
                    const std::string& uid, const Json* object, const Json* old) {
  const resources::ResourceDef& asked = request.requested ? *request.requested : request.def;
  Json json = {
      {"uid", uid},
      {"kind", kind_json(kind_of(def, request.subresource))},
      {"resource", resource_json(def.gvr())},
      {"requestKind", kind_json(kind_of(asked, request.subresource))},
      {"requestResource", resource_json(asked.gvr())},
      {"operation", to_string(request.operation)},
      {"userInfo", user_json(request.context.user)},
      {"object", object ? *object : Json()},
      {"oldObject", old ? *old : Json()},
      {"dryRun", request.context.dry_run},
      {"options", request.operation == Operation::kConnect ? Json() : options_json(request)}};
  if (!request.subresource.empty()) {
    json["subResource"] = request.subresource;
    json["requestSubResource"] = request.subresource;
  }
  if (!request.name.empty()) json["name"] = request.name;
  if (!request.ns.empty()) json["namespace"] = request.ns;
  return json;
}

Json review_of(Json request) {
  return {{"kind", "AdmissionReview"},
          {"apiVersion", "admission.k8s.io/v1"},
          {"request", std::move(request)}};
}

Result<ReviewAnswer> read_answer(const std::string& body, const std::string& uid, bool may_patch) {
  const Json review = Json::parse(body, nullptr, false);
  if (!review.is_object()) {
    return fail(
        Error::bad_request("received invalid webhook response: the body is no JSON object"));
  }
  std::string version = string_or(review, "apiVersion"), kind = string_or(review, "kind");
  if (version != "admission.k8s.io/v1" || kind != "AdmissionReview") {
    return fail(Error::bad_request(fmt::format(
        "received invalid webhook response: expected webhook response of admission.k8s.io/v1, "
        "Kind=AdmissionReview, got {}, Kind={}",
        version, kind)));
  }
  const Json* response = find_member(review, "response");
  if (!response || !response->is_object())
    return fail(
        Error::bad_request("received invalid webhook response: webhook response was absent"));
  if (std::string got = string_or(*response, "uid"); got != uid) {
    return fail(Error::bad_request(fmt::format(
        "received invalid webhook response: expected response.uid=\"{}\", got \"{}\"", uid, got)));
  }
  ReviewAnswer answer;
  answer.allowed = bool_or(*response, "allowed");
  if (const Json* status = find_member(*response, "status")) answer.status = *status;
  if (const Json* warnings = find_member(*response, "warnings"); warnings && warnings->is_array()) {
    for (const Json& text : *warnings) {
      if (!text.is_string() || answer.warnings.size() == kMaxWarnings) continue;
      answer.warnings.push_back(text.get<std::string>().substr(0, kMaxWarningLength));
    }
  }
  std::string patch = string_or(*response, "patch"), type = string_or(*response, "patchType");
  if (patch.empty() && type.empty()) return answer;
  if (!may_patch) {
    return fail(Error::bad_request(
        "received invalid webhook response: validating webhook may not return response.patch"));
  }
  if (type != "JSONPatch") {
    return fail(Error::bad_request(fmt::format(
        "received invalid webhook response: invalid response.patchType of \"{}\", expected "
        "\"JSONPatch\"",
        type)));
  }
  auto text = schema::decode_base64(patch);
  answer.patch = text ? Json::parse(*text, nullptr, false) : Json(Json::value_t::discarded);
  if (!answer.patch.is_array()) {
    return fail(Error::bad_request(
        "received invalid webhook response: response.patch is no list of JSON patch operations"));
  }
  return answer;
}

Error refusal(const std::string& webhook, const Json& status) {
  Json adjusted = status.is_object() ? status : Json::object();
  std::int64_t code = int_or(adjusted, "code");
  if (code < 400) adjusted["code"] = 400;
  std::string message = string_or(adjusted, "message"), reason = string_or(adjusted, "reason");
  adjusted["message"] = fmt::format("admission webhook \"{}\" denied the request{}", webhook,
                                    !message.empty()  ? ": " + message
                                    : !reason.empty() ? ": " + reason
                                                      : " without explanation");
  Error error = Error::from_status(adjusted);
  // A code that no reason stands for is a refusal all the same.
  if (reason.empty() && error.code() != int_or(adjusted, "code"))
    error.reason = Reason::kBadRequest;
  return error;
}

}  // namespace moth::server
