#pragma once
// Field paths and field errors: how validation says which member of an object is wrong. Values,
// free of threads. The texts are upstream's, since scripts and kubectl match on them.
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "api/base/json_fwd.h"
#include "api/base/result.h"

namespace moth {

// `spec.containers[0].image`, `metadata.labels[key]`. Cheap to extend; text is the only state.
class FieldPath {
 public:
  FieldPath() = default;
  explicit FieldPath(std::string_view root) : text_(root) {}

  // A member: "spec" -> "spec.name".
  FieldPath child(std::string_view name) const;
  // Several members one below the other.
  template <class... Names>
  FieldPath child(std::string_view first, std::string_view second, Names... rest) const {
    return child(first).child(second, rest...);
  }
  // A list element: "ports" -> "ports[3]".
  FieldPath index(std::size_t position) const;
  // A key of a map: "labels" -> "labels[app]".
  FieldPath key(std::string_view name) const;

  const std::string& to_string() const { return text_; }
  bool empty() const { return text_.empty(); }

 private:
  std::string text_;
};

enum class FieldErrorType {
  kNotFound,      // Not found
  kRequired,      // Required value
  kDuplicate,     // Duplicate value
  kInvalid,       // Invalid value
  kNotSupported,  // Unsupported value
  kForbidden,     // Forbidden
  kTooLong,       // Too long
  kTooMany,       // Too many
  kInternal,      // Internal error
  kTypeInvalid,   // Invalid value, cause FieldValueTypeInvalid
};

struct FieldError {
  FieldErrorType type = FieldErrorType::kInvalid;
  std::string field;
  // The offending value as it is printed (quoted text, bare number, JSON), empty for the types that
  // print none.
  std::string bad_value;
  std::string detail;

  // "spec.replicas: Invalid value: -1: must be ..."
  std::string to_string() const;
  // The same without the field: the message of a cause.
  std::string body() const;

  static FieldError required(const FieldPath& field, std::string detail);
  static FieldError invalid(const FieldPath& field, const Json& value, std::string detail);
  static FieldError duplicate(const FieldPath& field, const Json& value);
  static FieldError not_found(const FieldPath& field, const Json& value);
  static FieldError not_supported(const FieldPath& field, const Json& value,
                                  std::vector<std::string> supported);
  static FieldError forbidden(const FieldPath& field, std::string detail);
  static FieldError too_long(const FieldPath& field, std::size_t max_bytes);
  static FieldError too_many(const FieldPath& field, std::size_t actual, std::size_t max);
  static FieldError type_invalid(const FieldPath& field, const Json& value, std::string detail);
  static FieldError internal(const FieldPath& field, std::string detail);

  bool operator==(const FieldError&) const = default;
};

using FieldErrors = std::vector<FieldError>;

// Appends one Invalid error per message of a name check (names.h).
void add_invalid(FieldErrors& errors, const FieldPath& field, const Json& value,
                 const std::vector<std::string>& messages);
void append(FieldErrors& errors, FieldErrors more);

// Of so many distinct errors an answer tells at most.
inline constexpr std::size_t kMaxReportedErrors = 500;

// The 422 answer: message `Kind.group "name" is invalid: ...`, one cause per distinct error. `kind`
// is the Kind (not the plural).
Error to_invalid_error(std::string_view group, std::string_view kind, std::string_view name,
                       const FieldErrors& errors);

// How a value is printed inside an error: strings quoted, scalars bare, the rest as JSON.
std::string printable_value(const Json& value);

}  // namespace moth
