#include "api/schema/decode.h"

#include <gtest/gtest.h>

#include "api/base/json.h"

namespace moth::schema {
namespace {

struct Outcome {
  Json object;
  Result<DecodeReport> report;
};

Outcome run(std::string_view type, std::string_view text, const DecodeOptions& options = {}) {
  Json object = Json::parse(text);
  auto report = decode(find_type(type), object, options);
  return {std::move(object), std::move(report)};
}

std::string message_of(std::string_view type, std::string_view text) {
  Outcome outcome = run(type, text);
  if (outcome.report) return "no error";
  EXPECT_EQ(outcome.report.error().reason, Reason::kBadRequest);
  return outcome.report.error().message;
}

TEST(Decode, AcceptsAPlainObject) {
  Outcome outcome = run("apps.v1.Deployment", R"({
    "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web", "labels": {"a": "b"}},
    "spec": {"replicas": 3, "selector": {"matchLabels": {"a": "b"}},
      "template": {"metadata": {"labels": {"a": "b"}},
        "spec": {"containers": [{"name": "c", "image": "nginx", "ports": [{"containerPort": 80}]}]}}}})");
  ASSERT_TRUE(outcome.report) << outcome.report.error().message;
  EXPECT_TRUE(outcome.report->clean());
  EXPECT_EQ(outcome.object["spec"]["replicas"], 3);
}

TEST(Decode, ReportsAndPrunesUnknownFieldsByPath) {
  Outcome outcome = run("apps.v1.Deployment", R"({"bogus": 1, "metadata": {"nmae": "x"},
    "spec": {"replicsa": 2, "template": {"spec": {"containers": [{"name": "a"}, {"foo": {"x": 1}}]}}}})");
  ASSERT_TRUE(outcome.report);
  EXPECT_EQ(outcome.report->unknown_fields,
            (std::vector<std::string>{"bogus", "metadata.nmae", "spec.replicsa",
                                      "spec.template.spec.containers[1].foo"}));
  EXPECT_EQ(outcome.report->messages()[2], "unknown field \"spec.replicsa\"");
  EXPECT_FALSE(outcome.object.contains("bogus"));
  EXPECT_FALSE(outcome.object["spec"].contains("replicsa"));
  EXPECT_EQ(outcome.object["spec"]["template"]["spec"]["containers"][1], Json::object());
}

TEST(Decode, KeepsUnknownFieldsWhenAskedTo) {
  Outcome outcome = run("core.v1.ConfigMap", R"({"bogus": 1})", {.prune_unknown = false});
  ASSERT_TRUE(outcome.report);
  EXPECT_EQ(outcome.report->unknown_fields.size(), 1u);
  EXPECT_EQ(outcome.object["bogus"], 1);
}

TEST(Decode, TheStrictErrorIsUpstreams) {
  DecodeReport report;
  report.unknown_fields = {"bogus", "spec.x"};
  report.duplicate_fields = {"data.a"};
  Error error = strict_decoding_error(find_type("core.v1.ConfigMap"), report);
  EXPECT_EQ(error.code(), 400);
  EXPECT_EQ(error.message,
            "ConfigMap in version \"v1\" cannot be handled as a ConfigMap: strict decoding error: "
            "duplicate field \"data.a\", unknown field \"bogus\", unknown field \"spec.x\"");
}

TEST(Decode, BoundsTheReport) {
  Outcome outcome =
      run("core.v1.ConfigMap", R"({"a":1,"b":1,"c":1,"data":{"k":"v"}})", {.max_reported = 2});
  ASSERT_TRUE(outcome.report);
  EXPECT_EQ(outcome.report->unknown_fields.size(), 2u);
  EXPECT_EQ(outcome.object, Json::parse(R"({"data":{"k":"v"}})"));
}

