#include "api/schema/protobuf.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <optional>

#include "api/base/json.h"
#include "api/machinery/time.h"
#include "api/schema/base64.h"
#include "api/schema/table.h"

namespace moth::schema {

namespace {

constexpr std::string_view kMagic("k8s\0", 4);

enum Wire : std::uint32_t { kVarint = 0, kFixed64 = 1, kLength = 2, kFixed32 = 5 };

struct Part {
  std::uint32_t number = 0;
  Wire wire = kVarint;
  std::uint64_t scalar = 0;  // kVarint, kFixed64, kFixed32
  std::string_view bytes;    // kLength
};

// Reads the fields of one message; every method returns false at malformed input.
class Reader {
 public:
  explicit Reader(std::string_view data) : data_(data) {}
  bool done() const { return at_ == data_.size(); }

  bool next(Part& part) {
    std::uint64_t tag = 0;
    if (!varint(tag) || tag >> 32 != 0 || tag >> 3 == 0) return false;
    part.number = static_cast<std::uint32_t>(tag >> 3);
    part.wire = static_cast<Wire>(tag & 7);
    switch (part.wire) {
      case kVarint:
        return varint(part.scalar);
      case kFixed64:
        return fixed(part.scalar, 8);
      case kFixed32:
        return fixed(part.scalar, 4);
      case kLength: {
        std::uint64_t length = 0;
        if (!varint(length) || length > data_.size() - at_) return false;
        part.bytes = data_.substr(at_, length);
        at_ += length;
        return true;
      }
    }
    return false;  // groups ended with proto2
  }

 private:
  bool varint(std::uint64_t& value) {
    value = 0;
    for (int shift = 0; shift < 64; shift += 7) {
      if (at_ == data_.size()) return false;
      auto byte = static_cast<unsigned char>(data_[at_++]);
      if (shift == 63 && byte > 1) return false;
      value |= static_cast<std::uint64_t>(byte & 127) << shift;
      if (byte < 128) return true;
    }
    return false;
  }

  bool fixed(std::uint64_t& value, std::size_t size) {
    if (data_.size() - at_ < size) return false;
    value = 0;
    for (std::size_t i = 0; i < size; ++i)
      value |= static_cast<std::uint64_t>(static_cast<unsigned char>(data_[at_ + i])) << (8 * i);
    at_ += size;
    return true;
  }

  std::string_view data_;
  std::size_t at_ = 0;
};

Wire wire_of(Kind kind) {
  switch (kind) {
    case Kind::kBool:
    case Kind::kInt32:
    case Kind::kInt64:
      return kVarint;
    case Kind::kDouble:
      return kFixed64;
    default:
      return kLength;
  }
}

bool is_valid_utf8(std::string_view text) {
  // Json::dump would throw on anything else later, far from here.
  std::size_t i = 0;
  while (i < text.size()) {
    auto c = static_cast<unsigned char>(text[i]);
    std::size_t more = c < 0x80 ? 0 : c < 0xc2 ? 9 : c < 0xe0 ? 1 : c < 0xf0 ? 2 : c < 0xf5 ? 3 : 9;
    if (more > 3 || more >= text.size() - i) return false;
    for (std::size_t j = 1; j <= more; ++j)
      if ((static_cast<unsigned char>(text[i + j]) & 0xc0) != 0x80) return false;
    auto second = more ? static_cast<unsigned char>(text[i + 1]) : 0;
    if ((c == 0xe0 && second < 0xa0) || (c == 0xed && second >= 0xa0) ||
        (c == 0xf0 && second < 0x90) || (c == 0xf4 && second >= 0x90))
      return false;
    i += more + 1;
  }
  return true;
}

class MessageDecoder {
 public:
  MessageDecoder(Type root, const ProtobufLimits& limits) : root_(root), limits_(limits) {}

  Result<Json> run(std::string_view message) {
    Json object = Json::object();
    MOTH_TRY(message_into(root_, message, object, 0));
    return object;
  }

 private:
  using Done = Result<>;

