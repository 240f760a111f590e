// CustomResourceDefinitions: defaults, validation, the rows that they give.
#include <gtest/gtest.h>

#include "api/base/json.h"
#include "api/machinery/yaml.h"
#include "api/resources/apiextensions_v1/custom_rows.h"
#include "api/resources/apiextensions_v1/definition_rules.h"
#include "api/resources/apiextensions_v1/prepared_schema.h"
#include "api/resources/apiextensions_v1/rows.h"
#include "api/schema/decode.h"

namespace moth::resources {
namespace {

Json yaml(const std::string& text) {
  auto parsed = parse_yaml(text);
  if (!parsed) throw std::runtime_error(parsed.error().message);
  return *parsed;
}

Json definition() {
  Json made = yaml(R"(
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: widgets.example.com}
spec:
  group: example.com
  scope: Namespaced
  names: {plural: widgets, kind: Widget, shortNames: [wd]}
  versions:
  - name: v1
    served: true
    storage: true
    schema:
      openAPIV3Schema:
        type: object
        properties:
          spec: {type: object, properties: {n: {type: integer, default: 1}}}
status: {storedVersions: [v1]}
)");
  set_definition_defaults(made);
  return made;
}

// A definition with its schema replaced.
std::string schema_errors(const std::string& schema) {
  Json made = definition();
  made["spec"]["versions"][0]["schema"]["openAPIV3Schema"] = yaml(schema);
  std::string text;
  for (const FieldError& error : validate_definition(made)) text += error.to_string() + "\n";
  std::string prefix = "spec.validation.openAPIV3Schema";
  for (std::size_t at = text.find(prefix); at != std::string::npos; at = text.find(prefix, at + 1))
    text.replace(at, prefix.size(), "~");
  return text;
}

// A definition with one member replaced.
std::string spec_errors(const std::string& pointer, const std::string& value) {
  Json made = definition();
  made[Json::json_pointer(pointer)] = yaml(value);
  std::string text;
  for (const FieldError& error : validate_definition(made)) text += error.to_string() + "\n";
  return text;
}

TEST(Definition, Defaults) {
  Json made = definition();
  EXPECT_EQ(made["spec"]["names"]["singular"], "widget");
  EXPECT_EQ(made["spec"]["names"]["listKind"], "WidgetList");
  EXPECT_EQ(made["spec"]["conversion"]["strategy"], "None");
  EXPECT_EQ(validate_definition(made).size(), 0u);
}

TEST(Definition, Spec) {
  EXPECT_EQ(
      spec_errors("/metadata/name", "other"),
      "metadata.name: Invalid value: \"other\": must be spec.names.plural+\".\"+spec.group\n");
  EXPECT_EQ(spec_errors("/spec/group", "example"),
            "metadata.name: Invalid value: \"widgets.example.com\": must be "
            "spec.names.plural+\".\"+spec.group\n"
            "spec.group: Invalid value: \"example\": should be a domain with at least one dot\n");
  EXPECT_EQ(spec_errors("/spec/scope", "Everywhere"),
            "spec.scope: Unsupported value: \"Everywhere\": supported values: \"Cluster\", "
            "\"Namespaced\"\n");
  EXPECT_EQ(spec_errors("/spec/preserveUnknownFields", "true"),
            "spec.preserveUnknownFields: Invalid value: true: cannot set to true, set "
            "x-kubernetes-preserve-unknown-fields to true in spec.versions[*].schema instead\n");
  EXPECT_NE(spec_errors("/spec/versions/0/storage", "false")
                .find("must have exactly one version marked as storage version"),
            std::string::npos);
  EXPECT_EQ(spec_errors("/spec/versions/0/schema", "{}"),
            "spec.versions[0].schema.openAPIV3Schema: Required value: schemas are required\n");
  EXPECT_EQ(spec_errors("/spec/names/kind", "'Wid get'"),
            "spec.names.kind: Invalid value: \"Wid get\": may have mixed case, but should "
            "otherwise match: a DNS-1035 label must consist of lower case alphanumeric characters "
            "or '-', start with an alphabetic character, and end with an alphanumeric character "
            "(e.g. 'my-name',  or 'abc-123', regex used for validation is "
            "'[a-z]([-a-z0-9]*[a-z0-9])?')\n");
  EXPECT_EQ(spec_errors("/spec/names/listKind", "Widget"),
            "spec.names.listKind: Invalid value: \"Widget\": kind and listKind may not be the "
            "same\n");
  EXPECT_EQ(
      spec_errors("/spec/conversion", "{strategy: Webhook}"),
      "spec.conversion.webhook.clientConfig: Required value: required when strategy is set to "
      "Webhook\n"
      "spec.conversion.webhook.conversionReviewVersions: Required value: must specify one of "
      "v1, v1beta1\n");
  EXPECT_EQ(
      spec_errors("/spec/conversion",
                  "{strategy: Webhook, webhook: {conversionReviewVersions: [v1], clientConfig: "
                  "{service: {name: a, namespace: b}}}}"),
      "");
  EXPECT_EQ(spec_errors("/status/storedVersions", "[v0, v1]"),
            "status.storedVersions[0]: Invalid value: \"v0\": must appear in spec.versions\n");
  EXPECT_EQ(spec_errors("/spec/versions/0/additionalPrinterColumns",
                        "[{name: A, type: text, jsonPath: a}]"),
            "spec.additionalPrinterColumns[0].type: Invalid value: \"text\": must be one of "
            "boolean,date,integer,number,string\n"
            "spec.additionalPrinterColumns[0].jsonPath: Invalid value: \"a\": must be a simple "
            "json path starting with .\n");
  EXPECT_EQ(spec_errors("/spec/versions/0/subresources",
                        "{scale: {specReplicasPath: .status.n, statusReplicasPath: .status.n}}"),
            "spec.subresources.scale.specReplicasPath: Invalid value: \".status.n\": should be a "
            "json path under .spec\n");
  EXPECT_EQ(spec_errors("/spec/versions/0/selectableFields", "[{jsonPath: .spec.zz}]"),
            "spec.selectableFields[0].jsonPath: Invalid value: \".spec.zz\": is an invalid path: "
            "does not refer to a field in the schema\n");
}

TEST(Definition, ProtectedGroups) {
  Json made = definition();
  made["spec"]["group"] = "x.k8s.io";
  made["metadata"]["name"] = "widgets.x.k8s.io";
  ASSERT_EQ(validate_definition(made).size(), 1u);
  EXPECT_EQ(validate_definition(made)[0].field, "metadata.annotations[api-approved.kubernetes.io]");
  made["metadata"]["annotations"] = {{"api-approved.kubernetes.io", "https://a.b"}};
  EXPECT_EQ(validate_definition(made).size(), 0u);
}

struct Case {
  const char *schema, *errors;
};
class Structural : public testing::TestWithParam<Case> {};
TEST_P(Structural, Errors) {
  EXPECT_EQ(schema_errors(GetParam().schema), GetParam().errors);
}

INSTANTIATE_TEST_SUITE_P(
    Table, Structural,
    testing::Values(
        Case{"{}", "~.type: Required value: must not be empty at the root\n"},
        Case{"{type: string}", "~.type: Invalid value: \"string\": must be object at the root\n"},
        Case{"{type: object, properties: {a: {}}}",
             "~.properties[a].type: Required value: must not be empty for specified object "
             "fields\n"},
        Case{"{type: object, properties: {a: {type: array, items: {}}}}",
             "~.properties[a].items.type: Required value: must not be empty for specified array "
             "items\n"},
        Case{"{type: object, properties: {a: {type: array}}}",
             "~.properties[a].items: Required value: must be specified\n"},
        Case{"{type: object, properties: {a: {type: text}}}",
             "~.properties[a].type: Unsupported value: \"text\": supported values: \"array\", "
             "\"boolean\", \"integer\", \"number\", \"object\", \"string\"\n"},
        Case{"{type: object, $ref: x}", "~.$ref: Forbidden: $ref is not supported\n"},
        Case{"{type: object, additionalProperties: false}",
             "~.additionalProperties: Forbidden: additionalProperties cannot be set to false\n"},
        Case{"{type: object, additionalProperties: {type: string}, properties: {a: {type: "
             "string}}}",
             "~.additionalProperties: Forbidden: additionalProperties and properties are mutual "
             "exclusive\n"},
        Case{"{type: object, properties: {a: {type: array, uniqueItems: true, items: {type: "
             "string}}}}",
             "~.properties[a].uniqueItems: Forbidden: uniqueItems cannot be set to true since the "
             "runtime complexity becomes quadratic\n"},
        Case{"{type: object, properties: {a: {type: string, pattern: '('}}}",
             "~.properties[a].pattern: Invalid value: \"(\": must be a valid regular expression, "
             "but isn't: missing ): (\n"},
        Case{"{type: object, properties: {a: {type: string, anyOf: [{type: string}]}}}",
             "~.properties[a].anyOf[0].type: Forbidden: must be empty to be structural\n"},
        Case{
            "{type: object, anyOf: [{properties: {b: {minLength: 1}}}]}",
            "~.properties[b]: Required value: because it is defined in ~.anyOf[0].properties[b]\n"},
        Case{"{type: object, properties: {a: {x-kubernetes-int-or-string: true, anyOf: [{type: "
             "integer}, {type: string}]}}}",
             ""},
        Case{"{type: object, properties: {a: {x-kubernetes-int-or-string: true, type: string}}}",
             "~.properties[a].type: Invalid value: \"string\": must be empty if "
             "x-kubernetes-int-or-string is true\n"},
        Case{"{type: object, properties: {a: {type: array, x-kubernetes-list-type: map, items: "
             "{type: object, properties: {k: {type: string}}}}}}",
             "~.properties[a].x-kubernetes-list-map-keys: Required value: must not be empty if "
             "x-kubernetes-list-type is map\n"},
        Case{"{type: object, properties: {a: {type: array, x-kubernetes-list-type: map, "
             "x-kubernetes-list-map-keys: [k, z], items: {type: object, properties: {k: {type: "
             "string}}}}}}",
             "~.properties[a].items.properties[k].default: Required value: this property is in "
             "x-kubernetes-list-map-keys, so it must have a default or be a required property\n"
             "~.properties[a].x-kubernetes-list-map-keys[1]: Invalid value: \"z\": entries must "
             "all be names of item properties\n"},
        Case{"{type: object, properties: {a: {type: string, default: 5}}}",
             "~.properties[a].default: Invalid value: \"integer\": ~.properties[a].default in body "
             "must be of type string: \"integer\"\n"},
        Case{"{type: object, properties: {a: {type: object, default: {z: 1}}}}",
             "~.properties[a].default: Invalid value: {\"z\":1}: must not have unknown fields\n"},
        Case{"{type: object, properties: {metadata: {type: object, properties: {labels: {type: "
             "object}}}}}",
             "~.properties[metadata]: Forbidden: must not specify anything other than name and "
             "generateName, but metadata is implicitly specified\n"},
        Case{"{type: object, properties: {metadata: {type: object, properties: {name: {type: "
             "string, maxLength: 5}}}}}",
             ""}));

TEST(Definition, Rules) {
  auto errors = [](const std::string& rule) {
    return schema_errors(
        "{type: object, properties: {num: {type: integer}, s: {type: array, items: "
        "{type: integer, x-kubernetes-validations: [{rule: self >= oldSelf}]}}}, "
        "x-kubernetes-validations: [" +
        rule + "]}");
  };
  const std::string uncorrelatable =
      "~.properties[s].items.x-kubernetes-validations[0].rule: Invalid value: \"self >= "
      "oldSelf\": oldSelf cannot be used on the uncorrelatable portion of the schema within "
      "~.properties[s]\n";
  EXPECT_EQ(errors("{rule: 'self.num > 1'}"), uncorrelatable);
  EXPECT_EQ(errors("{rule: ''}"),
            "~.x-kubernetes-validations[0].rule: Required value: rule is not specified\n" +
                uncorrelatable);
  EXPECT_NE(errors("{rule: 'self.m > 1'}")
                .find("compilation failed: ERROR: <input>:1:5: undefined "
                      "field 'm'\n | self.m > 1\n | ....^"),
            std::string::npos);
  EXPECT_NE(errors("{rule: 'self.num'}").find("cel expression must evaluate to a bool"),
            std::string::npos);
  EXPECT_NE(errors("{rule: 'true', message: \"a\\nb\"}").find("must not contain line breaks"),
            std::string::npos);
  EXPECT_NE(errors("{rule: 'true', reason: Whatever}").find(".reason: Unsupported value"),
            std::string::npos);
  EXPECT_NE(errors("{rule: 'true', fieldPath: .zz}").find("fieldPath must be a valid path"),
            std::string::npos);
  EXPECT_NE(errors("{rule: 'true', optionalOldSelf: true}")
                .find("may not be set if oldSelf is not used in rule"),
            std::string::npos);
  EXPECT_NE(errors("{rule: 'true', messageExpression: '1'}")
                .find(".messageExpression: Invalid value: \"1\": cel expression must evaluate to a "
                      "string"),
            std::string::npos);
}

// What definitions in the field are made of: these are how their rules and patterns look.
TEST(Definition, RulesOfTheField) {
  EXPECT_EQ(schema_errors(R"y(
type: object
properties:
  spec:
    type: object
    x-kubernetes-validations:
    - {rule: "(has(self.targetRef) ? 1 : 0) + (has(self.targetRefs) ? 1 : 0) <= 1", message: one}
    - {rule: "oldSelf == self || !has(oldSelf.suspend) || oldSelf.suspend", message: fixed}
    - rule: >-
        !(has(self.timeouts) && has(self.timeouts.request) && duration(self.timeouts.request) !=
        duration('0s') && duration(self.timeouts.backend) > duration(self.timeouts.request))
      message: timeouts
    - rule: "cel.bind(n, self.listeners.map(l, l.name), n.all(x, n.exists_one(y, x == y)))"
      message: unique
    - {rule: "!has(self.version) || isSemver(self.version, true)", message: version}
    properties:
      suspend: {type: boolean}
      version: {type: string}
      targetRef: {type: object, properties: {kind: {type: string}}}
      targetRefs: {type: array, items: {type: object, properties: {kind: {type: string}}}}
      timeouts: {type: object, properties: {request: {type: string}, backend: {type: string}}}
      address:
        type: object
        properties: {type: {type: string}, value: {type: string}}
        x-kubernetes-validations:
        - rule: "self.type == 'IPAddress' ? isIP(self.value) && ip(self.value).family() == 4 : true"
          message: address
        - rule: |-
            self.type == 'Hostname' ? self.value.matches(r"""^(\*\.)?[a-z0-9]([-a-z0-9]*[a-z0-9])?$"""): true
          message: name
      procs:
        x-kubernetes-int-or-string: true
        x-kubernetes-validations:
        - {rule: "self > 0 || self in ['auto', 'cpu', 'gpu']", message: procs}
      resources:
        type: object
        additionalProperties:
          anyOf: [{type: integer}, {type: string}]
          x-kubernetes-int-or-string: true
          pattern: ^(\+|-)?(([0-9]+(\.[0-9]*)?)|(\.[0-9]+))(([KMGTPE]i)|[numkMGTPE])?$
        x-kubernetes-validations:
        - {rule: "self.all(k, v, k.contains('/') || quantity(string(v)).sign() >= 0)", message: sign}
      name: {type: string, pattern: '^[\p{L}\p{N}_.-]{1,512}$'}
      listeners:
        type: array
        x-kubernetes-list-type: map
        x-kubernetes-list-map-keys: [name]
        items:
          type: object
          required: [name, port]
          properties:
            name: {type: string}
            port: {type: integer, format: int32}
            hostname: {type: string}
            protocol: {type: string}
        x-kubernetes-validations:
        - rule: "self.all(l1, self.exists_one(l2, l1.port == l2.port && l1.protocol == l2.protocol &&
            (has(l1.hostname) && has(l2.hostname) ? l1.hostname == l2.hostname : !has(l1.hostname) &&
            !has(l2.hostname))))"
          message: once
        - rule: "self.filter(l, l.protocol in ['HTTP', 'TCP']).size() <= 16"
          message: many
)y"),
            "");
}

