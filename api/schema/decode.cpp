#include "api/schema/decode.h"

#include <fmt/format.h>

#include <cmath>
#include <limits>

#include "api/base/json.h"
#include "api/machinery/quantity.h"
#include "api/machinery/time.h"
#include "api/schema/base64.h"

namespace moth::schema {

namespace {

// Where the walk is; a list on the stack, made into text only when something is reported.
struct Place {
  const Place* parent = nullptr;
  std::string_view key;        // of a field or a map entry; empty for a list item
  std::size_t index = 0;       // of a list item
  bool is_field = false;       // a field of a structure, not a map entry or a list item
  std::string_view structure;  // the structure that holds the field

  std::string path() const {
    std::string text = parent ? parent->path() : std::string();
    if (!parent) return text;
    if (key.data() == nullptr) return text + fmt::format("[{}]", index);
    if (!text.empty()) text += '.';
    return text.append(key);
  }
  // Only fields, as Go's decoder reports: "DeploymentSpec.spec.replicas".
  std::string go_path() const {
    std::string text = parent ? parent->go_path() : std::string();
    if (!is_field) return text;
    if (!text.empty()) text += '.';
    return text.append(key);
  }
  std::string_view go_structure() const {
    for (const Place* place = this; place; place = place->parent)
      if (place->is_field) return place->structure;
    return {};
  }
};

// "core.v1.PodSpec" is v1.PodSpec in Go, "api.resource.Quantity" resource.Quantity.
std::string go_name(Type type) {
  std::string_view name = type.name();
  std::size_t last = name.rfind('.');
  std::size_t before = last == std::string_view::npos ? last : name.rfind('.', last - 1);
  return std::string(before == std::string_view::npos ? name : name.substr(before + 1));
}

std::string go_type(Value value) {
  switch (value.kind()) {
    case Kind::kObject:
      return go_name(value.type());
    case Kind::kArray:
      return "[]" + go_type(value.element());
    case Kind::kMap:
      return "map[string]" + go_type(value.element());
    case Kind::kString:
      return "string";
    case Kind::kBool:
      return "bool";
    case Kind::kInt32:
      return "int32";
    case Kind::kInt64:
      return "int64";
    case Kind::kDouble:
      return "float64";
    case Kind::kBytes:
      return "[]uint8";
    default:
      return value.type() ? go_name(value.type()) : std::string(to_string(value.kind()));
  }
}

// What Go's decoder calls the thing that it found.
std::string_view json_word(const Json& json) {
  switch (json.type()) {
    case Json::value_t::object:
      return "object";
    case Json::value_t::array:
      return "array";
    case Json::value_t::string:
      return "string";
    case Json::value_t::boolean:
      return "bool";
    case Json::value_t::null:
      return "null";
    default:
      return "number";
  }
}

class Decoder {
 public:
  Decoder(Type root, const DecodeOptions& options) : root_(root), options_(options) {}

  Result<DecodeReport> run(Json& object) {
    Place place;
    MOTH_TRY(decode_value(root_.value(), object, place, 0));
    return std::move(report_);
  }

 private:
  using Done = Result<>;

  tl::unexpected<Error> fail_at(const Place& place, std::string what) const {
    Error error = Error::bad_request(
        fmt::format("{} in version \"{}\" cannot be handled as a {}: {}", root_.short_name(),
                    root_.version(), root_.short_name(), what));
    // Upstream's text does not always say where; a cause does.
    error.causes.push_back({"FieldValueInvalid", std::move(what), place.path()});
    return fail(std::move(error));
  }

  tl::unexpected<Error> wrong_type(const Place& place, std::string_view found, Value wanted) const {
    std::string path = place.go_path();
    return fail_at(place, path.empty()
                              ? fmt::format("json: cannot unmarshal {} into Go value of type {}",
                                            found, go_type(wanted))
                              : fmt::format("json: cannot unmarshal {} into Go struct field "
                                            "{}.{} of type {}",
                                            found, place.go_structure(), path, go_type(wanted)));
  }

  tl::unexpected<Error> too_many_objects(const Place& place) const {
    std::string what = fmt::format("Too many: all lists together may hold {} objects",
                                   options_.max_listed_objects);
    Error error =
        Error::of(Reason::kRequestEntityTooLarge, fmt::format("{}: {}", place.path(), what));
    error.causes.push_back({"FieldValueTooMany", std::move(what), place.path()});
    return fail(std::move(error));
  }