  tl::unexpected<Error> malformed(std::string_view where, std::string_view what) const {
    return fail(Error::bad_request(
        fmt::format("the protobuf body is no {}: {}: {}", root_.short_name(), where, what)));
  }

  // Lays the message's fields into `object`; called for the structure itself and for the messages
  // that exist in protobuf alone.
  Done message_into(Type type, std::string_view message, Json& object, std::size_t depth) {
    if (depth > limits_.max_depth) return malformed(type.short_name(), "nested too deeply");
    const Table& table = *type.table();
    const TypeRow& row = table.types[type.index()];
    const ProtoRow* begin = table.protos + row.first_proto;
    const ProtoRow* end = begin + row.proto_count;
    Reader reader(message);
    Part part;
    while (!reader.done()) {
      if (!reader.next(part)) return malformed(type.short_name(), "truncated or malformed");
      const ProtoRow* proto = std::lower_bound(
          begin, end, part.number,
          [](const ProtoRow& a, std::uint32_t number) { return a.number < number; });
      if (proto == end || proto->number != part.number) continue;  // a newer client's field
      if (proto->flags & kProtoInline) {
        if (part.wire != kLength) return malformed(type.short_name(), "an unexpected wire type");
        MOTH_TRY(message_into(Type(&table, proto->target), part.bytes, object, depth + 1));
        continue;
      }
      Field field(&table, proto->target);
      MOTH_TRY(member_into(type, field, proto->flags & kProtoPointer, part, object, depth));
    }
    return {};
  }

  Done member_into(Type type, Field field, bool pointer, const Part& part, Json& object,
                   std::size_t depth) {
    Value value = field.value();
    std::string where = fmt::format("{}.{}", type.short_name(), field.name());
    std::string name(field.name());
    if (value.kind() == Kind::kArray) return items_into(value, part, object[name], where, depth);
    if (value.kind() == Kind::kMap) return entry_into(value, part, object[name], where, depth);
    if (part.wire != wire_of(value.kind())) return malformed(where, "an unexpected wire type");
    // The last one wins for scalars; a message that comes in pieces is merged.
    if (value.kind() == Kind::kObject) {
      if (part.bytes.empty() && !pointer && !field.required()) return {};
      Json& member = object[name];
      if (!member.is_object()) member = Json::object();
      MOTH_TRY(message_into(value.type(), part.bytes, member, depth + 1));
      if (member.empty() && !pointer && !field.required()) object.erase(name);
      return {};
    }
    MOTH_ASSIGN(Json decoded, scalar(value, part, where, depth));
    if (decoded.is_null() || (!pointer && is_zero(value.kind(), decoded) && !always_written(field)))
      object.erase(name);
    else
      object[name] = std::move(decoded);
    return {};
  }

  // A structural default of zero marks the fields that Go writes into JSON although they are empty
  // (PriorityClass.value).
  static bool always_written(Field field) {
    return field.default_json() == "0" || field.default_json() == "false";
  }

  static bool is_zero(Kind kind, const Json& json) {
    switch (kind) {
      case Kind::kBool:
        return json == false;
      case Kind::kString:
      case Kind::kBytes:
        return json == "";
      case Kind::kQuantity:
        return false;  // "0" is what upstream's JSON has, too
      case Kind::kDuration:
        return json == "0s";
      case Kind::kRawObject:
        return json.is_object() && json.empty();
      default:
        return json.is_number() && json == 0;
    }
  }

  Done items_into(Value value, const Part& part, Json& array, const std::string& where,
                  std::size_t depth) {
    if (!array.is_array()) array = Json::array();
    Value element = value.element();
    Wire wire = wire_of(element.kind());
    if (part.wire == kLength && wire != kLength) return packed_into(element, part, array, where);
    if (part.wire != wire) return malformed(where, "an unexpected wire type");
    MOTH_ASSIGN(Json item, item_of(element, part, where, depth));
    array.push_back(std::move(item));
    return {};
  }