TEST(Definition, LargeOnesAreJudgedOnce) {
  Json made = definition();
  Json& properties =
      made["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"];
  for (int i = 0; i < 2000; ++i)
    properties["field" + std::to_string(i)] = {{"type", "string"}, {"pattern", "^[a-z]+$"}};
  const Json& schema = made["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
  warm_up_definition(made);
  FieldPath path("spec.validation.openAPIV3Schema");
  JudgedSchema judged = judge_schema(schema, path);
  ASSERT_TRUE(judged.schema);
  EXPECT_EQ(judge_schema(schema, path).schema, judged.schema);
  EXPECT_EQ(*take_schema(schema), judged.schema);
  // Whoever took it has it; nobody keeps it here.
  EXPECT_NE(*take_schema(schema), judged.schema);
  // Patterns that are the same are compiled once.
  const auto& fields = judged.schema->properties.at("spec")->properties;
  EXPECT_EQ(fields.at("field1")->pattern, fields.at("field2")->pattern);
  // Whatever is sent must do no harm.
  for (const char* body : {"[]", "{spec: 1}", "{spec: {versions: [1, null, {schema: 3}]}}",
                           "{spec: {versions: [{schema: {openAPIV3Schema: {properties: 7}}}]}}"})
    warm_up_definition(yaml(body));
}

TEST(Definition, Update) {
  Json old = definition(), changed = definition();
  old["status"]["conditions"] = Json::array({{{"type", "Established"}, {"status", "True"}}});
  changed["spec"]["scope"] = "Cluster";
  changed["spec"]["names"]["kind"] = "Gadget";
  std::string text;
  for (const FieldError& error : validate_definition_update(changed, old))
    text += error.to_string() + "\n";
  EXPECT_EQ(text,
            "spec.scope: Invalid value: \"Cluster\": field is immutable\n"
            "spec.names.kind: Invalid value: \"Gadget\": field is immutable\n");
}

// The stored version is remembered; the finalizer comes with the deletion only.
TEST(Definition, Preparation) {
  ResourceDef row = custom_resource_definitions();
  Json made = definition();
  row.prepare_create(made);
  EXPECT_EQ(made["status"]["storedVersions"], Json::array({"v1"}));
  EXPECT_FALSE(made["metadata"].contains("finalizers"));
  Json next = made;
  next["spec"]["versions"].push_back(next["spec"]["versions"][0]);
  next["spec"]["versions"][0]["storage"] = false;
  next["spec"]["versions"][1]["name"] = "v2";
  row.prepare_update(next, made);
  EXPECT_EQ(next["status"]["storedVersions"], Json::array({"v1", "v2"}));
  EXPECT_FALSE(next["metadata"].contains("finalizers"));
}

// --- rows ---------------------------------------------------------------------------------------

Json two_versions() {
  Json made = yaml(R"(
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: gears.example.com}
spec:
  group: example.com
  scope: Namespaced
  names: {plural: gears, kind: Gear, listKind: Gears, shortNames: [gr], categories: [all]}
  versions:
  - name: v1
    served: true
    storage: true
    subresources:
      status: {}
      scale: {specReplicasPath: .spec.count, statusReplicasPath: .status.count, labelSelectorPath: .status.selector}
    additionalPrinterColumns:
    - {name: Count, type: integer, jsonPath: .spec.count}
    - {name: Names, type: string, jsonPath: '.spec.names[*]', priority: 1}
    - {name: Since, type: date, jsonPath: .spec.since}
    - {name: Missing, type: string, jsonPath: .spec.nothing}
    selectableFields: [{jsonPath: .spec.count}, {jsonPath: .spec.active}]
    schema:
      openAPIV3Schema:
        type: object
        properties:
          spec:
            type: object
            properties:
              count: {type: integer, default: 1}
              active: {type: boolean}
              since: {type: string}
              names: {type: array, items: {type: string}}
          status: {type: object, x-kubernetes-preserve-unknown-fields: true}
  - name: v1beta1
    served: true
    storage: false
    deprecated: true
    deprecationWarning: use v1
    schema:
      openAPIV3Schema:
        type: object
        properties: {spec: {type: object, properties: {count: {type: integer}, old: {type: string, default: o}}}}
  - name: v1alpha1
    served: false
    storage: false
    schema: {openAPIV3Schema: {type: object}}
)");
  set_definition_defaults(made);
  return made;
}

