#include "api/resources/apiextensions_v1/custom_rows.h"

#include <fmt/format.h>

#include <cmath>

#include "api/machinery/json_text.h"
#include "api/machinery/jsonpath.h"
#include "api/machinery/managed_text.h"
#include "api/machinery/time.h"
#include "api/resources/apiextensions_v1/conversion.h"
#include "api/resources/apiextensions_v1/definition_rules.h"
#include "api/resources/apiextensions_v1/prepared_schema.h"
#include "api/resources/cells.h"
#include "api/resources/edit.h"
#include "api/resources/row_base.h"
#include "api/schema/decode.h"
#include "api/schema/dynamic.h"

namespace moth::resources {
namespace {

// The schema as OpenAPI v3 publishes it.
Json published(Json schema, const Json& spec, const std::string& version) {
  Json& properties = schema["properties"];
  if (!properties.is_object()) properties = Json::object();
  auto text = [](const char* description) {
    return Json{{"type", "string"}, {"description", description}};
  };
  properties["apiVersion"] =
      text("The group and version that this object is written in, as group/version.");
  properties["kind"] = text("The kind of this object, in CamelCase.");
  properties["metadata"] = {
      {"description", "Metadata that every object has."},
      {"allOf",
       Json::array(
           {{{"$ref", "#/components/schemas/io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"}}})}};
  schema["x-kubernetes-group-version-kind"] =
      Json::array({{{"group", string_or(spec, "group")},
                    {"version", version},
                    {"kind", string_or(object_of(spec, "names"), "kind")}}});
  return schema;
}

class Kind final : public CustomKind {
 public:
  // spec.conversion.webhook of the definition; null: there is none.
  std::shared_ptr<const Json> webhook;

  Kind(SharedSchema schema, std::unique_ptr<const schema::DynamicTypes> types, const Json& openapi)
      : schema_(std::move(schema)),
        types_(std::move(types)),
        openapi_(raw_json(dump_json(openapi))) {}

  schema::Type type() const override { return types_->root(); }
  schema::Type list_type() const override { return types_->list(); }
  const Json& openapi() const override { return openapi_; }

  Result<schema::DecodeReport> decode(Json& object) const override {
    schema::DecodeReport report;
    prune(*schema_, object, &report.unknown_fields);
    MOTH_TRY(decode_metadata(*schema_, object, "", report));
    return report;
  }

  const Schema& schema() const { return *schema_; }

 private:
  tl::unexpected<Error> wrong(const std::string& path, const Error& error) const {
    std::string name(types_->root().short_name()), version(types_->root().version());
    std::string what = error.message;
    // The metadata's own type is not what the client sent.
    if (std::size_t at = what.find("cannot be handled as a ObjectMeta: "); at != std::string::npos)
      what.erase(0, at + 35);
    return fail(
        Error::bad_request(fmt::format("{} in version \"{}\" cannot be handled as a {}: {}{}", name,
                                       version, name, path.empty() ? "" : path + ": ", what)));
  }

  // Of the root and of embedded resources: shape of metadata, unknown fields in it.
  Result<> decode_metadata(const Schema& schema, Json& value, const std::string& path,
                           schema::DecodeReport& report) const {
    if (value.is_array() && schema.items) {
      for (std::size_t i = 0; i < value.size(); ++i) {
        if (!holds_resources(*schema.items)) break;
        MOTH_TRY(decode_metadata(*schema.items, value[i], fmt::format("{}[{}]", path, i), report));
      }
    }
    if (!value.is_object()) return {};
    auto member = value.find("metadata");
    if (schema.is_resource && member != value.end() && !member->is_null()) {
      static const schema::Type kMeta = schema::find_type("meta.v1.ObjectMeta");
      auto inner = schema::decode(kMeta, *member);
      std::string below = path.empty() ? "metadata" : path + ".metadata";
      if (!inner) return wrong(path, inner.error());
      for (const std::string& field : inner->unknown_fields)
        report.unknown_fields.push_back(below + "." + field);
    }
    for (const auto& [name, property] : schema.properties) {
      auto child = value.find(name);
      if (child == value.end() || !holds_resources(*property)) continue;
      MOTH_TRY(decode_metadata(*property, *child, path.empty() ? name : path + "." + name, report));
    }
    return {};
  }

  // Whether there is an embedded resource somewhere below.
  static bool holds_resources(const Schema& schema) {
    if (schema.is_resource) return true;
    if (schema.items && holds_resources(*schema.items)) return true;
    for (const auto& [name, property] : schema.properties) {
      if (holds_resources(*property)) return true;
    }
    return false;
  }

