// Resolves names, lays inlined types into their parents and numbers everything.
#include <algorithm>

#include "model.h"

namespace schemac {

namespace {

constexpr int kRequired = 1, kPatchMerge = 2, kPatchReplace = 4, kRetainKeys = 8;
constexpr int kProtoInline = 1, kProtoPointer = 2;
constexpr int kMaxInlineDepth = 8;

const std::map<std::string, Kind> kScalarKinds = {
    {"string", kString},     {"bool", kBool},
    {"int32", kInt32},       {"int64", kInt64},
    {"double", kDouble},     {"bytes", kBytes},
    {"time", kTime},         {"microtime", kMicroTime},
    {"quantity", kQuantity}, {"int-or-string", kIntOrString},
    {"duration", kDuration}, {"raw-object", kRawObject},
    {"any", kAny},
};

// The kinds that a field may name without a declared scalar.
bool is_plain(Kind kind) {
  return (kind >= kString && kind <= kBytes) || kind == kAny || kind == kRawObject;
}

struct Entry {
  const SourceFile* file;
  const SourceType* type;
};

class Compiler {
 public:
  explicit Compiler(const std::vector<SourceFile>& files) { collect(files); }

  CompiledTable compile() {
    for (auto& [name, entry] : entries_) declare(name, entry);
    for (auto& [name, entry] : entries_) define(name, entry);
    return std::move(table_);
  }

 private:
  void collect(const std::vector<SourceFile>& files) {
    for (const SourceFile& file : files) {
      table_.packages.push_back({file.package, file.group, file.version});
      for (const SourceType& type : file.types) {
        std::string name = file.package + "." + type.name;
        if (!entries_.emplace(name, Entry{&file, &type}).second)
          throw SchemaError(file.path, type.line, name + " is declared twice");
        if (type.form == SourceType::Form::kScalar) scalars_.emplace(type.name, name);
      }
    }
    for (std::uint32_t i = 0; i < table_.packages.size(); ++i)
      if (!packages_.emplace(table_.packages[i].name, i).second)
        throw SchemaError(files[i].path, 1, "another file has the same package");
  }

  // Gives every type its number, so that fields may refer to types that come later.
  void declare(const std::string& name, const Entry& entry) {
    CompiledType type;
    type.name = name;
    type.doc = entry.type->doc;
    type.package = packages_.at(entry.file->package);
    type.root = entry.type->form == SourceType::Form::kRoot;
    type.atomic = entry.type->atomic;
    auto index = static_cast<std::uint32_t>(table_.types.size());
    numbers_[name] = index;
    CompiledValue value;
    if (entry.type->form == SourceType::Form::kScalar) {
      auto kind = kScalarKinds.find(entry.type->scalar_kind);
      if (kind == kScalarKinds.end())
        throw SchemaError(entry.file->path, entry.type->line,
                          "unknown scalar kind " + entry.type->scalar_kind);
      type.kind = kind->second;
    }
    value.kind = type.kind;
    value.type = index;
    value.map_type = type.atomic ? 1 : 0;
    type.value = intern(value);
    table_.types.push_back(std::move(type));
  }

  struct Member {
    const SourceFile* file;
    const SourceField* field;
  };

  void collect_members(const Entry& entry, std::vector<Member>& members, int depth) const {
    for (const SourceField& field : entry.type->fields) {
      if (!field.name.empty()) {
        members.push_back({entry.file, &field});
        continue;
      }
      if (depth == kMaxInlineDepth)
        throw SchemaError(entry.file->path, field.line, "inlined types form a ring");
      collect_members(entries_.at(resolve(*entry.file, field, field.value)), members, depth + 1);
    }
  }

  void define(const std::string& name, const Entry& entry) {
    std::vector<Member> members;
    collect_members(entry, members, 0);
    SourceField api_version, kind;
    if (entry.type->form == SourceType::Form::kRoot) {
      api_version.name = "apiVersion";
      api_version.doc = "The group and version of this object, such as v1 or apps/v1.";
      kind.name = "kind";
      kind.doc = "The kind of this object in CamelCase, such as Pod.";
      api_version.value = kind.value = "string";
      members.push_back({entry.file, &api_version});
      members.push_back({entry.file, &kind});
    }
    std::sort(members.begin(), members.end(),
              [](const Member& a, const Member& b) { return a.field->name < b.field->name; });
    std::uint32_t type = numbers_.at(name);
    table_.types[type].first_field = static_cast<std::uint32_t>(table_.fields.size());
    table_.types[type].field_count = static_cast<std::uint32_t>(members.size());
    std::map<std::string, std::uint32_t> indexes;
    for (const Member& member : members) {
      auto index = static_cast<std::uint32_t>(table_.fields.size());
      if (!indexes.emplace(member.field->name, index).second)
        throw SchemaError(member.file->path, member.field->line,
                          "field " + member.field->name + " occurs twice in " + name);
      CompiledField field = compile_field(*member.file, *member.field);
      table_.fields.push_back(std::move(field));
    }
    define_protos(type, entry, indexes);
  }

