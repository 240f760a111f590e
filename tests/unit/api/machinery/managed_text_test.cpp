#include "api/machinery/managed_text.h"

#include <gtest/gtest.h>

namespace moth {
namespace {

TEST(ManagedText, IsFoundWhereItIsAndOnlyThere) {
  struct Case {
    std::string text, value, rest;
  };
  const Case cases[] = {
      {R"({"kind":"X","metadata":{"a":1,"managedFields":[{"x":"]}\""}],"name":"n"}})",
       R"([{"x":"]}\""}])", R"({"kind":"X","metadata":{"a":1,"name":"n"}})"},
      {R"({"metadata":{"managedFields":[],"name":"n"}})", "[]", R"({"metadata":{"name":"n"}})"},
      {R"({"metadata":{"a":1,"managedFields":[]},"z":2})", "[]", R"({"metadata":{"a":1},"z":2})"},
      {R"({"metadata":{"managedFields":[]}})", "[]", R"({"metadata":{}})"},
      // Elsewhere it is content.
      {R"({"data":{"metadata":{"managedFields":[1]}},"metadata":{"name":"\"managedFields\":[2]"}})",
       "",
       R"({"data":{"metadata":{"managedFields":[1]}},"metadata":{"name":"\"managedFields\":[2]"}})"},
      {R"({"managedFields":[1]})", "", R"({"managedFields":[1]})"},
      {R"({ "metadata": {"managedFields":[]}})", "", R"({ "metadata": {"managedFields":[]}})"},
      {"{}", "", "{}"},
      {"", "", ""},
      {R"({"metadata":{"managedFields":[)", "", R"({"metadata":{"managedFields":[)"},
  };
  for (const Case& c : cases) {
    EXPECT_EQ(find_managed_fields(c.text).value, c.value) << c.text;
    EXPECT_EQ(without_managed_fields(c.text), c.rest);
  }
}

}  // namespace
}  // namespace moth
