#include "api/schema/openapi_v3.h"

#include <openssl/evp.h>

#include <algorithm>
#include <array>
#include <map>

#include "api/machinery/json_text.h"

namespace moth::schema {

namespace {

// Writes JSON text as it goes. A document is too large to be worth a DOM that is thrown away.
class Writer {
 public:
  Writer& open(char bracket) {
    separate();
    out_ += bracket;
    first_ = true;
    return *this;
  }
  Writer& close(char bracket) {
    out_ += bracket;
    first_ = false;
    return *this;
  }
  Writer& key(std::string_view name) {
    separate();
    append_json_string(name, out_);
    out_ += ':';
    first_ = true;
    return *this;
  }
  Writer& text(std::string_view value) {
    separate();
    append_json_string(value, out_);
    return *this;
  }
  // JSON text as it is.
  Writer& raw(std::string_view json) {
    separate();
    out_ += json;
    return *this;
  }
  std::string take() { return std::move(out_); }

 private:
  void separate() {
    if (!first_) out_ += ',';
    first_ = false;
  }
  std::string out_;
  bool first_ = true;  // nothing stands before at this level
};

void write_gvk(Writer& out, std::string_view group, std::string_view version,
               std::string_view kind) {
  out.open('{').key("group").text(group).key("version").text(version).key("kind").text(kind);
  out.close('}');
}

std::string ref_of(Type type) {
  return "#/components/schemas/" + openapi_name(type);
}

// --- components.schemas -------------------------------------------------------------------------

struct ScalarForm {
  std::string_view type, format;
};
ScalarForm scalar_form(Kind kind) {
  switch (kind) {
    case Kind::kString:
      return {"string", ""};
    case Kind::kBool:
      return {"boolean", ""};
    case Kind::kInt32:
      return {"integer", "int32"};
    case Kind::kInt64:
      return {"integer", "int64"};
    case Kind::kDouble:
      return {"number", "double"};
    case Kind::kBytes:
      return {"string", "byte"};
    case Kind::kTime:
    case Kind::kMicroTime:
      return {"string", "date-time"};
    case Kind::kDuration:
      return {"string", ""};
    case Kind::kRawObject:
      return {"object", ""};
    default:
      return {"", ""};
  }
}

// The members that say what a scalar is, inside an open object.
void write_scalar(Writer& out, Kind kind) {
  if (kind == Kind::kQuantity) {
    out.key("oneOf").raw(R"([{"type":"string"},{"type":"number"}])");
  } else if (kind == Kind::kIntOrString) {
    out.key("format").text("int-or-string");
    out.key("oneOf").raw(R"([{"type":"integer"},{"type":"string"}])");
  } else if (auto [type, format] = scalar_form(kind); !type.empty()) {
    out.key("type").text(type);
    if (!format.empty()) out.key("format").text(format);
  }
}

// The nested structures of a custom resource have no name of their own: they are written in place.
bool is_anonymous(Type type) {
  return !is_builtin(type) && !type.is_root();
}

void write_value(Writer& out, Value value);
void write_structure(Writer& out, Type type);

void write_list_facts(Writer& out, Value value, Field field) {
  if (value.list_type() == ListType::kMap) {
    out.key("x-kubernetes-list-map-keys").open('[');
    for (std::string_view key : value.list_map_keys()) out.text(key);
    out.close(']');
  }
  static constexpr std::array<std::string_view, 3> kNames = {"atomic", "set", "map"};
  out.key("x-kubernetes-list-type").text(kNames[static_cast<std::size_t>(value.list_type())]);
  if (!field) return;
  if (!field.patch_merge_key().empty())
    out.key("x-kubernetes-patch-merge-key").text(field.patch_merge_key());
}

void write_patch_strategy(Writer& out, Field field) {
  std::string strategy;
  if (field.patch_merge()) strategy = "merge";
  if (field.patch_replace()) strategy = "replace";
  if (field.patch_retain_keys()) strategy += strategy.empty() ? "retainKeys" : ",retainKeys";
  if (!strategy.empty()) out.key("x-kubernetes-patch-strategy").text(strategy);
}

// The members that describe a value, inside an open object.
void write_value_members(Writer& out, Value value, Field field) {
  switch (value.kind()) {
    case Kind::kArray:
      out.key("type").text("array").key("items");
      write_value(out, value.element());
      write_list_facts(out, value, field);
      return;
    case Kind::kMap:
      out.key("type").text("object").key("additionalProperties");
      write_value(out, value.element());
      if (value.map_type() == MapType::kAtomic) out.key("x-kubernetes-map-type").text("atomic");
      return;
    default:
      break;
  }
  if (value.nullable()) out.key("nullable").raw("true");
  if (value.preserve_unknown_fields() || (!value.type() && value.kind() == Kind::kRawObject))
    out.key("x-kubernetes-preserve-unknown-fields").raw("true");
  if (value.embedded_resource()) out.key("x-kubernetes-embedded-resource").raw("true");
  if (!value.type()) return write_scalar(out, value.kind());
  if (value.kind() == Kind::kObject && value.map_type() != value.type().map_type())
    out.key("x-kubernetes-map-type")
        .text(value.map_type() == MapType::kAtomic ? "atomic" : "granular");
  if (is_anonymous(value.type())) return write_structure(out, value.type());
  // allOf, since members beside a bare $ref are ignored.
  out.key("allOf").open('[').open('{').key("$ref").text(ref_of(value.type()));
  out.close('}').close(']');
}

void write_value(Writer& out, Value value) {
  out.open('{');
  if (value.type() && !is_anonymous(value.type())) {
    out.key("$ref").text(ref_of(value.type()));
  } else {
    write_value_members(out, value, {});
  }
  out.close('}');
}

void write_property(Writer& out, Field field) {
  out.key(field.name()).open('{');
  if (!field.description().empty()) out.key("description").text(field.description());
  if (!field.default_json().empty()) out.key("default").raw(field.default_json());
  write_value_members(out, field.value(), field);
  write_patch_strategy(out, field);
  out.close('}');
}

// The members type, properties and required, inside an open object.
void write_structure(Writer& out, Type type) {
  out.key("type").text("object");
  bool any_required = false;
  if (type.fields().size() > 0) {
    out.key("properties").open('{');
    for (Field field : type.fields()) {
      write_property(out, field);
      any_required |= field.required();
    }
    out.close('}');
  }
  if (any_required) {
    out.key("required").open('[');
    for (Field field : type.fields())
      if (field.required()) out.text(field.name());
    out.close(']');
  }
}

void write_type(Writer& out, Type type, std::string_view group, std::string_view version) {
  out.key(openapi_name(type)).open('{');
  if (!type.description().empty()) out.key("description").text(type.description());
  if (type.kind() != Kind::kObject) {
    write_scalar(out, type.kind());
    out.close('}');
    return;
  }
  write_structure(out, type);
  if (type.map_type() == MapType::kAtomic) out.key("x-kubernetes-map-type").text("atomic");
  if (type.is_root()) {
    out.key("x-kubernetes-group-version-kind").open('[');
    // DeleteOptions and Status belong to the group-version that they are served in.
    bool common = type.group() == "meta.k8s.io";
    write_gvk(out, common ? group : type.group(), common ? version : type.version(),
              type.short_name());
    out.close(']');
  }
  out.close('}');
}

using TypesByName = std::map<std::string, Type>;

void collect(TypesByName& types, Type root) {
  std::vector<Type> open;
  auto visit = [&](Type type) {
    if (!type) return;
    if (is_anonymous(type)) {
      open.push_back(type);
    } else if (types.emplace(openapi_name(type), type).second) {
      open.push_back(type);
    }
  };
  visit(root);
  while (!open.empty()) {
    Type type = open.back();
    open.pop_back();
    for (Field field : type.fields()) {
      Value value = field.value();
      while (value.element()) value = value.element();
      visit(value.type());
    }
  }
}

// --- paths --------------------------------------------------------------------------------------

struct Operation {
  std::string_view method, action;
  std::string_view group, version, kind;
  Type body, answer;
};

constexpr std::string_view kQueryString =
    R"(,"in":"query","schema":{"type":"string","uniqueItems":true}})";

void write_parameters(Writer& out, const Operation& operation) {
  std::vector<std::string_view> names;
  bool write =
      operation.method == "post" || operation.method == "put" || operation.method == "patch";
  if (write) names = {"dryRun", "fieldManager", "fieldValidation"};
  if (operation.method == "patch") names.push_back("force");
  if (operation.method == "delete")
    names = {"dryRun", "gracePeriodSeconds", "orphanDependents", "propagationPolicy"};
  if (operation.action == "list" || operation.action == "deletecollection")
    for (std::string_view name :
         {"allowWatchBookmarks", "continue", "fieldSelector", "labelSelector", "limit",
          "resourceVersion", "resourceVersionMatch", "sendInitialEvents", "timeoutSeconds"})
      names.push_back(name);
  if (operation.action == "list") names.push_back("watch");
  if (names.empty()) return;
  out.key("parameters").open('[');
  for (std::string_view name : names)
    out.raw(std::string(R"({"name":")").append(name).append("\"").append(kQueryString));
  out.close(']');
}

void write_content(Writer& out, Type type, std::span<const std::string_view> media_types) {
  out.key("content").open('{');
  for (std::string_view media_type : media_types) {
    out.key(media_type).open('{').key("schema").open('{');
    out.key("$ref").text(ref_of(type)).close('}').close('}');
  }
  out.close('}');
}

void write_operation(Writer& out, const Operation& operation) {
  static constexpr std::array<std::string_view, 1> kJson = {"application/json"};
  static constexpr std::array<std::string_view, 4> kPatches = {
      "application/apply-patch+yaml", "application/json-patch+json", "application/merge-patch+json",
      "application/strategic-merge-patch+json"};
  out.key(operation.method).open('{');
  out.key("x-kubernetes-action").text(operation.action);
  out.key("x-kubernetes-group-version-kind");
  write_gvk(out, operation.group, operation.version, operation.kind);
  write_parameters(out, operation);
  if (operation.method == "patch") {
    std::span<const std::string_view> media_types = kPatches;
    // Custom resources have no strategic merge, which is the last one.
    if (operation.answer && !is_builtin(operation.answer)) media_types = media_types.first(3);
    out.key("requestBody").open('{');
    write_content(out, find_type("meta.v1.Patch"), media_types);
    out.close('}');
  } else if (operation.body) {
    out.key("requestBody").open('{');
    write_content(out, operation.body, kJson);
    out.close('}');
  }
  out.key("responses").open('{').key("200").open('{').key("description").text("OK");
  if (operation.answer) write_content(out, operation.answer, kJson);
  out.close('}').close('}').close('}');
}

class Paths {
 public:
  Paths(Writer& out, std::string base) : out_(out), base_(std::move(base)) {}

