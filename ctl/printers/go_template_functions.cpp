#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "api/http/url.h"
#include "api/schema/base64.h"
#include "ctl/printers/go_template_program.h"

namespace moth::ctl::go {
namespace {

using Arguments = std::vector<Value>;

tl::unexpected<Error> bad(const std::string& name, const std::string& what) {
  return fail(Error::bad_request(
      fmt::format("template: output: executing \"output\": error calling {}: {}", name, what)));
}

Value text_value(std::string text) {
  return {Json(std::move(text)), false};
}

// fmt.Sprint: a space between operands when neither is a string.
std::string sprint(const Arguments& arguments, bool line) {
  std::string text;
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    bool strings = i > 0 && (arguments[i].json.is_string() || arguments[i - 1].json.is_string());
    if (i > 0 && (line || !strings)) text += ' ';
    text += printed(arguments[i]);
  }
  return line ? text + "\n" : text;
}

std::string type_name(const Json& value) {
  if (value.is_null()) return "<nil>";
  if (value.is_string()) return "string";
  if (value.is_boolean()) return "bool";
  if (value.is_number_float()) return "float64";
  if (value.is_number()) return "int64";
  return value.is_array() ? "[]interface {}" : "map[string]interface {}";
}

std::string quoted(const std::string& text) {
  return Json(text).dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::string padded(std::string text, const std::string& flags, int width) {
  int size = static_cast<int>(
      std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xC0) != 0x80; }));
  if (size >= width) return text;
  std::string fill(static_cast<std::size_t>(width - size), ' ');
  return flags.find('-') != std::string::npos ? text + fill : fill + text;
}

// One verb of printf applied to one value.
std::string formatted(const std::string& flags, int width, int precision, char verb,
                      const Json& value) {
  std::string spec = "%" + flags;
  if (width >= 0) spec += std::to_string(width);
  if (precision >= 0) spec += "." + std::to_string(precision);
  std::array<char, 512> buffer{};
  auto c_style = [&](const std::string& format, auto number) {
    int size = std::snprintf(buffer.data(), buffer.size(), format.c_str(), number);
    return std::string(buffer.data(),
                       std::min(static_cast<std::size_t>(std::max(size, 0)), buffer.size() - 1));
  };
  auto mismatch = [&] {
    return fmt::format("%!{}({}={})", verb, type_name(value), printed({value, false}));
  };
  width = std::min(width, 400);
  switch (verb) {
    case 'v':
      return padded(printed({value, false}), flags, width);
    case 's': {
      if (value.is_number() || value.is_boolean() || value.is_null()) return mismatch();
      std::string text = printed({value, false});
      if (precision >= 0) text = text.substr(0, static_cast<std::size_t>(precision));
      return padded(text, flags, width);
    }
    case 'q':
      return value.is_string() ? padded(quoted(value.get<std::string>()), flags, width)
                               : mismatch();
    case 'T':
      return padded(type_name(value), flags, width);
    case 't':
      return value.is_boolean() ? padded(value.get<bool>() ? "true" : "false", flags, width)
                                : mismatch();
    case 'd':
    case 'x':
    case 'X':
    case 'o':
      if (value.is_string() && (verb == 'x' || verb == 'X')) {
        std::string hex;
        for (unsigned char c : value.get<std::string>())
          hex += verb == 'x' ? fmt::format("{:02x}", c) : fmt::format("{:02X}", c);
        return padded(hex, flags, width);
      }
      if (!value.is_number_integer()) return mismatch();
      return c_style(spec + "ll" + verb, static_cast<long long>(value.get<std::int64_t>()));
    case 'c':
      if (!value.is_number_integer()) return mismatch();
      return padded(std::string(1, static_cast<char>(value.get<std::int64_t>())), flags, width);
    case 'e':
    case 'f':
    case 'g':
      if (!value.is_number_float()) return mismatch();
      return c_style(spec + verb, value.get<double>());
    default:
      return mismatch();
  }
}

std::string sprintf_text(const std::string& format, const Arguments& arguments) {
  std::string out;
  std::size_t next = 1;
  for (std::size_t i = 0; i < format.size(); ++i) {
    if (format[i] != '%') {
      out += format[i];
      continue;
    }
    std::string flags;
    int width = -1, precision = -1;
    for (++i;
         i < format.size() && std::string_view("+-# 0").find(format[i]) != std::string_view::npos;
         ++i)
      flags += format[i];
    auto digits = [&](int& number) {
      for (; i < format.size() && std::isdigit(static_cast<unsigned char>(format[i])); ++i)
        number = std::min(std::max(number, 0) * 10 + (format[i] - '0'), 1000);
    };
    digits(width);
    if (i < format.size() && format[i] == '.') {
      ++i;
      precision = 0;
      digits(precision);
    }
    if (i >= format.size()) {
      out += "%!(NOVERB)";
      break;
    }
    if (format[i] == '%') {
      out += '%';
    } else if (next >= arguments.size()) {
      out += fmt::format("%!{}(MISSING)", format[i]);
    } else {
      out += formatted(flags, width, precision, format[i], arguments[next++].json);
    }
  }
  if (next < arguments.size()) {
    out += "%!(EXTRA ";
    for (std::size_t i = next; i < arguments.size(); ++i)
      out += (i > next ? ", " : "") + type_name(arguments[i].json) + "=" + printed(arguments[i]);
    out += ")";
  }
  return out;
}