TEST(Rows, OfADefinition) {
  auto rows = custom_rows(two_versions(), {});
  ASSERT_TRUE(rows) << rows.error().message;
  ASSERT_EQ(rows->size(), 2u);
  const ResourceDef& v1 = (*rows)[0];
  EXPECT_EQ(v1.qualified(), "gears.example.com");
  EXPECT_EQ(v1.list_kind(), "Gears");
  EXPECT_EQ(v1.type_name, "com.example.v1.Gear");
  EXPECT_TRUE(v1.is_storage());
  EXPECT_TRUE(v1.subresource("status") && v1.subresource("scale"));
  EXPECT_EQ(v1.scale_spec_replicas, "/spec/count");
  EXPECT_EQ(v1.selectable_fields, (std::vector<std::string>{"spec.count", "spec.active"}));
  Json object = yaml(
      "{metadata: {name: g}, spec: {count: 3, active: true, since: '2024-01-01T00:00:00Z', names: "
      "[a, "
      "b]}}");
  EXPECT_EQ(v1.field(object, "spec.count"), "3");
  EXPECT_EQ(v1.field(object, "spec.active"), "true");
  RowContext context{WallTime(std::chrono::seconds(1704067200 + 120))};
  EXPECT_EQ(v1.row(object, context), Json::array({"g", 3, "a", "2m", nullptr}));
  EXPECT_EQ(v1.columns[2].priority, 1);
  const ResourceDef& beta = (*rows)[1];
  EXPECT_EQ(beta.storage_version, "v1");
  EXPECT_EQ(beta.deprecation, "use v1");
  EXPECT_EQ(beta.columns[1].name, "Age");
  EXPECT_FALSE(beta.subresource("status"));
}

