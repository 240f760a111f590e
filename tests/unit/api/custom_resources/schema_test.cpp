// Values of custom resources: pruning, defaults, validation, rules.
#include "api/resources/apiextensions_v1/schema.h"

#include <gtest/gtest.h>

#include <chrono>

#include "api/base/json.h"
#include "api/machinery/yaml.h"

namespace moth::resources {
namespace {

Json yaml(const std::string& text) {
  auto parsed = parse_yaml(text);
  if (!parsed) throw std::runtime_error(parsed.error().message);
  return *parsed;
}

SchemaPtr schema_of(const std::string& text) {
  auto parsed = parse_schema(yaml(text), FieldPath("schema"));
  if (!parsed) throw std::runtime_error(parsed.error().message);
  return *std::move(parsed);
}

// The errors of a value, each on a line.
std::string errors_of(const std::string& schema, const std::string& value,
                      const std::string& old = "") {
  SchemaPtr parsed = schema_of(schema);
  Json json = yaml(value), before = old.empty() ? Json() : yaml(old);
  ValidationScope scope{FieldPath(), old.empty() ? nullptr : &before};
  FieldErrors errors = validate_value(*parsed, json, scope);
  if (errors.empty()) errors = validate_rules(*parsed, json, scope);
  std::string text;
  for (const FieldError& error : errors) text += error.to_string() + "\n";
  return text;
}

struct Case {
  const char *schema, *value, *errors;
};
class Validation : public testing::TestWithParam<Case> {};
TEST_P(Validation, Errors) {
  std::string schema = "{type: object, properties: {x: " + std::string(GetParam().schema) + "}}";
  EXPECT_EQ(errors_of(schema, "{x: " + std::string(GetParam().value) + "}"), GetParam().errors);
}

INSTANTIATE_TEST_SUITE_P(
    Table, Validation,
    testing::Values(
        Case{"{type: integer}", "3", ""}, Case{"{type: integer}", "3.0", ""},
        Case{"{type: integer}", "text",
             "x: Invalid value: \"string\": x in body must be of type integer: \"string\"\n"},
        Case{"{type: integer}", "1.5",
             "x: Invalid value: \"number\": x in body must be of type integer: \"number\"\n"},
        Case{"{type: string}", "null",
             "x: Invalid value: \"null\": x in body must be of type string: \"null\"\n"},
        Case{"{type: string, nullable: true}", "null", ""},
        Case{"{x-kubernetes-int-or-string: true}", "http", ""},
        Case{"{x-kubernetes-int-or-string: true}", "80", ""},
        Case{"{x-kubernetes-int-or-string: true}", "true",
             "x: Invalid value: \"boolean\": x in body must be of type integer,string: "
             "\"boolean\"\n"},
        Case{"{type: string, enum: [a, b]}", "c",
             "x: Unsupported value: \"c\": supported values: \"a\", \"b\"\n"},
        Case{"{type: integer, enum: [1, 2]}", "3",
             "x: Unsupported value: 3: supported values: \"1\", \"2\"\n"},
        Case{"{type: string, maxLength: 3}", "'äöü'", ""},
        Case{"{type: string, maxLength: 2}", "abc", "x: Too long: may not be more than 2 bytes\n"},
        Case{"{type: string, minLength: 2}", "a",
             "x: Invalid value: \"a\": x in body should be at least 2 chars long\n"},
        Case{"{type: string, pattern: '^a+$'}", "b",
             "x: Invalid value: \"b\": x in body should match '^a+$'\n"},
        Case{"{type: string, pattern: 'b'}", "abc", ""},
        Case{"{type: integer, minimum: 1}", "0",
             "x: Invalid value: 0: x in body should be greater than or equal to 1\n"},
        Case{"{type: integer, minimum: 1, exclusiveMinimum: true}", "1",
             "x: Invalid value: 1: x in body should be greater than 1\n"},
        Case{"{type: number, maximum: 1.5}", "2",
             "x: Invalid value: 2: x in body should be less than or equal to 1.5\n"},
        Case{"{type: number, multipleOf: 0.1}", "0.3", ""},
        Case{"{type: integer, multipleOf: 2}", "3",
             "x: Invalid value: 3: x in body should be a multiple of 2\n"},
        Case{"{type: integer, format: int32}", "3000000000",
             "x: Invalid value: 3000000000: x in body must be of type int32: \"3000000000\"\n"},
        Case{"{type: array, maxItems: 1, items: {type: string}}", "[a, b]",
             "x: Too many: 2: must have at most 1 item\n"},
        Case{"{type: array, minItems: 1, items: {type: string}}", "[]",
             "x: Invalid value: []: x in body should have at least 1 items\n"},
        Case{"{type: array, items: {type: string}}", "[a, 1]",
             "x[1]: Invalid value: \"integer\": x[1] in body must be of type string: "
             "\"integer\"\n"},
        Case{"{type: array, x-kubernetes-list-type: set, items: {type: string}}", "[a, b, a]",
             "x[2]: Duplicate value: \"a\"\n"},
        Case{"{type: array, x-kubernetes-list-type: map, x-kubernetes-list-map-keys: [k], items: "
             "{type: object, properties: {k: {type: string}, v: {type: integer}}}}",
             "[{k: a, v: 1}, {k: a, v: 2}]", "x[1]: Duplicate value: {\"k\":\"a\"}\n"},
        Case{"{type: object, required: [a, b], properties: {a: {type: string}}}", "{}",
             "x.a: Required value\nx.b: Required value\n"},
        Case{"{type: object, maxProperties: 1, additionalProperties: {type: integer}}",
             "{a: 1, b: 2}", "x: Too many: 2: must have at most 1 item\n"},
        Case{"{type: object, additionalProperties: {type: integer}}", "{a: t}",
             "x.a: Invalid value: \"string\": x.a in body must be of type integer: \"string\"\n"},
        Case{"{type: object, x-kubernetes-embedded-resource: true, "
             "x-kubernetes-preserve-unknown-fields: true}",
             "{kind: A}", "x.apiVersion: Required value: must not be empty\n"},
        Case{"{type: integer, anyOf: [{minimum: 5}, {maximum: 1}]}", "3",
             "<nil>: Invalid value: \"\": \"x\" must validate at least one schema (anyOf)\n"
             "x: Invalid value: 3: x in body should be greater than or equal to 5\n"},
        Case{"{type: integer, oneOf: [{minimum: 1}, {minimum: 2}]}", "3",
             "<nil>: Invalid value: \"\": \"x\" must validate one and only one schema (oneOf). "
             "Found 2 valid alternatives\n"},
        Case{"{type: integer, oneOf: [{minimum: 4}, {maximum: 3}]}", "3", ""},
        Case{"{type: integer, allOf: [{minimum: 4}, {maximum: 3}]}", "3",
             "x: Invalid value: 3: x in body should be greater than or equal to 4\n"
             "<nil>: Invalid value: \"\": \"x\" must validate all the schemas (allOf)\n"},
        Case{"{type: object, properties: {a: {type: string}}, not: {required: [a]}}", "{a: b}",
             "<nil>: Invalid value: \"\": \"x\" must not validate the schema (not)\n"}));

TEST(Formats, KnowWhatFits) {
  struct Row {
    const char *format, *good, *bad;
  };
  for (const Row& row : std::vector<Row>{{"ipv4", "10.0.0.1", "10.0.0"},
                                         {"ipv6", "fe80::1", "10.0.0.1"},
                                         {"cidr", "10.0.0.0/8", "10.0.0.0/33"},
                                         {"mac", "00:11:22:33:44:55", "00:11"},
                                         {"uuid", "123e4567-e89b-12d3-a456-426614174000", "x"},
                                         {"uuid4", "123e4567-e89b-42d3-a456-426614174000",
                                          "123e4567-e89b-12d3-a456-426614174000"},
                                         {"date", "2024-02-29", "2023-02-29"},
                                         {"date-time", "2024-02-29T12:00:00Z", "2024-02-29"},
                                         {"duration", "1h30m", "soon"},
                                         {"email", "a@b.c", "a"},
                                         {"hostname", "a.b-c.d", "a b"},
                                         {"uri", "https://a.b/c", "a b"},
                                         {"byte", "YWJj", "%%%"},
                                         {"isbn", "978-3-16-148410-0", "978-3-16-148410-1"},
                                         {"creditcard", "4111 1111 1111 1111", "4111"},
                                         {"hexcolor", "#00ff00", "#00ff0"},
                                         {"ssn", "123-45-6789", "123"},
                                         {"k8s-short-name", "abc", "a.b"},
                                         {"bsonobjectid", "507f1f77bcf86cd799439011", "507f"}}) {
    EXPECT_TRUE(is_known_format(row.format)) << row.format;
    EXPECT_TRUE(matches_format(row.format, row.good)) << row.format;
    EXPECT_FALSE(matches_format(row.format, row.bad)) << row.format;
  }
  EXPECT_TRUE(matches_format("nobody-knows", "anything"));
}

TEST(Prune, DropsWhatIsNotNamed) {
  SchemaPtr schema = schema_of(R"(
type: object
properties:
  spec:
    type: object
    properties:
      list: {type: array, items: {type: object, properties: {a: {type: string}}}}
      map: {type: object, additionalProperties: {type: object, properties: {a: {type: string}}}}
      free: {type: object, x-kubernetes-preserve-unknown-fields: true, properties: {
        known: {type: object, properties: {a: {type: string}}}}}
      pod: {type: object, x-kubernetes-embedded-resource: true, properties: {spec: {type: object}}}
)");
  Json value = yaml(R"(
apiVersion: a/v1
kind: A
metadata: {name: n}
extra: 1
spec:
  list: [{a: x, b: y}]
  map: {k: {a: x, b: y}}
  free: {more: 1, known: {a: x, b: y}}
  pod: {apiVersion: v1, kind: Pod, metadata: {name: m}, spec: {gone: 1}, other: 1}
)");
  std::vector<std::string> unknown;
  prune(*schema, value, &unknown);
  EXPECT_EQ(value, yaml(R"(
apiVersion: a/v1
kind: A
metadata: {name: n}
spec:
  list: [{a: x}]
  map: {k: {a: x}}
  free: {more: 1, known: {a: x}}
  pod: {apiVersion: v1, kind: Pod, metadata: {name: m}, spec: {}}
)"));
  EXPECT_EQ(unknown,
            (std::vector<std::string>{"extra", "spec.free.known.b", "spec.list[0].b",
                                      "spec.map.k.b", "spec.pod.other", "spec.pod.spec.gone"}));
}

TEST(Defaults, FillInWhatIsAbsent) {
  SchemaPtr schema = schema_of(R"(
type: object
properties:
  spec:
    type: object
    default: {}
    properties:
      n: {type: integer, default: 1}
      maybe: {type: string, nullable: true, default: d}
      list: {type: array, items: {type: object, properties: {a: {type: string, default: x}}}}
      map: {type: object, additionalProperties: {type: object, properties: {a: {type: string, default: y}}}}
)");
  Json empty = Json::object();
  apply_defaults(*schema, empty);
  EXPECT_EQ(empty, yaml("spec: {n: 1, maybe: d}"));
  Json value = yaml("spec: {n: null, maybe: null, list: [{}, {a: z}], map: {k: {}}}");
  apply_defaults(*schema, value);
  EXPECT_EQ(value, yaml("spec: {n: 1, maybe: null, list: [{a: x}, {a: z}], map: {k: {a: y}}}"));
}

constexpr const char* kRules = R"yaml(
type: object
properties:
  spec:
    type: object
    x-kubernetes-validations:
    - {rule: "self.min <= self.max", message: min must not be over max}
    - {rule: "self.max - 1 != 8"}
    - {rule: "self.name == oldSelf.name", message: name is immutable, reason: FieldValueForbidden, fieldPath: .name}
    - {rule: "oldSelf.hasValue() || self.min == 0", optionalOldSelf: true, message: starts at zero}
    - {rule: "size(self.name) < 5", messageExpression: "'name is ' + string(size(self.name)) + ' long'"}
    - {rule: "self.list.all(i, i.k != 'bad')", message: no bad ones}
    properties:
      min: {type: integer}
      max: {type: integer}
      name: {type: string}
      list:
        type: array
        x-kubernetes-list-type: map
        x-kubernetes-list-map-keys: [k]
        items:
          type: object
          x-kubernetes-validations: [{rule: "self.v >= oldSelf.v", message: v only grows}]
          properties: {k: {type: string}, v: {type: integer}}
)yaml";

TEST(Rules, Judge) {
  EXPECT_EQ(errors_of(kRules, "spec: {min: 0, max: 2, name: abc, list: []}"), "");
  EXPECT_EQ(errors_of(kRules, "spec: {min: 3, max: 2, name: abcdef, list: [{k: bad, v: 1}]}"),
            "spec: Invalid value: \"object\": min must not be over max\n"
            "spec: Invalid value: \"object\": starts at zero\n"
            "spec: Invalid value: \"object\": name is 6 long\n"
            "spec: Invalid value: \"object\": no bad ones\n");
  EXPECT_EQ(errors_of(kRules, "spec: {min: 0, max: 9, name: a, list: []}"),
            "spec: Invalid value: \"object\": failed rule: self.max - 1 != 8\n");
}

TEST(Rules, OfTransitions) {
  const char* before = "spec: {min: 1, max: 2, name: abc, list: [{k: a, v: 5}, {k: b, v: 1}]}";
  EXPECT_EQ(
      errors_of(kRules, "spec: {min: 1, max: 3, name: abd, list: [{k: b, v: 1}, {k: c, v: 0}]}",
                before),
      "spec.name: Forbidden: name is immutable\n");
  EXPECT_EQ(
      errors_of(kRules, "spec: {min: 1, max: 2, name: abc, list: [{k: b, v: 0}, {k: a, v: 4}]}",
                before),
      "spec.list[0]: Invalid value: \"object\": v only grows\n"
      "spec.list[1]: Invalid value: \"object\": v only grows\n");
}

// What was accepted before is not judged again, so that rules can be made stricter.
TEST(Rules, LeaveWhatDidNotChange) {
  EXPECT_EQ(errors_of(kRules, "{spec: {min: 3, max: 2, name: abc, list: []}, other: 1}",
                      "{spec: {min: 3, max: 2, name: abc, list: []}}"),
            "");
  const char* schema =
      "{type: object, properties: {a: {type: string, maxLength: 1}, b: {type: string}}}";
  EXPECT_EQ(errors_of(schema, "{a: long, b: new}", "{a: long, b: old}"), "");
  EXPECT_NE(errors_of(schema, "{a: longer, b: old}", "{a: long, b: old}"), "");
}

TEST(Rules, TellOfTrouble) {
  EXPECT_EQ(errors_of(kRules, "spec: {min: 0, max: 2, list: []}"),
            "spec: Invalid value: \"object\": no such key: name evaluating rule: size(self.name) < "
            "5\n");
  std::string list = "[";
  for (int i = 0; i < 400; ++i) list += (i ? "," : "") + std::to_string(i);
  std::string costly =
      "{type: object, properties: {l: {type: array, items: {type: integer}, "
      "x-kubernetes-validations: [{rule: \"self.all(a, self.all(b, self.all(c, a + b + c >= "
      "0)))\"}]}}}";
  auto start = std::chrono::steady_clock::now();
  EXPECT_EQ(errors_of(costly, "{l: " + list + "]}"),
            "l: Invalid value: \"array\": validation failed due to running out of cost budget, no "
            "further validation rules will be run\n");
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(20));
}

// Backtracking matchers need ages for this.
TEST(Patterns, RunInLinearTime) {
  auto start = std::chrono::steady_clock::now();
  std::string value = "{x: " + std::string(50000, 'a') + "b}";
  EXPECT_NE(errors_of("{type: object, properties: {x: {type: string, pattern: '^(a+)+$'}}}", value),
            "");
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(5));
}

TEST(Schemas, AreBounded) {
  Json deep = {{"type", "string"}};
  for (std::size_t i = 0; i < kMaxSchemaDepth + 10; ++i)
    deep = {{"type", "object"}, {"properties", {{"p", deep}}}};
  EXPECT_FALSE(parse_schema(deep, FieldPath("schema")));
  Json wide = {{"type", "object"}, {"properties", Json::object()}};
  for (std::size_t i = 0; i < kMaxSchemaParts + 1; ++i)
    wide["properties"]["p" + std::to_string(i)] = {{"type", "string"}};
  EXPECT_FALSE(parse_schema(wide, FieldPath("schema")));
}

}  // namespace
}  // namespace moth::resources