  // Repeated scalars in one piece, as proto3 encoders write them.
  Done packed_into(Value element, const Part& part, Json& array, const std::string& where) {
    bool is_double = element.kind() == Kind::kDouble;
    for (std::size_t at = 0; at < part.bytes.size();) {
      Part item;
      item.wire = wire_of(element.kind());
      // A tag of our own in front lets the reader do the work.
      std::size_t length = is_double ? 8 : varint_length(part.bytes.substr(at));
      std::string single(1, static_cast<char>(1 << 3 | item.wire));
      single.append(part.bytes.substr(at, length));
      if (Reader reader(single); length == 0 || !reader.next(item) || !reader.done())
        return malformed(where, "truncated or malformed");
      MOTH_ASSIGN(Json decoded, scalar(element, item, where, 0));
      array.push_back(std::move(decoded));
      at += length;
    }
    return {};
  }

  static std::size_t varint_length(std::string_view bytes) {
    std::size_t i = 0;
    while (i < bytes.size() && static_cast<unsigned char>(bytes[i]) >= 128) ++i;
    return i == bytes.size() ? 0 : i + 1;
  }

  Result<Json> item_of(Value element, const Part& part, const std::string& where,
                       std::size_t depth) {
    if (element.kind() == Kind::kObject) {
      Json item = Json::object();
      MOTH_TRY(message_into(element.type(), part.bytes, item, depth + 1));
      return item;
    }
    if (element.kind() == Kind::kArray) return wrapped_list(element, part.bytes, where, depth);
    return scalar(element, part, where, depth);
  }

  // A list inside a map is a message of its own with the items at number 1.
  Result<Json> wrapped_list(Value list, std::string_view message, const std::string& where,
                            std::size_t depth) {
    Json array = Json::array();
    Reader reader(message);
    Part part;
    while (!reader.done()) {
      if (!reader.next(part)) return malformed(where, "truncated or malformed");
      if (part.number == 1) MOTH_TRY(items_into(list, part, array, where, depth + 1));
    }
    return array;
  }

  Done entry_into(Value value, const Part& part, Json& map, const std::string& where,
                  std::size_t depth) {
    if (!map.is_object()) map = Json::object();
    if (part.wire != kLength) return malformed(where, "an unexpected wire type");
    Value element = value.element();
    Reader reader(part.bytes);
    Part inner, held;
    held.wire = wire_of(element.kind());  // an entry may leave out an empty value
    std::string key;
    while (!reader.done()) {
      if (!reader.next(inner)) return malformed(where, "truncated or malformed");
      if (inner.number == 1) {
        if (inner.wire != kLength || !is_valid_utf8(inner.bytes))
          return malformed(where, "a key is no text");
        key.assign(inner.bytes);
      } else if (inner.number == 2) {
        if (inner.wire != held.wire) return malformed(where, "an unexpected wire type");
        held = inner;
      }
    }
    MOTH_ASSIGN(Json decoded, item_of(element, held, where, depth));
    map[key] = std::move(decoded);
    return {};
  }

  Result<Json> scalar(Value value, const Part& part, const std::string& where, std::size_t depth) {
    switch (value.kind()) {
      case Kind::kBool:
        return Json(part.scalar != 0);
      case Kind::kInt32:
        return Json(static_cast<std::int32_t>(part.scalar));
      case Kind::kInt64:
        return Json(static_cast<std::int64_t>(part.scalar));
      case Kind::kDouble:
        return Json(std::bit_cast<double>(part.scalar));
      case Kind::kString:
        return text(part.bytes, where);
      case Kind::kBytes:
        return Json(encode_base64(part.bytes));
      case Kind::kTime:
      case Kind::kMicroTime:
        return time(value.kind(), part.bytes, where);
      case Kind::kQuantity:
        return inner_text(part.bytes, where);
      case Kind::kIntOrString:
        return int_or_string(part.bytes, where);
      case Kind::kDuration:
        return duration(part.bytes, where);
      case Kind::kRawObject:
        return raw_json(part.bytes, where);
      case Kind::kAny:
        return any(value.type(), part.bytes, where, depth);
      default:
        return malformed(where, "an unexpected type");
    }
  }

