#include "api/machinery/int_or_string.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <limits>

#include "api/base/json.h"
#include "api/machinery/text.h"

namespace moth {

Result<IntOrString> IntOrString::from_json(const Json& json) {
  if (json.is_string()) return of(json.get<std::string>());
  if (json.is_number_integer()) {
    using Limits = std::numeric_limits<std::int32_t>;
    auto number = json.get<std::int64_t>();
    // An unsigned number above 2^63 wraps to a negative one.
    bool wrapped = json.is_number_unsigned() && number < 0;
    if (!wrapped && number >= Limits::min() && number <= Limits::max()) {
      return of(static_cast<std::int32_t>(number));
    }
    return fail(Error::bad_request("value " + json.dump() + " does not fit in 32 bits"));
  }
  return fail(Error::bad_request("must be a whole number or a string"));
}

Json IntOrString::to_json() const {
  return is_string ? Json(text) : Json(number);
}

std::string IntOrString::to_string() const {
  return is_string ? text : std::to_string(number);
}

bool IntOrString::is_percent() const {
  return is_string && text.size() > 1 && text.back() == '%' &&
         text.find_first_not_of("0123456789") == text.size() - 1;
}

Result<std::int32_t> IntOrString::scaled(std::int32_t total, bool round_up) const {
  if (!is_string) return number;
  if (text.empty() || text.back() != '%') {
    return fail(Error::bad_request(
        fmt::format("invalid value for IntOrString: invalid type: string is not a percentage: {}",
                    go_quote(text))));
  }
  std::int32_t percent = 0;
  const char* end = text.data() + text.size() - 1;
  auto [stop, error] = std::from_chars(text.data(), end, percent);
  if (error != std::errc() || stop != end) {
    return fail(Error::bad_request(
        fmt::format("invalid value for IntOrString: invalid value {}", go_quote(text))));
  }
  std::int64_t product = static_cast<std::int64_t>(percent) * total;
  std::int64_t quotient = product / 100;
  std::int64_t rest = product % 100;
  if (round_up && rest > 0) ++quotient;
  if (!round_up && rest < 0) --quotient;
  return static_cast<std::int32_t>(
      std::clamp<std::int64_t>(quotient, std::numeric_limits<std::int32_t>::min(),
                               std::numeric_limits<std::int32_t>::max()));
}

}  // namespace moth
