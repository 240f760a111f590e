#include "api/machinery/names.h"

#include <gtest/gtest.h>

#include <set>

#include "api/base/json.h"
#include "api/machinery/field_error.h"
#include "api/machinery/hash.h"
#include "api/machinery/text.h"

namespace moth {
namespace {

struct NameCase {
  Messages (*check)(std::string_view);
  std::string name;
  bool valid;
};

TEST(Names, AreJudgedByTheirRules) {
  const std::string long63(63, 'a');
  const std::string long64(64, 'a');
  const NameCase cases[] = {
      {check_dns1123_label, "a", true},
      {check_dns1123_label, "0-a", true},
      {check_dns1123_label, long63, true},
      {check_dns1123_label, long64, false},
      {check_dns1123_label, "", false},
      {check_dns1123_label, "-a", false},
      {check_dns1123_label, "a-", false},
      {check_dns1123_label, "A", false},
      {check_dns1123_label, "a.b", false},
      {check_dns1123_subdomain, "a.b-c.0", true},
      {check_dns1123_subdomain, "a..b", false},
      {check_dns1123_subdomain, ".a", false},
      {check_dns1123_subdomain, "a.", false},
      {check_dns1123_subdomain, "a_b", false},
      {check_dns1123_subdomain, std::string(253, 'a'), true},
      {check_dns1123_subdomain, std::string(254, 'a'), false},
      {check_dns1035_label, "abc-1", true},
      {check_dns1035_label, "1abc", false},
      {check_dns1035_label, "", false},
      {check_qualified_name, "app", true},
      {check_qualified_name, "A_b.c-d", true},
      {check_qualified_name, "example.com/MyName", true},
      {check_qualified_name, "Example.com/x", false},
      {check_qualified_name, "/x", false},
      {check_qualified_name, "a/", false},
      {check_qualified_name, "a/b/c", false},
      {check_qualified_name, "_x", false},
      {check_qualified_name, "example.com/" + long63, true},
      {check_qualified_name, "example.com/" + long64, false},
      {check_label_value, "", true},
      {check_label_value, "My_Value.1", true},
      {check_label_value, "-x", false},
      {check_label_value, long64, false},
      {check_path_segment_name, "system:node", true},
      {check_path_segment_name, "..", false},
      {check_path_segment_name, "a/b", false},
      {check_path_segment_name, "a%b", false},
      {check_port_name, "http-2", true},
      {check_port_name, "80", false},
      {check_port_name, "a--b", false},
      {check_port_name, "-a", false},
      {check_port_name, "abcdefghijklmnop", false},
      {check_port_name, "HTTP", false},
      {check_config_map_key, "a_b-c.D", true},
      {check_config_map_key, ".", false},
      {check_config_map_key, "..x", false},
      {check_config_map_key, "a b", false},
      {check_config_map_key, "", false},
      {check_env_var_name, "A B-c.1", true},
      {check_env_var_name, "A=B", false},
      {check_env_var_name, "", false},
      {check_env_var_name, "\xC3\xBC", false},
      {check_ip, "10.0.0.1", true},
      {check_ip, "2001:db8::1", true},
      {check_ip, "10.0.0", false},
      {check_ip, "10.0.0.256", false},
      {check_percent, "25%", true},
      {check_percent, "25", false},
      {check_percent, "%", false},
  };
  for (const NameCase& each : cases) {
    EXPECT_EQ(each.check(each.name).empty(), each.valid) << each.name;
  }
  EXPECT_TRUE(check_port_number(65535).empty());
  EXPECT_FALSE(check_port_number(0).empty());
  EXPECT_TRUE(check_generate_name("web-", check_dns1123_label).empty());
  EXPECT_FALSE(check_generate_name("Web-", check_dns1123_label).empty());
}

TEST(Names, MessagesAreUpstreams) {
  EXPECT_EQ(
      check_dns1123_subdomain("A").front(),
      "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' "
      "or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex "
      "used for validation is "
      "'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')");
  EXPECT_EQ(check_dns1123_label("A").front(),
            "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', "
            "and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', "
            "regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')");
  EXPECT_EQ(check_dns1123_label("a.b"), Messages{"must not contain dots"});
  EXPECT_EQ(
      check_label_value("-b").front(),
      "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or "
      "'.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or "
      "'my_value',  or '12345', regex used for validation is "
      "'(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')");
  EXPECT_EQ(check_label_value(std::string(64, 'a')), Messages{"must be no more than 63 bytes"});
  EXPECT_EQ(check_config_map_key(std::string(254, 'a')),
            Messages{"must be no more than 253 characters"});
  EXPECT_EQ(check_qualified_name("/x"), Messages{"prefix part must be non-empty"});
}

TEST(Names, GeneratedOnesFitAndDiffer) {
  RandomSource random = system_random();
  std::string name = generate_name(std::string(80, 'x'), random);
  EXPECT_EQ(name.size(), 63u);
  EXPECT_EQ(name.find_first_not_of("bcdfghjklmnpqrstvwxz2456789", 58), std::string::npos);
  std::set<std::string> names;
  for (int i = 0; i < 1000; ++i) names.insert(uuid_v4(random));
  EXPECT_EQ(names.size(), 1000u);
  EXPECT_EQ(generate_name("web-", seeded_random(1)), generate_name("web-", seeded_random(1)));
}

TEST(Names, UuidsAreOfVersionFour) {
  std::string uuid = uuid_v4([] { return ~0ull; });
  EXPECT_EQ(uuid, "ffffffff-ffff-4fff-bfff-ffffffffffff");
  EXPECT_EQ(uuid_v4([] { return 0ull; }), "00000000-0000-4000-8000-000000000000");
}

TEST(Hash, KnownValues) {
  EXPECT_EQ(fnv32a(""), 2166136261u);
  EXPECT_EQ(fnv32a("a"), 0xe40c292cu);
  EXPECT_EQ(fnv32a("foobar"), 0xbf9cf968u);
  EXPECT_EQ(fnv64a("foobar"), 0x85944171f73967e8u);
  // '0' is 48, and 48 mod 27 is 21.
  EXPECT_EQ(safe_encode("0"), "4");
  Json pod = {{"spec", {{"a", 1}}}};
  EXPECT_EQ(template_hash(pod), template_hash(pod));
  EXPECT_NE(template_hash(pod), template_hash(pod, 0));
  EXPECT_NE(template_hash(pod, 0), template_hash(pod, 1));
}

TEST(FieldError, PrintsAsUpstream) {
  FieldPath spec("spec");
  EXPECT_EQ(spec.child("containers").index(0).child("image").to_string(),
            "spec.containers[0].image");
  EXPECT_EQ(FieldPath("metadata").child("labels").key("a/b").to_string(), "metadata.labels[a/b]");
  EXPECT_EQ(spec.child("a", "b", "c").to_string(), "spec.a.b.c");
  EXPECT_EQ(FieldError::required(spec, "must be given").to_string(),
            "spec: Required value: must be given");
  EXPECT_EQ(FieldError::required(spec, "").to_string(), "spec: Required value");
  EXPECT_EQ(FieldError::invalid(spec, "a\"b", "no").to_string(),
            "spec: Invalid value: \"a\\\"b\": no");
  EXPECT_EQ(FieldError::invalid(spec, -1, "no").to_string(), "spec: Invalid value: -1: no");
  EXPECT_EQ(FieldError::invalid(spec, Json{{"a", "b"}}, "no").to_string(),
            "spec: Invalid value: {\"a\":\"b\"}: no");
  EXPECT_EQ(FieldError::invalid(spec, nullptr, "").to_string(), "spec: Invalid value: \"null\"");
  EXPECT_EQ(FieldError::duplicate(spec, "x").to_string(), "spec: Duplicate value: \"x\"");
  EXPECT_EQ(FieldError::not_supported(spec, "Never", {"Always", "B"}).to_string(),
            "spec: Unsupported value: \"Never\": supported values: \"Always\", \"B\"");
  EXPECT_EQ(FieldError::forbidden(spec, "no").to_string(), "spec: Forbidden: no");
  EXPECT_EQ(FieldError::too_long(spec, 63).to_string(),
            "spec: Too long: may not be more than 63 bytes");
  EXPECT_EQ(FieldError::too_many(spec, 3, 2).to_string(),
            "spec: Too many: 3: must have at most 2 items");
}

TEST(FieldError, BecomesAn422) {
  FieldErrors errors = {FieldError::required(FieldPath("spec.a"), ""),
                        FieldError::invalid(FieldPath("spec.b"), 1, "no"),
                        FieldError::invalid(FieldPath("spec.b"), 1, "no")};
  Error error = to_invalid_error("apps", "Deployment", "web", errors);
  EXPECT_EQ(error.code(), 422);
  EXPECT_EQ(
      error.message,
      "Deployment.apps \"web\" is invalid: [spec.a: Required value, spec.b: Invalid value: 1: no]");
  ASSERT_EQ(error.causes.size(), 2u);
  EXPECT_EQ(error.causes[0].reason, "FieldValueRequired");
  EXPECT_EQ(error.causes[1].message, "Invalid value: 1: no");
  EXPECT_EQ(error.causes[1].field, "spec.b");
  EXPECT_EQ(error.kind, "Deployment");
  EXPECT_EQ(to_invalid_error("", "ConfigMap", "x", {errors[0]}).message,
            "ConfigMap \"x\" is invalid: spec.a: Required value");
}

TEST(Text, JudgesUtf8) {
  EXPECT_TRUE(is_valid_utf8("a\xC3\xBC\xE2\x98\x83\xF0\x9F\x98\x80"));
  for (std::string_view bad : {"\xC0\xAF", "\xC3", "\xE0\x80\x80", "\xED\xA0\x80",
                               "\xF4\x90\x80\x80", "\xFF", "\x80", "\xF0\x9F\x98"}) {
    EXPECT_FALSE(is_valid_utf8(bad));
  }
  EXPECT_EQ(go_quote("a\n\x01\xFF\"\\"), "\"a\\n\\x01\\xff\\\"\\\\\"");
}

TEST(InvalidError, TellsEachErrorOnceAndNotWithoutEnd) {
  FieldErrors errors;
  for (std::size_t i = 0; i < 100'000; ++i) {
    errors.push_back(FieldError::required(FieldPath("spec").key("a" + std::to_string(i / 2)), ""));
  }
  Error error = to_invalid_error("", "Pod", "x", errors);
  EXPECT_EQ(error.causes.size(), kMaxReportedErrors);
  EXPECT_EQ(error.causes[1].field, "spec[a1]");
  EXPECT_TRUE(error.message.ends_with("Required value, and more]")) << error.message.substr(0, 200);
}

}  // namespace
}  // namespace moth