  SharedSchema schema_;
  std::unique_ptr<const schema::DynamicTypes> types_;
  Json openapi_;  // text: as a tree it would take six times the memory
};

using KindPtr = std::shared_ptr<const Kind>;

// --- printing -----------------------------------------------------------------------------------

struct PrintedColumn {
  std::string type;
  JsonPath path;
};

Json cell_of(const PrintedColumn& column, const Json& object, const RowContext& context) {
  auto found = column.path.find(object);
  if (!found || found->empty() || found->front().empty()) return nullptr;
  const Json& value = found->front().front();
  if (column.type == "integer") {
    if (value.is_number_integer()) return value;
    if (value.is_number_float()) return static_cast<std::int64_t>(value.get<double>());
    return nullptr;
  }
  if (column.type == "number") return value.is_number() ? value : Json(nullptr);
  if (column.type == "boolean") return value.is_boolean() ? value : Json(nullptr);
  if (column.type == "date") {
    if (!value.is_string()) return "<invalid>";
    const auto& text = value.get_ref<const std::string&>();
    return parse_rfc3339(text) ? human_age_since(text, context.now) : "<invalid>";
  }
  return jsonpath_value_text(value);
}

void set_columns(ResourceDef& row, const Json& version) {
  auto printed = std::make_shared<std::vector<PrintedColumn>>();
  row.columns.push_back({"Name", "string", "name",
                         "Name must be unique within a namespace; the name of the object", 0});
  Json list = items(version, "additionalPrinterColumns");
  if (list.empty()) {
    list.push_back({{"name", "Age"},
                    {"type", "date"},
                    {"description", "When the object was created"},
                    {"jsonPath", ".metadata.creationTimestamp"}});
  }
  for (const Json& entry : list) {
    auto path = JsonPath::parse_relaxed(string_or(entry, "jsonPath"));
    if (!path) continue;
    std::string description = string_or(entry, "description");
    if (description.empty()) {
      description = fmt::format("Custom resource definition column (in JSONPath format): {}",
                                string_or(entry, "jsonPath"));
    }
    row.columns.push_back({string_or(entry, "name"), string_or(entry, "type"),
                           string_or(entry, "format"), description,
                           static_cast<int>(int_or(entry, "priority"))});
    printed->push_back({string_or(entry, "type"), *std::move(path)});
  }
  row.row = [printed](const Json& object, const RowContext& context) {
    Json cells = Json::array({name_cell(object)});
    for (const PrintedColumn& column : *printed) cells.push_back(cell_of(column, object, context));
    return cells;
  };
}

// --- hooks --------------------------------------------------------------------------------------

// Metadata is the server's to check; the schema may only constrain the name.
FieldErrors validate_object(const Schema& schema, const Json& object, const Json* old) {
  FieldErrors errors = validate_value(schema, object, {FieldPath(), old});
  // Rules may rely on the shape.
  if (errors.empty()) append(errors, validate_rules(schema, object, {FieldPath(), old}));
  return errors;
}

void set_hooks(ResourceDef& row, const KindPtr& kind, bool has_status) {
  row.set_defaults = [kind](Json& object) { apply_defaults(kind->schema(), object); };
  if (has_status) row.prepare_create = [](Json& object) { object.erase("status"); };
  row.validate = [kind](const Json& object) {
    return validate_object(kind->schema(), object, nullptr);
  };
  row.validate_update = [kind](const Json& object, const Json& old) {
    return validate_object(kind->schema(), object, &old);
  };
  row.validate_status = row.validate_update;
}

// Any stored form to the form of this row. What is for a webhook to convert stays as it is.
std::function<Json(const Json&)> converter(const KindPtr& kind, std::string api_version) {
  return [kind, api_version = std::move(api_version)](const Json& object) {
    if (kind->webhook && string_or(object, "apiVersion") != api_version) return object;
    Json converted = object;
    converted["apiVersion"] = api_version;
    prune(kind->schema(), converted);
    apply_defaults(kind->schema(), converted);
    return converted;
  };
}

void set_selectable(ResourceDef& row, const Json& version) {
  auto pointers = std::make_shared<std::map<std::string, std::string, std::less<>>>();
  for (const Json& entry : items(version, "selectableFields")) {
    std::string path = string_or(entry, "jsonPath"), pointer = pointer_of(path);
    if (pointer.empty()) continue;
    path.erase(0, 1);
    row.selectable_fields.push_back(path);
    (*pointers)[path] = pointer;
  }
  if (pointers->empty()) return;
  row.field = [pointers](const Json& object, std::string_view field) -> std::string {
    auto it = pointers->find(field);
    if (it == pointers->end()) return "";
    Json::json_pointer where(it->second);
    if (!object.contains(where)) return "";
    const Json& value = object.at(where);
    if (value.is_null() || value.is_structured()) return "";
    return value.is_string() ? value.get<std::string>() : value.dump();
  };
}

void set_subresources(ResourceDef& row, const Json& version) {
  const Json& subresources = object_of(version, "subresources");
  if (member(subresources, "status")) row.subresources.push_back(own_subresource(row, "status"));
  const Json* scale = member(subresources, "scale");
  if (!scale) return;
  row.subresources.push_back(scale_subresource());
  row.scale_spec_replicas = pointer_of(string_or(*scale, "specReplicasPath"));
  row.scale_status_replicas = pointer_of(string_or(*scale, "statusReplicasPath"));
  row.scale_selector = pointer_of(string_or(*scale, "labelSelectorPath"));
}

std::vector<std::string> texts(const Json& list) {
  std::vector<std::string> out;
  for (const Json& item : list) {
    if (item.is_string()) out.push_back(item.get<std::string>());
  }
  return out;
}

std::string deprecation_of(const ResourceDef& row, const Json& version) {
  if (!bool_or(version, "deprecated")) return "";
  std::string text = string_or(version, "deprecationWarning");
  return text.empty() ? fmt::format("{} {} is deprecated", row.api_version(), row.kind) : text;
}

bool one_shape(const Json& spec) {
  const Json& versions = items(spec, "versions");
  for (const Json& version : versions) {
    const Json* first = find_member(versions[0], "schema");
    const Json* schema = find_member(version, "schema");
    if (!first || !schema || *first != *schema) return false;
  }
  return true;
}

const Json& schema_of(const Json& version) {
  static const Json kNoSchema = {{"type", "object"},
                                 {"x-kubernetes-preserve-unknown-fields", true}};
  const Json* schema = find_path(version, "schema", "openAPIV3Schema");
  return schema ? *schema : kNoSchema;
}

// What versions share: the schema, when they have one shape, and the webhook.
class SchemasOfVersions {
 public:
  explicit SchemasOfVersions(const Json& spec) {
    const Json& conversion = object_of(spec, "conversion");
    if (string_or(conversion, "strategy") == "Webhook")
      webhook = std::make_shared<const Json>(object_of(conversion, "webhook"));
  }
  std::shared_ptr<const Json> webhook;

