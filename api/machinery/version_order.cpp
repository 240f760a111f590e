#include "api/machinery/version_order.h"

#include <charconv>
#include <tuple>

namespace moth {
namespace {

struct Parts {
  int stability = 0;  // 3 stable, 2 beta, 1 alpha, 0 no version
  long major = 0, minor = 0;
};

// Takes a number without leading zero off the front.
bool take_number(std::string_view& text, long& value) {
  if (text.empty() || text[0] < '1' || text[0] > '9') return false;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{}) return false;
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  return true;
}

Parts parse(std::string_view text) {
  Parts parts;
  if (!text.starts_with('v')) return {};
  text.remove_prefix(1);
  if (!take_number(text, parts.major)) return {};
  if (text.empty()) {
    parts.stability = 3;
    return parts;
  }
  bool beta = text.starts_with("beta");
  if (!beta && !text.starts_with("alpha")) return {};
  text.remove_prefix(beta ? 4 : 5);
  if (!take_number(text, parts.minor) || !text.empty()) return {};
  parts.stability = beta ? 2 : 1;
  return parts;
}

}  // namespace

int compare_versions(std::string_view a, std::string_view b) {
  Parts left = parse(a), right = parse(b);
  if (left.stability == 0 && right.stability == 0) return a.compare(b);
  auto key = [](const Parts& parts) {
    return std::tuple(parts.stability, parts.major, parts.minor);
  };
  if (key(left) == key(right)) return 0;
  return key(left) > key(right) ? -1 : 1;
}

}  // namespace moth
