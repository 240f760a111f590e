#pragma once
// Objects seen through their types: which fields they have, how two versions differ, how an applied
// configuration merges into a live object, and how fields leave it. The rules are those of
// upstream's structured merge: lists are atomic, sets or maps by key, maps and structures granular
// or atomic, as the type declares; what no type describes is granular in its maps and atomic in its
// lists. Pure functions; any thread. Depth is bounded by that of the objects.
#include <memory>
#include <string>
#include <vector>

#include "api/apply/field_set.h"
#include "api/base/json_fwd.h"
#include "api/schema/types.h"

namespace moth::apply {

// The fields of `object`. Of items that stand twice in a list only the item is a member.
Json field_set(schema::Type type, const Json& object);

struct Comparison {
  Comparison();
  ~Comparison();
  Comparison(Comparison&&) noexcept;
  Comparison& operator=(Comparison&&) noexcept;

  bool same() const;     // nothing differs but what is never owned
  Json changed() const;  // added or modified

  // Field sets. Heap-held, so that this header needs no definition of Json.
  std::unique_ptr<Json> added, modified, removed;
};
// What became of `before` in `after`. Leaves out apiVersion, kind and the metadata that nobody owns
// (name, namespace, uid, creationTimestamp, generation, resourceVersion, selfLink, managedFields),
// and `without`, a field set whose members are skipped with all below them; null: none.
Comparison compare(schema::Type type, const Json& before, const Json& after,
                   const Json* without = nullptr);

// `live` with all that `config` says. Items keep the order of `config` among those it names. Fields
// that `config` sets to null are null in the result.
Json merge(schema::Type type, const Json& live, const Json& config);

// `object` without the members of `set`; what becomes empty by that goes too.
Json remove_items(schema::Type type, const Json& object, const Json& set);
// `set` and every declared field that it only passes through.
Json with_named_fields(schema::Type type, const Json& set);

// What forbids to apply `config`: fields that the type does not declare, items without their keys,
// items that stand twice. Texts as `.spec.foo: field not declared in schema`.
std::vector<std::string> find_faults(schema::Type type, const Json& config);

}  // namespace moth::apply