Result<int> compare(const std::string& name, const Json& a, const Json& b) {
  if (a.is_number() && b.is_number()) {
    if (a.is_number_integer() && b.is_number_integer()) {
      auto x = a.get<std::int64_t>(), y = b.get<std::int64_t>();
      return x < y ? -1 : x > y;
    }
    double x = a.get<double>(), y = b.get<double>();
    return x < y ? -1 : x > y;
  }
  if (a.is_string() && b.is_string()) {
    int order = a.get_ref<const std::string&>().compare(b.get_ref<const std::string&>());
    return order < 0 ? -1 : order > 0;
  }
  return bad(name, "incompatible types for comparison");
}

Result<Value> equality(const std::string& name, const Arguments& arguments) {
  if (arguments.size() < 2) return bad(name, "missing argument for comparison");
  const Json& first = arguments[0].json;
  bool equal = false;
  for (std::size_t i = 1; i < arguments.size(); ++i) {
    const Json& other = arguments[i].json;
    if (first.is_structured() || other.is_structured()) return bad(name, "non-comparable type");
    bool none = first.is_null() || other.is_null();
    bool kinds = first.is_number() == other.is_number() && first.is_string() == other.is_string();
    if (!none && !kinds) return bad(name, "incompatible types for comparison");
    equal = equal || first == other;
  }
  return Value{Json(name == "eq" ? equal : !equal), false};
}

Result<Value> indexed(const Arguments& arguments) {
  if (arguments.empty()) return bad("index", "missing argument");
  Json place = arguments[0].json;
  for (std::size_t i = 1; i < arguments.size(); ++i) {
    const Json& key = arguments[i].json;
    Json inner;
    if (place.is_object() && key.is_string()) {
      auto found = place.find(key.get<std::string>());
      if (found == place.end()) return Value{nullptr, true};
      inner = *found;
    } else if (place.is_array() && key.is_number_integer()) {
      auto at = key.get<std::int64_t>();
      if (at < 0 || at >= static_cast<std::int64_t>(place.size()))
        return bad("index", fmt::format("index out of range: {}", at));
      inner = place[static_cast<std::size_t>(at)];
    } else if (place.is_null()) {
      return bad("index", "index of nil pointer");
    } else {
      return bad("index", fmt::format("can't index item of type {}", type_name(place)));
    }
    place = std::move(inner);
  }
  return Value{std::move(place), false};
}

Result<Value> sliced(const Arguments& arguments) {
  if (arguments.empty()) return bad("slice", "missing argument");
  const Json& whole = arguments[0].json;
  if (!whole.is_string() && !whole.is_array())
    return bad("slice", fmt::format("can't slice item of type {}", type_name(whole)));
  auto size = static_cast<std::int64_t>(
      whole.is_string() ? whole.get_ref<const std::string&>().size() : whole.size());
  std::int64_t from = arguments.size() > 1 ? arguments[1].json.get<std::int64_t>() : 0;
  std::int64_t to = arguments.size() > 2 ? arguments[2].json.get<std::int64_t>() : size;
  if (from < 0 || to > size || from > to) return bad("slice", "index out of range");
  if (whole.is_string())
    return text_value(whole.get<std::string>().substr(static_cast<std::size_t>(from),
                                                      static_cast<std::size_t>(to - from)));
  Json part = Json::array();
  for (std::int64_t i = from; i < to; ++i) part.push_back(whole[static_cast<std::size_t>(i)]);
  return Value{std::move(part), false};
}

std::string replaced(const std::string& text,
                     std::initializer_list<std::pair<char, const char*>> table) {
  std::string out;
  for (char c : text) {
    auto found =
        std::find_if(table.begin(), table.end(), [&](auto& row) { return row.first == c; });
    if (found == table.end())
      out += c;
    else
      out += found->second;
  }
  return out;
}

bool all_integers(const Arguments& arguments, std::size_t from) {
  return std::all_of(
      arguments.begin() + static_cast<std::ptrdiff_t>(std::min(from, arguments.size())),
      arguments.end(), [](const Value& value) { return value.json.is_number_integer(); });
}

