// What is served and stored, against upstream's facts: resources, fields, merge rules, numbers of
// protobuf fields. Skips where the facts are not at hand.
#include <gtest/gtest.h>

#include <algorithm>

#include "api/base/json.h"
#include "api/resources/registry.h"
#include "api/schema/table.h"
#include "api/schema/types.h"
#include "api/server/discovery.h"
#include "tests/unit/api/facts/facts.h"

namespace moth::facts {
namespace {

using schema::Kind;

std::string joined(std::vector<std::string> parts) {
  std::sort(parts.begin(), parts.end());
  std::string out;
  for (const std::string& part : parts) out += (out.empty() ? "" : ",") + part;
  return out;
}

std::string list_of(const Json& object, const char* key) {
  std::vector<std::string> parts;
  if (const Json* list = find_member(object, key)) {
    for (const Json& part : *list) parts.push_back(part.get<std::string>());
  }
  return joined(std::move(parts));
}

std::string sorted(const std::string& list) {
  std::vector<std::string> parts;
  std::size_t at = 0;
  while (at < list.size()) {
    std::size_t comma = std::min(list.find(',', at), list.size());
    parts.push_back(list.substr(at, comma - at));
    at = comma + 1;
  }
  return joined(std::move(parts));
}

bool is_stable(const std::string& version) {
  return version.size() > 1 && version[0] == 'v' &&
         version.find_first_not_of("0123456789", 1) == std::string::npos;
}

class Facts : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!folder()) {
      GTEST_SKIP() << "no facts to compare with: set MOTH_FACTS to their folder";
    }
  }
};

// singular, kind, scope, short names, categories, verbs.
using Facets = std::vector<std::string>;
constexpr const char* kFacets[] = {"singular",    "kind",       "scope",
                                   "short names", "categories", "verbs"};

void add_group(const Json& group, std::map<std::string, Facets>& out) {
  std::string name = string_or(group.at("metadata"), "name");
  for (const Json& version : group.at("versions")) {
    std::string prefix = name + "/" + string_or(version, "version") + " ";
    for (const Json& resource : version.at("resources")) {
      std::string plural = string_or(resource, "resource");
      std::string scope = string_or(resource, "scope");
      out[prefix + plural] = {string_or(resource, "singularResource"),
                              string_or(resource.at("responseKind"), "kind"),
                              scope,
                              list_of(resource, "shortNames"),
                              list_of(resource, "categories"),
                              list_of(resource, "verbs")};
      const Json* subresources = find_member(resource, "subresources");
      if (!subresources) continue;
      for (const Json& sub : *subresources) {
        out[prefix + plural + "/" + string_or(sub, "subresource")] = {
            "", string_or(sub.at("responseKind"), "kind"), scope, "", "", list_of(sub, "verbs")};
      }
    }
  }
}

TEST_F(Facts, ResourcesAreServedAsUpstreamServesThem) {
  auto registry = resources::make_registry();
  ASSERT_TRUE(registry);
  std::map<std::string, Facets> served;
  const Json discovery = server::aggregated_discovery(**registry, false);
  for (const Json& group : discovery.at("items")) add_group(group, served);
  Differences differences("resources");
  std::set<std::string> known;
  for (const Row& row : read_table("api-resources.tsv")) {
    ASSERT_EQ(row.size(), 9U);
    if (!is_stable(row[1])) continue;
    std::string key = row[0] + "/" + row[1] + " " + row[2];
    known.insert(key);
    auto it = served.find(key);
    if (it == served.end()) {
      differences.add(key + " is not served");
      continue;
    }
    Facets facts = {row[3], row[4], row[5], sorted(row[6]), sorted(row[7]), sorted(row[8])};
    for (std::size_t i = 0; i < facts.size(); ++i) {
      differences.compare(key + " " + kFacets[i], facts[i], it->second[i]);
    }
  }
  for (const auto& [key, facets] : served) {
    std::string version = key.substr(0, key.find(' ')).substr(key.find('/') + 1);
    if (is_stable(version) && !known.contains(key)) differences.add(key + " is not upstream's");
  }
  differences.judge();
}

std::string full_name(schema::Type type) {
  std::string name(type.name());
  return name.starts_with("meta.v1.") ? "apis." + name : name;
}

// A value in the words of the facts.
std::string text_of(schema::Value value) {
  if (value.type()) return full_name(value.type());
  switch (value.kind()) {
    case Kind::kArray:
      return "array<" + text_of(value.element()) + ">";
    case Kind::kMap:
      return "map<" + text_of(value.element()) + ">";
    case Kind::kString:
      return "string";
    case Kind::kBool:
      return "boolean";
    case Kind::kInt32:
      return "integer:int32";
    case Kind::kInt64:
      return "integer:int64";
    case Kind::kDouble:
      return "number:double";
    case Kind::kBytes:
      return "string:byte";
    default:
      return std::string(schema::to_string(value.kind()));
  }
}

