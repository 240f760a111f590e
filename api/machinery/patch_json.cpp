#include "api/machinery/patch_json.h"

#include <fmt/format.h>

#include <charconv>
#include <string>
#include <vector>

#include "api/base/json.h"

namespace moth {
namespace {

// What the server answers when a well-formed patch does not fit the object.
Error cannot_apply(std::string why) {
  Error error =
      Error::of(Reason::kInvalid, "the server rejected our request due to an error in our request");
  error.causes.push_back({"UnexpectedServerResponse", std::move(why), "patch"});
  return error;
}

using Pointer = std::vector<std::string>;

Result<Pointer> parse_pointer(std::string_view text) {
  Pointer steps;
  if (text.empty()) return steps;
  if (text.front() != '/') {
    return fail(Error::bad_request(
        fmt::format("invalid JSON patch: the path '{}' does not begin with '/'", text)));
  }
  std::string step;
  for (std::size_t i = 1; i <= text.size(); ++i) {
    if (i == text.size() || text[i] == '/') {
      steps.push_back(std::move(step));
      step.clear();
    } else if (text[i] != '~') {
      step += text[i];
    } else if (i + 1 < text.size() && (text[i + 1] == '0' || text[i + 1] == '1')) {
      step += text[++i] == '0' ? '~' : '/';
    } else {
      return fail(Error::bad_request(fmt::format(
          "invalid JSON patch: in the path '{}' a '~' must be followed by 0 or 1", text)));
    }
  }
  return steps;
}

// The position that `step` names in a list of `size` elements. `end_allowed`: `-` and `size`
// itself.
Result<std::size_t> list_index(const std::string& step, std::size_t size, bool end_allowed) {
  if (step == "-" && end_allowed) return size;
  std::size_t index = 0;
  auto [end, error] = std::from_chars(step.data(), step.data() + step.size(), index);
  bool number = error == std::errc() && end == step.data() + step.size() &&
                (step.size() == 1 || step.front() != '0');
  if (!number) {
    return fail(cannot_apply(fmt::format("'{}' is no position in a list", step)));
  }
  if (index > size || (index == size && !end_allowed)) {
    return fail(
        cannot_apply(fmt::format("invalid index {}: the list has {} elements", index, size)));
  }
  return index;
}

Result<Json*> child(Json& parent, const std::string& step) {
  if (parent.is_object()) {
    auto member = parent.find(step);
    if (member != parent.end()) return &*member;
    return fail(cannot_apply(fmt::format("missing member '{}'", step)));
  }
  if (parent.is_array()) {
    MOTH_ASSIGN(std::size_t index, list_index(step, parent.size(), false));
    return &parent[index];
  }
  return fail(cannot_apply(fmt::format("'{}' is asked of what is neither object nor list", step)));
}

Result<Json*> resolve(Json& document, const Pointer& pointer, std::size_t steps) {
  Json* at = &document;
  for (std::size_t i = 0; i < steps; ++i) {
    MOTH_ASSIGN(at, child(*at, pointer[i]));
  }
  return at;
}

std::size_t approximate_bytes(const Json& value) {
  std::size_t bytes = 8;
  if (value.is_string()) return bytes + value.get_ref<const std::string&>().size();
  if (value.is_object()) {
    for (const auto& [name, member] : value.get_ref<const Json::object_t&>()) {
      bytes += name.size() + approximate_bytes(member);
    }
  } else if (value.is_array()) {
    for (const Json& element : value) bytes += approximate_bytes(element);
  }
  return bytes;
}

class JsonPatcher {
 public:
  JsonPatcher(Json document, std::size_t max_copied_bytes)
      : document_(std::move(document)), copy_budget_(max_copied_bytes) {}

  Json take() { return std::move(document_); }

  Result<void> apply(const Json& operation) {
    if (!operation.is_object()) return malformed("an operation is no object");
    std::string op = string_or(operation, "op");
    const Json* path_text = find_member(operation, "path");
    if (!path_text || !path_text->is_string()) return malformed("an operation has no path");
    MOTH_ASSIGN(Pointer path, parse_pointer(path_text->get_ref<const std::string&>()));
    const Json* value = find_member(operation, "value");
    if (op == "add" || op == "replace" || op == "test") {
      if (!value && op != "test") return malformed("'" + op + "' needs a value");
      static const Json kNull;
      if (!value) value = &kNull;
      if (op == "add") return add(path, *value);
      return op == "replace" ? replace(path, *value) : test(path, *value);
    }
    if (op == "remove") {
      auto removed = remove(path);
      if (!removed) return fail(std::move(removed).error());
      return {};
    }
    if (op == "move" || op == "copy") {
      const Json* from_text = find_member(operation, "from");
      if (!from_text || !from_text->is_string()) return malformed("'" + op + "' needs from");
      MOTH_ASSIGN(Pointer from, parse_pointer(from_text->get_ref<const std::string&>()));
      return op == "move" ? move(from, path) : copy(from, path);
    }
    return malformed("unknown operation '" + op + "'");
  }

