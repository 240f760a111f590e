#pragma once
// Field sets: which fields of an object somebody owns, in the form that managedFields carries
// (FieldsV1). The JSON is the working form too, so that what a stored object brings along needs no
// decoding and no encoding.
//
//   {"f:spec": {"f:replicas": {}, "f:containers": {"k:{\"name\":\"c\"}": {".": {}, "f:image":
//   {}}}}}
//
// A set is an object from path elements to nodes: `f:` and a field's or a map key's name, `k:` and
// the keys of an item of a list of type map as JSON (sorted, defaults filled in), `v:` and an item
// of a list of type set as JSON, `i:` and an index. A node is a set of its own; the place itself is
// a member when its node is empty or has a member ".". A node that is neither a member nor holds
// one does not occur. All functions are pure, for any thread, and expect sets in canonical form.
#include <cstddef>
#include <functional>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>

#include "api/base/json_fwd.h"

namespace moth::apply {

// `into` becomes the union with `other`.
void unite(Json& into, const Json& other);
// Takes the members of `other` out of `from`. A member's own members stay.
void subtract(Json& from, const Json& other);
// As subtract, but a member of `other` takes all that is below it along.
void subtract_trees(Json& from, const Json& other);
Json intersect(const Json& a, const Json& b);
// Whether every member of `a` is one of `b`.
bool is_subset(const Json& a, const Json& b);
std::size_t count_members(const Json& set);

// One path as a list of elements, e.g. {"f:metadata", "f:name"}.
void add_path(Json& set, std::initializer_list<std::string_view> path);
bool has_path(const Json& set, std::initializer_list<std::string_view> path);

// Whether a node (not a whole set) is itself a member.
bool is_member(const Json& node);

// Calls `visit` for the path of every member, members of one place before what is below its
// neighbours, as upstream orders them: `.spec.containers[name="c"].image`.
void for_each_path(const Json& set, const std::function<void(const std::string& path)>& visit);
// An element as a path shows it: `.spec`, `[name="c"]`, `[="x"]`, `[2]`.
std::string element_text(std::string_view element);

// A set that came from a client, in canonical form; nothing when it is malformed.
std::optional<Json> canonical_set(const Json& fields);

}  // namespace moth::apply
