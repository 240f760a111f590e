// Functions of strings, regular expressions and quoting.
#include <fmt/format.h>
#include <re2/re2.h>

#include <algorithm>
#include <cmath>

#include "api/cel/convert.h"
#include "api/cel/functions.h"
#include "api/machinery/text.h"

namespace moth::cel {
namespace {

using Args = std::span<const Value>;

std::uint64_t text_cost(std::size_t bytes) {
  return bytes / 10 + 1;
}

// The strings among the arguments; empty when one of the first `count` is none.
bool strings(Args args, std::size_t count, Meter& meter, Outcome& trouble) {
  std::size_t bytes = 0;
  for (std::size_t i = 0; i < count; ++i) {
    if (!args[i].string()) {
      trouble = no_such_overload();
      return false;
    }
    bytes += args[i].string()->size();
  }
  if (meter.spend(text_cost(bytes))) return true;
  trouble = Meter::spent();
  return false;
}

#define MOTH_CEL_STRINGS(count)                                \
  Outcome trouble = Value();                                   \
  if (!strings(args, (count), meter, trouble)) return trouble; \
  const std::string& text = *args[0].string()

Outcome starts_with(Args args, Meter& meter) {
  MOTH_CEL_STRINGS(2);
  return Value::Variant(text.starts_with(*args[1].string()));
}
Outcome ends_with(Args args, Meter& meter) {
  MOTH_CEL_STRINGS(2);
  return Value::Variant(text.ends_with(*args[1].string()));
}
Outcome contains(Args args, Meter& meter) {
  MOTH_CEL_STRINGS(2);
  // A search costs as much as both together in the worst case.
  if (!meter.spend(text_cost(text.size()) * text_cost(args[1].string()->size())))
    return Meter::spent();
  return Value::Variant(text.find(*args[1].string()) != std::string::npos);
}

// RE2 runs in linear time and in bounded memory, whatever the pattern.
std::unique_ptr<re2::RE2> compile(const std::string& pattern) {
  re2::RE2::Options options;
  options.set_log_errors(false);
  options.set_max_mem(1 << 20);
  return std::make_unique<re2::RE2>(pattern, options);
}

std::uint64_t regex_cost(const std::string& text, const std::string& pattern) {
  return text_cost(text.size()) * (pattern.size() / 4 + 1);
}

Outcome matches(Args args, Meter& meter) {
  MOTH_CEL_STRINGS(2);
  const std::string& pattern = *args[1].string();
  if (!meter.spend(regex_cost(text, pattern))) return Meter::spent();
  auto regex = compile(pattern);
  if (!regex->ok()) return failure("error parsing regexp: " + regex->error());
  return Value::Variant(re2::RE2::PartialMatch(text, *regex));
}

Outcome find(Args args, Meter& meter) {
  MOTH_CEL_STRINGS(2);
  const std::string& pattern = *args[1].string();
  if (!meter.spend(regex_cost(text, pattern))) return Meter::spent();
  auto regex = compile(pattern);
  if (!regex->ok()) return failure("Illegal regex: " + regex->error());
  re2::StringPiece match;
  if (!regex->Match(text, 0, text.size(), re2::RE2::UNANCHORED, &match, 1)) return Value::text("");
  return Value::text(std::string(match.data(), match.size()));
}

Outcome find_all(Args args, Meter& meter) {
  MOTH_CEL_STRINGS(2);
  const std::string& pattern = *args[1].string();
  std::int64_t limit = -1;
  if (args.size() > 2) {
    const auto* wish = args[2].as<std::int64_t>();
    if (!wish) return no_such_overload();
    limit = *wish;
  }
  auto regex = compile(pattern);
  if (!regex->ok()) return failure("Illegal regex: " + regex->error());
  std::vector<Value> found;
  std::size_t at = 0;
  while (at <= text.size() && (limit < 0 || static_cast<std::int64_t>(found.size()) < limit)) {
    // Each search may read on to the end.
    if (!meter.spend(regex_cost(text, pattern))) return Meter::spent();
    re2::StringPiece match;
    if (!regex->Match(text, at, text.size(), re2::RE2::UNANCHORED, &match, 1)) break;
    found.push_back(Value::text(std::string(match.data(), match.size())));
    std::size_t end = static_cast<std::size_t>(match.data() - text.data()) + match.size();
    at = match.empty() ? end + 1 : end;
  }
  return Value::list(std::move(found));
}

// Offsets count code points.
const std::int64_t* int_arg(Args args, std::size_t index) {
  return index < args.size() ? args[index].as<std::int64_t>() : nullptr;
}

Outcome char_at(Args args, Meter& meter) {
  MOTH_CEL_STRINGS(1);
  const auto* index = int_arg(args, 1);
  if (!index) return no_such_overload();
  std::u32string codes = decode_utf8(text);
  if (*index < 0 || static_cast<std::size_t>(*index) > codes.size())
    return failure(fmt::format("index out of range: {}", *index));
  return Value::text(encode_utf8(codes.substr(static_cast<std::size_t>(*index), 1)));
}

Outcome index_of(Args args, Meter& meter) {
  MOTH_CEL_STRINGS(2);
  std::u32string codes = decode_utf8(text), wanted = decode_utf8(*args[1].string());
  std::size_t from = 0;
  if (const auto* offset = int_arg(args, 2)) {
    if (*offset < 0 || static_cast<std::size_t>(*offset) > codes.size())
      return failure(fmt::format("index out of range: {}", *offset));
    from = static_cast<std::size_t>(*offset);
  }
  if (!meter.spend(text_cost(text.size()) * text_cost(wanted.size()))) return Meter::spent();
  std::size_t found = codes.find(wanted, from);
  return Value::Variant(found == std::u32string::npos ? std::int64_t{-1}
                                                      : static_cast<std::int64_t>(found));
}

Outcome last_index_of(Args args, Meter& meter) {
  MOTH_CEL_STRINGS(2);
  std::u32string codes = decode_utf8(text), wanted = decode_utf8(*args[1].string());
  std::size_t from = std::u32string::npos;
  if (const auto* offset = int_arg(args, 2)) {
    if (*offset < 0 || static_cast<std::size_t>(*offset) > codes.size())
      return failure(fmt::format("index out of range: {}", *offset));
    from = static_cast<std::size_t>(*offset);
  }
  if (!meter.spend(text_cost(text.size()) * text_cost(wanted.size()))) return Meter::spent();
  std::size_t found = codes.rfind(wanted, from);
  return Value::Variant(found == std::u32string::npos ? std::int64_t{-1}
                                                      : static_cast<std::int64_t>(found));
}

// ASCII alone, as the names say.
std::string map_ascii(std::string text, char low, char high, int shift) {
  for (char& c : text) {
    if (c >= low && c <= high) c = static_cast<char>(c + shift);
  }
  return text;
}
Outcome lower(Args args, Meter& meter) {
  MOTH_CEL_STRINGS(1);
  return Value::text(map_ascii(text, 'A', 'Z', 'a' - 'A'));
}
Outcome upper(Args args, Meter& meter) {
  MOTH_CEL_STRINGS(1);
  return Value::text(map_ascii(text, 'a', 'z', 'A' - 'a'));
}

Outcome trim(Args args, Meter& meter) {
  MOTH_CEL_STRINGS(1);
  auto blank = [](char32_t c) {
    return c == ' ' || (c >= 9 && c <= 13) || c == 0x85 || c == 0xA0 || c == 0x1680 ||
           (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F ||
           c == 0x205F || c == 0x3000;
  };
  std::u32string codes = decode_utf8(text);
  auto first = std::find_if_not(codes.begin(), codes.end(), blank);
  auto last = std::find_if_not(codes.rbegin(), std::make_reverse_iterator(first), blank).base();
  return Value::text(encode_utf8(std::u32string(first, last)));
}

Outcome reverse(Args args, Meter& meter) {
  MOTH_CEL_STRINGS(1);
  std::u32string codes = decode_utf8(text);
  std::reverse(codes.begin(), codes.end());
  return Value::text(encode_utf8(codes));
}

Outcome substring(Args args, Meter& meter) {
  MOTH_CEL_STRINGS(1);
  std::u32string codes = decode_utf8(text);
  auto size = static_cast<std::int64_t>(codes.size());
  const auto* start = int_arg(args, 1);
  if (!start) return no_such_overload();
  std::int64_t end = size;
  if (args.size() > 2) {
    const auto* given = int_arg(args, 2);
    if (!given) return no_such_overload();
    end = *given;
  }
  if (*start < 0 || *start > size) return failure(fmt::format("index out of range: {}", *start));
  if (end < 0 || end > size) return failure(fmt::format("index out of range: {}", end));
  if (end < *start)
    return failure(fmt::format("invalid substring range. start: {}, end: {}", *start, end));
  return Value::text(encode_utf8(
      codes.substr(static_cast<std::size_t>(*start), static_cast<std::size_t>(end - *start))));
}

Outcome replace(Args args, Meter& meter) {
  MOTH_CEL_STRINGS(3);
  std::int64_t left = -1;
  if (args.size() > 3) {
    const auto* count = int_arg(args, 3);
    if (!count) return no_such_overload();
    left = *count;
  }
  const std::string& from = *args[1].string();
  const std::string& to = *args[2].string();
  std::string out;
  std::size_t at = 0;
  while (left != 0) {
    std::size_t found = text.find(from, at);
    if (found == std::string::npos) break;
    // An empty pattern stands before each character.
    std::size_t step = from.empty() ? std::max<std::size_t>(utf8_length(text + "\n", at), 1) : 0;
    out += text.substr(at, found - at) + to;
    if (!meter.spend(text_cost(to.size()))) return Meter::spent();
    --left;
    at = found + from.size();
    if (from.empty()) {
      if (at >= text.size()) break;
      out += text.substr(at, step);
      at += step;
    }
  }
  if (at < text.size()) out += text.substr(at);
  return Value::text(std::move(out));
}

Outcome split(Args args, Meter& meter) {
  MOTH_CEL_STRINGS(2);
  std::int64_t limit = -1;
  if (args.size() > 2) {
    const auto* given = int_arg(args, 2);
    if (!given) return no_such_overload();
    limit = *given;
  }
  const std::string& separator = *args[1].string();
  std::vector<Value> parts;
  if (limit == 0) return Value::list({});
  std::size_t at = 0;
  while (limit < 0 || static_cast<std::int64_t>(parts.size()) + 1 < limit) {
    std::size_t length = 0, end = 0;
    if (separator.empty()) {
      if (at >= text.size()) break;
      length = std::max<std::size_t>(utf8_length(text, at), 1);
      end = at + length;
      if (end >= text.size()) break;
    } else {
      std::size_t found = text.find(separator, at);
      if (found == std::string::npos) break;
      length = found - at;
      end = found + separator.size();
    }
    if (!meter.spend(1)) return Meter::spent();
    parts.push_back(Value::text(text.substr(at, length)));
    at = end;
  }
  if (!separator.empty() || at < text.size()) parts.push_back(Value::text(text.substr(at)));
  return Value::list(std::move(parts));
}

Outcome join(Args args, Meter& meter) {
  std::string separator;
  if (args.size() > 1) {
    if (!args[1].string()) return no_such_overload();
    separator = *args[1].string();
  }
  if (!args[0].is_list()) return no_such_overload();
  std::string out;
  for (std::size_t i = 0; i < args[0].size(); ++i) {
    Value item = args[0].at(i);
    if (!item.string()) return no_such_overload();
    if (!meter.spend(text_cost(item.string()->size() + separator.size()))) return Meter::spent();
    if (i > 0) out += separator;
    out += *item.string();
  }
  return Value::text(std::move(out));
}

Outcome quote(Args args, Meter& meter) {
  MOTH_CEL_STRINGS(1);
  return Value::text(go_quote(text));
}

// One value as %s prints it.
std::string printed(const Value& value, int depth = 0) {
  if (value.string()) return *value.string();
  if (const auto* truth = value.as<bool>()) return *truth ? "true" : "false";
  if (const auto* number = value.as<std::int64_t>()) return std::to_string(*number);
  if (const auto* number = value.as<std::uint64_t>()) return std::to_string(*number);
  if (const auto* number = value.as<double>()) return format_double(*number);
  if (const auto* time = value.as<Timestamp>()) return format_timestamp(*time);
  if (const auto* duration = value.as<Duration>()) return format_cel_duration(*duration);
  if (value.is_null()) return "null";
  if (depth > 16) return "...";
  std::string out;
  if (value.is_list()) {
    for (std::size_t i = 0; i < value.size(); ++i)
      out += (i ? ", " : "") + printed(value.at(i), depth + 1);
    return "[" + out + "]";
  }
  if (value.is_map()) {
    for (const Value& key : value.keys()) {
      if (!out.empty()) out += ", ";
      out += printed(key, depth + 1) + ": ";
      if (auto member = value.find(key)) out += printed(*member, depth + 1);
    }
    return "{" + out + "}";
  }
  return value.type_name();
}

Outcome formatted(char verb, int precision, const Value& value) {
  const auto* whole = value.as<std::int64_t>();
  const auto* natural = value.as<std::uint64_t>();
  const auto* real = value.as<double>();
  switch (verb) {
    case 's':
      return Value::text(printed(value));
    case 'd':
      if (whole) return Value::text(std::to_string(*whole));
      if (natural) return Value::text(std::to_string(*natural));
      break;
    case 'f':
    case 'e':
      if (whole || natural || real) {
        double number = real    ? *real
                        : whole ? static_cast<double>(*whole)
                                : static_cast<double>(*natural);
        return Value::text(verb == 'f' ? fmt::format("{:.{}f}", number, precision)
                                       : fmt::format("{:.{}e}", number, precision));
      }
      break;
    case 'b':
      if (const auto* truth = value.as<bool>()) return Value::text(*truth ? "1" : "0");
      if (whole) return Value::text(fmt::format("{:b}", *whole));
      if (natural) return Value::text(fmt::format("{:b}", *natural));
      break;
    case 'o':
      if (whole) return Value::text(fmt::format("{:o}", *whole));
      if (natural) return Value::text(fmt::format("{:o}", *natural));
      break;
    case 'x':
    case 'X': {
      std::string out;
      if (whole) out = fmt::format("{:x}", *whole);
      if (natural) out = fmt::format("{:x}", *natural);
      if (value.string())
        for (unsigned char c : *value.string()) out += fmt::format("{:02x}", c);
      if (out.empty() && !value.string()) break;
      return Value::text(verb == 'X' ? map_ascii(out, 'a', 'z', 'A' - 'a') : out);
    }
    default:
      return failure(fmt::format("unrecognized formatting clause \"{}\"", verb));
  }
  return failure(
      fmt::format("error during formatting: no clause %{} for a {}", verb, value.type_name()));
}

Outcome format(Args args, Meter& meter) {
  MOTH_CEL_STRINGS(1);
  if (!args[1].is_list()) return no_such_overload();
  std::string out;
  std::size_t used = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      out += text[i];
      continue;
    }
    if (++i >= text.size()) return failure("unexpected end of string");
    if (text[i] == '%') {
      out += '%';
      continue;
    }
    int precision = 6;
    if (text[i] == '.') {
      precision = 0;
      for (++i; i < text.size() && text[i] >= '0' && text[i] <= '9'; ++i)
        precision = std::min(precision * 10 + (text[i] - '0'), 1000);
      if (i >= text.size()) return failure("could not find end of precision specifier");
    }
    if (used >= args[1].size()) return failure(fmt::format("index {} out of range", used));
    Outcome part = formatted(text[i], std::min(precision, 100), args[1].at(used++));
    if (!part) return part;
    if (!meter.spend(text_cost(part->string()->size()))) return Meter::spent();
    out += *part->string();
  }
  return Value::text(std::move(out));
}

#undef MOTH_CEL_STRINGS

}  // namespace

