#include "tests/unit/api/resources/golden.h"

#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "api/machinery/yaml.h"
#include "api/schema/decode.h"

namespace moth::resources::testing {

const Registry& registry() {
  static const std::unique_ptr<Registry> kRegistry = [] {
    auto made = make_registry();
    if (!made) throw std::runtime_error(made.error().message);
    return *std::move(made);
  }();
  return *kRegistry;
}

const ResourceDef& row_of(const Json& object) {
  const ResourceDef* row =
      registry().find_kind(Gvk::of(string_or(object, "apiVersion"), string_or(object, "kind")));
  if (!row) throw std::runtime_error("no row for " + object.dump());
  return *row;
}

std::vector<Json> read_documents(const std::string& name) {
  std::string path = std::string(MOTH_SOURCE_DIR) + "/tests/unit/api/resources/testdata/" + name;
  std::ifstream file(path);
  if (!file) throw std::runtime_error("cannot read " + path);
  std::stringstream text;
  text << file.rdbuf();
  auto documents = parse_yaml_documents(text.str());
  if (!documents) throw std::runtime_error(path + ": " + documents.error().message);
  std::vector<Json> out;
  for (YamlDocument& document : *documents) out.push_back(std::move(document.value));
  return out;
}

Json read_yaml(const std::string& name) {
  return read_documents(name).at(0);
}

Json decoded(Json object) {
  schema::Type type = schema::find_type(row_of(object).type_name);
  if (!type) throw std::runtime_error("no type " + row_of(object).type_name);
  auto report = schema::decode(type, object);
  if (!report) throw std::runtime_error(report.error().message);
  EXPECT_TRUE(report->clean()) << (report->messages().empty() ? "" : report->messages().front());
  return object;
}

Json defaulted(Json object) {
  Json out = decoded(std::move(object));
  const ResourceDef& row = row_of(out);
  if (row.set_defaults) row.set_defaults(out);
  return out;
}

Json edited(Json base, const Json& test_case) {
  if (const Json* set = find_member(test_case, "set")) {
    for (const auto& [pointer, value] : set->items()) base[Json::json_pointer(pointer)] = value;
  }
  if (const Json* remove = find_member(test_case, "remove")) {
    for (const Json& pointer : *remove) {
      Json::json_pointer at(pointer.get<std::string>());
      base.at(at.parent_pointer()).erase(at.back());
    }
  }
  return base;
}

std::vector<std::string> texts(const FieldErrors& errors) {
  std::vector<std::string> out;
  for (const FieldError& error : errors) out.push_back(error.to_string());
  return out;
}

std::vector<std::string> expected_texts(const Json& test_case, const char* key) {
  std::vector<std::string> out;
  if (const Json* list = find_member(test_case, key)) {
    for (const Json& text : *list) out.push_back(text.get<std::string>());
  }
  return out;
}

}  // namespace moth::resources::testing
