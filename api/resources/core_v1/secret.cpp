#include "api/base/json.h"
#include "api/machinery/names.h"
#include "api/resources/cells.h"
#include "api/resources/check.h"
#include "api/resources/core_v1/data_keys.h"
#include "api/resources/core_v1/rows.h"
#include "api/resources/edit.h"
#include "api/resources/row_base.h"
#include "api/schema/base64.h"

namespace moth::resources {
namespace {

// stringData is for writing only: it goes into data.
void set_defaults(Json& object) {
  default_text(object, "type", "Opaque");
  const Json* given = member(object, "stringData");
  if (!given) return;
  Json texts = *given;
  object.erase("stringData");
  if (!texts.is_object() || texts.empty()) return;
  Json& data = object_at(object, "data");
  for (const auto& [key, value] : texts.items()) {
    if (value.is_string()) {
      data[key] = schema::encode_base64(value.get_ref<const std::string&>());
    }
  }
}

void require_key(FieldErrors& errors, const Json& data, const std::string& key) {
  if (data.contains(key)) return;
  errors.push_back(FieldError::required(FieldPath("data").key(key), ""));
}

void check_json_key(FieldErrors& errors, const Json& data, const std::string& key) {
  require_key(errors, data, key);
  const Json* value = find_member(data, key);
  if (!value || !value->is_string()) return;
  auto bytes = schema::decode_base64(value->get_ref<const std::string&>());
  if (bytes && Json::accept(*bytes)) return;
  errors.push_back(FieldError::invalid(FieldPath("data").key(key), "<secret contents redacted>",
                                       "must be valid JSON"));
}

void check_type(FieldErrors& errors, const Json& object) {
  std::string type = string_or(object, "type");
  const Json& data = object_of(object, "data");
  if (type == "kubernetes.io/service-account-token") {
    constexpr const char* kAccount = "kubernetes.io/service-account.name";
    const Json& annotations = object_of(object_of(object, "metadata"), "annotations");
    if (string_or(annotations, kAccount).empty()) {
      errors.push_back(
          FieldError::required(FieldPath("metadata").child("annotations").key(kAccount), ""));
    }
  } else if (type == "kubernetes.io/dockercfg") {
    check_json_key(errors, data, ".dockercfg");
  } else if (type == "kubernetes.io/dockerconfigjson") {
    check_json_key(errors, data, ".dockerconfigjson");
  } else if (type == "kubernetes.io/basic-auth") {
    if (data.contains("username") || data.contains("password")) return;
    require_key(errors, data, "username");
    require_key(errors, data, "password");
  } else if (type == "kubernetes.io/ssh-auth") {
    require_key(errors, data, "ssh-privatekey");
  } else if (type == "kubernetes.io/tls") {
    require_key(errors, data, "tls.crt");
    require_key(errors, data, "tls.key");
  }
}

FieldErrors validate(const Json& object) {
  FieldErrors errors;
  std::size_t size = 0;
  for (const auto& [key, value] : object_of(object, "data").items()) {
    add_invalid(errors, FieldPath("data").key(key), key, check_config_map_key(key));
    size += decoded_size(value);
  }
  if (size > kMaxDataBytes) {
    errors.push_back(FieldError::too_long(FieldPath("data"), kMaxDataBytes));
  }
  check_type(errors, object);
  return errors;
}

FieldErrors validate_update(const Json& object, const Json& old) {
  FieldErrors errors;
  check_immutable(errors, object, old, "type", FieldPath());
  check_immutable_data(errors, object, old, {"data"});
  append(errors, validate(object));
  return errors;
}

// A write without a type keeps the old one.
void prepare_update(Json& object, const Json& old) {
  if (string_or(object, "type").empty()) object["type"] = string_or(old, "type", "Opaque");
}

Json cells(const Json& object, const RowContext& context) {
  return Json::array({name_cell(object), string_or(object, "type"),
                      object_of(object, "data").size(), age_cell(object, context)});
}

}  // namespace

ResourceDef secrets() {
  ResourceDef row = row_of("", "v1", "secrets", "secret", "Secret", "core.v1.Secret");
  row.set_defaults = set_defaults;
  row.prepare_update = prepare_update;
  row.validate = validate;
  row.validate_update = validate_update;
  row.selectable_fields = {"type"};
  row.field = [](const Json& object, std::string_view) { return string_or(object, "type"); };
  row.columns =
      columns({column("Name", "Name of the secret, unique in its namespace"),
               column("Type", "What the secret is for"),
               column("Data", "Number of keys", "integer"), column("Age", "Time since creation")});
  row.row = cells;
  return row;
}

}  // namespace moth::resources
