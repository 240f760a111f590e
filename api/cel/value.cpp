#include "api/cel/value.h"

#include <cmath>

#include "api/base/json.h"
#include "api/cel/convert.h"

namespace moth::cel {
namespace {

template <class... Fs>
struct Overloaded : Fs... {
  using Fs::operator()...;
};
template <class... Fs>
Overloaded(Fs...) -> Overloaded<Fs...>;

Value number_of(const Json& json, const TypePtr& type) {
  if (type->kind == Kind::kDouble) return Value::Variant(json.get<double>());
  if (json.is_number_float()) {
    double number = json.get<double>();
    bool whole =
        type->kind == Kind::kInt && std::floor(number) == number && std::abs(number) < 9.2e18;
    if (whole) return Value::Variant(static_cast<std::int64_t>(number));
    return Value::Variant(number);
  }
  if (json.is_number_unsigned() && json.get<std::uint64_t>() > INT64_MAX) {
    return Value::Variant(json.get<double>());
  }
  return Value::Variant(json.get<std::int64_t>());
}

Value text_of(const Json& json, const TypePtr& type) {
  const auto& text = json.get_ref<const std::string&>();
  if (type->kind == Kind::kTimestamp) {
    if (auto time = parse_timestamp(text)) return Value::Variant(*time);
    // A date is its first moment.
    if (auto time = parse_timestamp(text + "T00:00:00Z")) return Value::Variant(*time);
  }
  if (type->kind == Kind::kDuration) {
    if (auto duration = parse_cel_duration(text)) return Value::Variant(*duration);
  }
  if (type->kind == Kind::kBytes) {
    if (auto bytes = decode_base64(text)) {
      return Value::Variant(Bytes{std::make_shared<const std::string>(*std::move(bytes))});
    }
  }
  return Value::text(text);
}

bool equal_numbers(const Value& a, const Value& b, bool& comparable) {
  comparable = true;
  auto compared = compare_numbers(a, b);
  if (!compared) {
    comparable = false;
    return false;
  }
  return *compared == std::partial_ordering::equivalent;
}

bool equal_lists(const Value& a, const Value& b) {
  if (a.size() != b.size()) return false;
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (!a.at(i).equals(b.at(i))) return false;
  }
  return true;
}

bool equal_maps(const Value& a, const Value& b) {
  if (a.size() != b.size()) return false;
  for (const Value& key : a.keys()) {
    auto left = a.find(key), right = b.find(key);
    if (!left || !right || !left->equals(*right)) return false;
  }
  return true;
}

}  // namespace

Value Value::text(std::string text) {
  return Variant(std::make_shared<const std::string>(std::move(text)));
}
Value Value::list(std::vector<Value> items) {
  return Variant(std::make_shared<const List>(List{std::move(items)}));
}
Value Value::map(std::vector<std::pair<Value, Value>> entries) {
  return Variant(std::make_shared<const Map>(Map{std::move(entries)}));
}
Value Value::some(Value value) {
  return Variant(Optional{std::make_shared<const Value>(std::move(value))});
}

Value Value::of(const Json& json, const TypePtr& type) {
  switch (json.type()) {
    case Json::value_t::null:
      return {};
    case Json::value_t::boolean:
      return Variant(json.get<bool>());
    case Json::value_t::number_integer:
    case Json::value_t::number_unsigned:
    case Json::value_t::number_float:
      return number_of(json, type);
    case Json::value_t::string:
      return text_of(json, type);
    default:
      return Variant(JsonView{&json, type});
  }
}

const std::string* Value::string() const {
  const String* text = as<String>();
  return text ? text->get() : nullptr;
}

Kind Value::kind() const {
  return std::visit(
      Overloaded{[](const Null&) { return Kind::kNull; }, [](bool) { return Kind::kBool; },
                 [](std::int64_t) { return Kind::kInt; }, [](std::uint64_t) { return Kind::kUint; },
                 [](double) { return Kind::kDouble; }, [](const String&) { return Kind::kString; },
                 [](const Bytes&) { return Kind::kBytes; },
                 [](const ListPtr&) { return Kind::kList; },
                 [](const MapPtr&) { return Kind::kMap; },
                 [](const JsonView& view) {
                   if (view.json->is_array()) return Kind::kList;
                   return view.type->kind == Kind::kObject ? Kind::kObject : Kind::kMap;
                 },
                 [](const Timestamp&) { return Kind::kTimestamp; },
                 [](const Duration&) { return Kind::kDuration; },
                 [](const TypeValue&) { return Kind::kType; },
                 [](const Optional&) { return Kind::kOptional; },
                 [](const OpaquePtr& opaque) { return opaque->kind; }},
      data_);
}