  void write(const ResourceInfo& resource) {
    std::string place = base_ + (resource.namespaced ? "namespaces/{namespace}/" : "");
    std::string collection = place + resource.resource, item = collection + "/{name}";
    if (resource.namespaced && has(resource.verbs, "list")) {
      open(base_ + resource.resource, false, false);
      operation(resource, "get", "list", {}, resource.list_type);
      out_.close('}');
    }
    write_collection(resource, collection);
    write_item(resource, item);
    for (const ResourceInfo::Subresource& sub : resource.subresources)
      write_subresource(resource, sub, item + "/" + sub.name);
  }

 private:
  static bool has(const std::vector<std::string>& verbs, std::string_view verb) {
    return std::find(verbs.begin(), verbs.end(), verb) != verbs.end();
  }
  static bool has_any(const std::vector<std::string>& verbs,
                      std::initializer_list<std::string_view> wanted) {
    return std::any_of(wanted.begin(), wanted.end(),
                       [&](std::string_view verb) { return has(verbs, verb); });
  }

  // Opens a path's object, with the parameters that are part of the path.
  void open(const std::string& path, bool in_namespace, bool named) {
    out_.key(path).open('{');
    if (!in_namespace && !named) return;
    out_.key("parameters").open('[');
    for (std::string_view name : {"name", "namespace"})
      if (name == "name" ? named : in_namespace)
        out_.raw(std::string(R"({"name":")")
                     .append(name)
                     .append(R"(","in":"path","required":true,"schema":{"type":"string"}})"));
    out_.close(']');
  }

