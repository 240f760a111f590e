#include "api/schema/protobuf.h"

#include <gtest/gtest.h>

#include <bit>
#include <cstdint>

#include "api/base/json.h"

namespace moth::schema {
namespace {

// A small encoder, as Go's generated code writes messages.
std::string varint(std::uint64_t value) {
  std::string out;
  for (; value >= 128; value >>= 7) out += static_cast<char>(value | 128);
  return out += static_cast<char>(value);
}
std::string number(int field, std::int64_t value) {
  return varint(static_cast<std::uint64_t>(field) << 3) + varint(static_cast<std::uint64_t>(value));
}
std::string bytes(int field, std::string_view value) {
  return varint(static_cast<std::uint64_t>(field) << 3 | 2) + varint(value.size()) +
         std::string(value);
}
std::string entry(int field, std::string_view key, std::string_view value) {
  return bytes(field, bytes(1, key) + bytes(2, value));
}
std::string body(std::string_view version, std::string_view kind, std::string_view raw) {
  return std::string("k8s\0", 4) + bytes(1, bytes(1, version) + bytes(2, kind)) + bytes(2, raw) +
         bytes(3, "") + bytes(4, "");
}
std::string from_hex(std::string_view hex) {
  std::string out;
  std::string digits;
  for (char c : hex)
    if (c != ' ') digits += c;
  for (std::size_t i = 0; i + 1 < digits.size(); i += 2)
    out += static_cast<char>(std::stoi(digits.substr(i, 2), nullptr, 16));
  return out;
}

Json decoded(std::string_view text) {
  auto object = decode_protobuf(text);
  EXPECT_TRUE(object) << object.error().message;
  return object ? *object : Json();
}

// Recorded from `kubectl create ns n0`.
const std::string kNamespace = from_hex(
    "6b387300 0a0f0a0276311209 4e616d657370616365 121a 0a12 0a026e30 1200 1a00 2200 2a00 3200 3800 "
    "4200 1200 1a020a00 1a00 2200");

TEST(Protobuf, TheRecordedNamespace) {
  ASSERT_EQ(kNamespace.size(), 53u);
  EXPECT_TRUE(is_protobuf(kNamespace));
  EXPECT_EQ(decoded(kNamespace),
            Json::parse(R"({"apiVersion":"v1","kind":"Namespace","metadata":{"name":"n0"}})"));
}

TEST(Protobuf, EveryTruncationIsAnError) {
  for (std::size_t size = 0; size < kNamespace.size(); ++size) {
    auto object = decode_protobuf(std::string_view(kNamespace).substr(0, size));
    // Cut right after a field of the envelope, what remains is whole.
    bool boundary = size == 21 || size == 49 || size == 51;
    EXPECT_EQ(object.has_value(), boundary) << size;
    if (!object) {
      EXPECT_TRUE(object.error().code() == 400 || object.error().code() == 415) << size;
    }
  }
}

TEST(Protobuf, NoiseNeverCrashes) {
  std::uint32_t seed = 12345;
  for (int round = 0; round < 20000; ++round) {
    std::string noisy = kNamespace;
    for (int i = 0; i < 3; ++i) {
      seed = seed * 1664525 + 1013904223;
      noisy[18 + (seed >> 8) % (noisy.size() - 18)] = static_cast<char>(seed >> 24);
    }
    auto object = decode_protobuf(noisy);
    if (object) {
      EXPECT_NO_THROW(object->dump());
    }
  }
}

TEST(Protobuf, PointersKeepTheirZero) {
  std::string spec = number(1, 0) + number(5, 0) + number(7, 0);
  Json object = decoded(body("apps/v1", "Deployment", bytes(2, spec)));
  EXPECT_EQ(object["spec"], Json::parse(R"({"replicas":0})"));
  object = decoded(body("v1", "ConfigMap", entry(2, "a", "") + number(4, 0)));
  EXPECT_EQ(object["immutable"], false);
  EXPECT_EQ(object["data"], Json::parse(R"({"a":""})"));
}

TEST(Protobuf, EmptyMessagesOfPointersAreKept) {
  // emptyDir {} inside the volume's source, inside the volume.
  std::string volume = bytes(1, "tmp") + bytes(2, bytes(2, ""));
  std::string pod = bytes(2, bytes(1, volume) + bytes(14, ""));
  Json object = decoded(body("v1", "Pod", bytes(1, bytes(1, "p")) + pod + bytes(3, "")));
  EXPECT_EQ(object["spec"],
            Json::parse(R"({"volumes":[{"name":"tmp","emptyDir":{}}],"securityContext":{}})"));
  EXPECT_FALSE(object.contains("status"));
}

TEST(Protobuf, SecretsBecomeBase64) {
  std::string raw = bytes(1, bytes(1, "s")) + entry(2, "release", std::string("\0\xff\x10", 3)) +
                    bytes(3, "helm.sh/release.v1") + entry(4, "plain", "text");
  Json object = decoded(body("v1", "Secret", raw));
  EXPECT_EQ(object["data"]["release"], "AP8Q");
  EXPECT_EQ(object["stringData"]["plain"], "text");
  EXPECT_EQ(object["type"], "helm.sh/release.v1");
}

TEST(Protobuf, InlinedMessagesAndScalars) {
  std::string port = number(1, 0) + number(2, 8080);  // IntOrString
  std::string named = number(1, 1) + bytes(3, "http");
  std::string probe = bytes(1, bytes(2, bytes(1, "/") + bytes(2, named))) + number(4, 5);
  std::string tcp = bytes(1, bytes(3, bytes(1, port)));
  std::string quantity = bytes(1, "250m");
  std::string env =
      bytes(1, "A") + bytes(3, bytes(3, bytes(1, bytes(1, "cm")) + bytes(2, "k") + number(3, 0)));
  std::string container = bytes(1, "c") + bytes(3, "sh") + bytes(3, "-c") + bytes(7, env) +
                          bytes(8, entry(1, "cpu", quantity)) + bytes(10, probe) + bytes(11, tcp);
  std::string pod = bytes(2, bytes(2, container));
  EXPECT_EQ(decoded(body("v1", "Pod", pod))["spec"]["containers"][0], Json::parse(R"({
    "name": "c", "command": ["sh", "-c"],
    "env": [{"name": "A", "valueFrom": {"configMapKeyRef": {"name": "cm", "key": "k", "optional": false}}}],
    "resources": {"limits": {"cpu": "250m"}},
    "livenessProbe": {"httpGet": {"path": "/", "port": "http"}, "periodSeconds": 5},
    "readinessProbe": {"tcpSocket": {"port": 8080}}})"));
}

TEST(Protobuf, TimesAndNegativeNumbers) {
  std::string meta = bytes(1, "x") + bytes(8, number(1, 1767323045) + number(2, 0)) + bytes(9, "");
  Json object = decoded(body("v1", "ConfigMap", bytes(1, meta)));
  EXPECT_EQ(object["metadata"],
            Json::parse(R"({"name":"x","creationTimestamp":"2026-01-02T03:04:05Z"})"));
  object = decoded(body("scheduling.k8s.io/v1", "PriorityClass", number(2, -10)));
  EXPECT_EQ(object["value"], -10);
  // Go writes this one into JSON even when it is zero.
  object = decoded(body("scheduling.k8s.io/v1", "PriorityClass", number(2, 0) + number(3, 0)));
  EXPECT_EQ(object["value"], 0);
  EXPECT_FALSE(object.contains("globalDefault"));
  object = decoded(body("v1", "ConfigMap", bytes(1, bytes(8, number(1, -62135596800)))));
  EXPECT_FALSE(object.contains("metadata"));
}

TEST(Protobuf, RawJsonAndLists) {
  std::string fields = bytes(1, R"({"f:data":{}})");
  std::string meta = bytes(17, bytes(1, "me") + bytes(7, fields));
  Json object = decoded(body("v1", "ConfigMap", bytes(1, meta)));
  EXPECT_EQ(object["metadata"]["managedFields"][0]["fieldsV1"], Json::parse(R"({"f:data":{}})"));
  EXPECT_FALSE(decode_protobuf(
      body("v1", "ConfigMap", bytes(1, bytes(17, bytes(7, bytes(1, "{no json")))))));
  std::string deep(1000, '[');
  EXPECT_FALSE(
      decode_protobuf(body("v1", "ConfigMap", bytes(1, bytes(17, bytes(7, bytes(1, deep)))))));
  // Numbers one by one and packed.
  std::string context = number(4, 1) + number(4, 2) + bytes(4, varint(3) + varint(300));
  object = decoded(body("v1", "Pod", bytes(2, bytes(14, context))));
  EXPECT_EQ(object["spec"]["securityContext"]["supplementalGroups"], Json::parse("[1,2,3,300]"));
  // A list as a map's value is a message.
  std::string extra = entry(5, "scopes", bytes(1, "a") + bytes(1, "b"));
  object = decoded(body("authorization.k8s.io/v1", "SubjectAccessReview", bytes(2, extra)));
  EXPECT_EQ(object["spec"]["extra"], Json::parse(R"({"scopes":["a","b"]})"));
}

TEST(Protobuf, SchemasOfCustomResources) {
  double maximum = 2.5;
  std::string fixed(1, static_cast<char>(9 << 3 | 1));
  for (int i = 0; i < 8; ++i)
    fixed += static_cast<char>(std::bit_cast<std::uint64_t>(maximum) >> (8 * i));
  std::string string_type = bytes(5, "string");
  auto object = decode_protobuf_message(
      find_type("apiextensions.v1.JSONSchemaProps"),
      bytes(5, "object") + fixed + bytes(8, bytes(1, "{\"a\":1}")) + number(38, 1) +
          bytes(30, number(1, 1)) + bytes(24, bytes(1, string_type)));
  ASSERT_TRUE(object) << object.error().message;
  EXPECT_EQ((*object)["type"], "object");
  EXPECT_EQ((*object)["maximum"], 2.5);
  EXPECT_EQ((*object)["default"], Json::parse(R"({"a":1})"));
  EXPECT_EQ((*object)["x-kubernetes-preserve-unknown-fields"], true);
  EXPECT_EQ((*object)["additionalProperties"], true);
  EXPECT_EQ((*object)["items"], Json::parse(R"({"type":"string"})"));
}

TEST(Protobuf, DeleteOptionsAndEmptyBodies) {
  EXPECT_EQ(decoded(std::string("k8s\0", 4) + bytes(1, bytes(1, "v1") + bytes(2, "DeleteOptions"))),
            Json::parse(R"({"apiVersion":"v1","kind":"DeleteOptions"})"));
  Json object = decoded(body("policy/v1", "DeleteOptions", number(1, 0) + bytes(4, "Background")));
  EXPECT_EQ(object["gracePeriodSeconds"], 0);
  EXPECT_EQ(object["propagationPolicy"], "Background");
}

TEST(Protobuf, Refusals) {
  EXPECT_EQ(decode_protobuf("").error().code(), 400);
  EXPECT_EQ(decode_protobuf("{}").error().code(), 400);
  EXPECT_EQ(decode_protobuf(body("example.com/v1", "Widget", "")).error().code(), 415);
  EXPECT_EQ(decode_protobuf(body("v1", "PodSpec", "")).error().code(), 415);
  EXPECT_EQ(decode_protobuf(kNamespace, {.max_bytes = 10}).error().code(), 413);
  // A wrong wire type, bad UTF-8, a group.
  EXPECT_EQ(decode_protobuf(body("v1", "ConfigMap", number(1, 5))).error().code(), 400);
  EXPECT_EQ(decode_protobuf(body("v1", "ConfigMap", entry(2, "a", "\xc3\x28"))).error().code(),
            400);
  EXPECT_EQ(decode_protobuf(body("v1", "ConfigMap", "\x0b")).error().code(), 400);
  // Unknown numbers are a newer client's.
  EXPECT_TRUE(decode_protobuf(body("v1", "ConfigMap", number(99, 5) + bytes(100, "x"))));
  // Schemas nest in themselves.
  std::string deep;
  for (int i = 0; i < 200; ++i) deep = bytes(29, bytes(1, "x") + bytes(2, deep));
  auto result = decode_protobuf_message(find_type("apiextensions.v1.JSONSchemaProps"), deep);
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code(), 400);
}

}  // namespace
}  // namespace moth::schema