  Done decode_value(Value value, Json& json, const Place& place, std::size_t depth) {
    if (depth > options_.max_depth)
      return fail_at(place, fmt::format("nested deeper than {} levels", options_.max_depth));
    if (!options_.check_types && !has_declared_shape(value.kind(), json)) return {};
    switch (value.kind()) {
      case Kind::kObject:
        return decode_object(value, json, place, depth);
      case Kind::kArray:
        return decode_array(value, json, place, depth);
      case Kind::kMap:
        return decode_map(value, json, place, depth);
      case Kind::kRawObject:
        if (!json.is_object()) return wrong_type(place, json_word(json), value);
        return {};
      case Kind::kAny:
        return {};
      default:
        return decode_scalar(value, json, place);
    }
  }

  // Whether there is anything to do in `json` when types are not to be checked.
  static bool has_declared_shape(Kind kind, const Json& json) {
    if (kind == Kind::kObject || kind == Kind::kMap) return json.is_object();
    return kind == Kind::kArray && json.is_array();
  }

  Done decode_object(Value value, Json& json, const Place& place, std::size_t depth) {
    if (!json.is_object()) return wrong_type(place, json_word(json), value);
    Type type = value.type();
    for (auto it = json.begin(); it != json.end();) {
      Place member{&place, it.key(), 0, true, type.short_name()};
      Field field = type.field(it.key());
      if (!field) {
        if (value.preserve_unknown_fields()) {
          ++it;
          continue;
        }
        if (report_.unknown_fields.size() < options_.max_reported)
          report_.unknown_fields.push_back(member.path());
        it = options_.prune_unknown ? json.erase(it) : std::next(it);
        continue;
      }
      Value wanted = field.value();
      if (it->is_null() && !wanted.nullable() && wanted.kind() != Kind::kAny) {
        it = json.erase(it);
        continue;
      }
      if (!it->is_null()) MOTH_TRY(decode_value(wanted, *it, member, depth + 1));
      ++it;
    }
    return {};
  }

  Done decode_array(Value value, Json& json, const Place& place, std::size_t depth) {
    if (!json.is_array()) return wrong_type(place, json_word(json), value);
    Value element = value.element();
    if (element.kind() == Kind::kObject) listed_objects_ += json.size();
    if (listed_objects_ > options_.max_listed_objects) return too_many_objects(place);
    for (std::size_t i = 0; i < json.size(); ++i) {
      Place item{&place, {}, i, false, {}};
      MOTH_TRY(decode_element(element, json[i], item, depth));
    }
    return {};
  }

  Done decode_map(Value value, Json& json, const Place& place, std::size_t depth) {
    if (!json.is_object()) return wrong_type(place, json_word(json), value);
    Value element = value.element();
    for (auto it = json.begin(); it != json.end(); ++it) {
      Place entry{&place, it.key(), 0, false, {}};
      MOTH_TRY(decode_element(element, *it, entry, depth));
    }
    return {};
  }

  Done decode_element(Value element, Json& json, const Place& place, std::size_t depth) {
    if (json.is_null()) {
      if (!element.nullable()) json = empty_value(element.kind());
      return {};
    }
    return decode_value(element, json, place, depth + 1);
  }

  static Json empty_value(Kind kind) {
    switch (kind) {
      case Kind::kObject:
      case Kind::kMap:
      case Kind::kRawObject:
        return Json::object();
      case Kind::kArray:
        return Json::array();
      case Kind::kBool:
        return false;
      case Kind::kInt32:
      case Kind::kInt64:
      case Kind::kIntOrString:
        return 0;
      case Kind::kDouble:
        return 0.0;
      case Kind::kQuantity:
        return "0";
      case Kind::kTime:
      case Kind::kMicroTime:
      case Kind::kAny:
        return nullptr;
      case Kind::kDuration:
        return "0s";
      case Kind::kString:
      case Kind::kBytes:
        return "";
    }
    return nullptr;
  }

  Done decode_scalar(Value value, Json& json, const Place& place) {
    switch (value.kind()) {
      case Kind::kString:
        if (!json.is_string()) return wrong_type(place, json_word(json), value);
        return {};
      case Kind::kBool:
        if (!json.is_boolean()) return wrong_type(place, json_word(json), value);
        return {};
      case Kind::kInt32:
        return decode_integer(value, json, place, std::numeric_limits<std::int32_t>::min(),
                              std::numeric_limits<std::int32_t>::max());
      case Kind::kInt64:
        return decode_integer(value, json, place, std::numeric_limits<std::int64_t>::min(),
                              std::numeric_limits<std::int64_t>::max());
      case Kind::kDouble:
        if (!json.is_number()) return wrong_type(place, json_word(json), value);
        return {};
      case Kind::kBytes:
        return decode_bytes(value, json, place);
      case Kind::kTime:
      case Kind::kMicroTime:
        return decode_time(value.kind(), json, place);
      case Kind::kQuantity:
        return decode_quantity(json, place);
      case Kind::kIntOrString:
        return decode_int_or_string(json, place);
      case Kind::kDuration:
        return decode_duration(json, place);
      default:
        return {};
    }
  }