  void operation(const ResourceInfo& resource, std::string_view method, std::string_view action,
                 Type body, Type answer) {
    write_operation(
        out_, {method, action, resource.group, resource.version, resource.kind, body, answer});
  }

  void write_collection(const ResourceInfo& resource, const std::string& path) {
    if (!has_any(resource.verbs, {"list", "create", "deletecollection"})) return;
    open(path, resource.namespaced, false);
    if (has(resource.verbs, "list")) operation(resource, "get", "list", {}, resource.list_type);
    if (has(resource.verbs, "create"))
      operation(resource, "post", "post", resource.type, resource.type);
    if (has(resource.verbs, "deletecollection"))
      operation(resource, "delete", "deletecollection", find_type("meta.v1.DeleteOptions"),
                find_type("meta.v1.Status"));
    out_.close('}');
  }

  void write_item(const ResourceInfo& resource, const std::string& path) {
    if (!has_any(resource.verbs, {"get", "update", "patch", "delete"})) return;
    open(path, resource.namespaced, true);
    if (has(resource.verbs, "get")) operation(resource, "get", "get", {}, resource.type);
    if (has(resource.verbs, "update"))
      operation(resource, "put", "put", resource.type, resource.type);
    if (has(resource.verbs, "patch")) operation(resource, "patch", "patch", {}, resource.type);
    if (has(resource.verbs, "delete"))
      operation(resource, "delete", "delete", find_type("meta.v1.DeleteOptions"),
                find_type("meta.v1.Status"));
    out_.close('}');
  }