std::size_t Value::size() const {
  if (const auto* list = as<ListPtr>()) return (*list)->items.size();
  if (const auto* map = as<MapPtr>()) return (*map)->entries.size();
  if (const auto* view = as<JsonView>()) {
    if (view->type->kind == Kind::kObject) return keys().size();
    return view->json->size();
  }
  return 0;
}

Value Value::at(std::size_t index) const {
  if (const auto* list = as<ListPtr>()) return (*list)->items[index];
  const auto* view = as<JsonView>();
  const TypePtr& element = view->type->element;
  return of((*view->json)[index], element ? element : dyn());
}

std::vector<Value> Value::keys() const {
  std::vector<Value> keys;
  if (const auto* map = as<MapPtr>()) {
    for (const auto& [key, value] : (*map)->entries) keys.push_back(key);
  } else if (const auto* view = as<JsonView>(); view && view->json->is_object()) {
    if (view->type->kind == Kind::kObject) {
      for (const auto& [name, field] : view->type->fields) {
        if (view->json->contains(field.json_name)) keys.push_back(text(name));
      }
    } else {
      for (const auto& [key, value] : view->json->items()) keys.push_back(text(key));
    }
  }
  return keys;
}

std::unique_ptr<Value> Value::find(const Value& key) const {
  if (const auto* map = as<MapPtr>()) {
    for (const auto& [candidate, value] : (*map)->entries) {
      if (candidate.equals(key)) return std::make_unique<Value>(value);
    }
    return nullptr;
  }
  const auto* view = as<JsonView>();
  const std::string* name = key.string();
  if (!view || !name || !view->json->is_object()) return nullptr;
  if (view->type->kind == Kind::kObject) {
    auto field = view->type->fields.find(*name);
    if (field == view->type->fields.end()) return nullptr;
    const Json* member = find_member(*view->json, field->second.json_name);
    return member ? std::make_unique<Value>(of(*member, field->second.type)) : nullptr;
  }
  const Json* member = find_member(*view->json, *name);
  const TypePtr& element = view->type->element;
  return member ? std::make_unique<Value>(of(*member, element ? element : dyn())) : nullptr;
}

bool Value::equals(const Value& other) const {
  bool numbers = false;
  bool same = equal_numbers(*this, other, numbers);
  if (numbers) return same;
  if (is_list() && other.is_list()) return equal_lists(*this, other);
  if (is_map() && other.is_map()) return equal_maps(*this, other);
  if (data_.index() != other.data_.index()) return false;
  return std::visit(
      Overloaded{[](const Null&) { return true; },
                 [&](bool value) { return value == *other.as<bool>(); },
                 [&](const String& value) { return *value == **other.as<String>(); },
                 [&](const Bytes& value) { return *value.data == *other.as<Bytes>()->data; },
                 [&](const Timestamp& value) { return value == *other.as<Timestamp>(); },
                 [&](const Duration& value) { return value == *other.as<Duration>(); },
                 [&](const TypeValue& value) { return value == *other.as<TypeValue>(); },
                 [&](const Optional& value) {
                   const auto& right = *other.as<Optional>();
                   if (!value.value || !right.value) return !value.value && !right.value;
                   return value.value->equals(*right.value);
                 },
                 [&](const OpaquePtr& value) {
                   const auto& right = *other.as<OpaquePtr>();
                   return value->kind == right->kind && value->equals(*right);
                 },
                 [](const auto&) { return false; }},
      data_);
}

std::string Value::type_name() const {
  switch (kind()) {
    case Kind::kNull:
      return "null_type";
    case Kind::kTimestamp:
      return "google.protobuf.Timestamp";
    case Kind::kDuration:
      return "google.protobuf.Duration";
    case Kind::kList:
      return "list";
    case Kind::kMap:
      return "map";
    case Kind::kObject:
      return as<JsonView>()->type->name;
    case Kind::kOptional:
      return "optional_type";
    default:
      return simple(kind())->to_string();
  }
}

}  // namespace moth::cel
