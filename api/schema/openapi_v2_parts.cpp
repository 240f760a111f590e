#include "api/schema/openapi_v2_parts.h"

#include <algorithm>
#include <array>
#include <cctype>

#include "api/base/json.h"

namespace moth::schema {
namespace {

constexpr std::string_view kDefinitions = "#/definitions/";
constexpr std::string_view kComponents = "#/components/schemas/";

Json structure(Type type);

Json scalar(Kind kind) {
  switch (kind) {
    case Kind::kString:
    case Kind::kDuration:
    case Kind::kQuantity:
      return {{"type", "string"}};
    case Kind::kBool:
      return {{"type", "boolean"}};
    case Kind::kInt32:
      return {{"type", "integer"}, {"format", "int32"}};
    case Kind::kInt64:
      return {{"type", "integer"}, {"format", "int64"}};
    case Kind::kDouble:
      return {{"type", "number"}, {"format", "double"}};
    case Kind::kBytes:
      return {{"type", "string"}, {"format", "byte"}};
    case Kind::kTime:
    case Kind::kMicroTime:
      return {{"type", "string"}, {"format", "date-time"}};
    case Kind::kIntOrString:
      return {{"type", "string"}, {"format", "int-or-string"}};
    case Kind::kRawObject:
      return {{"type", "object"}};
    default:
      return Json::object();
  }
}

Json reference(Type type) {
  return {{"$ref", std::string(kDefinitions) + openapi_name(type)}};
}

Json value_schema(Value value) {
  if (value.kind() == Kind::kArray) {
    Json out = {{"type", "array"}, {"items", value_schema(value.element())}};
    static constexpr std::array kNames = {"atomic", "set", "map"};
    out["x-kubernetes-list-type"] = kNames[static_cast<std::size_t>(value.list_type())];
    if (value.list_type() == ListType::kMap) {
      Json& keys = out["x-kubernetes-list-map-keys"] = Json::array();
      for (std::string_view key : value.list_map_keys()) keys.push_back(key);
    }
    return out;
  }
  if (value.kind() == Kind::kMap) {
    Json out = {{"type", "object"}, {"additionalProperties", value_schema(value.element())}};
    if (value.map_type() == MapType::kAtomic) out["x-kubernetes-map-type"] = "atomic";
    return out;
  }
  if (!value.type()) return scalar(value.kind());
  // The nested structures of a custom resource have no name of their own.
  if (!is_builtin(value.type()) && !value.type().is_root()) return structure(value.type());
  return reference(value.type());
}

Json property(Field field) {
  Json out = value_schema(field.value());
  if (!field.description().empty()) out["description"] = field.description();
  if (!field.default_json().empty()) {
    Json given = Json::parse(field.default_json(), nullptr, false);
    if (!given.is_discarded()) out["default"] = std::move(given);
  }
  if (!field.patch_merge_key().empty()) {
    out["x-kubernetes-patch-merge-key"] = field.patch_merge_key();
  }
  std::string strategy = field.patch_merge() ? "merge" : "";
  if (field.patch_replace()) strategy = "replace";
  if (field.patch_retain_keys()) strategy += strategy.empty() ? "retainKeys" : ",retainKeys";
  if (!strategy.empty()) out["x-kubernetes-patch-strategy"] = strategy;
  return out;
}

Json structure(Type type) {
  Json out = {{"type", "object"}};
  Json properties = Json::object(), required = Json::array();
  for (Field field : type.fields()) {
    properties[std::string(field.name())] = property(field);
    if (field.required()) required.push_back(field.name());
  }
  if (!properties.empty()) out["properties"] = std::move(properties);
  if (!required.empty()) out["required"] = std::move(required);
  return out;
}

Json kind_json(std::string_view group, std::string_view version, std::string_view kind) {
  return {{"group", group}, {"version", version}, {"kind", kind}};
}

// --- paths --------------------------------------------------------------------------------------

// "rbac.authorization.k8s.io" is RbacAuthorization, core is Core.
std::string group_words(std::string_view group) {
  std::string out;
  if (group.ends_with(".k8s.io")) group.remove_suffix(std::string_view(".k8s.io").size());
  if (group.empty()) group = "core";
  bool start = true;
  for (char c : group) {
    if (c == '.' || c == '-') {
      start = true;
      continue;
    }
    out += start ? static_cast<char>(std::toupper(static_cast<unsigned char>(c))) : c;
    start = false;
  }
  return out;
}

std::string capital(std::string text) {
  if (!text.empty()) {
    text[0] = static_cast<char>(std::toupper(static_cast<unsigned char>(text[0])));
  }
  return text;
}

struct Operation {
  const char* method;
  const char* verb;    // of discovery: get, list, create ...
  const char* action;  // x-kubernetes-action
  const char* word;    // begins the operation's id
};
constexpr std::array kOperations = {
    Operation{"get", "get", "get", "read"},
    Operation{"get", "list", "list", "list"},
    Operation{"post", "create", "post", "create"},
    Operation{"put", "update", "put", "replace"},
    Operation{"patch", "patch", "patch", "patch"},
    Operation{"delete", "delete", "delete", "delete"},
    Operation{"delete", "deletecollection", "deletecollection", "deleteCollection"}};

const Operation& operation_of(std::string_view verb) {
  return *std::find_if(kOperations.begin(), kOperations.end(),
                       [&](const Operation& one) { return one.verb == verb; });
}

Json query(const char* name) {
  return {{"name", name}, {"in", "query"}, {"type", "string"}, {"uniqueItems", true}};
}

Json parameters_of(const Operation& operation, Type body) {
  Json out = Json::array();
  std::string_view verb = operation.verb;
  bool write = verb == "create" || verb == "update" || verb == "patch";
  if (write || verb == "delete" || verb == "deletecollection") {
    Json parameter = {{"name", "body"}, {"in", "body"}, {"schema", Json::object()}};
    if (write) parameter["required"] = true;
    if (verb == "patch") body = find_type("meta.v1.Patch");
    if (!write) body = find_type("meta.v1.DeleteOptions");
    if (body) parameter["schema"] = reference(body);
    out.push_back(std::move(parameter));
  }
  std::vector<const char*> names;
  if (write) names = {"dryRun", "fieldManager", "fieldValidation"};
  if (verb == "patch") names.push_back("force");
  if (verb == "delete" || verb == "deletecollection") {
    names = {"dryRun", "gracePeriodSeconds", "orphanDependents", "propagationPolicy"};
  }
  if (verb == "list" || verb == "deletecollection") {
    for (const char* name :
         {"allowWatchBookmarks", "continue", "fieldSelector", "labelSelector", "limit",
          "resourceVersion", "resourceVersionMatch", "sendInitialEvents", "timeoutSeconds"}) {
      names.push_back(name);
    }
  }
  if (verb == "list") names.push_back("watch");
  for (const char* name : names) out.push_back(query(name));
  return out;
}

class PathWriter {
 public:
  PathWriter(const ResourceInfo& resource,
             const std::function<void(const std::string&, const Json&)>& take)
      : resource_(resource), take_(take) {}

