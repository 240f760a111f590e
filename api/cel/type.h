#pragma once
// The static types of CEL. Immutable and shared; any thread.
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace moth::cel {

enum class Kind {
  kDyn,  // known only when evaluated
  kNull,
  kBool,
  kInt,
  kUint,
  kDouble,
  kString,
  kBytes,
  kTimestamp,
  kDuration,
  kList,      // of element
  kMap,       // of key and element
  kObject,    // fields
  kOptional,  // of element
  kType,
  // Kubernetes' own.
  kQuantity,
  kUrl,
  kIp,
  kCidr,
  kFormat,
  kSemver,
  kParameter,  // A type parameter of a signature; only inside the checker
};

struct Type;
using TypePtr = std::shared_ptr<const Type>;

// A field of an object as an expression spells it.
struct Field {
  std::string json_name;  // its spelling in JSON
  TypePtr type;
};

struct Type {
  Kind kind = Kind::kDyn;
  std::string name;  // kObject: how messages call it; kParameter: A, B
  TypePtr key, element;
  std::map<std::string, Field, std::less<>> fields;  // kObject, by the name in expressions
  // How a value of JSON becomes one of this type: text of a date-time is a timestamp.
  bool nullable = false;

  // "list(string)", "map(string, int)", "timestamp".
  std::string to_string() const;
};

TypePtr simple(Kind kind);  // one shared instance each
TypePtr dyn();
TypePtr list_of(TypePtr element);
TypePtr map_of(TypePtr key, TypePtr element);
TypePtr optional_of(TypePtr element);
// `fields` by their JSON names; names that expressions cannot spell are left out.
TypePtr object_of(std::string name, const std::vector<std::pair<std::string, TypePtr>>& fields);
// Any Kubernetes object, of which no schema is known: every field is dyn.
TypePtr any_object();

// How an expression spells a property: `a-b` is a__dash__b, `namespace` __namespace__. Empty when
// it cannot [Kubernetes: CEL property name escaping].
std::string escape_property(std::string_view name);

}  // namespace moth::cel