  Done decode_integer(Value value, const Json& json, const Place& place, std::int64_t lowest,
                      std::int64_t highest) {
    if (!json.is_number()) return wrong_type(place, json_word(json), value);
    bool fits = json.is_number_integer();
    if (fits && json.is_number_unsigned()) {
      fits = json.get<std::uint64_t>() <= static_cast<std::uint64_t>(highest);
    } else if (fits) {
      auto number = json.get<std::int64_t>();
      fits = number >= lowest && number <= highest;
    }
    if (!fits) return wrong_type(place, "number " + json.dump(), value);
    return {};
  }

  Done decode_bytes(Value value, Json& json, const Place& place) {
    if (!json.is_string()) return wrong_type(place, json_word(json), value);
    auto& text = json.get_ref<std::string&>();
    std::size_t error = find_base64_error(text);
    if (error != std::string::npos)
      return fail_at(place, fmt::format("illegal base64 data at input byte {}", error));
    std::erase_if(text, [](char c) { return c == '\n' || c == '\r'; });
    return {};
  }

  Done decode_time(Kind kind, Json& json, const Place& place) {
    if (!json.is_string())
      return fail_at(place, fmt::format("json: cannot unmarshal {} into Go value of type string",
                                        json_word(json)));
    const auto& text = json.get_ref<const std::string&>();
    Result<WallTime> time = parse_rfc3339(text);
    if (!time) {
      bool micro = kind == Kind::kMicroTime;
      return fail_at(place, fmt::format("parsing time \"{}\" as \"2006-01-02T15:04:05{}Z07:00\": "
                                        "cannot parse \"{}\" as \"2006\"",
                                        text, micro ? ".000000" : "", text));
    }
    json = kind == Kind::kMicroTime ? format_rfc3339_micro(*time) : format_rfc3339(*time);
    return {};
  }

  Done decode_quantity(Json& json, const Place& place) {
    Result<Quantity> quantity = Quantity::from_json(json);
    if (!quantity) return fail_at(place, std::move(quantity.error().message));
    json = quantity->to_string();
    return {};
  }

  Done decode_int_or_string(const Json& json, const Place& place) {
    if (json.is_string()) return {};
    bool fits = json.is_number_integer() && json >= std::numeric_limits<std::int32_t>::min() &&
                json <= std::numeric_limits<std::int32_t>::max();
    if (fits) return {};
    std::string found(json_word(json));
    if (json.is_number()) found += " " + json.dump();
    return fail_at(place,
                   fmt::format("json: cannot unmarshal {} into Go value of type int32", found));
  }

  Done decode_duration(Json& json, const Place& place) {
    if (!json.is_string())
      return fail_at(place, fmt::format("json: cannot unmarshal {} into Go value of type string",
                                        json_word(json)));
    Result<Nanoseconds> duration = parse_duration(json.get_ref<const std::string&>());
    if (!duration) return fail_at(place, std::move(duration.error().message));
    json = format_duration(*duration);
    return {};
  }

  Type root_;
  const DecodeOptions& options_;
  DecodeReport report_;
  std::size_t listed_objects_ = 0;
};

}  // namespace

std::vector<std::string> DecodeReport::messages() const {
  std::vector<std::string> messages;
  for (const std::string& path : duplicate_fields)
    messages.push_back(fmt::format("duplicate field \"{}\"", path));
  for (const std::string& path : unknown_fields)
    messages.push_back(fmt::format("unknown field \"{}\"", path));
  return messages;
}

Result<DecodeReport> decode(Type type, Json& object, const DecodeOptions& options) {
  return Decoder(type, options).run(object);
}

Error strict_decoding_error(Type type, const DecodeReport& report) {
  return Error::bad_request(fmt::format(
      "{} in version \"{}\" cannot be handled as a {}: strict decoding error: {}",
      type.short_name(), type.version(), type.short_name(), fmt::join(report.messages(), ", ")));
}

}  // namespace moth::schema
