#pragma once
// The checks that validation of many kinds is made of. Each appends upstream's messages to
// `errors`; `object` is the one that holds member `key`, `path` is its path. Pure functions.
#include <string>
#include <string_view>
#include <vector>

#include "api/base/json_fwd.h"
#include "api/machinery/field_error.h"
#include "api/machinery/names.h"

namespace moth::resources {

using NameCheck = Messages (*)(std::string_view);

// The member is given and not empty text.
bool check_required(FieldErrors& errors, const Json& object, std::string_view key,
                    const FieldPath& path, std::string detail = "");
// A number that is given is not negative.
void check_non_negative(FieldErrors& errors, const Json& object, std::string_view key,
                        const FieldPath& path);
// A number that is given is between `low` and `high`.
void check_range(FieldErrors& errors, const Json& object, std::string_view key,
                 const FieldPath& path, std::int64_t low, std::int64_t high);
// Text that is given is one of `supported`; `required` refuses missing text too.
void check_supported(FieldErrors& errors, const Json& object, std::string_view key,
                     const FieldPath& path, const std::vector<std::string>& supported,
                     bool required = false);
// Text that is given passes `check`.
void check_name(FieldErrors& errors, const Json& object, std::string_view key,
                const FieldPath& path, NameCheck check);
// Keys and values of a map of labels, all reported at `path` itself.
void check_labels(FieldErrors& errors, const Json& labels, const FieldPath& path);
// An IP address; `value` is text.
void check_ip_text(FieldErrors& errors, const Json& value, const FieldPath& path);
// A port number or a port name (IntOrString).
void check_port_or_name(FieldErrors& errors, const Json& object, std::string_view key,
                        const FieldPath& path);
// "0", 3, "25%".
void check_int_or_percent(FieldErrors& errors, const Json& value, const FieldPath& path);
// The members differ: Invalid, `field is immutable`.
void check_immutable(FieldErrors& errors, const Json& object, const Json& old, std::string_view key,
                     const FieldPath& path);

// Paths inside a volume: relative, no `..`; non-reserved ones also do not start with `..`.
void check_no_backsteps(FieldErrors& errors, std::string_view text, const FieldPath& path);
void check_descending_path(FieldErrors& errors, std::string_view text, const FieldPath& path);
void check_non_reserved_path(FieldErrors& errors, std::string_view text, const FieldPath& path);
// File modes: 0 to 0777.
void check_mode(FieldErrors& errors, const Json& object, std::string_view key,
                const FieldPath& path);

// A name that occurs in a list of objects again: Duplicate at its path.
class UniqueNames {
 public:
  // True when `name` is new.
  bool add(FieldErrors& errors, const std::string& name, const FieldPath& path);
  bool contains(std::string_view name) const;

 private:
  std::vector<std::string> names_;
};

inline constexpr std::int64_t kInt32Max = 2147483647;
inline constexpr const char* kNonNegative = "must be greater than or equal to 0";

}  // namespace moth::resources