TEST(Rows, ConvertBySwappingTheVersion) {
  auto rows = custom_rows(two_versions(), {});
  ASSERT_TRUE(rows);
  Json stored = yaml(
      "{apiVersion: example.com/v1, kind: Gear, metadata: {name: g}, spec: {count: 3, active: "
      "true}}");
  EXPECT_EQ((*rows)[1].from_storage(stored),
            yaml("{apiVersion: example.com/v1beta1, kind: Gear, metadata: {name: g}, spec: {count: "
                 "3, old: o}}"));
  EXPECT_EQ((*rows)[1].to_storage(stored)["apiVersion"], "example.com/v1");
}

TEST(Rows, Decode) {
  auto rows = custom_rows(two_versions(), {});
  ASSERT_TRUE(rows);
  Json object = yaml(
      "{apiVersion: example.com/v1, kind: Gear, metadata: {name: g, odd: 1}, spec: {x: 1, count: "
      "2}}");
  auto report = (*rows)[0].custom->decode(object);
  ASSERT_TRUE(report);
  EXPECT_EQ(report->unknown_fields, (std::vector<std::string>{"spec.x", "metadata.odd"}));
  EXPECT_EQ(object["spec"], Json({{"count", 2}}));
  object["metadata"]["labels"] = {{"a", 1}};
  report = (*rows)[0].custom->decode(object);
  ASSERT_FALSE(report);
  EXPECT_NE(report.error().message.find("Gear in version \"v1\" cannot be handled as a Gear: "),
            std::string::npos)
      << report.error().message;
}