  void write() {
    std::string base = "/" + group_version_path(resource_.group, resource_.version) + "/";
    std::string place = base + (resource_.namespaced ? "namespaces/{namespace}/" : "");
    std::string collection = place + resource_.resource, item = collection + "/{name}";
    if (resource_.namespaced) {
      Json all = Json::object();
      add(all, resource_.verbs, {"list"}, own(), "ForAllNamespaces");
      send(base + resource_.resource, std::move(all), false, false);
    }
    Json list = Json::object();
    add(list, resource_.verbs, {"list", "create", "deletecollection"}, own(), "");
    send(collection, std::move(list), resource_.namespaced, false);
    Json one = Json::object();
    add(one, resource_.verbs, {"get", "update", "patch", "delete"}, own(), "");
    send(item, std::move(one), resource_.namespaced, true);
    for (const ResourceInfo::Subresource& sub : resource_.subresources) {
      Json below = Json::object();
      add(below, sub.verbs, {"get", "create", "update", "patch"},
          {kind_json(sub.group, sub.version, sub.kind), sub.type, {}}, capital(sub.name));
      send(item + "/" + sub.name, std::move(below), resource_.namespaced, true);
    }
  }

 private:
  struct Subject {
    Json kind;
    Type type, list_type;
  };

  Subject own() const {
    return {kind_json(resource_.group, resource_.version, resource_.kind), resource_.type,
            resource_.list_type};
  }

