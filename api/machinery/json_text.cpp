#include "api/machinery/json_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <limits>

#include "api/base/json.h"
#include "api/machinery/text.h"

namespace moth {
namespace {

// Builds the DOM from the parser's events, watching depth and duplicates.
class Builder {
 public:
  Builder(const JsonTextOptions& options, std::vector<std::string>* duplicates)
      : options_(options), duplicates_(duplicates) {}

  Json take() { return std::move(root_); }
  bool too_deep() const { return too_deep_; }
  bool too_many() const { return values_ > options_.max_values; }
  std::size_t error_position() const { return error_position_; }
  const std::string& error_text() const { return error_text_; }

  bool null() { return put(Json(nullptr)); }
  bool boolean(bool value) { return put(Json(value)); }
  bool number_integer(Json::number_integer_t value) { return put(Json(value)); }
  bool number_unsigned(Json::number_unsigned_t value) {
    // Signed wherever it fits, so that equal numbers have one type.
    if (value <= static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())) {
      return put(Json(static_cast<std::int64_t>(value)));
    }
    return put(Json(value));
  }
  bool number_float(Json::number_float_t value, const std::string& /*text*/) {
    return put(Json(value));
  }
  bool string(std::string& value) { return put(Json(std::move(value))); }
  bool binary(Json::binary_t& /*value*/) { return false; }

  bool start_object(std::size_t /*size*/) { return open(Json::object()); }
  bool end_object() { return close(); }
  bool start_array(std::size_t /*size*/) { return open(Json::array()); }
  bool end_array() { return close(); }

  bool key(std::string& name) {
    Frame& frame = frames_.back();
    auto& members = frame.node->get_ref<Json::object_t&>();
    auto [member, inserted] = members.emplace(std::move(name), nullptr);
    frame.member = &*member;
    if (!inserted) {
      member->second = nullptr;
      report_duplicate();
    }
    return true;
  }

  template <class Exception>
  bool parse_error(std::size_t position, const std::string& /*token*/, const Exception& exception) {
    error_position_ = position;
    error_text_ = exception.what();
    return false;
  }

 private:
  struct Frame {
    Json* node;
    Json::object_t::value_type* member = nullptr;  // of an object: the current one
  };

  Json* slot() {
    if (frames_.empty()) return &root_;
    Frame& frame = frames_.back();
    if (frame.node->is_object()) return &frame.member->second;
    auto& elements = frame.node->get_ref<Json::array_t&>();
    return &elements.emplace_back();
  }

  bool put(Json value) {
    if (++values_ > options_.max_values) return false;
    *slot() = std::move(value);
    return true;
  }

  bool open(Json container) {
    if (frames_.size() >= options_.max_depth) {
      too_deep_ = true;
      return false;
    }
    if (++values_ > options_.max_values) return false;
    Json* node = slot();
    *node = std::move(container);
    frames_.push_back({node, nullptr});
    return true;
  }

  bool close() {
    frames_.pop_back();
    return true;
  }

  void report_duplicate() {
    if (!duplicates_ || duplicates_->size() >= options_.max_duplicates) return;
    std::string path;
    for (const Frame& frame : frames_) {
      if (frame.node->is_object()) {
        if (!path.empty()) path += '.';
        path += frame.member->first;
      } else {
        path += '[' + std::to_string(frame.node->size() - 1) + ']';
      }
    }
    if (std::find(duplicates_->begin(), duplicates_->end(), path) == duplicates_->end()) {
      duplicates_->push_back(std::move(path));
    }
  }

