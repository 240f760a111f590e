#include "api/resources/storage_v1/storage_checks.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>

#include "api/base/json.h"
#include "api/machinery/names.h"
#include "api/resources/check.h"
#include "api/resources/edit.h"

namespace moth::resources {
namespace {

constexpr std::size_t kMaxParameters = 512;
constexpr std::size_t kMaxParameterBytes = 256u << 10;
constexpr std::size_t kMaxDriverName = 63;

std::string lower_case(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return out;
}

}  // namespace

void check_provisioner(FieldErrors& errors, const Json& object, std::string_view key) {
  if (!check_required(errors, object, key, FieldPath())) return;
  std::string name = string_or(object, key);
  add_invalid(errors, FieldPath(key), name, check_qualified_name(lower_case(name)));
}

void check_parameters(FieldErrors& errors, const Json& object, bool needed) {
  FieldPath path("parameters");
  const Json& parameters = object_of(object, "parameters");
  if (parameters.size() > kMaxParameters) {
    errors.push_back(FieldError::too_long(path, kMaxParameters));
    return;
  }
  std::size_t total = 0;
  for (const auto& [key, value] : parameters.items()) {
    if (key.empty()) {
      errors.push_back(FieldError::invalid(path, key, "field can not be empty."));
    }
    total += key.size();
    if (value.is_string()) total += value.get_ref<const std::string&>().size();
  }
  if (total > kMaxParameterBytes) errors.push_back(FieldError::too_long(path, kMaxParameterBytes));
  if (needed && parameters.empty()) {
    errors.push_back(FieldError::required(path, "must contain at least one parameter"));
  }
}

void check_driver_name(FieldErrors& errors, std::string_view name, const FieldPath& path) {
  if (name.empty()) {
    errors.push_back(FieldError::required(path, ""));
    return;
  }
  if (name.size() > kMaxDriverName) errors.push_back(FieldError::too_long(path, kMaxDriverName));
  add_invalid(errors, path, std::string(name), check_dns1123_subdomain(lower_case(name)));
}

void check_class_member_kept(FieldErrors& errors, const Json& object, const Json& old,
                             std::string_view key) {
  static const Json kNone;
  const Json* now = member(object, key);
  const Json* before = member(old, key);
  auto is_empty = [](const Json* value) { return !value || value->empty(); };
  if (is_empty(now) && is_empty(before)) return;
  if ((now ? *now : kNone) == (before ? *before : kNone)) return;
  errors.push_back(
      FieldError::forbidden(FieldPath(key), fmt::format("updates to {} are forbidden.", key)));
}

}  // namespace moth::resources
