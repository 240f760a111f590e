#include "api/schema/openapi_v2.h"

#include <set>

#include "api/base/json.h"
#include "api/schema/openapi_v2_parts.h"

namespace moth::schema {
namespace {

using TypesByName = std::map<std::string, Type>;

// `root` and all named types that it holds.
void collect(TypesByName& types, Type root) {
  std::vector<Type> open;
  auto visit = [&](Type type) {
    if (!type) return;
    bool anonymous = !is_builtin(type) && !type.is_root();
    if (anonymous || types.emplace(openapi_name(type), type).second) open.push_back(type);
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

Json head_of(const OpenApiOptions& options) {
  Json head = {{"swagger", "2.0"},
               {"info", {{"title", options.title}, {"version", options.version}}}};
  head["securityDefinitions"]["BearerToken"] = {{"description", "Bearer Token authentication"},
                                                {"type", "apiKey"},
                                                {"name", "authorization"},
                                                {"in", "header"}};
  head["security"] = Json::array({{{"BearerToken", Json::array()}}});
  return head;
}

std::string text_of(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

// Writes either form; `open` and `close` begin and end a member of the JSON document.
class Document {
 public:
  Document(OpenApiV2Form form, const DocumentSink& sink)
      : json_(form == OpenApiV2Form::kJson), sink_(sink) {}

  void begin(const OpenApiOptions& options) {
    Json head = head_of(options);
    if (!json_) return sink_(v2_protobuf_head(head));
    std::string text = text_of(head);
    text.pop_back();
    sink_(text);
  }
  void open(std::string_view member) {
    if (json_) sink_(",\"" + std::string(member) + "\":{");
    first_ = true;
  }
  void path(const std::string& name, const Json& item) {
    if (json_) return entry(name, item);
    sink_(v2_protobuf_path(name, item));
  }
  void definition(const std::string& name, const Json& schema) {
    if (json_) return entry(name, schema);
    sink_(v2_protobuf_definition(name, schema));
  }
  void close() {
    if (json_) sink_("}");
  }

 private:
  void entry(const std::string& name, const Json& value) {
    std::string text = first_ ? "" : ",";
    first_ = false;
    text += Json(name).dump() + ":" + text_of(value);
    sink_(text);
  }

  bool json_;
  bool first_ = true;
  const DocumentSink& sink_;
};

}  // namespace

void write_openapi_v2(OpenApiV2Form form, std::span<const ResourceInfo> resources,
                      const CustomSchemas& custom, const OpenApiOptions& options,
                      const DocumentSink& sink) {
  Document document(form, sink);
  document.begin(options);
  TypesByName types;
  document.open("paths");
  for (const ResourceInfo& resource : resources) {
    collect(types, resource.type);
    collect(types, resource.list_type);
    for (const ResourceInfo::Subresource& sub : resource.subresources) collect(types, sub.type);
    v2_paths(resource,
             [&](const std::string& path, const Json& item) { document.path(path, item); });
  }
  document.close();
  for (std::string_view name : {"meta.v1.DeleteOptions", "meta.v1.Patch", "meta.v1.Status"}) {
    collect(types, find_type(name));
  }
  document.open("definitions");
  for (const auto& [name, type] : types) {
    auto given = custom.find(name);
    document.definition(name,
                        given == custom.end() ? v2_definition(type) : v2_from_v3(given->second));
  }
  document.close();
  document.close();
}

}  // namespace moth::schema
