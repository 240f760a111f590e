#pragma once
// What schemac knows of the schema files: first as written (Source...), then resolved
// (Compiled...).
#include <cstdint>
#include <map>
#include <stdexcept>
#include <string>
#include <vector>

namespace schemac {

// A mistake in a schema file: "file:line: what".
struct SchemaError : std::runtime_error {
  SchemaError(const std::string& file, int line, const std::string& what)
      : std::runtime_error(file + ":" + std::to_string(line) + ": " + what) {}
};

struct SourceField {
  int line = 0;
  std::string name;   // empty: inline
  std::string value;  // "[]Container", "map<string>", "core.v1.PodSpec"
  std::string doc;
  std::string default_json;
  std::uint32_t number = 0;  // of protobuf; 0: none
  bool pointer = false;
  bool required = false;
  std::string list_type;  // "", atomic, set, map
  std::vector<std::string> list_keys;
  std::string map_type;  // "", atomic, granular
  bool patch_merge = false, patch_replace = false, retain_keys = false;
  std::string merge_key;
};

struct SourceType {
  enum class Form { kType, kRoot, kScalar };
  int line = 0;
  Form form = Form::kType;
  std::string name;         // PodSpec
  std::string scalar_kind;  // of kScalar
  std::string doc;
  bool atomic = false;
  std::vector<SourceField> fields;
};

struct SourceFile {
  std::string path;
  std::string package, group, version;
  std::vector<SourceType> types;
};

SourceFile parse_file(const std::string& path);

// The enumerators of moth::schema in types.h and the flags of table.h, as numbers. The generated
// file checks them against the real ones.
enum Kind : std::uint8_t {
  kObject,
  kArray,
  kMap,
  kString,
  kBool,
  kInt32,
  kInt64,
  kDouble,
  kBytes,
  kTime,
  kMicroTime,
  kQuantity,
  kIntOrString,
  kDuration,
  kRawObject,
  kAny,
};

inline constexpr std::uint32_t kNone = 0xffffffff;

struct CompiledValue {
  Kind kind = kString;
  int list_type = 0, map_type = 0;
  std::uint32_t type = kNone, element = kNone, first_key = 0, key_count = 0;
  auto operator<=>(const CompiledValue&) const = default;
};

struct CompiledField {
  std::string name, doc, default_json, merge_key;
  std::uint32_t value = 0;
  int flags = 0;
};

struct CompiledProto {
  std::uint32_t number = 0, target = 0;
  int flags = 0;
};

struct CompiledType {
  std::string name, doc;
  std::uint32_t first_field = 0, field_count = 0, package = 0, first_proto = 0, proto_count = 0;
  Kind kind = kObject;
  bool root = false, atomic = false;
  std::uint32_t value = kNone;
};

struct CompiledTable {
  std::vector<CompiledType> types;
  std::vector<CompiledField> fields;
  std::vector<CompiledValue> values;
  std::vector<CompiledProto> protos;
  std::vector<std::string> keys;
  struct Package {
    std::string name, group, version;
  };
  std::vector<Package> packages;
};

CompiledTable compile(const std::vector<SourceFile>& files);

std::string emit(const CompiledTable& table);

}  // namespace schemac
