// The formats of text that custom resources are checked for [apiextensions: supported formats].
#include <arpa/inet.h>
#include <re2/re2.h>

#include <array>
#include <map>

#include "api/machinery/names.h"
#include "api/machinery/time.h"
#include "api/resources/apiextensions_v1/schema.h"
#include "api/schema/base64.h"

namespace moth::resources {
namespace {

bool full_match(std::string_view text, const re2::RE2& pattern) {
  return re2::RE2::FullMatch(re2::StringPiece(text.data(), text.size()), pattern);
}

bool is_address(std::string_view text, int family) {
  unsigned char bytes[16];
  return ::inet_pton(family, std::string(text).c_str(), bytes) == 1;
}

bool is_cidr(std::string_view text) {
  std::size_t slash = text.find('/');
  if (slash == std::string_view::npos) return false;
  std::string_view address = text.substr(0, slash), bits = text.substr(slash + 1);
  int most = is_address(address, AF_INET) ? 32 : is_address(address, AF_INET6) ? 128 : -1;
  if (bits.empty() || bits.size() > 3) return false;
  int value = 0;
  for (char c : bits) {
    if (c < '0' || c > '9') return false;
    value = value * 10 + (c - '0');
  }
  return value <= most;
}

bool is_date_time(std::string_view text) {
  return parse_rfc3339(text).has_value();
}
bool is_date(std::string_view text) {
  static const re2::RE2 kPattern("[0-9]{4}-[0-9]{2}-[0-9]{2}");
  return full_match(text, kPattern) && is_date_time(std::string(text) + "T00:00:00Z");
}

// Go's durations, and what the strfmt package also takes ("3 days").
bool is_duration(std::string_view text) {
  if (parse_duration(text)) return true;
  static const re2::RE2 kPattern(
      R"((?i)(\d+\s*(ns|nano\w*|us|µs|micro\w*|ms|milli\w*|s|sec\w*|m|min\w*|h|hr|hour\w*|d|day\w*|w|wk|week\w*)\s*)+)");
  return full_match(text, kPattern);
}

bool is_uuid(std::string_view text, char version) {
  static const re2::RE2 kAny(
      "(?i)[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}");
  if (!full_match(text, kAny)) return false;
  if (version == 0) return true;
  std::string digits;
  for (char c : text) {
    if (c != '-') digits += c;
  }
  return digits[12] == version &&
         (version == '3' || std::string("89abAB").find(digits[16]) != std::string::npos);
}

bool is_uri(std::string_view text) {
  static const re2::RE2 kPattern(R"(([a-zA-Z][a-zA-Z0-9+.\-]*:[^\s]*|/[^\s]*))");
  return full_match(text, kPattern);
}

bool is_email(std::string_view text) {
  static const re2::RE2 kPattern(R"((?:[^<>]*<)?[^\s@<>"(),:;\[\]\\]+@[^\s@<>]+>?)");
  return full_match(text, kPattern);
}

bool is_hostname(std::string_view text) {
  static const re2::RE2 kPattern(
      R"((?:[a-zA-Z0-9_](?:[a-zA-Z0-9_\-]{0,61}[a-zA-Z0-9_])?)(?:\.[a-zA-Z0-9_](?:[a-zA-Z0-9_\-]{0,61}[a-zA-Z0-9_])?)*\.?)");
  return text.size() <= 255 && full_match(text, kPattern);
}

bool luhn(std::string_view text) {
  int sum = 0, count = 0;
  for (std::size_t i = text.size(); i > 0; --i) {
    char c = text[i - 1];
    if (c == ' ' || c == '-') continue;
    if (c < '0' || c > '9') return false;
    int digit = c - '0';
    if (count++ % 2 == 1) digit = digit > 4 ? digit * 2 - 9 : digit * 2;
    sum += digit;
  }
  return count >= 12 && count <= 19 && sum % 10 == 0;
}

bool isbn10(std::string_view text) {
  int sum = 0, count = 0;
  for (char c : text) {
    if (c == '-' || c == ' ') continue;
    int digit = c == 'X' && count == 9 ? 10 : c >= '0' && c <= '9' ? c - '0' : -1;
    if (digit < 0 || count >= 10) return false;
    sum += digit * (10 - count++);
  }
  return count == 10 && sum % 11 == 0;
}

bool isbn13(std::string_view text) {
  int sum = 0, count = 0;
  for (char c : text) {
    if (c == '-' || c == ' ') continue;
    if (c < '0' || c > '9' || count >= 13) return false;
    sum += (c - '0') * (count++ % 2 ? 3 : 1);
  }
  return count == 13 && sum % 10 == 0;
}

using Check = bool (*)(std::string_view);

const std::map<std::string_view, Check>& checks() {
  static const std::map<std::string_view, Check> kChecks = {
      {"bsonobjectid",
       [](std::string_view text) {
         static const re2::RE2 kPattern("[0-9a-fA-F]{24}");
         return full_match(text, kPattern);
       }},
      {"uri", is_uri},
      {"email", is_email},
      {"hostname", is_hostname},
      {"ipv4", [](std::string_view text) { return is_address(text, AF_INET); }},
      {"ipv6", [](std::string_view text) { return is_address(text, AF_INET6); }},
      {"cidr", is_cidr},
      {"mac",
       [](std::string_view text) {
         static const re2::RE2 kPattern(
             "(?i)([0-9a-f]{2}[:-]){5}([0-9a-f]{2}[:-][0-9a-f]{2}[:-])?[0-9a-f]{2}|"
             "([0-9a-f]{4}\\.){2}([0-9a-f]{4}\\.)?[0-9a-f]{4}");
         return full_match(text, kPattern);
       }},
      {"uuid", [](std::string_view text) { return is_uuid(text, 0); }},
      {"uuid3", [](std::string_view text) { return is_uuid(text, '3'); }},
      {"uuid4", [](std::string_view text) { return is_uuid(text, '4'); }},
      {"uuid5", [](std::string_view text) { return is_uuid(text, '5'); }},
      {"isbn", [](std::string_view text) { return isbn10(text) || isbn13(text); }},
      {"isbn10", isbn10},
      {"isbn13", isbn13},
      {"creditcard", luhn},
      {"ssn",
       [](std::string_view text) {
         static const re2::RE2 kPattern("[0-9]{3}[- ]?[0-9]{2}[- ]?[0-9]{4}");
         return full_match(text, kPattern);
       }},
      {"hexcolor",
       [](std::string_view text) {
         static const re2::RE2 kPattern("#?([0-9a-fA-F]{3}|[0-9a-fA-F]{6})");
         return full_match(text, kPattern);
       }},
      {"rgbcolor",
       [](std::string_view text) {
         static const re2::RE2 kPattern(
             R"(rgb\(\s*(25[0-5]|2[0-4]\d|1?\d?\d)\s*,\s*(25[0-5]|2[0-4]\d|1?\d?\d)\s*,\s*(25[0-5]|2[0-4]\d|1?\d?\d)\s*\))");
         return full_match(text, kPattern);
       }},
      {"byte", [](std::string_view text) { return schema::decode_base64(text).has_value(); }},
      {"password", [](std::string_view) { return true; }},
      {"date", is_date},
      {"duration", is_duration},
      {"datetime", is_date_time},
      {"date-time", is_date_time},
      {"k8s-short-name", [](std::string_view text) { return check_dns1123_label(text).empty(); }},
      {"k8s-long-name",
       [](std::string_view text) { return check_dns1123_subdomain(text).empty(); }},
  };
  return kChecks;
}

}  // namespace

bool is_known_format(std::string_view format) {
  static constexpr std::array<std::string_view, 4> kNumbers = {"int32", "int64", "float", "double"};
  for (std::string_view known : kNumbers) {
    if (known == format) return true;
  }
  return checks().contains(format);
}

bool matches_format(std::string_view format, std::string_view text) {
  auto check = checks().find(format);
  return check == checks().end() || check->second(text);
}

}  // namespace moth::resources
