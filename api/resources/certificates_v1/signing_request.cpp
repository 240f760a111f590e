#include "api/resources/certificates_v1/signing_request.h"

#include "api/base/json.h"
#include "api/machinery/time.h"
#include "api/resources/cells.h"
#include "api/resources/certificates_v1/rows.h"
#include "api/resources/edit.h"
#include "api/resources/row_base.h"

namespace moth::resources {
namespace {

std::vector<const Json*> conditions_of(const Json& object, std::string_view type) {
  std::vector<const Json*> out;
  for (const Json& condition : items(object_of(object, "status"), "conditions")) {
    if (string_or(condition, "type") == type) out.push_back(&condition);
  }
  return out;
}

// Conditions of `type` stay word for word, unless some were added or taken away.
void keep_conditions(Json& conditions, const Json& old, std::string_view type) {
  std::vector<const Json*> before = conditions_of(old, type);
  std::vector<Json*> now;
  for (Json& condition : conditions) {
    if (string_or(condition, "type") == type) now.push_back(&condition);
  }
  if (before.size() != now.size()) return;
  for (std::size_t i = 0; i < now.size(); ++i) *now[i] = *before[i];
}

void fill_in_times(Json& conditions, const Json& old, WallTime now) {
  for (Json& condition : conditions) {
    if (string_or(condition, "lastUpdateTime").empty()) {
      condition["lastUpdateTime"] = format_rfc3339(now);
    }
    if (!string_or(condition, "lastTransitionTime").empty()) continue;
    std::string since = format_rfc3339(now);
    for (const Json* before : conditions_of(old, string_or(condition, "type"))) {
      std::string known = string_or(*before, "lastTransitionTime");
      if (string_or(*before, "status") != string_or(condition, "status") || known.empty()) continue;
      since = known;
      break;
    }
    condition["lastTransitionTime"] = since;
  }
}

void take_conditions(Json& status, const Json& wanted, const Json& old,
                     std::initializer_list<std::string_view> kept, WallTime now) {
  Json conditions = items(object_of(wanted, "status"), "conditions");
  for (std::string_view type : kept) keep_conditions(conditions, old, type);
  fill_in_times(conditions, old, now);
  if (conditions.empty()) {
    status.erase("conditions");
  } else {
    status["conditions"] = std::move(conditions);
  }
}

void take_status(Json& object, const Json& wanted, WallTime now) {
  const Json old = object;
  Json status = object_of(wanted, "status");
  take_conditions(status, wanted, old, {"Approved", "Denied"}, now);
  object["status"] = std::move(status);
}

void take_approval(Json& object, const Json& wanted, WallTime now) {
  const Json old = object;
  take_conditions(object_at(object, "status"), wanted, old, {"Failed"}, now);
}

FieldErrors validate_update(const Json& object, const Json& old) {
  FieldErrors errors = validate_signing_request(object);
  check_decisions_kept(errors, object, old);
  return errors;
}

FieldErrors validate_status(const Json& object, const Json& old) {
  FieldErrors errors = validate_update(object, old);
  check_no_approval(errors, object, old);
  return errors;
}

std::string condition_cell(const Json& object) {
  std::string text = "Pending";
  if (!conditions_of(object, "Approved").empty()) text = "Approved";
  if (!conditions_of(object, "Denied").empty()) text = "Denied";
  if (!conditions_of(object, "Failed").empty()) text += ",Failed";
  if (!string_or(object_of(object, "status"), "certificate").empty()) text += ",Issued";
  return text;
}

Json cells(const Json& object, const RowContext& context) {
  const Json& spec = object_of(object, "spec");
  const Json* seconds = member(spec, "expirationSeconds");
  std::string duration =
      seconds ? human_age(std::chrono::seconds(int_or(spec, "expirationSeconds"))) : "<none>";
  return Json::array({name_cell(object), age_cell(object, context),
                      or_none(string_or(spec, "signerName")), string_or(spec, "username"), duration,
                      condition_cell(object)});
}

}  // namespace

ResourceDef certificate_signing_requests() {
  ResourceDef row =
      row_of("certificates.k8s.io", "v1", "certificatesigningrequests", "certificatesigningrequest",
             "CertificateSigningRequest", "certificates.v1.CertificateSigningRequest");
  row.namespaced = false;
  row.short_names = {"csr"};
  row.validate_name = check_path_segment_name;
  Subresource approval = own_subresource(row, "approval");
  approval.take = take_approval;
  approval.validate = validate_update;
  Subresource status = own_subresource(row, "status");
  status.take = take_status;
  status.validate = validate_status;
  row.subresources = {std::move(approval), std::move(status)};
  // Nobody issues a certificate twice.
  row.status_durability = Durability::kDurable;
  row.prepare_create = [](Json& object) { object["status"] = Json::object(); };
  row.prepare_update = [](Json& object, const Json& old) {
    object["spec"] = object_of(old, "spec");
  };
  row.validate = validate_signing_request;
  row.validate_update = validate_update;
  row.selectable_fields = {"spec.signerName"};
  row.field = [](const Json& object, std::string_view) {
    return string_or(object_of(object, "spec"), "signerName");
  };
  row.columns =
      columns({column("Name", "Name of the request"), column("Age", "Time since creation"),
               column("SignerName", "Who is asked to sign"), column("Requestor", "Who asked"),
               column("RequestedDuration", "For how long the certificate should hold"),
               column("Condition", "Whether it was approved, denied, issued")});
  row.row = cells;
  return row;
}

}  // namespace moth::resources
