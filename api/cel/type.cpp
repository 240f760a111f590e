#include "api/cel/type.h"

#include <algorithm>
#include <array>
#include <cctype>

namespace moth::cel {
namespace {

std::string_view kind_name(Kind kind) {
  switch (kind) {
    case Kind::kDyn:
      return "dyn";
    case Kind::kNull:
      return "null_type";
    case Kind::kBool:
      return "bool";
    case Kind::kInt:
      return "int";
    case Kind::kUint:
      return "uint";
    case Kind::kDouble:
      return "double";
    case Kind::kString:
      return "string";
    case Kind::kBytes:
      return "bytes";
    case Kind::kTimestamp:
      return "timestamp";
    case Kind::kDuration:
      return "duration";
    case Kind::kList:
      return "list";
    case Kind::kMap:
      return "map";
    case Kind::kObject:
      return "object";
    case Kind::kOptional:
      return "optional_type";
    case Kind::kType:
      return "type";
    case Kind::kQuantity:
      return "kubernetes.Quantity";
    case Kind::kUrl:
      return "kubernetes.URL";
    case Kind::kIp:
      return "net.IP";
    case Kind::kCidr:
      return "net.CIDR";
    case Kind::kFormat:
      return "kubernetes.NamedFormat";
    case Kind::kSemver:
      return "kubernetes.Semver";
    case Kind::kParameter:
      return "parameter";
  }
  return "dyn";
}

TypePtr make(Kind kind, TypePtr key = nullptr, TypePtr element = nullptr) {
  auto type = std::make_shared<Type>();
  type->kind = kind;
  type->key = std::move(key);
  type->element = std::move(element);
  return type;
}

constexpr std::array<std::string_view, 18> kReserved = {
    "true", "false",    "null", "in",     "as",  "break", "const",   "continue",  "else",
    "for",  "function", "if",   "import", "let", "loop",  "package", "namespace", "return"};

}  // namespace

std::string Type::to_string() const {
  switch (kind) {
    case Kind::kList:
      return "list(" + element->to_string() + ")";
    case Kind::kMap:
      return "map(" + key->to_string() + ", " + element->to_string() + ")";
    case Kind::kOptional:
      return "optional_type(" + element->to_string() + ")";
    case Kind::kObject:
    case Kind::kParameter:
      return name;
    default:
      return std::string(kind_name(kind));
  }
}

TypePtr simple(Kind kind) {
  static const std::array<TypePtr, static_cast<std::size_t>(Kind::kParameter) + 1> kTypes = [] {
    std::array<TypePtr, static_cast<std::size_t>(Kind::kParameter) + 1> types;
    for (std::size_t i = 0; i < types.size(); ++i) types[i] = make(static_cast<Kind>(i));
    return types;
  }();
  return kTypes[static_cast<std::size_t>(kind)];
}

TypePtr dyn() {
  return simple(Kind::kDyn);
}
TypePtr list_of(TypePtr element) {
  return make(Kind::kList, nullptr, std::move(element));
}
TypePtr map_of(TypePtr key, TypePtr element) {
  return make(Kind::kMap, std::move(key), std::move(element));
}
TypePtr optional_of(TypePtr element) {
  return make(Kind::kOptional, nullptr, std::move(element));
}

TypePtr object_of(std::string name, const std::vector<std::pair<std::string, TypePtr>>& fields) {
  auto type = std::make_shared<Type>();
  type->kind = Kind::kObject;
  type->name = std::move(name);
  for (const auto& [json_name, field] : fields) {
    std::string spelled = escape_property(json_name);
    if (!spelled.empty()) type->fields[spelled] = Field{json_name, field};
  }
  return type;
}

TypePtr any_object() {
  return dyn();
}

std::string escape_property(std::string_view name) {
  if (name.empty()) return "";
  if (std::find(kReserved.begin(), kReserved.end(), name) != kReserved.end()) {
    return "__" + std::string(name) + "__";
  }
  auto letter = [](char c) {
    return std::isalpha(static_cast<unsigned char>(c)) || c == '_' || c == '.' || c == '-' ||
           c == '/';
  };
  std::string out;
  for (std::size_t i = 0; i < name.size(); ++i) {
    char c = name[i];
    bool digit = std::isdigit(static_cast<unsigned char>(c));
    if (!letter(c) && !(digit && i > 0)) return "";
    if (c == '_' && i + 1 < name.size() && name[i + 1] == '_') {
      out += "__underscores__";
      ++i;
    } else if (c == '.') {
      out += "__dot__";
    } else if (c == '-') {
      out += "__dash__";
    } else if (c == '/') {
      out += "__slash__";
    } else {
      out += c;
    }
  }
  return out;
}

}  // namespace moth::cel