  Result<Json> text(std::string_view bytes, const std::string& where) const {
    if (!is_valid_utf8(bytes)) return malformed(where, "the text is not UTF-8");
    return Json(std::string(bytes));
  }

  // The parts numbered 1 to `count` of a small message; absent ones stay as they are.
  Done read_small(std::string_view message, Part* parts, std::uint32_t count,
                  const std::string& where) const {
    Reader reader(message);
    Part part;
    while (!reader.done()) {
      if (!reader.next(part)) return malformed(where, "truncated or malformed");
      if (part.number <= count) parts[part.number - 1] = part;
    }
    return {};
  }

  Result<Json> inner_text(std::string_view message, const std::string& where) const {
    Part parts[1];
    MOTH_TRY(read_small(message, parts, 1, where));
    return parts[0].bytes.empty() ? Result<Json>(Json("0")) : text(parts[0].bytes, where);
  }

  Result<Json> time(Kind kind, std::string_view message, const std::string& where) const {
    if (message.empty()) return Json(nullptr);
    Part parts[2];
    MOTH_TRY(read_small(message, parts, 2, where));
    auto seconds = static_cast<std::int64_t>(parts[0].scalar);
    auto nanos = static_cast<std::int32_t>(parts[1].scalar);
    // Go's zero time, year 1, stands for "not set".
    constexpr std::int64_t kYearOne = -62135596800, kLimit = 9'000'000'000;
    if (seconds == kYearOne) return Json(nullptr);
    if (seconds < -kLimit || seconds > kLimit || nanos < 0 || nanos > 999'999'999)
      return malformed(where, "a time out of range");
    WallTime wall{std::chrono::duration_cast<WallTime::duration>(std::chrono::seconds(seconds) +
                                                                 std::chrono::nanoseconds(nanos))};
    return Json(kind == Kind::kMicroTime ? format_rfc3339_micro(wall) : format_rfc3339(wall));
  }

  Result<Json> int_or_string(std::string_view message, const std::string& where) const {
    Part parts[3];
    MOTH_TRY(read_small(message, parts, 3, where));
    if (parts[0].scalar == 0) return Json(static_cast<std::int32_t>(parts[1].scalar));
    return text(parts[2].bytes, where);
  }

  Result<Json> duration(std::string_view message, const std::string& where) const {
    Part parts[1];
    MOTH_TRY(read_small(message, parts, 1, where));
    return Json(format_duration(Nanoseconds(static_cast<std::int64_t>(parts[0].scalar))));
  }

  // A message {1 raw JSON bytes}; nothing inside means "not set".
  Result<Json> raw_json(std::string_view message, const std::string& where) const {
    Part parts[1];
    MOTH_TRY(read_small(message, parts, 1, where));
    if (parts[0].bytes.empty()) return Json(nullptr);
    MOTH_TRY(check_depth(parts[0].bytes, where));
    Json json = Json::parse(parts[0].bytes, nullptr, false);
    if (json.is_discarded()) return malformed(where, "the embedded JSON is malformed");
    return json;
  }

  // The parser recurses nowhere, but destroying and printing what it made does.
  Done check_depth(std::string_view json, const std::string& where) const {
    std::size_t depth = 0;
    bool quoted = false;
    for (std::size_t i = 0; i < json.size(); ++i) {
      char c = json[i];
      if (quoted) {
        if (c == '\\') ++i;
        if (c == '"') quoted = false;
      } else if (c == '"') {
        quoted = true;
      } else if (c == '{' || c == '[') {
        if (++depth > kMaxJsonDepth) return malformed(where, "the embedded JSON nests too deeply");
      } else if ((c == '}' || c == ']') && depth > 0) {
        --depth;
      }
    }
    return {};
  }