TEST(Decode, WrongJsonTypesNameTheFieldAsGoDoes) {
  EXPECT_EQ(
      message_of("apps.v1.Deployment", R"({"spec":{"replicas":"3"}})"),
      "Deployment in version \"v1\" cannot be handled as a Deployment: json: cannot unmarshal "
      "string into Go struct field DeploymentSpec.spec.replicas of type int32");
  EXPECT_EQ(
      message_of("core.v1.Pod", R"({"spec":{"containers":[{"env":[{"name":"A","value":1}]}]}})"),
      "Pod in version \"v1\" cannot be handled as a Pod: json: cannot unmarshal number into "
      "Go struct field EnvVar.spec.containers.env.value of type string");
  EXPECT_EQ(message_of("core.v1.Pod", R"({"spec":{"containers":{}}})"),
            "Pod in version \"v1\" cannot be handled as a Pod: json: cannot unmarshal object into "
            "Go struct field PodSpec.spec.containers of type []v1.Container");
  EXPECT_EQ(
      message_of("core.v1.Pod", R"({"spec":[]})"),
      "Pod in version \"v1\" cannot be handled as a Pod: json: cannot unmarshal array into Go "
      "struct field Pod.spec of type v1.PodSpec");
  EXPECT_EQ(message_of("core.v1.ConfigMap", R"({"data":{"a":true}})"),
            "ConfigMap in version \"v1\" cannot be handled as a ConfigMap: json: cannot unmarshal "
            "bool into Go struct field ConfigMap.data of type string");
  EXPECT_EQ(message_of("core.v1.ConfigMap", "[]"),
            "ConfigMap in version \"v1\" cannot be handled as a ConfigMap: json: cannot unmarshal "
            "array into Go value of type v1.ConfigMap");
}

TEST(Decode, TheCauseHasTheExactPath) {
  Outcome outcome =
      run("core.v1.Pod", R"({"spec":{"containers":[{},{"ports":[{"containerPort":"x"}]}]}})");
  ASSERT_FALSE(outcome.report);
  ASSERT_EQ(outcome.report.error().causes.size(), 1u);
  EXPECT_EQ(outcome.report.error().causes[0].field, "spec.containers[1].ports[0].containerPort");
}

TEST(Decode, IntegersHaveTheirRange) {
  auto replicas = [](std::string_view number) {
    return message_of("apps.v1.Deployment",
                      std::string(R"({"spec":{"replicas":)").append(number).append("}}"));
  };
  EXPECT_EQ(replicas("2147483647"), "no error");
  EXPECT_EQ(replicas("-2147483648"), "no error");
  EXPECT_EQ(
      replicas("2147483648"),
      "Deployment in version \"v1\" cannot be handled as a Deployment: json: cannot unmarshal "
      "number 2147483648 into Go struct field DeploymentSpec.spec.replicas of type int32");
  EXPECT_NE(replicas("-2147483649"), "no error");
  EXPECT_NE(replicas("18446744073709551615"), "no error");
  EXPECT_NE(replicas("1.5"), "no error");
  auto generation = [](std::string_view number) {
    return message_of("core.v1.Pod",
                      std::string(R"({"metadata":{"generation":)").append(number).append("}}"));
  };
  EXPECT_EQ(generation("9223372036854775807"), "no error");
  EXPECT_NE(generation("9223372036854775808"), "no error");
}

TEST(Decode, NullIsAbsent) {
  Outcome outcome =
      run("core.v1.Pod", R"({"metadata":{"creationTimestamp":null,"labels":{"a":null}},
    "status":null,"spec":{"nodeName":null,"containers":[null],"volumes":null}})");
  ASSERT_TRUE(outcome.report) << outcome.report.error().message;
  EXPECT_EQ(outcome.object,
            Json::parse(R"({"metadata":{"labels":{"a":""}},"spec":{"containers":[{}]}})"));
}

TEST(Decode, QuantitiesAreCheckedAndCanonical) {
  Outcome outcome =
      run("core.v1.ResourceRequirements",
          R"({"limits":{"memory":"1024Mi","cpu":0.5},"requests":{"cpu":"1000m","x":2}})");
  ASSERT_TRUE(outcome.report) << outcome.report.error().message;
  EXPECT_EQ(outcome.object, Json::parse(R"({"limits":{"memory":"1Gi","cpu":"500m"},
                                            "requests":{"cpu":"1","x":"2"}})"));
  EXPECT_EQ(message_of("core.v1.Pod", R"({"spec":{"overhead":{"cpu":"1 core"}}})"),
            "Pod in version \"v1\" cannot be handled as a Pod: quantities must match the regular "
            "expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'");
  EXPECT_NE(message_of("core.v1.Pod", R"({"spec":{"overhead":{"cpu":true}}})"), "no error");
}