 private:
  static tl::unexpected<Error> malformed(const std::string& why) {
    return fail(Error::bad_request("invalid JSON patch: " + why));
  }

  Result<void> add(const Pointer& path, Json value) {
    if (path.empty()) {
      document_ = std::move(value);
      return {};
    }
    MOTH_ASSIGN(Json * parent, resolve(document_, path, path.size() - 1));
    if (parent->is_object()) {
      (*parent)[path.back()] = std::move(value);
    } else if (parent->is_array()) {
      MOTH_ASSIGN(std::size_t index, list_index(path.back(), parent->size(), true));
      parent->insert(parent->begin() + static_cast<std::ptrdiff_t>(index), std::move(value));
    } else {
      return fail(cannot_apply("a member cannot be added to what is neither object nor list"));
    }
    return {};
  }

  Result<void> replace(const Pointer& path, const Json& value) {
    MOTH_ASSIGN(Json * target, resolve(document_, path, path.size()));
    *target = value;
    return {};
  }

  Result<void> test(const Pointer& path, const Json& value) {
    auto target = resolve(document_, path, path.size());
    // An absent member equals a null.
    bool equal = target ? **target == value : value.is_null();
    if (!equal) return fail(cannot_apply("test failed"));
    return {};
  }

  Result<Json> remove(const Pointer& path) {
    if (path.empty()) return fail(cannot_apply("the whole document cannot be removed"));
    MOTH_ASSIGN(Json * target, resolve(document_, path, path.size()));
    MOTH_ASSIGN(Json * parent, resolve(document_, path, path.size() - 1));
    Json removed = std::move(*target);
    if (parent->is_object()) {
      parent->erase(path.back());
    } else {
      MOTH_ASSIGN(std::size_t index, list_index(path.back(), parent->size(), false));
      parent->erase(index);
    }
    return removed;
  }

  Result<void> move(const Pointer& from, const Pointer& path) {
    bool into_itself =
        from.size() < path.size() && std::equal(from.begin(), from.end(), path.begin());
    if (into_itself) return fail(cannot_apply("a value cannot be moved into itself"));
    MOTH_ASSIGN(Json value, remove(from));
    return add(path, std::move(value));
  }

  Result<void> copy(const Pointer& from, const Pointer& path) {
    MOTH_ASSIGN(Json * source, resolve(document_, from, from.size()));
    std::size_t bytes = approximate_bytes(*source);
    if (bytes > copy_budget_) {
      return fail(Error::of(Reason::kRequestEntityTooLarge,
                            "the copy operations of the JSON patch make the object too large"));
    }
    copy_budget_ -= bytes;
    return add(path, *source);
  }

  Json document_;
  std::size_t copy_budget_;
};

std::string describe(const Json& operation) {
  return fmt::format("{} operation for path '{}'", string_or(operation, "op", "?"),
                     string_or(operation, "path", "?"));
}

}  // namespace

Result<Json> apply_json_patch(Json document, const Json& patch, std::size_t max_copied_bytes) {
  if (!patch.is_array()) {
    return fail(Error::bad_request("invalid JSON patch: it must be a list of operations"));
  }
  if (patch.size() > kMaxJsonPatchOperations) {
    return fail(
        Error::of(Reason::kRequestEntityTooLarge,
                  fmt::format("The allowed maximum operations in a JSON patch is {}, got {}",
                              kMaxJsonPatchOperations, patch.size())));
  }
  JsonPatcher patcher(std::move(document), max_copied_bytes);
  for (const Json& operation : patch) {
    auto applied = patcher.apply(operation);
    if (applied) continue;
    Error error = std::move(applied).error();
    for (Cause& cause : error.causes) cause.message = describe(operation) + ": " + cause.message;
    return fail(std::move(error));
  }
  return patcher.take();
}

}  // namespace moth
