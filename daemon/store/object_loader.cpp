#include "daemon/store/object_loader.h"

#include <string_view>

#include "api/base/json.h"

namespace moth::store {
namespace {

// Walks compact JSON (no white space outside of strings, as Object writes it) by its structure
// only.
class Scanner {
 public:
  explicit Scanner(std::string_view text, std::size_t position = 0)
      : text_(text), position_(position) {}

  bool take(char c) {
    if (position_ >= text_.size() || text_[position_] != c) return false;
    ++position_;
    return true;
  }

  bool skip_string() {
    if (!take('"')) return false;
    for (;;) {
      position_ = text_.find_first_of("\"\\", position_);
      if (position_ == std::string_view::npos) return false;
      if (text_[position_] == '"') return ++position_, true;
      position_ += 2;
    }
  }

  bool skip_value() {
    std::size_t depth = 0;
    while (position_ < text_.size()) {
      char c = text_[position_];
      if (c == '"') {
        if (!skip_string()) return false;
      } else if (c == '{' || c == '[') {
        ++depth;
        ++position_;
      } else if (c == '}' || c == ']') {
        if (depth == 0) return true;  // the end of what holds this number or literal
        --depth;
        ++position_;
      } else if (c == ',' && depth == 0) {
        return true;
      } else {
        ++position_;
        continue;
      }
      if (depth == 0 && position_ < text_.size() && c != ',') return true;
    }
    return depth == 0;
  }

  std::size_t position() const { return position_; }

 private:
  std::string_view text_;
  std::size_t position_;
};

// Calls visit(key, value) for each member of the object at the start of `text`, both as they are
// written, until it returns false. False when the text does not have the shape.
template <class Visit>
bool each_member(std::string_view text, Visit visit) {
  Scanner scanner(text);
  if (!scanner.take('{')) return false;
  if (scanner.take('}')) return true;
  for (;;) {
    std::size_t key = scanner.position();
    if (!scanner.skip_string()) return false;
    std::size_t key_end = scanner.position();
    if (!scanner.take(':')) return false;
    std::size_t value = scanner.position();
    if (!scanner.skip_value()) return false;
    if (!visit(text.substr(key, key_end - key), text.substr(value, scanner.position() - value))) {
      return true;
    }
    if (scanner.take('}')) return true;
    if (!scanner.take(',')) return false;
  }
}

void append_member(std::string& object, std::string_view key, std::string_view value) {
  object += object.size() > 1 ? "," : "";
  object += key;
  object += ':';
  object += value;
}

// What Object reads of a DOM: apiVersion, kind and metadata. Empty when the text is not compact.
std::string head_of(std::string_view text) {
  if (text.size() < 2 || text.front() != '{' || text.back() != '}') return "";
  std::string head = "{";
  int found = 0;
  bool shape = each_member(text, [&](std::string_view key, std::string_view value) {
    if (key == "\"apiVersion\"" || key == "\"kind\"") {
      append_member(head, key, value);
      ++found;
    } else if (key == "\"metadata\"") {
      // Half of the metadata is often managedFields, which Meta does not have.
      std::string metadata = "{";
      bool inner = each_member(value, [&](std::string_view name, std::string_view member) {
        if (name != "\"managedFields\"") append_member(metadata, name, member);
        return true;
      });
      if (!inner) return false;
      append_member(head, key, metadata + "}");
      ++found;
    }
    return found < 3;
  });
  return shape && found == 3 ? head + "}" : "";
}

}  // namespace

Result<ObjectPtr> load_object(std::string text) {
  Json head = Json::parse(head_of(text), nullptr, false);
  if (!head.is_object()) return Object::from_text(std::move(text));
  return std::make_shared<const Object>(Object::Private{}, std::move(text), head);
}

}  // namespace moth::store