  void define_protos(std::uint32_t type, const Entry& entry,
                     const std::map<std::string, std::uint32_t>& indexes) {
    std::map<std::uint32_t, CompiledProto> protos;
    for (const SourceField& field : entry.type->fields) {
      if (field.number == 0) continue;
      CompiledProto proto{field.number, 0, field.pointer ? kProtoPointer : 0};
      if (field.name.empty()) {
        proto.flags |= kProtoInline;
        proto.target = numbers_.at(resolve(*entry.file, field, field.value));
      } else {
        proto.target = indexes.at(field.name);
      }
      if (!protos.emplace(field.number, proto).second)
        throw SchemaError(entry.file->path, field.line,
                          "#" + std::to_string(field.number) + " is used twice");
    }
    table_.types[type].first_proto = static_cast<std::uint32_t>(table_.protos.size());
    table_.types[type].proto_count = static_cast<std::uint32_t>(protos.size());
    for (auto& [number, proto] : protos) table_.protos.push_back(proto);
  }

  CompiledField compile_field(const SourceFile& file, const SourceField& source) {
    CompiledField field;
    field.name = source.name;
    field.doc = source.doc;
    field.default_json = source.default_json;
    field.merge_key = source.merge_key;
    field.flags = (source.required ? kRequired : 0) | (source.patch_merge ? kPatchMerge : 0) |
                  (source.patch_replace ? kPatchReplace : 0) |
                  (source.retain_keys ? kRetainKeys : 0);
    field.value = compile_value(file, source, source.value, true);
    return field;
  }

  // `outer`: the value of the field itself, which the list and map attributes speak of.
  std::uint32_t compile_value(const SourceFile& file, const SourceField& field,
                              const std::string& text, bool outer) {
    CompiledValue value;
    if (text.starts_with("[]")) {
      value.kind = kArray;
      value.element = compile_value(file, field, text.substr(2), false);
      if (outer) set_list(value, field);
    } else if (text.starts_with("map<") && text.ends_with(">")) {
      value.kind = kMap;
      value.element = compile_value(file, field, text.substr(4, text.size() - 5), false);
    } else if (auto kind = kScalarKinds.find(text);
               kind != kScalarKinds.end() && is_plain(kind->second)) {
      value.kind = kind->second;
    } else {
      value.type = numbers_.at(resolve(file, field, text));
      value.kind = table_.types[value.type].kind;
      value.map_type = table_.types[value.type].atomic ? 1 : 0;
    }
    if (outer && !field.map_type.empty()) {
      if (value.kind != kMap && value.kind != kObject)
        throw SchemaError(file.path, field.line, "map= is for maps and structures alone");
      value.map_type = field.map_type == "atomic" ? 1 : 0;
    }
    return intern(value);
  }

  void set_list(CompiledValue& value, const SourceField& field) {
    value.list_type = field.list_type == "set" ? 1 : field.list_type == "map" ? 2 : 0;
    if (field.list_keys.empty()) return;
    auto found = std::search(table_.keys.begin(), table_.keys.end(), field.list_keys.begin(),
                             field.list_keys.end());
    value.first_key = static_cast<std::uint32_t>(found - table_.keys.begin());
    value.key_count = static_cast<std::uint32_t>(field.list_keys.size());
    if (found == table_.keys.end())
      table_.keys.insert(table_.keys.end(), field.list_keys.begin(), field.list_keys.end());
  }

  // A name with its package, or one of the file's own, or of meta.v1, or a scalar of any package.
  std::string resolve(const SourceFile& file, const SourceField& field,
                      const std::string& name) const {
    if (entries_.contains(name)) return name;
    if (name.find('.') == std::string::npos) {
      for (const std::string& package : {file.package, std::string("meta.v1")})
        if (entries_.contains(package + "." + name)) return package + "." + name;
      if (auto scalar = scalars_.find(name); scalar != scalars_.end()) return scalar->second;
    }
    throw SchemaError(file.path, field.line, "unknown type " + name);
  }

  std::uint32_t intern(const CompiledValue& value) {
    auto [found, added] =
        value_numbers_.emplace(value, static_cast<std::uint32_t>(table_.values.size()));
    if (added) table_.values.push_back(value);
    return found->second;
  }

  std::map<std::string, Entry> entries_;  // sorted by full name: the order of the table
  std::map<std::string, std::string> scalars_;
  std::map<std::string, std::uint32_t> numbers_, packages_;
  std::map<CompiledValue, std::uint32_t> value_numbers_;
  CompiledTable table_;
};

}  // namespace

CompiledTable compile(const std::vector<SourceFile>& files) {
  return Compiler(files).compile();
}

}  // namespace schemac