TEST(Rows, OfATerminatingDefinitionTakeNothingNew) {
  auto rows = custom_rows(two_versions(), {0, true});
  ASSERT_TRUE(rows);
  EXPECT_EQ((*rows)[0].verbs & kCreate, 0u);
  EXPECT_NE((*rows)[0].verbs & kDelete, 0u);
}

TEST(Registry, GainsAndLosesRows) {
  auto registry = make_registry();
  ASSERT_TRUE(registry);
  std::size_t built_in = (*registry)->all().size();
  int told = 0;
  (*registry)->on_change([&] { ++told; });
  auto before = (*registry)->generation();
  ASSERT_TRUE((*registry)->replace("gears.example.com", *custom_rows(two_versions(), {})));
  EXPECT_EQ(told, 1);
  EXPECT_GT((*registry)->generation(), before);
  EXPECT_EQ((*registry)->all().size(), built_in + 2);
  const ResourceDef* v1 = (*registry)->find("example.com", "v1", "gears");
  const ResourceDef* beta = (*registry)->find("example.com", "v1beta1", "gears");
  ASSERT_TRUE(v1 && beta);
  EXPECT_EQ(beta->storage_def, v1);
  EXPECT_EQ((*registry)->find_stored("gears.example.com"), v1);
  std::size_t index = v1->storage_index;
  // Another definition may not take what is there.
  auto clash = (*registry)->replace("other", *custom_rows(two_versions(), {}));
  ASSERT_FALSE(clash);
  EXPECT_EQ(clash.error().reason, Reason::kAlreadyExists);
  // Whoever holds a snapshot keeps its rows.
  auto held = (*registry)->snapshot();
  ASSERT_TRUE((*registry)->replace("gears.example.com", {}));
  EXPECT_EQ((*registry)->find("example.com", "v1", "gears"), nullptr);
  EXPECT_EQ(v1->kind, "Gear");
  EXPECT_TRUE(v1->type());
  held.reset();
  ASSERT_TRUE((*registry)->replace("gears.example.com", *custom_rows(two_versions(), {})));
  EXPECT_EQ((*registry)->find("example.com", "v1", "gears")->storage_index, index);
  EXPECT_EQ((*registry)->all().size(), built_in + 2);
}

}  // namespace
}  // namespace moth::resources