  void write_subresource(const ResourceInfo& resource, const ResourceInfo::Subresource& sub,
                         const std::string& path) {
    open(path, resource.namespaced, true);
    auto write = [&](std::string_view verb, std::string_view method, std::string_view action,
                     Type body) {
      if (has(sub.verbs, verb))
        write_operation(out_, {method, action, sub.group, sub.version, sub.kind, body, sub.type});
    };
    write("get", "get", "get", {});
    write("create", "post", "post", sub.type);
    write("update", "put", "put", sub.type);
    write("patch", "patch", "patch", {});
    out_.close('}');
  }

  Writer& out_;
  std::string base_;
};

}  // namespace

std::string openapi_name(Type type) {
  std::string_view name = type.name();
  if (!is_builtin(type)) return std::string(name);
  auto prefixed = [&](std::string_view prefix) { return std::string(prefix).append(name); };
  if (name.starts_with("meta.v1.")) return prefixed("io.k8s.apimachinery.pkg.apis.");
  if (name.starts_with("api.resource.") || name.starts_with("util.") ||
      name.starts_with("runtime.") || name.starts_with("version."))
    return prefixed("io.k8s.apimachinery.pkg.");
  if (name.starts_with("apiextensions."))
    return prefixed("io.k8s.apiextensions-apiserver.pkg.apis.");
  if (name.starts_with("apiregistration.")) return prefixed("io.k8s.kube-aggregator.pkg.apis.");
  return prefixed("io.k8s.api.");
}

std::string group_version_path(std::string_view group, std::string_view version) {
  std::string path = group.empty() ? "api/" : "apis/" + std::string(group) + "/";
  return path.append(version);
}

std::string openapi_v3_document(std::string_view group, std::string_view version,
                                std::span<const ResourceInfo> resources,
                                const OpenApiOptions& options) {
  TypesByName types;
  // Sorted by path, so that the same resources give the same text and hash.
  std::vector<const ResourceInfo*> served;
  for (const ResourceInfo& resource : resources) {
    if (resource.group != group || resource.version != version) continue;
    served.push_back(&resource);
    collect(types, resource.type);
    collect(types, resource.list_type);
    for (const ResourceInfo::Subresource& sub : resource.subresources) collect(types, sub.type);
  }
  std::sort(served.begin(), served.end(),
            [](const ResourceInfo* a, const ResourceInfo* b) { return a->resource < b->resource; });
  for (std::string_view name : {"meta.v1.DeleteOptions", "meta.v1.Patch", "meta.v1.Status"})
    collect(types, find_type(name));

  Writer out;
  out.open('{').key("openapi").text("3.0.0");
  out.key("info").open('{').key("title").text(options.title).key("version").text(options.version);
  out.close('}').key("paths").open('{');
  Paths paths(out, "/" + group_version_path(group, version) + "/");
  for (const ResourceInfo* resource : served) paths.write(*resource);
  out.close('}').key("components").open('{').key("schemas").open('{');
  for (auto& [name, type] : types) write_type(out, type, group, version);
  out.close('}').close('}').close('}');
  return out.take();
}

std::string openapi_hash(std::string_view document) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned int size = 0;
  EVP_Digest(document.data(), document.size(), digest.data(), &size, EVP_sha256(), nullptr);
  constexpr std::size_t kBytes = 16;
  std::string hex;
  for (std::size_t i = 0; i < kBytes; ++i) {
    hex += "0123456789ABCDEF"[digest[i] >> 4];
    hex += "0123456789ABCDEF"[digest[i] & 15];
  }
  return hex;
}

std::string openapi_v3_index(std::span<const OpenApiIndexEntry> entries) {
  std::map<std::string, std::string> paths;
  for (const OpenApiIndexEntry& entry : entries)
    paths[group_version_path(entry.group, entry.version)] = entry.hash;
  Writer out;
  out.open('{').key("paths").open('{');
  for (auto& [path, hash] : paths) {
    out.key(path).open('{').key("serverRelativeURL");
    out.text("/openapi/v3/" + path + "?hash=" + hash).close('}');
  }
  out.close('}').close('}');
  return out.take();
}

}  // namespace moth::schema