constexpr std::string_view kNames[] = {"and",   "or",       "not",    "len",     "index",
                                       "slice", "print",    "printf", "println", "html",
                                       "js",    "urlquery", "eq",     "ne",      "lt",
                                       "le",    "gt",       "ge",     "exists",  "base64decode"};

}  // namespace

bool is_function(std::string_view name) {
  return std::find(std::begin(kNames), std::end(kNames), name) != std::end(kNames);
}

bool is_true(const Value& value) {
  const Json& json = value.json;
  if (value.missing || json.is_null()) return false;
  if (json.is_boolean()) return json.get<bool>();
  if (json.is_string()) return !json.get_ref<const std::string&>().empty();
  if (json.is_number()) return json.get<double>() != 0;
  return !json.empty();
}

std::string printed(const Value& value) {
  const Json& json = value.json;
  if (json.is_null()) return "<nil>";
  if (json.is_string()) return json.get<std::string>();
  if (json.is_boolean()) return json.get<bool>() ? "true" : "false";
  if (json.is_number_float()) {
    double number = json.get<double>();
    // Go's shortest form, with an exponent from 1e+21 on.
    if (std::fabs(number) < 1e21 && std::floor(number) == number)
      return fmt::format("{:.0f}", number);
    return fmt::format("{}", number);
  }
  if (json.is_number()) return json.dump();
  std::string text;
  if (json.is_array()) {
    for (const Json& element : json) text += (text.empty() ? "" : " ") + printed({element, false});
    return "[" + text + "]";
  }
  for (const auto& [key, element] : json.items())
    text += (text.empty() ? "" : " ") + key + ":" + printed({element, false});
  return "map[" + text + "]";
}

Result<Value> call_function(const std::string& name, const Arguments& arguments) {
  auto first_text = [&] { return arguments.empty() ? std::string() : sprint(arguments, false); };
  if (name == "and" || name == "or") {
    if (arguments.empty()) return bad(name, "wrong number of args: want at least 1 got 0");
    return arguments.back();
  }
  if (name == "eq" || name == "ne") return equality(name, arguments);
  if (name == "index") return indexed(arguments);
  if (name == "slice") {
    if (!all_integers(arguments, 1)) return bad(name, "cannot index slice/array with that type");
    return sliced(arguments);
  }
  if (name == "print") return text_value(sprint(arguments, false));
  if (name == "println") return text_value(sprint(arguments, true));
  if (name == "printf") {
    if (arguments.empty() || !arguments[0].json.is_string())
      return bad(name, "a format is expected first");
    return text_value(sprintf_text(arguments[0].json.get<std::string>(), arguments));
  }
  if (name == "html")
    return text_value(
        replaced(first_text(),
                 {{'<', "&lt;"}, {'>', "&gt;"}, {'&', "&amp;"}, {'"', "&#34;"}, {'\'', "&#39;"}}));
  if (name == "js")
    return text_value(replaced(first_text(), {{'\\', "\\\\"},
                                              {'\'', "\\'"},
                                              {'"', "\\\""},
                                              {'<', "\\u003C"},
                                              {'>', "\\u003E"},
                                              {'&', "\\u0026"},
                                              {'=', "\\u003D"},
                                              {'\n', "\\u000A"}}));
  if (name == "urlquery") {
    std::string text = http::percent_encode(first_text());
    for (std::size_t at = 0; (at = text.find("%20", at)) != std::string::npos;)
      text.replace(at, 3, "+");
    return text_value(text);
  }
  if (name == "exists") {
    Arguments path(arguments.begin(), arguments.end());
    auto found = indexed(path);
    return Value{Json(found && !found->missing), false};
  }
  std::size_t wanted = name == "not" || name == "len" || name == "base64decode" ? 1 : 2;
  if (arguments.size() != wanted)
    return bad(name, fmt::format("wrong number of args: want {} got {}", wanted, arguments.size()));
  const Json& first = arguments[0].json;
  if (name == "not") return Value{Json(!is_true(arguments[0])), false};
  if (name == "len") {
    if (first.is_string())
      return Value{Json(static_cast<std::int64_t>(first.get_ref<const std::string&>().size())),
                   false};
    if (first.is_structured()) return Value{Json(static_cast<std::int64_t>(first.size())), false};
    return bad(name, fmt::format("len of type {}", type_name(first)));
  }
  if (name == "base64decode") {
    auto bytes = schema::decode_base64(first.is_string() ? first.get<std::string>() : "");
    if (!bytes) return bad(name, "illegal base64 data");
    return text_value(*bytes);
  }
  MOTH_ASSIGN(int order, compare(name, first, arguments[1].json));
  bool result = name == "lt"   ? order < 0
                : name == "le" ? order <= 0
                : name == "gt" ? order > 0
                               : order >= 0;
  return Value{Json(result), false};
}

}  // namespace moth::ctl::go
