#include "api/resources/check.h"

#include <fmt/format.h>

#include <algorithm>

#include "api/base/json.h"
#include "api/resources/edit.h"

namespace moth::resources {
namespace {

bool is_empty_text(const Json& value) {
  return value.is_string() && value.get_ref<const std::string&>().empty();
}

}  // namespace

bool check_required(FieldErrors& errors, const Json& object, std::string_view key,
                    const FieldPath& path, std::string detail) {
  const Json* value = member(object, key);
  if (value && !is_empty_text(*value)) return true;
  errors.push_back(FieldError::required(path.child(key), std::move(detail)));
  return false;
}

void check_non_negative(FieldErrors& errors, const Json& object, std::string_view key,
                        const FieldPath& path) {
  const Json* value = member(object, key);
  if (value && value->is_number() && *value < 0) {
    errors.push_back(FieldError::invalid(path.child(key), *value, kNonNegative));
  }
}

void check_range(FieldErrors& errors, const Json& object, std::string_view key,
                 const FieldPath& path, std::int64_t low, std::int64_t high) {
  const Json* value = member(object, key);
  if (value && value->is_number_integer() && (*value < low || *value > high)) {
    errors.push_back(FieldError::invalid(
        path.child(key), *value, fmt::format("must be between {} and {}, inclusive", low, high)));
  }
}

void check_supported(FieldErrors& errors, const Json& object, std::string_view key,
                     const FieldPath& path, const std::vector<std::string>& supported,
                     bool required) {
  const Json* value = member(object, key);
  if (!value || is_empty_text(*value)) {
    if (required) errors.push_back(FieldError::required(path.child(key), ""));
    return;
  }
  if (value->is_string() && std::find(supported.begin(), supported.end(),
                                      value->get_ref<const std::string&>()) == supported.end()) {
    errors.push_back(FieldError::not_supported(path.child(key), *value, supported));
  }
}

void check_name(FieldErrors& errors, const Json& object, std::string_view key,
                const FieldPath& path, NameCheck check) {
  const Json* value = member(object, key);
  if (!value || !value->is_string() || is_empty_text(*value)) return;
  add_invalid(errors, path.child(key), *value, check(value->get_ref<const std::string&>()));
}

void check_labels(FieldErrors& errors, const Json& labels, const FieldPath& path) {
  if (!labels.is_object()) return;
  for (const auto& [key, value] : labels.items()) {
    add_invalid(errors, path, key, check_qualified_name(key));
    if (value.is_string()) {
      add_invalid(errors, path, value, check_label_value(value.get_ref<const std::string&>()));
    }
  }
}

void check_ip_text(FieldErrors& errors, const Json& value, const FieldPath& path) {
  if (!value.is_string()) return;
  add_invalid(errors, path, value, check_ip(value.get_ref<const std::string&>()));
}

void check_port_or_name(FieldErrors& errors, const Json& object, std::string_view key,
                        const FieldPath& path) {
  const Json* port = member(object, key);
  if (!port) {
    add_invalid(errors, path.child(key), 0, check_port_number(0));
  } else if (port->is_string()) {
    add_invalid(errors, path.child(key), *port,
                check_port_name(port->get_ref<const std::string&>()));
  } else if (port->is_number_integer()) {
    add_invalid(errors, path.child(key), *port, check_port_number(port->get<std::int64_t>()));
  }
}

void check_int_or_percent(FieldErrors& errors, const Json& value, const FieldPath& path) {
  if (value.is_string()) {
    add_invalid(errors, path, value, check_percent(value.get_ref<const std::string&>()));
  } else if (value.is_number_integer() && value < 0) {
    errors.push_back(FieldError::invalid(path, value, kNonNegative));
  }
}

void check_immutable(FieldErrors& errors, const Json& object, const Json& old, std::string_view key,
                     const FieldPath& path) {
  static const Json kNull;
  const Json* now = member(object, key);
  const Json* before = member(old, key);
  if ((now ? *now : kNull) == (before ? *before : kNull)) return;
  errors.push_back(FieldError::invalid(path.child(key), now ? *now : kNull, "field is immutable"));
}

void check_no_backsteps(FieldErrors& errors, std::string_view text, const FieldPath& path) {
  std::string_view rest = text;
  for (;;) {
    auto slash = rest.find('/');
    if (rest.substr(0, slash) == "..") {
      errors.push_back(FieldError::invalid(path, text, "must not contain '..'"));
      return;
    }
    if (slash == std::string_view::npos) return;
    rest.remove_prefix(slash + 1);
  }
}

void check_descending_path(FieldErrors& errors, std::string_view text, const FieldPath& path) {
  if (text.starts_with('/')) {
    errors.push_back(FieldError::invalid(path, text, "must be a relative path"));
  }
  check_no_backsteps(errors, text, path);
}

void check_non_reserved_path(FieldErrors& errors, std::string_view text, const FieldPath& path) {
  check_descending_path(errors, text, path);
  // `..` as a whole element is reported above.
  if (text.starts_with("..") && text != ".." && !text.starts_with("../")) {
    errors.push_back(FieldError::invalid(path, text, "must not start with '..'"));
  }
}

void check_mode(FieldErrors& errors, const Json& object, std::string_view key,
                const FieldPath& path) {
  const Json* mode = member(object, key);
  if (mode && mode->is_number_integer() && (*mode < 0 || *mode > 0777)) {
    errors.push_back(FieldError::invalid(
        path.child(key), *mode, "must be a number between 0 and 0777 (octal), both inclusive"));
  }
}

bool UniqueNames::add(FieldErrors& errors, const std::string& name, const FieldPath& path) {
  if (contains(name)) {
    errors.push_back(FieldError::duplicate(path, name));
    return false;
  }
  names_.push_back(name);
  return true;
}

bool UniqueNames::contains(std::string_view name) const {
  return std::find(names_.begin(), names_.end(), name) != names_.end();
}

}  // namespace moth::resources