std::span<const FunctionRow> string_rows() {
  static constexpr FunctionRow kRows[] = {
      {"startsWith", "string.(string) bool", starts_with},
      {"endsWith", "string.(string) bool", ends_with},
      {"contains", "string.(string) bool", contains},
      {"matches", "string.(string) bool; (string,string) bool", matches},
      {"find", "string.(string) string", find},
      {"findAll", "string.(string) list(string); string.(string,int) list(string)", find_all},
      {"charAt", "string.(int) string", char_at},
      {"lowerAscii", "string.() string", lower},
      {"upperAscii", "string.() string", upper},
      {"trim", "string.() string", trim},
      {"substring", "string.(int) string; string.(int,int) string", substring},
      {"replace", "string.(string,string) string; string.(string,string,int) string", replace},
      {"split", "string.(string) list(string); string.(string,int) list(string)", split},
      {"join", "list(string).() string; list(string).(string) string", join},
      {"strings.quote", "(string) string", quote},
      {"format", "string.(list(dyn)) string", format},
      {"reverse", "string.() string", reverse},
  };
  return kRows;
}

// Of strings; the row that lists share it with is in functions_lists.cpp.
Outcome index_of_text(std::span<const Value> args, Meter& meter) {
  return index_of(args, meter);
}
Outcome last_index_of_text(std::span<const Value> args, Meter& meter) {
  return last_index_of(args, meter);
}

}  // namespace moth::cel