std::string merge_text(schema::Field field) {
  schema::Value value = field.value();
  std::string out;
  auto add = [&](const std::string& part) { out += (out.empty() ? "" : " ") + part; };
  std::string strategy = field.patch_merge() ? "merge" : "";
  if (field.patch_replace()) strategy = "replace";
  if (field.patch_retain_keys()) strategy += strategy.empty() ? "retainKeys" : ",retainKeys";
  if (!strategy.empty()) add("patchStrategy=" + strategy);
  if (!field.patch_merge_key().empty()) {
    add("patchMergeKey=" + std::string(field.patch_merge_key()));
  }
  if (value.kind() == Kind::kArray) {
    // Undeclared is atomic, and the table does not keep the difference.
    if (value.list_type() == schema::ListType::kSet) add("listType=set");
    if (value.list_type() == schema::ListType::kMap) {
      add("listType=map");
      std::string keys;
      for (std::string_view key : value.list_map_keys()) {
        keys += (keys.empty() ? "" : ",") + std::string(key);
      }
      add("listMapKeys=" + keys);
    }
  }
  if ((value.kind() == Kind::kMap || value.kind() == Kind::kObject) &&
      value.map_type() == schema::MapType::kAtomic) {
    add("mapType=atomic");
  }
  return out;
}

// What says no more than the default is left out of a fact, as merge_text() leaves it out.
std::string without_defaults(std::string merge) {
  for (const char* plain : {"listType=atomic", "mapType=granular"}) {
    if (auto at = merge.find(plain); at != std::string::npos) {
      merge.erase(at, std::string(plain).size());
    }
  }
  while (merge.ends_with(' ')) merge.pop_back();
  return merge;
}

TEST_F(Facts, FieldsAreThoseOfUpstream) {
  Differences differences("fields");
  std::map<std::string, std::set<std::string>> known;
  for (Row row : read_table("api-fields.tsv")) {
    row.resize(6);
    const std::string& name = row[0];
    schema::Type type = schema::find_type(name);
    known[name].insert(row[1]);
    if (!type) {
      differences.add(name + " is missing");
      continue;
    }
    if (row[1] == "-" || (type.is_root() && (row[1] == "apiVersion" || row[1] == "kind"))) continue;
    schema::Field field = type.field(row[1]);
    std::string where = name + "." + row[1];
    if (!field) {
      differences.add(where + " is missing");
      continue;
    }
    differences.compare(where + " value", row[2], text_of(field.value()));
    differences.compare(where + " required", row[3], field.required() ? "required" : "");
    differences.compare(where + " default", row[4], std::string(field.default_json()));
    std::string merge = merge_text(field);
    // A type that is one unit wherever it is used: the facts say so of the type, not of the field.
    bool by_type = field.value().kind() == Kind::kObject && field.value().type() &&
                   field.value().type().map_type() == schema::MapType::kAtomic;
    if (by_type && merge.ends_with("mapType=atomic"))
      merge =
          without_defaults(merge.substr(0, merge.size() - std::string("mapType=atomic").size()));
    std::string fact = without_defaults(row[5]);
    if (by_type && fact.ends_with("mapType=atomic"))
      fact = without_defaults(fact.substr(0, fact.size() - std::string("mapType=atomic").size()));
    differences.compare(where + " merge", fact, merge);
  }
  for (std::size_t i = 0; i < schema::type_count(); ++i) {
    schema::Type type = schema::type_at(i);
    auto it = known.find(full_name(type));
    if (it == known.end()) continue;
    for (schema::Field field : type.fields()) {
      if (!it->second.contains(std::string(field.name()))) {
        differences.add(full_name(type) + "." + std::string(field.name()) + " is not upstream's");
      }
    }
  }
  differences.judge();
}

std::string scalar_text(schema::Value value) {
  if (value.type()) return full_name(value.type());
  switch (value.kind()) {
    case Kind::kBool:
      return "bool";
    case Kind::kInt32:
      return "int32";
    case Kind::kInt64:
      return "int64";
    case Kind::kDouble:
      return "double";
    case Kind::kBytes:
      return "bytes";
    case Kind::kString:
      return "string";
    default:
      return std::string(schema::to_string(value.kind()));
  }
}

std::string protobuf_text(schema::Value value) {
  if (value.kind() == Kind::kMap) return "map<string, " + scalar_text(value.element()) + ">";
  if (value.kind() == Kind::kArray) return "repeated " + scalar_text(value.element());
  return "optional " + scalar_text(value);
}

// Upstream keeps some Go-style capitals.
std::string lower_case(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text;
}

TEST_F(Facts, ProtobufNumbersAreThoseOfUpstream) {
  Differences differences("protobuf");
  for (const Row& row : read_table("api-protobuf.tsv")) {
    ASSERT_EQ(row.size(), 4U);
    schema::Type type = schema::find_type(row[0]);
    if (!type) {
      differences.add(row[0] + " is missing");
      continue;
    }
    if (type.kind() != Kind::kObject) continue;  // scalars have code of their own
    const schema::Table& table = *type.table();
    const schema::TypeRow& stored = table.types[type.index()];
    const schema::ProtoRow* found = nullptr;
    for (std::uint32_t i = 0; i < stored.proto_count; ++i) {
      const schema::ProtoRow& proto = table.protos[stored.first_proto + i];
      if (std::to_string(proto.number) == row[2]) found = &proto;
    }
    std::string where = row[0] + "." + row[1];
    if (!found) {
      differences.add(where + " number " + row[2] + " is missing");
      continue;
    }
    if (found->flags & schema::kProtoInline) {
      differences.compare(where + " inlines", row[3],
                          "optional " + full_name(schema::Type(&table, found->target)));
      continue;
    }
    schema::Field field(&table, found->target);
    differences.compare(where + " name", lower_case(row[1]), lower_case(std::string(field.name())));
    differences.compare(where + " type", row[3], protobuf_text(field.value()));
  }
  differences.judge();
}

}  // namespace
}  // namespace moth::facts
