#include "api/resources/amount.h"

#include <cstdlib>

#include "api/base/json.h"
#include "api/machinery/names.h"
#include "api/resources/check.h"
#include "api/resources/edit.h"

namespace moth::resources {

std::optional<std::int64_t> amount_of(const Json& owner, std::string_view key) {
  const Json* value = member(owner, key);
  if (!value) return 0;
  if (value->is_number_integer()) return value->get<std::int64_t>();
  if (!value->is_string()) return std::nullopt;
  const std::string& text = value->get_ref<const std::string&>();
  if (!check_percent(text).empty()) return std::nullopt;
  return std::strtoll(text.c_str(), nullptr, 10);
}

void check_amount(FieldErrors& errors, const Json& owner, std::string_view key,
                  const FieldPath& path) {
  if (const Json* value = member(owner, key)) check_int_or_percent(errors, *value, path.child(key));
}

void check_at_most_whole(FieldErrors& errors, const Json& owner, std::string_view key,
                         const FieldPath& path) {
  constexpr std::int64_t kWhole = 100;
  const Json* value = member(owner, key);
  if (!value || !value->is_string() || amount_of(owner, key).value_or(0) <= kWhole) return;
  errors.push_back(FieldError::invalid(path.child(key), *value, "must not be greater than 100%"));
}

}  // namespace moth::resources