  void add(Json& item, const std::vector<std::string>& verbs,
           std::initializer_list<const char*> wanted, const Subject& subject,
           const std::string& tail) const {
    for (const char* verb : wanted) {
      if (std::find(verbs.begin(), verbs.end(), verb) == verbs.end()) continue;
      const Operation& operation = operation_of(verb);
      std::string_view action = operation.action;
      Type answer = action == "list" ? subject.list_type : subject.type;
      if (action == "delete" || action == "deletecollection") answer = find_type("meta.v1.Status");
      Json response = {{"description", "OK"}};
      if (answer) response["schema"] = reference(answer);
      Json out = {
          {"operationId", id_of(operation, tail)},
          {"tags", {tag()}},
          {"schemes", {"https"}},
          {"consumes", consumes(action, subject.type)},
          {"produces", {"application/json"}},
          {"responses", {{"200", std::move(response)}, {"401", {{"description", "Unauthorized"}}}}},
          {"x-kubernetes-action", action},
          {"x-kubernetes-group-version-kind", subject.kind}};
      Json parameters = parameters_of(operation, subject.type);
      if (!parameters.empty()) out["parameters"] = std::move(parameters);
      item[operation.method] = std::move(out);
    }
  }

  void send(const std::string& path, Json item, bool in_namespace, bool named) const {
    if (item.empty()) return;
    Json parameters = Json::array();
    for (const char* name : {"name", "namespace"}) {
      bool there = std::string_view(name) == "name" ? named : in_namespace;
      if (!there) continue;
      parameters.push_back({{"name", name},
                            {"in", "path"},
                            {"required", true},
                            {"type", "string"},
                            {"uniqueItems", true}});
    }
    if (!parameters.empty()) item["parameters"] = std::move(parameters);
    take_(path, item);
  }

  std::string tag() const {
    std::string words = group_words(resource_.group);
    words[0] = static_cast<char>(std::tolower(static_cast<unsigned char>(words[0])));
    return words + "_" + resource_.version;
  }

  std::string id_of(const Operation& operation, const std::string& tail) const {
    bool everywhere = tail == "ForAllNamespaces";
    std::string id =
        std::string(operation.word) + group_words(resource_.group) + capital(resource_.version);
    if (resource_.namespaced && !everywhere) id += "Namespaced";
    return id + resource_.kind + tail;
  }

  // kubectl chooses the type of its patches by this: custom resources have no strategic merge.
  static Json consumes(std::string_view action, Type type) {
    if (action != "patch") return Json::array({"*/*"});
    Json types = Json::array({"application/json-patch+json", "application/merge-patch+json"});
    if (!type || is_builtin(type)) types.push_back("application/strategic-merge-patch+json");
    types.push_back("application/apply-patch+yaml");
    return types;
  }

  const ResourceInfo& resource_;
  const std::function<void(const std::string&, const Json&)>& take_;
};

}  // namespace

Json v2_definition(Type type) {
  Json out = type.kind() == Kind::kObject ? structure(type) : scalar(type.kind());
  if (!type.description().empty()) out["description"] = type.description();
  if (type.map_type() == MapType::kAtomic) out["x-kubernetes-map-type"] = "atomic";
  if (type.is_root()) {
    bool common = type.group() == "meta.k8s.io";
    out["x-kubernetes-group-version-kind"] = Json::array(
        {kind_json(common ? "" : type.group(), common ? "v1" : type.version(), type.short_name())});
  }
  return out;
}

Json v2_from_v3(const Json& schema) {
  if (schema.is_boolean()) return schema;
  Json out = Json::object();
  if (!schema.is_object()) return out;
  // A reference with something beside it is written as allOf in v3.
  const Json* all = find_member(schema, "allOf");
  if (all && all->is_array() && all->size() == 1 && all->front().contains("$ref")) {
    out = v2_from_v3(all->front());
  }
  for (const auto& [key, value] : schema.items()) {
    if (key == "$ref" && value.is_string()) {
      std::string target = value.get<std::string>();
      if (target.starts_with(kComponents)) {
        target = std::string(kDefinitions) + target.substr(kComponents.size());
      }
      out[key] = target;
    } else if (key == "properties" && value.is_object()) {
      Json& properties = out[key] = Json::object();
      for (const auto& [name, one] : value.items()) properties[name] = v2_from_v3(one);
    } else if (key == "items" || key == "additionalProperties") {
      out[key] = v2_from_v3(value);
    } else if (key != "allOf" && key != "anyOf" && key != "oneOf" && key != "not" &&
               key != "nullable") {
      out[key] = value;
    }
  }
  if (bool_or(schema, "x-kubernetes-int-or-string")) {
    out.erase("type");
  }
  return out;
}

void v2_paths(const ResourceInfo& resource,
              const std::function<void(const std::string& path, const Json& item)>& take) {
  PathWriter(resource, take).write();
}

}  // namespace moth::schema
