#include "api/machinery/field_error.h"

#include <fmt/format.h>

#include <iterator>
#include <unordered_set>

#include "api/base/json.h"
#include "api/machinery/json_text.h"
#include "api/machinery/text.h"

namespace moth {
namespace {

struct TypeTexts {
  std::string_view text;
  std::string_view cause;
  bool prints_value;
};

TypeTexts texts(FieldErrorType type) {
  switch (type) {
    case FieldErrorType::kNotFound:
      return {"Not found", "FieldValueNotFound", true};
    case FieldErrorType::kRequired:
      return {"Required value", "FieldValueRequired", false};
    case FieldErrorType::kDuplicate:
      return {"Duplicate value", "FieldValueDuplicate", true};
    case FieldErrorType::kInvalid:
      return {"Invalid value", "FieldValueInvalid", true};
    case FieldErrorType::kNotSupported:
      return {"Unsupported value", "FieldValueNotSupported", true};
    case FieldErrorType::kForbidden:
      return {"Forbidden", "FieldValueForbidden", false};
    case FieldErrorType::kTooLong:
      return {"Too long", "FieldValueTooLong", false};
    case FieldErrorType::kTooMany:
      return {"Too many", "FieldValueTooMany", true};
    case FieldErrorType::kInternal:
      return {"Internal error", "InternalError", false};
    case FieldErrorType::kTypeInvalid:
      return {"Invalid value", "FieldValueTypeInvalid", true};
  }
  return {"Invalid value", "FieldValueInvalid", true};
}

FieldError make(FieldErrorType type, const FieldPath& field, std::string value,
                std::string detail) {
  return {type, field.to_string(), std::move(value), std::move(detail)};
}

}  // namespace

FieldPath FieldPath::child(std::string_view name) const {
  FieldPath path = *this;
  if (!path.text_.empty()) path.text_ += '.';
  path.text_ += name;
  return path;
}

FieldPath FieldPath::index(std::size_t position) const {
  FieldPath path = *this;
  path.text_ += '[' + std::to_string(position) + ']';
  return path;
}

FieldPath FieldPath::key(std::string_view name) const {
  FieldPath path = *this;
  path.text_ += '[';
  path.text_ += name;
  path.text_ += ']';
  return path;
}

std::string FieldError::body() const {
  TypeTexts type_texts = texts(type);
  std::string out(type_texts.text);
  if (type_texts.prints_value && !bad_value.empty()) out += ": " + bad_value;
  if (!detail.empty()) out += ": " + detail;
  return out;
}

std::string FieldError::to_string() const {
  return fmt::format("{}: {}", field.empty() ? "<nil>" : field, body());
}

FieldError FieldError::required(const FieldPath& field, std::string detail) {
  return make(FieldErrorType::kRequired, field, "", std::move(detail));
}

FieldError FieldError::invalid(const FieldPath& field, const Json& value, std::string detail) {
  return make(FieldErrorType::kInvalid, field, printable_value(value), std::move(detail));
}

FieldError FieldError::duplicate(const FieldPath& field, const Json& value) {
  return make(FieldErrorType::kDuplicate, field, printable_value(value), "");
}

FieldError FieldError::not_found(const FieldPath& field, const Json& value) {
  return make(FieldErrorType::kNotFound, field, printable_value(value), "");
}

FieldError FieldError::not_supported(const FieldPath& field, const Json& value,
                                     std::vector<std::string> supported) {
  std::string detail;
  if (!supported.empty()) {
    detail = "supported values: ";
    for (std::size_t i = 0; i < supported.size(); ++i) {
      if (i > 0) detail += ", ";
      detail += go_quote(supported[i]);
    }
  }
  return make(FieldErrorType::kNotSupported, field, printable_value(value), std::move(detail));
}

FieldError FieldError::forbidden(const FieldPath& field, std::string detail) {
  return make(FieldErrorType::kForbidden, field, "", std::move(detail));
}

FieldError FieldError::too_long(const FieldPath& field, std::size_t max_bytes) {
  return make(FieldErrorType::kTooLong, field, "",
              fmt::format("may not be more than {} bytes", max_bytes));
}

FieldError FieldError::too_many(const FieldPath& field, std::size_t actual, std::size_t max) {
  return make(FieldErrorType::kTooMany, field, std::to_string(actual),
              fmt::format("must have at most {} {}", max, max == 1 ? "item" : "items"));
}

FieldError FieldError::type_invalid(const FieldPath& field, const Json& value, std::string detail) {
  return make(FieldErrorType::kTypeInvalid, field, printable_value(value), std::move(detail));
}

FieldError FieldError::internal(const FieldPath& field, std::string detail) {
  return make(FieldErrorType::kInternal, field, "", std::move(detail));
}

void add_invalid(FieldErrors& errors, const FieldPath& field, const Json& value,
                 const std::vector<std::string>& messages) {
  for (const std::string& message : messages) {
    errors.push_back(FieldError::invalid(field, value, message));
  }
}

void append(FieldErrors& errors, FieldErrors more) {
  std::move(more.begin(), more.end(), std::back_inserter(errors));
}

Error to_invalid_error(std::string_view group, std::string_view kind, std::string_view name,
                       const FieldErrors& errors) {
  Error error;
  error.reason = Reason::kInvalid;
  error.name = name;
  error.group = group;
  error.kind = kind;
  std::vector<std::string> messages;
  std::unordered_set<std::string> seen;
  for (const FieldError& one : errors) {
    if (messages.size() == kMaxReportedErrors) {
      messages.push_back("and more");
      break;
    }
    std::string message = one.to_string();
    if (!seen.insert(message).second) continue;
    error.causes.push_back({std::string(texts(one.type).cause), one.body(), one.field});
    messages.push_back(std::move(message));
  }
  error.message =
      fmt::format("{}{}{} {} is invalid", kind, group.empty() ? "" : ".", group, go_quote(name));
  if (messages.size() == 1) error.message += ": " + messages.front();
  if (messages.size() > 1) error.message += fmt::format(": [{}]", fmt::join(messages, ", "));
  return error;
}

std::string printable_value(const Json& value) {
  if (value.is_string()) return go_quote(value.get_ref<const std::string&>());
  if (value.is_null()) return "\"null\"";
  return dump_json(value);
}

}  // namespace moth
