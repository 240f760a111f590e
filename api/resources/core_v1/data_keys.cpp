#include "api/resources/core_v1/data_keys.h"

#include "api/base/json.h"
#include "api/resources/edit.h"

namespace moth::resources {

std::size_t decoded_size(const Json& value) {
  if (!value.is_string()) return 0;
  const std::string& text = value.get_ref<const std::string&>();
  std::size_t size = text.size() / 4 * 3;
  for (std::size_t i = 0; i < 2 && i < text.size(); ++i) {
    if (text[text.size() - 1 - i] == '=') --size;
  }
  return size;
}

void check_immutable_data(FieldErrors& errors, const Json& object, const Json& old,
                          const std::vector<std::string_view>& maps) {
  constexpr const char* kWhy = "field is immutable when `immutable` is set";
  if (!bool_or(old, "immutable")) return;
  if (!bool_or(object, "immutable")) {
    errors.push_back(FieldError::forbidden(FieldPath("immutable"), kWhy));
  }
  for (std::string_view key : maps) {
    if (object_of(object, key) != object_of(old, key)) {
      errors.push_back(FieldError::forbidden(FieldPath(key), kWhy));
    }
  }
}

}  // namespace moth::resources