  // Free JSON occurs in the schemas of custom resources alone: plain JSON bytes, or one of the
  // three unions "a schema, or something simpler".
  Result<Json> any(Type type, std::string_view message, const std::string& where,
                   std::size_t depth) {
    std::string_view name = type ? type.short_name() : std::string_view();
    if (!name.starts_with("JSONSchemaPropsOr")) return raw_json(message, where);
    Type schema = find_type("apiextensions.v1.JSONSchemaProps");
    std::optional<Json> chosen;
    Json many = Json::array();
    bool allows = false;
    std::uint32_t schema_number = name == "JSONSchemaPropsOrBool" ? 2 : 1;
    Reader reader(message);
    Part part;
    while (!reader.done()) {
      if (!reader.next(part)) return malformed(where, "truncated or malformed");
      if (part.number == schema_number && part.wire == kLength) {
        chosen = Json::object();
        MOTH_TRY(message_into(schema, part.bytes, *chosen, depth + 1));
      } else if (part.number == 1 && part.wire == kVarint) {
        allows = part.scalar != 0;
      } else if (part.number == 2 && part.wire == kLength) {
        Json item = Json::object();
        if (name == "JSONSchemaPropsOrArray") {
          MOTH_TRY(message_into(schema, part.bytes, item, depth + 1));
        } else {
          MOTH_ASSIGN(item, text(part.bytes, where));
        }
        many.push_back(std::move(item));
      }
    }
    if (chosen) return std::move(*chosen);
    if (schema_number == 2) return Json(allows);
    return many;
  }

  static constexpr std::size_t kMaxJsonDepth = 256;
  Type root_;
  const ProtobufLimits& limits_;
};

}  // namespace

bool is_protobuf(std::string_view body) {
  return body.starts_with(kMagic);
}

Result<ProtobufEnvelope> read_protobuf_envelope(std::string_view body) {
  auto malformed = [](std::string_view what) {
    return fail(Error::bad_request(fmt::format("the protobuf body is malformed: {}", what)));
  };
  if (!is_protobuf(body)) return malformed("it does not start with the bytes k8s\\0");
  ProtobufEnvelope envelope;
  Reader reader(body.substr(kMagic.size()));
  Part part;
  while (!reader.done()) {
    if (!reader.next(part)) return malformed("the envelope is truncated or malformed");
    if (part.wire != kLength) continue;
    if (part.number == 2) envelope.raw = part.bytes;
    if (part.number == 3 && !part.bytes.empty())
      return malformed("the content is encoded; send it plain");
    if (part.number != 1) continue;
    Reader meta(part.bytes);
    Part inner;
    while (!meta.done()) {
      if (!meta.next(inner)) return malformed("the type of the object is truncated or malformed");
      if (inner.wire != kLength) continue;
      if (inner.number == 1) envelope.api_version = inner.bytes;
      if (inner.number == 2) envelope.kind = inner.bytes;
    }
  }
  if (!is_valid_utf8(envelope.api_version) || !is_valid_utf8(envelope.kind))
    return malformed("the type of the object is not UTF-8");
  return envelope;
}

Result<Json> decode_protobuf_message(Type type, std::string_view message,
                                     const ProtobufLimits& limits) {
  return MessageDecoder(type, limits).run(message);
}

Result<Json> decode_protobuf(std::string_view body, const ProtobufLimits& limits) {
  if (body.size() > limits.max_bytes)
    return fail(Error::of(Reason::kRequestEntityTooLarge,
                          fmt::format("Request entity too large: limit is {}", limits.max_bytes)));
  MOTH_ASSIGN(ProtobufEnvelope envelope, read_protobuf_envelope(body));
  std::string_view version = envelope.api_version, group;
  if (std::size_t slash = version.find('/'); slash != std::string_view::npos) {
    group = version.substr(0, slash);
    version.remove_prefix(slash + 1);
  }
  Type type = find_type(group, version, envelope.kind);
  if (!type)
    return fail(Error::of(
        Reason::kUnsupportedMediaType,
        fmt::format("no kind \"{}\" of version \"{}\" is known in protobuf; send the object as "
                    "application/json",
                    envelope.kind.substr(0, 128), envelope.api_version.substr(0, 128))));
  MOTH_ASSIGN(Json object, decode_protobuf_message(type, envelope.raw, limits));
  object["apiVersion"] = std::string(envelope.api_version);
  object["kind"] = std::string(envelope.kind);
  return object;
}

}  // namespace moth::schema