  Result<SharedSchema> get(const Json& schema) {
    for (const auto& [json, made] : made_) {
      if (*json == schema) return made;
    }
    MOTH_ASSIGN(SharedSchema made, take_schema(schema));
    made_.emplace_back(&schema, made);
    return made;
  }

 private:
  std::vector<std::pair<const Json*, SharedSchema>> made_;
};

Result<ResourceDef> make_row(const Json& spec, const Json& version, const std::string& stored,
                             SchemasOfVersions& schemas, const CustomRowOptions& options) {
  const Json& names = object_of(spec, "names");
  std::string name = string_or(version, "name");
  ResourceDef row = row_of(string_or(spec, "group"), name, string_or(names, "plural"),
                           string_or(names, "singular"), string_or(names, "kind"), "");
  const Json& schema = schema_of(version);
  MOTH_ASSIGN(SharedSchema parsed, schemas.get(schema));
  MOTH_ASSIGN(auto types, schema::DynamicTypes::build(row.group, name, row.kind,
                                                      string_or(names, "listKind"), schema));
  auto made =
      std::make_shared<Kind>(std::move(parsed), std::move(types), published(schema, spec, name));
  made->webhook = schemas.webhook;
  KindPtr kind = std::move(made);
  row.custom = kind;
  row.type_name = std::string(kind->type().name());
  row.served = bool_or(version, "served");
  row.namespaced = string_or(spec, "scope") == "Namespaced";
  row.short_names = texts(items(names, "shortNames"));
  row.categories = texts(items(names, "categories"));
  row.custom_list_kind = string_or(names, "listKind");
  if (options.terminating) row.verbs &= ~static_cast<unsigned>(kCreate);
  row.status_durability = Durability::kDurable;
  row.allow_unconditional_update = false;
  row.has_generation = true;
  row.deprecation = deprecation_of(row, version);
  set_subresources(row, version);
  set_hooks(row, kind, row.subresource("status") != nullptr);
  set_columns(row, version);
  set_selectable(row, version);
  row.from_storage = converter(kind, row.api_version());
  if (name == stored) {
    // Objects written in a version of another shape hold what this one does not have.
    row.current_since = one_shape(spec) ? options.current_since : UINT64_MAX;
  } else {
    row.storage_version = stored;
    row.to_storage = [group_version = row.group + "/" + stored](const Json& object) {
      Json converted = object;
      converted["apiVersion"] = group_version;
      return converted;
    };
  }
  return row;
}

}  // namespace

const Json* conversion_webhook(const ResourceDef& def) {
  const auto* kind = dynamic_cast<const Kind*>(def.custom.get());
  return kind ? kind->webhook.get() : nullptr;
}

Result<std::vector<ResourceDef>> custom_rows(const Json& definition,
                                             const CustomRowOptions& options) {
  std::vector<ResourceDef> rows;
  const Json& spec = object_of(definition, "spec");
  std::string stored = stored_version(definition);
  SchemasOfVersions schemas(spec);
  for (const Json& version : items(spec, "versions")) {
    bool is_stored = string_or(version, "name") == stored;
    if (!bool_or(version, "served") && !is_stored) continue;
    auto row = make_row(spec, version, stored, schemas, options);
    if (!row) return fail(row.error().with_context("version " + string_or(version, "name")));
    rows.push_back(*std::move(row));
  }
  return rows;
}

}  // namespace moth::resources