TEST(Decode, TimesAreCheckedAndUtc) {
  Outcome outcome =
      run("meta.v1.ObjectMeta", R"({"creationTimestamp":"2026-01-02T05:04:05+02:00"})");
  ASSERT_TRUE(outcome.report) << outcome.report.error().message;
  EXPECT_EQ(outcome.object["creationTimestamp"], "2026-01-02T03:04:05Z");
  outcome = run("coordination.v1.LeaseSpec", R"({"renewTime":"2026-01-02T03:04:05.123456Z"})");
  ASSERT_TRUE(outcome.report);
  EXPECT_EQ(outcome.object["renewTime"], "2026-01-02T03:04:05.123456Z");
  EXPECT_EQ(message_of("core.v1.Pod", R"({"metadata":{"creationTimestamp":"now"}})"),
            "Pod in version \"v1\" cannot be handled as a Pod: parsing time \"now\" as "
            "\"2006-01-02T15:04:05Z07:00\": cannot parse \"now\" as \"2006\"");
  EXPECT_NE(message_of("core.v1.Pod", R"({"metadata":{"creationTimestamp":5}})"), "no error");
}

TEST(Decode, BytesAreBase64) {
  Outcome outcome = run("core.v1.Secret", "{\"data\":{\"a\":\"aGVs\\nbG8=\",\"b\":\"\"}}");
  ASSERT_TRUE(outcome.report) << outcome.report.error().message;
  EXPECT_EQ(outcome.object["data"]["a"], "aGVsbG8=");
  EXPECT_EQ(message_of("core.v1.Secret", R"({"data":{"a":"not base64"}})"),
            "Secret in version \"v1\" cannot be handled as a Secret: illegal base64 data at input "
            "byte 3");
  EXPECT_NE(message_of("core.v1.Secret", R"({"data":{"a":"aGVsbG8"}})"), "no error");
  EXPECT_NE(message_of("core.v1.Secret", R"({"data":{"a":"aGVsbG8=="}})"), "no error");
}

TEST(Decode, IntOrString) {
  EXPECT_EQ(message_of("core.v1.ServicePort", R"({"targetPort":"http"})"), "no error");
  EXPECT_EQ(message_of("core.v1.ServicePort", R"({"targetPort":8080})"), "no error");
  EXPECT_NE(message_of("core.v1.ServicePort", R"({"targetPort":1.5})"), "no error");
  EXPECT_NE(message_of("core.v1.ServicePort", R"({"targetPort":4294967296})"), "no error");
  EXPECT_NE(message_of("core.v1.ServicePort", R"({"targetPort":[]})"), "no error");
}

TEST(Decode, FreeFormPartsAreLeftAlone) {
  std::string text = R"({"metadata":{"managedFields":[{"fieldsV1":{"f:spec":{".":{},"x":null}}}]},
    "data":{"anything":[1,null]},"revision":1})";
  Outcome outcome = run("apps.v1.ControllerRevision", text);
  ASSERT_TRUE(outcome.report) << outcome.report.error().message;
  EXPECT_TRUE(outcome.report->clean());
  EXPECT_EQ(outcome.object, Json::parse(text));
}

TEST(Decode, DepthIsBounded) {
  Json schema = Json::object();
  for (int i = 0; i < 400; ++i) schema = Json{{"properties", {{"x", std::move(schema)}}}};
  auto report = decode(find_type("apiextensions.v1.JSONSchemaProps"), schema);
  ASSERT_FALSE(report);
  EXPECT_EQ(report.error().reason, Reason::kBadRequest);
}

TEST(Decode, ListedObjectsAreCounted) {
  DecodeOptions options;
  options.max_listed_objects = 4;
  std::string_view four = R"({"spec": {"containers": [{"env": [{}, {}]}, {"args": ["a", "b"]}]}})";
  EXPECT_TRUE(run("core.v1.Pod", four, options).report);
  std::string_view five = R"({"spec": {"containers": [{"env": [{}, {}]}, {"env": [{}]}]}})";
  auto refused = run("core.v1.Pod", five, options).report;
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().reason, Reason::kRequestEntityTooLarge);
  EXPECT_EQ(refused.error().message,
            "spec.containers[1].env: Too many: all lists together may hold 4 objects");
}

}  // namespace
}  // namespace moth::schema