  const JsonTextOptions& options_;
  std::vector<std::string>* duplicates_;
  Json root_;
  std::vector<Frame> frames_;
  std::size_t error_position_ = 0;
  std::string error_text_;
  bool too_deep_ = false;
  std::size_t values_ = 0;
};

// The part of the library's message that says what is wrong.
std::string reason_of(std::string text) {
  for (std::string_view marker : {" - ", ": "}) {
    auto at = text.find(marker, std::string_view("[json.exception.").size());
    if (at != std::string::npos) {
      text.erase(0, at + marker.size());
      break;
    }
  }
  if (auto last_read = text.find("; last read:"); last_read != std::string::npos) {
    auto expected = text.find("; expected", last_read);
    text.erase(last_read, expected == std::string::npos ? std::string::npos : expected - last_read);
  }
  return text;
}

Error syntax_error(std::string_view text, std::size_t position, const std::string& what) {
  // The parser counts the byte that it refused; the offset is where that byte is.
  std::size_t offset = std::min(position == 0 ? 0 : position - 1, text.size());
  std::string_view before = text.substr(0, offset);
  auto line = std::count(before.begin(), before.end(), '\n') + 1;
  auto newline = before.rfind('\n');
  auto column = newline == std::string_view::npos ? offset + 1 : offset - newline;
  return Error::bad_request(fmt::format("invalid JSON at line {}, column {} (offset {}): {}", line,
                                        column, offset, what));
}

Result<Json> parse(std::string_view text, std::vector<std::string>* duplicates,
                   const JsonTextOptions& options) {
  Builder builder(options, duplicates);
  bool parsed = false;
  std::string thrown;
  try {
    parsed = Json::sax_parse(text.begin(), text.end(), &builder);
  } catch (const std::exception& exception) {
    thrown = exception.what();
  }
  if (parsed) return builder.take();
  if (builder.too_deep()) {
    return fail(Error::bad_request(
        fmt::format("invalid JSON: nested deeper than {} levels", options.max_depth)));
  }
  if (builder.too_many()) {
    return fail(
        Error::of(Reason::kRequestEntityTooLarge,
                  fmt::format("the JSON text holds more than {} values", options.max_values)));
  }
  const std::string& what = thrown.empty() ? builder.error_text() : thrown;
  return fail(syntax_error(text, builder.error_position(), reason_of(what)));
}

constexpr std::string_view kHex = "0123456789abcdef";

void append_escaped(char c, std::string& out) {
  switch (c) {
    case '"':
      out += "\\\"";
      return;
    case '\\':
      out += "\\\\";
      return;
    case '\b':
      out += "\\b";
      return;
    case '\f':
      out += "\\f";
      return;
    case '\n':
      out += "\\n";
      return;
    case '\r':
      out += "\\r";
      return;
    case '\t':
      out += "\\t";
      return;
    default:
      break;
  }
  out += "\\u00";
  out += kHex[static_cast<unsigned char>(c) >> 4];
  out += kHex[static_cast<unsigned char>(c) & 15];
}

template <class Integer>
void append_integer(Integer value, std::string& out) {
  std::array<char, 24> buffer;
  auto end = std::to_chars(buffer.data(), buffer.data() + buffer.size(), value).ptr;
  out.append(buffer.data(), static_cast<std::size_t>(end - buffer.data()));
}

bool append_scalar(const Json& value, std::string& out) {
  switch (value.type()) {
    case Json::value_t::string:
      append_json_string(value.get_ref<const std::string&>(), out);
      return true;
    case Json::value_t::boolean:
      out += value.get<bool>() ? "true" : "false";
      return true;
    case Json::value_t::number_integer:
      append_integer(value.get<std::int64_t>(), out);
      return true;
    case Json::value_t::number_unsigned:
      append_integer(value.get<std::uint64_t>(), out);
      return true;
    case Json::value_t::number_float:
      out += format_json_number(value.get<double>());
      return true;
    case Json::value_t::object:
    case Json::value_t::array:
      return false;
    case Json::value_t::binary: {
      // Text that is JSON already (managed_text.h, raw_json).
      const auto& bytes = value.get_binary();
      out.append(bytes.begin(), bytes.end());
      return true;
    }
    default:
      out += "null";
      return true;
  }
}

// `indent` < 0: compact.
void append_value(const Json& value, int indent, int depth, std::string& out) {
  if (append_scalar(value, out)) return;
  bool object = value.is_object();
  if (value.empty()) {
    out += object ? "{}" : "[]";
    return;
  }
  auto new_line = [&](int level) {
    if (indent < 0) return;
    out += '\n';
    out.append(static_cast<std::size_t>(indent * level), ' ');
  };
  out += object ? '{' : '[';
  bool first = true;
  auto separate = [&] {
    if (!first) out += ',';
    first = false;
    new_line(depth + 1);
  };
  if (object) {
    for (const auto& [name, member] : value.get_ref<const Json::object_t&>()) {
      separate();
      append_json_string(name, out);
      out += indent < 0 ? ":" : ": ";
      append_value(member, indent, depth + 1, out);
    }
  } else {
    for (const Json& element : value.get_ref<const Json::array_t&>()) {
      separate();
      append_value(element, indent, depth + 1, out);
    }
  }
  new_line(depth);
  out += object ? '}' : ']';
}

}  // namespace

Result<Json> parse_json(std::string_view text, const JsonTextOptions& options) {
  return parse(text, nullptr, options);
}

Result<Json> parse_json(std::string_view text, std::vector<std::string>& duplicates,
                        const JsonTextOptions& options) {
  return parse(text, &duplicates, options);
}

void dump_json(const Json& value, std::string& out) {
  append_value(value, -1, 0, out);
}

std::string dump_json(const Json& value) {
  std::string out;
  append_value(value, -1, 0, out);
  return out;
}

std::string dump_json_indented(const Json& value, int indent) {
  std::string out;
  append_value(value, indent, 0, out);
  return out;
}

std::string format_json_number(double value) {
  if (!std::isfinite(value)) return "null";
  if (value == 0) return std::signbit(value) ? "-0" : "0";
  double magnitude = std::abs(value);
  bool fixed = magnitude >= 1e-6 && magnitude < 1e21;
  std::array<char, 512> buffer;
  auto end = std::to_chars(buffer.data(), buffer.data() + buffer.size(), value,
                           fixed ? std::chars_format::fixed : std::chars_format::scientific)
                 .ptr;
  std::string text(buffer.data(), end);
  // Go writes e-7 where C++ writes e-07.
  if (!fixed && text.size() > 4 && text[text.size() - 4] == 'e' && text[text.size() - 2] == '0') {
    text.erase(text.size() - 2, 1);
  }
  return text;
}

void append_json_string(std::string_view text, std::string& out) {
  out += '"';
  std::size_t copied = 0;
  for (std::size_t i = 0; i < text.size();) {
    auto byte = static_cast<unsigned char>(text[i]);
    if (byte >= 0x20 && byte < 0x80 && byte != '"' && byte != '\\') {
      ++i;
      continue;
    }
    std::size_t length = byte < 0x80 ? 1 : utf8_length(text, i);
    if (length > 1) {
      i += length;
      continue;
    }
    out.append(text, copied, i - copied);
    if (length == 0) {
      out += "\xEF\xBF\xBD";
    } else {
      append_escaped(text[i], out);
    }
    copied = ++i;
  }
  out.append(text, copied, text.size() - copied);
  out += '"';
}

}  // namespace moth
