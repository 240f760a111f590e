#include "api/apply/managed_fields.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <tuple>
#include <vector>

#include "api/apply/field_set.h"
#include "api/base/json.h"
#include "api/machinery/json_text.h"
#include "api/machinery/managed_text.h"

namespace moth::apply {
namespace {

constexpr const char* kAncient = "ancient-changes";

// One character of UTF-8 at the front of `text`; empty at the end.
std::string_view first_character(std::string_view text) {
  if (text.empty()) return text;
  std::size_t length = 1;
  while (length < text.size() && (static_cast<unsigned char>(text[length]) & 0xc0) == 0x80)
    ++length;
  return text.substr(0, length);
}

bool is_printable(std::string_view character) {
  auto first = static_cast<unsigned char>(character[0]);
  return first >= 0x20 && first != 0x7f;
}

bool is_update(const Json& entry) {
  return entry_text(entry, "operation") == "Update";
}

// An entry as a client sent it, with nothing but what an entry has; nothing when it is none.
std::optional<Json> canonical_entry(const Json& entry) {
  if (!entry.is_object()) return std::nullopt;
  const std::string& operation = entry_text(entry, "operation");
  if (operation != "Apply" && operation != "Update") return std::nullopt;
  const Json* fields = find_member(entry, "fieldsV1");
  auto set = canonical_set(fields && !fields->is_null() ? *fields : Json::object());
  if (!set) return std::nullopt;
  Json result = Json::object();
  for (const char* name : {"manager", "operation", "apiVersion", "time", "subresource"}) {
    if (const std::string& text = entry_text(entry, name); !text.empty()) result[name] = text;
  }
  result["fieldsType"] = "FieldsV1";
  result["fieldsV1"] = *std::move(set);
  return result;
}

bool is_reset(const Json& managed) {
  return managed.empty() || (managed.size() == 1 && managed[0].is_object() && managed[0].empty());
}

}  // namespace

const std::string& entry_text(const Json& entry, std::string_view field) {
  static const std::string kNone;
  const Json* text = find_member(entry, field);
  return text && text->is_string() ? text->get_ref<const std::string&>() : kNone;
}

std::string manager_of_user_agent(std::string_view user_agent) {
  std::string_view rest = user_agent.substr(0, user_agent.find('/'));
  std::string manager;
  while (!rest.empty()) {
    std::string_view character = first_character(rest);
    rest.remove_prefix(character.size());
    if (!is_printable(character)) continue;
    if (manager.size() + character.size() > kMaxManagerName) break;
    manager += character;
  }
  return manager.empty() ? "unknown" : manager;
}

std::string fault_of_manager(std::string_view manager) {
  if (manager.size() > kMaxManagerName)
    return fmt::format("Too long: may not be more than {} bytes", kMaxManagerName);
  for (std::string_view rest = manager; !rest.empty();) {
    std::string_view character = first_character(rest);
    rest.remove_prefix(character.size());
    if (!is_printable(character)) {
      return fmt::format("Invalid value: {}: should only contain printable characters",
                         Json(manager).dump(-1, ' ', true, Json::error_handler_t::replace));
    }
  }
  return "";
}

Json lazy_entries(std::string_view text) {
  constexpr std::size_t kMaxEntries = 1000;
  Json managed = Json::array();
  for (const TextPart& item : parts_of(text, kMaxEntries)) {
    Json entry = Json::object();
    for (const TextPart& member : parts_of(item.value, 16)) {
      std::string key(member.key.substr(1, member.key.size() - 2));
      entry[key] =
          key == "fieldsV1" ? raw_json(member.value) : Json::parse(member.value, nullptr, false);
    }
    managed.push_back(std::move(entry));
  }
  return managed;
}

Json& fields_of(Json& entry) {
  Json& fields = entry["fieldsV1"];
  if (fields.is_binary()) fields = Json::parse(std::string(raw_json_text(fields)), nullptr, false);
  if (!fields.is_object()) fields = Json::object();
  return fields;
}

bool may_have(const Json& entry, const Json& set) {
  const Json* fields = find_member(entry, "fieldsV1");
  if (!fields || !fields->is_binary()) return true;
  std::string_view text = raw_json_text(*fields);
  for (auto it = set.begin(); it != set.end(); ++it) {
    std::string quoted;
    append_json_string(it.key(), quoted);
    if (text.find(quoted) != std::string_view::npos) return true;
  }
  return false;
}

Json managed_to_start_with(Json live, const Json* wanted, bool subresource) {
  bool sent = !subresource && wanted && wanted->is_array();
  if (sent && is_reset(*wanted)) return Json::array();
  if (sent && live != *wanted) {
    Json taken = Json::array();
    for (const Json& entry : *wanted) {
      auto known = canonical_entry(entry);
      if (!known) {
        taken.clear();
        break;
      }
      taken.push_back(*std::move(known));
    }
    if (!taken.empty()) return taken;
  }
  return live.is_array() ? std::move(live) : Json::array();
}

Json* find_entry(Json& managed, const Writer& writer) {
  bool apply = writer.operation == Operation::kApply;
  for (Json& entry : managed) {
    if (entry_text(entry, "manager") != writer.manager || is_update(entry) == apply) continue;
    if (entry_text(entry, "subresource") != writer.subresource) continue;
    if (apply || entry_text(entry, "apiVersion") == writer.api_version) return &entry;
  }
  return nullptr;
}

void sort_entries(Json& managed) {
  auto key = [](const Json& entry) {
    auto text = [&](const char* name) { return std::string_view(entry_text(entry, name)); };
    return std::tuple(text("operation"), text("time"), text("manager"), text("apiVersion"),
                      text("subresource"));
  };
  // RFC 3339 in UTC with whole seconds sorts as text.
  std::stable_sort(managed.begin(), managed.end(),
                   [&](const Json& a, const Json& b) { return key(a) < key(b); });
}

void cap_updates(Json& managed) {
  std::size_t updates = 0;
  for (const Json& entry : managed) updates += is_update(entry) ? 1 : 0;
  if (updates <= kMaxUpdateManagers) return;
  sort_entries(managed);
  // The first of a version keeps its name until a second one joins it.
  std::map<std::string, std::size_t> first;
  std::vector<bool> gone(managed.size(), false);
  for (std::size_t i = 0; i < managed.size() && updates > kMaxUpdateManagers; ++i) {
    Json& entry = managed[i];
    if (!is_update(entry)) continue;
    auto [bucket, fresh] = first.emplace(entry_text(entry, "apiVersion"), i);
    if (fresh) continue;
    Json& into = managed[bucket->second];
    into["manager"] = kAncient;
    into.erase("subresource");
    unite(fields_of(into), fields_of(entry));
    if (entry.contains("time")) into["time"] = entry["time"];
    gone[i] = true;
    --updates;
  }
  Json left = Json::array();
  for (std::size_t i = 0; i < managed.size(); ++i) {
    if (!gone[i]) left.push_back(std::move(managed[i]));
  }
  managed = std::move(left);
}

bool same_but_times(const Json& a, const Json& b) {
  if (a.size() != b.size()) return false;
  auto same = [](const Json& x, const Json& y) {
    for (const char* name : {"manager", "operation", "apiVersion", "subresource"}) {
      if (entry_text(x, name) != entry_text(y, name)) return false;
    }
    const Json* f = find_member(x, "fieldsV1");
    const Json* g = find_member(y, "fieldsV1");
    return f && g && *f == *g;
  };
  // The order depends on the times.
  return std::all_of(a.begin(), a.end(), [&](const Json& x) {
    return std::any_of(b.begin(), b.end(), [&](const Json& y) { return same(x, y); });
  });
}

}  // namespace moth::apply
