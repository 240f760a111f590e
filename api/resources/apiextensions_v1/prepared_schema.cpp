#include "api/resources/apiextensions_v1/prepared_schema.h"

#include <list>
#include <mutex>

#include "api/base/json.h"
#include "api/machinery/json_text.h"
#include "api/resources/apiextensions_v1/definition_rules.h"
#include "api/resources/apiextensions_v1/definition_schema.h"
#include "api/schema/decode.h"

namespace moth::resources {
namespace {

constexpr std::size_t kMaxEntries = 8, kMaxBytes = 16 << 20;
// What is small is made anew in less time than it takes to be looked for.
constexpr std::size_t kWorthKeeping = 16 << 10;

struct Entry {
  std::string text, path;
  JudgedSchema judged;
};

class Shelf {
 public:
  std::optional<JudgedSchema> find(const std::string& text, const std::string& path) {
    std::lock_guard lock(mutex_);
    for (const Entry& entry : entries_) {
      if (entry.path == path && entry.text == text) return entry.judged;
    }
    return std::nullopt;
  }

  void put(Entry entry) {
    std::lock_guard lock(mutex_);
    bytes_ += entry.text.size();
    entries_.push_front(std::move(entry));
    while (entries_.size() > kMaxEntries || bytes_ > kMaxBytes) drop(std::prev(entries_.end()));
  }

  // Every verdict on `text` goes.
  SharedSchema take(const std::string& text) {
    std::lock_guard lock(mutex_);
    SharedSchema taken;
    for (auto it = entries_.begin(); it != entries_.end();) {
      auto next = std::next(it);
      if (it->text == text && it->judged.schema) {
        taken = it->judged.schema;
        drop(it);
      }
      it = next;
    }
    return taken;
  }

 private:
  void drop(std::list<Entry>::iterator it) {
    bytes_ -= it->text.size();
    entries_.erase(it);
  }

  std::mutex mutex_;
  std::list<Entry> entries_;  // newest first
  std::size_t bytes_ = 0;
};

Shelf& shelf() {
  static Shelf shared;
  return shared;
}

}  // namespace

JudgedSchema judge_schema(const Json& schema, const FieldPath& path) {
  Entry entry{dump_json(schema), path.to_string(), {}};
  if (entry.text.size() < kWorthKeeping) return check_definition_schema(schema, path);
  if (auto known = shelf().find(entry.text, entry.path)) return *std::move(known);
  entry.judged = check_definition_schema(schema, path);
  JudgedSchema judged = entry.judged;
  shelf().put(std::move(entry));
  return judged;
}

Result<SharedSchema> take_schema(const Json& schema) {
  if (SharedSchema known = shelf().take(dump_json(schema))) return known;
  MOTH_ASSIGN(SchemaPtr parsed, parse_schema(schema, FieldPath("openAPIV3Schema")));
  return SharedSchema(std::move(parsed));
}

void warm_up_definition(const Json& body) {
  const Json* versions = body.is_object() ? find_path(body, "spec", "versions") : nullptr;
  if (!versions || !versions->is_array()) return;
  static const schema::Type kDefinition =
      schema::find_type("apiextensions.v1.CustomResourceDefinition");
  Json decoded = body;
  // Validation may rely on the types of fields.
  if (schema::decode(kDefinition, decoded)) validate_definition(decoded);
}

}  // namespace moth::resources
